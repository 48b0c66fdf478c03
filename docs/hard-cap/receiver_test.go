package hardcap_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/providers/simulator"
)

// wanted is what the world looks like after actions, all else being as it was.
func (l *lab) wanted(before []simulator.APIKey, actions ...string) []simulator.APIKey {
	out := slices.Clone(before)
	for i, k := range out {
		switch {
		case k.ID == l.claude.ID && slices.Contains(actions, "claude"):
			out[i].Status = simulator.KeyInactive
		case k.ID == l.openAI.ID && slices.Contains(actions, "delete"):
			out[i].Status = simulator.KeyDeleted
		}
	}
	return out
}

func (l *lab) keys() []simulator.APIKey {
	return append(l.APIKeys(simulator.OpenAI), l.APIKeys(simulator.Anthropic)...)
}

// expect compares the world with what the actions leave of it.
func (l *lab) expect(t *testing.T, before []simulator.APIKey, actions ...string) {
	t.Helper()
	if diff := cmp.Diff(l.wanted(before, actions...), l.keys()); diff != "" {
		t.Errorf("keys: %s", diff)
	}
	cents, ok := l.SpendLimit(l.project)
	if want := slices.Contains(actions, "limit"); ok != want || want && cents != 1250 {
		t.Errorf("limit %d, %v; want it: %v", cents, ok, want)
	}
}

// calls returns what the providers were asked, without the first n.
func (l *lab) calls(n int) []string {
	var out []string
	for _, r := range l.Requests()[n:] {
		out = append(out, strings.TrimSpace(r.Method+" "+r.Path+" "+r.Body))
	}
	return out
}

func TestEachActionInEarnest(t *testing.T) {
	all := []string{"claude", "delete", "limit"}
	for _, actions := range [][]string{all[:1], all[1:2], all[2:], all} {
		t.Run(strings.Join(actions, " "), func(t *testing.T) {
			l := newLab(t)
			l.plan(t, actions...)
			before := l.keys()

			dry := l.start(t)
			dry.deliver(t, 200)
			dry.deliver(t, 200)
			dry.kill()
			if n := len(l.Requests()); n > 0 || strings.Count(dry.said(), `"would_call"`) != 2*len(actions) {
				t.Errorf("the dry run made %d requests and said %s", n, dry.said())
			}
			l.expect(t, before)

			l.start(t, "-apply").deliver(t, 200)
			l.expect(t, before, actions...)
			var want []string
			for _, call := range [][2]string{
				{"claude", "GET /v1/organizations/api_keys/" + l.claude.ID},
				{"claude", "POST /v1/organizations/api_keys/" + l.claude.ID + ` {"status":"inactive"}`},
				{"delete", "DELETE /v1/organization/projects/" + l.project + "/api_keys/" + l.openAI.ID},
				{"limit", "GET /v1/organization/projects/" + l.project + "/spend_limit"},
				{"limit", "POST /v1/organization/projects/" + l.project +
					`/spend_limit {"threshold_amount":1250,"currency":"USD","interval":"month"}`},
			} {
				if slices.Contains(actions, call[0]) {
					want = append(want, call[1])
				}
			}
			if diff := cmp.Diff(want, l.calls(0)); diff != "" {
				t.Error(diff)
			}

			again := l.start(t, "-apply") // the one before still runs, as during an upgrade
			again.deliver(t, 200)
			again.deliver(t, 200)
			if more := l.calls(len(want)); len(more) > 0 {
				t.Errorf("a second delivery called %v", more)
			}
		})
	}
}

func TestALowerLimitIsNeverRaised(t *testing.T) {
	l := newLab(t)
	l.plan(t, "limit")
	l.SetSpendLimit(l.project, 1249)
	l.start(t, "-apply").deliver(t, 200)
	if cents, _ := l.SpendLimit(l.project); cents != 1249 {
		t.Errorf("it is %d", cents)
	}
}

