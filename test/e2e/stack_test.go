package e2e_test

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/spend"
	"github.com/aispend/aispend/test/e2e/receiver"
)

// stack is everything between a provider's page and a person, on loopback.
type stack struct {
	t       *testing.T
	dir     string
	company *company
	daemons []*daemon
	prom    *prometheus
	am      *alertmanager
	slack   *slackSink
	mail    *mailSink
	mailer  *mailerSink // nothing is sent to it with stackOptions.shipped
	// hook is the user's own: what the daemons call in the end.
	hook     *receiver.Receiver
	replicas []*replica
	deadman  *hookSink
	shipped  bool
}

// stackOptions are how a stack differs from the usual one.
type stackOptions struct {
	// direct lets Alertmanager call the daemons without a tap in between.
	direct bool
	// slow is ingest.interval of the second daemon; empty means that of the first, 1 s.
	slow string
	// failing is after how long a pending delivery is AISpendHookFailing; 0 leaves the
	// rule as it is.
	failing time.Duration
	// daemons is how many aispend there are behind the one Prometheus; 0 means 1.
	daemons int
	// clock moves the daemon's clock and the providers'; nil is the real one.
	clock *offsetClock
	// caps are more caps than those of openai and global.
	caps []capLimits
	// staleness is max_staleness of OpenAI; empty means 6h.
	staleness string
	// shipped takes rules/alertmanager.yml instead of what the live profile generates.
	shipped bool
	// shortFor divides every `for` of the rules by this; 0 leaves them.
	shortFor int
	// interval is how often Prometheus scrapes and evaluates; 0 means 1 s.
	interval time.Duration
	// resend is --rules.alert.resend-delay; 0 means 10 s. Alertmanager forgets an
	// alert that was not sent for four times that long.
	resend time.Duration
}

// newStack starts everything and waits until the history is in the ledger, the
// rules were evaluated and no cap is reached. The cap is 50 USD (soft) and 200 USD
// (hard) above what the month has cost.
func newStack(t *testing.T, opt stackOptions) *stack {
	t.Helper()
	needTools(t)
	awayFromMonthEnd(opt.clock)
	s := &stack{
		t: t, dir: t.ArtifactDir(), slack: newSlackSink(t), mail: newMailSink(t, !opt.shipped), mailer: newMailerSink(t),
		deadman: newHookSink(t), shipped: opt.shipped,
	}
	t.Cleanup(s.keepMessages)
	now := time.Now
	if opt.clock != nil {
		now = opt.clock.Now
	}
	s.company = newCompany(t, now)
	s.hook = newReceiver(t, now)
	base := s.company.month()
	for range max(opt.daemons, 1) {
		s.replicas = append(s.replicas, newReplica(t, s.company, opt.direct))
	}
	s.am = s.newAlertmanager(opt)
	for i := range s.replicas {
		s.daemons = append(s.daemons, s.newDaemon(i, base, opt))
	}
	s.prom = s.newPrometheus(opt)
	s.am.start()
	for _, d := range s.daemons {
		d.start()
	}
	for _, d := range s.daemons {
		d.loaded()
		d.knows(base)
	}
	s.prom.start()
	s.prom.firing("AISpendWatchdog")
	s.prom.value(fmt.Sprintf("count(aispend_cap_spend_usd) == %d", (2+len(opt.caps))*len(s.daemons)))
	return s
}

// awayFromMonthEnd waits until the month has at least five minutes to go, so that
// a sum of the month is not 0 in the middle of a scenario.
func awayFromMonthEnd(shifted *offsetClock) {
	if shifted != nil {
		return
	}
	now := time.Now()
	next := (spend.DayOf(now).MonthStart() + 31).MonthStart().Time()
	if left := next.Sub(now); left < 5*time.Minute {
		time.Sleep(left)
	}
}

func (s *stack) newDaemon(i int, base spend.Money, opt stackOptions) *daemon {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), fmt.Sprintf("aispend-%d", i))
	if err := os.Mkdir(dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	address := s.replicas[i].address
	site := &site{
		t: s.t, dir: dir, receiver: s.hook, openAI: s.replicas[i].openAI.URL, alertmanagerURL: s.am.url, staleness: opt.staleness,
		caps: []capLimits{
			{scope: "openai", soft: cents(base.Add(spend.MustMoney("50"))), hard: cents(base.Add(spend.MustMoney("200")))},
			{scope: "global", soft: "900000", hard: "1000000"},
		},
	}
	if i > 0 {
		site.interval = opt.slow
	}
	site.caps = append(site.caps, opt.caps...)
	site.configure(s.company)
	p := process{
		t: s.t, name: fmt.Sprintf("aispend-%d", i), log: &logBuffer{}, bin: programs.aispend, url: "http://" + address, up: "/-/ready",
		args: []string{
			"serve", "--config.file=" + filepath.Join(dir, "aispend.yml"),
			"--storage.path=" + filepath.Join(dir, "store"), "--web.listen-address=" + address,
		},
	}
	if opt.clock != nil {
		p.bin = os.Args[0]
		p.env = []string{clockFileVariable + "=" + opt.clock.path}
		p.args = []string{filepath.Join(dir, "aispend.yml"), filepath.Join(dir, "store"), address}
	}
	d := &daemon{process: p, site: site}
	d.keepLog(s.dir)
	return d
}