func TestFaultsOfTheProviders(t *testing.T) {
	sources := map[string]string{
		"claude": "anthropic/api_keys", "delete": "openai/api_keys", "limit": "openai/spend_limit",
	}
	l := newLab(t)
	for name, c := range map[string]struct {
		do     simulator.Effect
		status int
		retry  string
	}{
		"429":               {simulator.RateLimited("7"), 503, "7"},
		"429, no time":      {simulator.RateLimited(""), 503, ""},
		"quota":             {simulator.InsufficientQuota(), 503, ""},
		"500":               {simulator.Status(500), 502, ""},
		"502, HTML":         {simulator.Status(502), 502, ""},
		"529":               {simulator.Status(529), 502, ""},
		"401, echoes":       {simulator.EchoKey(401), 502, ""},
		"403":               {simulator.MissingScopes(403), 502, ""},
		"no answer":         {simulator.Hang(), 502, ""},
		"reset":             {simulator.Reset(), 502, ""},
		"redirect":          {simulator.Redirect(307, l.servers.Elsewhere+"/v1"), 502, ""},
		"a login page":      {simulator.HTML200(), 502, ""},
		"error with 200":    {simulator.Error200(), 502, ""},
		"cut off":           {simulator.TruncatedJSON(), 502, ""},
		"cut off, by close": {simulator.ShortBody(), 502, ""},
		"huge":              {simulator.HugeBody(8 << 20), 502, ""},
	} {
		for action, source := range sources {
			t.Run(name+", "+action, func(t *testing.T) {
				l := newLab(t)
				l.plan(t, action)
				before := l.keys()
				remove := l.Inject(simulator.Fault{Source: source, Do: c.do})
				r := l.start(t, "-apply", "-call-timeout", "1s")
				if retry := r.deliver(t, c.status); retry != c.retry {
					t.Errorf("Retry-After %q", retry)
				}
				remove()
				r.deliver(t, 200)
				l.expect(t, before, action)
			})
		}
	}
	if stolen := l.servers.Stolen(); len(stolen) > 0 {
		t.Errorf("a redirect got %d keys", len(stolen))
	}
}

func TestPartialFailure(t *testing.T) {
	l := newLab(t)
	l.plan(t, "delete", "claude", "limit")
	before := l.keys()
	remove := l.Inject(simulator.Fault{Source: "anthropic", Do: simulator.Status(500)})
	r := l.start(t, "-apply")
	r.deliver(t, 502)
	l.expect(t, before, "delete", "limit")
	r.kill()
	remove()
	r = l.start(t, "-apply")
	n := len(l.Requests())
	r.deliver(t, 200)
	l.expect(t, before, "delete", "claude", "limit")
	if calls := l.calls(n); slices.ContainsFunc(calls, func(s string) bool { return strings.Contains(s, "threshold") }) {
		t.Errorf("the limit was set again: %v", calls)
	}
}

// TestKilledBetweenActingAndRemembering lets the provider act and hold its answer
// back, and kills the receiver then.
func TestKilledBetweenActingAndRemembering(t *testing.T) {
	for action, c := range map[string]struct {
		source string
		skip   int // reads before the change
	}{
		"claude": {"anthropic/api_keys", 1}, "delete": {"openai/api_keys", 0}, "limit": {"openai/spend_limit", 1},
	} {
		t.Run(action, func(t *testing.T) {
			l := newLab(t)
			l.plan(t, action)
			before := l.keys()
			l.Inject(simulator.Fault{Source: c.source, Skip: c.skip, Times: 1, Do: simulator.SlowLoris(time.Hour)})
			r := l.start(t, "-apply", "-call-timeout", "1h")
			gone := make(chan error, 1)
			go func() {
				resp, err := post(t.Context(), http.DefaultClient, r.url, secret, sample())
				if err == nil {
					resp.Body.Close()
				}
				gone <- err
			}()
			for end := time.Now().Add(patience); len(l.Requests()) <= c.skip || l.Requests()[c.skip].Status != 200; {
				if time.Now().After(end) {
					t.Fatalf("the change was not made: %v", l.calls(0))
				}
				time.Sleep(time.Millisecond)
			}
			r.kill()
			if err := <-gone; err == nil {
				t.Error("the delivery was answered")
			}
			l.expect(t, before, action)
			if content, err := os.ReadFile(l.file("seen.log")); err == nil {
				t.Fatalf("remembered too early: %s", content)
			}
			r = l.start(t, "-apply")
			r.deliver(t, 200)
			l.expect(t, before, action)
			n := len(l.Requests())
			if r.deliver(t, 200); len(l.Requests()) != n {
				t.Errorf("once more: %v", l.calls(n))
			}
		})
	}
}

func TestATermFinishesTheDeliveryAtWork(t *testing.T) {
	l := newLab(t)
	l.plan(t, "claude")
	before := l.keys()
	entered, leave := make(chan struct{}), make(chan struct{})
	l.Inject(simulator.Fault{Source: "anthropic", Times: 1, Do: simulator.Respond(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(entered)
			<-leave
			_, _ = w.Write([]byte(`{"id":"` + l.claude.ID + `","status":"active"}`))
		}))})
	r := l.start(t, "-apply")
	status := make(chan int, 1)
	go func() {
		resp, err := post(t.Context(), http.DefaultClient, r.url, secret, sample())
		if err != nil {
			status <- 0
			return
		}
		resp.Body.Close()
		status <- resp.StatusCode
	}()
	<-entered
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	close(leave)
	if code := <-status; code != 200 {
		t.Errorf("status %d", code)
	}
	if err := <-r.done; err != nil {
		t.Errorf("it ended with %v", err)
	}
	l.expect(t, before, "claude")
}

func TestRotationNeedsNoRestart(t *testing.T) {
	const next = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	l := newLab(t)
	l.plan(t, "claude")
	r := l.start(t)
	try := func(secrets string, want int) {
		t.Helper()
		resp, err := post(t.Context(), http.DefaultClient, r.url, secrets, sample())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s, want %d", resp.Status, want)
		}
	}
	try(next, 401)
	try(next+"\n"+secret, 200) // the sender first: it signs with both
	l.write(t, "secret", next+"\n")
	try(next+"\n"+secret, 200)
	try(next, 200)
	try(secret, 401)
	l.write(t, "secret", "\n")
	try(next, 500)
}

func TestCheckFindsSlipsAndChangesNothing(t *testing.T) {
	l := newLab(t)
	before := l.keys()
	run := func() (string, error) {
		out, err := exec.Command(program(t, "receiver"), l.flags("-check")...).CombinedOutput()
		return string(out), err
	}
	l.plan(t, "claude", "delete", "limit")
	if out, err := run(); err != nil || strings.Count(out, "\n") != 3 {
		t.Errorf("%v: %s", err, out)
	}
	l.PutAPIKey(simulator.APIKey{
		Provider: simulator.OpenAI, ID: l.openAI.ID, Project: l.project, ServiceAccount: true, Status: simulator.KeyActive,
	})
	if out, err := run(); err == nil || !strings.Contains(out, "service account") {
		t.Errorf("%v: %s", err, out)
	}
	l.plan(t, "delete")
	r := l.start(t, "-apply")
	r.deliver(t, 502)
	r.kill()
	if !strings.Contains(r.said(), "service account") {
		t.Error(r.said())
	}
	l.PutAPIKey(l.openAI)
	l.claude.ID, l.openAI.ID, l.project = "apikey_none", "key_none", "proj_none"
	for _, action := range []string{"claude", "delete", "limit"} {
		l.plan(t, action)
		if out, err := run(); err == nil || !strings.Contains(out, "none") {
			t.Errorf("%s: %v: %s", action, err, out)
		}
	}
	for _, req := range l.Requests() {
		if req.Method != http.MethodGet && req.Status != 400 {
			t.Errorf("%s %s", req.Method, req.Path)
		}
	}
	if diff := cmp.Diff(before, l.keys()); diff != "" {
		t.Error(diff)
	}
}