// rulesDir is where the shipped rules, the Alertmanager configuration and the
// templates are.
const rulesDir = "../../rules"

var (
	groupInterval = regexp.MustCompile(`(?m)^    interval: \d+[sm]$`)
	ruleFor       = regexp.MustCompile(`(?m)^        for: (\d+[smh])$`)
)

// newPrometheus prepares Prometheus with the shipped rules. Only how often they
// are evaluated changes, and how long they wait where a scenario says so.
func (s *stack) newPrometheus(opt stackOptions) *prometheus {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), "prometheus")
	if err := os.Mkdir(dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	every := opt.interval
	for _, name := range []string{"aispend.caps.rules.yml", "aispend.health.rules.yml"} {
		text, err := os.ReadFile(filepath.Join(rulesDir, name))
		if err != nil {
			s.t.Fatal(err)
		}
		rules := string(text)
		if every == 0 {
			rules = groupInterval.ReplaceAllString(rules, "    interval: 1s")
		}
		if opt.failing > 0 {
			rules = strings.Replace(rules, "[10m]) > 0) > 300\n", fmt.Sprintf("[10m]) > 0) > %v\n", opt.failing.Seconds()), 1)
		}
		if opt.shortFor > 0 {
			rules = ruleFor.ReplaceAllStringFunc(rules, func(line string) string {
				d, err := time.ParseDuration(ruleFor.FindStringSubmatch(line)[1])
				if err != nil {
					s.t.Fatal(err)
				}
				return "        for: " + (d / time.Duration(opt.shortFor)).String()
			})
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(rules), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	if every == 0 {
		every = time.Second
	}
	var targets []string
	for _, d := range s.daemons {
		targets = append(targets, hostOf(d.url))
	}
	text := fmt.Sprintf(`
global: {scrape_interval: %[1]s, scrape_timeout: %[1]s, evaluation_interval: %[1]s}
rule_files: ["*.rules.yml"]
alerting:
  alertmanagers:
    - static_configs: [{targets: [%[2]q]}]
scrape_configs:
  - job_name: aispend
    static_configs: [{targets: [%[3]s]}]
`, every, hostOf(s.am.url), strings.Join(targets, ", "))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	address := freeAddress(s.t)
	p := &prometheus{process{
		t: s.t, name: "prometheus", log: &logBuffer{}, bin: programs.prometheus, url: "http://" + address, up: "/-/ready",
		args: []string{
			"--config.file=" + filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path=" + filepath.Join(dir, "data"),
			"--web.listen-address=" + address, "--web.external-url=http://prometheus.example.com:9090",
			"--web.route-prefix=/", "--log.level=warn",
		},
	}}
	switch {
	case opt.resend > 0:
		p.args = append(p.args, "--rules.alert.resend-delay="+opt.resend.String())
	case opt.interval == 0:
		p.args = append(p.args, "--rules.alert.resend-delay=10s")
	}
	p.keepLog(s.dir)
	return p
}

// newAlertmanager prepares Alertmanager with a configuration as it is shipped or
// generated.
func (s *stack) newAlertmanager(opt stackOptions) *alertmanager {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), "alertmanager")
	if err := os.Mkdir(dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	if opt.shipped {
		s.writeShippedReceivers(dir)
	} else {
		s.writeReceivers(dir)
	}
	address := freeAddress(s.t)
	a := &alertmanager{process{
		t: s.t, name: "alertmanager", log: &logBuffer{}, bin: programs.alertmanager, url: "http://" + address, up: "/-/ready",
		args: []string{
			"--config.file=" + filepath.Join(dir, "alertmanager.yml"), "--storage.path=" + filepath.Join(dir, "data"),
			"--web.listen-address=" + address, "--cluster.listen-address=",
			"--web.external-url=http://alertmanager.example.com:9093", "--web.route-prefix=/", "--log.level=debug",
		},
	}}
	a.keepLog(s.dir)
	return a
}

// hostOf returns host:port of a URL.
func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		panic(err) // it is one of ours
	}
	return net.JoinHostPort(u.Hostname(), u.Port())
}

// slackAbout returns the Slack messages whose title has all these words.
func (s *stack) slackAbout(words ...string) []slackMessage {
	var out []slackMessage
	for _, m := range s.slack.all() {
		if hasAll(m.title(), words) {
			out = append(out, m)
		}
	}
	return out
}

// mailAbout returns the mails whose subject has all these words.
func (s *stack) mailAbout(words ...string) []letter {
	var out []letter
	for _, l := range s.mail.all() {
		if hasAll(l.Subject, words) {
			out = append(out, l)
		}
	}
	return out
}

// mailerAbout returns what ALERT_EMAIL_WEBHOOK got with a subject of all these words.
func (s *stack) mailerAbout(words ...string) []mailerCall {
	var out []mailerCall
	for _, c := range s.mailer.all() {
		if hasAll(c.Subject, words) {
			out = append(out, c)
		}
	}
	return out
}

func hasAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(strings.ToLower(text), strings.ToLower(w)) {
			return false
		}
	}
	return true
}