func TestAnAdminKeyIsRefused(t *testing.T) {
	l := newLab(t)
	l.claude.Hint = "sk-ant-admin01-R2D...igAA"
	l.PutAPIKey(l.claude)
	l.plan(t, "claude")
	r := l.start(t, "-apply")
	r.deliver(t, 502)
	r.kill()
	if k, _ := l.APIKey(l.claude.ID); k.Status != simulator.KeyActive || !strings.Contains(r.said(), "admin key") {
		t.Errorf("%s: %s", k.Status, r.said())
	}
}

func TestWhatDoesNotStart(t *testing.T) {
	l := newLab(t)
	l.plan(t, "claude")
	l.write(t, "empty", "\n")
	l.write(t, "two", "sk-canary-1\nsk-canary-2\n")
	l.write(t, "key-as-id.json", `{"actions":[{"scope":"a","do":"anthropic-key-inactive","key":"sk-ant-canary"}]}`)
	for name, c := range map[string]struct {
		flags []string
		want  string
	}{
		"apply without memory":   {[]string{"-apply", "-seen", ""}, "-seen"},
		"plan missing":           {[]string{"-plan", l.file("none.json")}, "reading the plan"},
		"secret key for an id":   {[]string{"-plan", l.file("key-as-id.json")}, "looks like a secret key"},
		"http off loopback":      {[]string{"-listen", "0.0.0.0:0"}, "http off loopback"},
		"http on all addresses":  {[]string{"-listen", ":0"}, "http off loopback"},
		"half of TLS":            {[]string{"-tls-cert", "x"}, "belong together"},
		"no signing secret":      {[]string{"-secret-file", l.file("empty")}, "no signing secret"},
		"no secret file":         {[]string{"-secret-file", l.file("none")}, "signing secrets"},
		"secret of another kind": {[]string{"-secret-file", l.file("two")}, "signing secret 1"},
		"two admin keys":         {[]string{"-apply", "-anthropic-key-file", l.file("two")}, "one key"},
		"no admin key":           {[]string{"-apply", "-anthropic-key-file", ""}, "ANTHROPIC_ADMIN_KEY"},
		"provider over http":     {[]string{"-openai-url", "http://api.openai.com"}, "https"},
		"an argument":            {[]string{"apply"}, "no arguments"},
		"an unknown flag":        {[]string{"-aply"}, "aply"},
		"no time":                {[]string{"-call-timeout", "0s"}, "-call-timeout"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // one that starts would go on
		cmd := exec.CommandContext(ctx, program(t, "receiver"), l.flags(c.flags...)...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
		out, err := cmd.CombinedOutput()
		cancel()
		if err == nil || !strings.Contains(string(out), c.want) || strings.Contains(string(out), "canary") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

func TestTLS(t *testing.T) {
	l := newLab(t)
	l.plan(t, "claude")
	pool := l.certificate(t)
	r := l.start(t, "-tls-cert", l.file("cert.pem"), "-tls-key", l.file("key.pem"))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer client.CloseIdleConnections()
	resp, err := post(t.Context(), client, strings.Replace(r.url, "http:", "https:", 1), secret, sample())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	r.deliver(t, 400) // plain http to an https port
	r.kill()
	if resp.StatusCode != 200 || !strings.Contains(r.said(), "would_call") {
		t.Errorf("%s: %s", resp.Status, r.said())
	}
}

// certificate writes a certificate for 127.0.0.1 and returns who trusts it.
func (l *lab) certificate(t *testing.T) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	encoded := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	l.write(t, "cert.pem", string(encoded))
	l.write(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(encoded)
	return pool
}
