package rules_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/aispend/aispend/rules"
)

// promised are the alerts that the documentation of the product promises.
var promised = []string{
	"AISpendAnomaly", "AISpendCapForecast", "AISpendCapIncomplete", "AISpendCapNotComparable",
	"AISpendCapNotEvaluated", "AISpendCapReached", "AISpendCapsMissing", "AISpendClockSkew",
	"AISpendClosedMonthRevised", "AISpendConfigReloadFailed", "AISpendCredentialsRejected",
	"AISpendDataStale", "AISpendExporterAbsent", "AISpendExporterDown", "AISpendHardCapNotActioned",
	"AISpendHookFailing", "AISpendRevisionHeld", "AISpendSourceDown", "AISpendStoreCorrupt",
	"AISpendStoreDiskLow", "AISpendTotalFell", "AISpendUnconvertedCurrency", "AISpendWatchdog",
}

type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// read returns the rules of both files in their order.
func read(t *testing.T) []rule {
	t.Helper()
	var out []rule
	for _, file := range []string{rules.CapsFile, rules.HealthFile} {
		content, err := rules.Files.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var parsed struct {
			Groups []struct {
				Rules []rule `yaml:"rules"`
			} `yaml:"groups"`
		}
		if err := yaml.Unmarshal(content, &parsed); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, g := range parsed.Groups {
			out = append(out, g.Rules...)
		}
	}
	return out
}

// names returns the names of all alerts, sorted, each once.
func names(t *testing.T) []string {
	t.Helper()
	set := map[string]bool{}
	for _, r := range read(t) {
		set[r.Alert] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// promtool runs the tool that AISPEND_PROMTOOL names, or skips the test.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	tool := os.Getenv("AISPEND_PROMTOOL")
	if tool == "" {
		t.Skip("AISPEND_PROMTOOL is not set; make test sets it")
	}
	if out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestPromtoolChecksTheRules(t *testing.T) {
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", rules.CapsFile, rules.HealthFile)
}

func TestPromtoolTestsTheRules(t *testing.T) {
	files, err := filepath.Glob("tests/*.yml")
	if err != nil || len(files) < 5 {
		t.Fatalf("found the tests %v: %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			promtool(t, "test", "rules", file)
		})
	}
}

func TestEveryPromisedAlertExists(t *testing.T) {
	if d := cmp.Diff(promised, names(t)); d != "" {
		t.Errorf("alerts (-promised +rules):\n%s", d)
	}
}

func TestEveryAlertIsWhole(t *testing.T) {
	for _, r := range read(t) {
		for _, key := range []string{"summary", "description", "runbook_url", "dashboard_url"} {
			if r.Annotations[key] == "" {
				t.Errorf("%s has no %s", r.Alert, key)
			}
		}
		page := "https://github.com/aispend/aispend/blob/main/docs/runbooks/" + r.Alert + ".md"
		if r.Annotations["runbook_url"] != page {
			t.Errorf("%s points at %s, want %s", r.Alert, r.Annotations["runbook_url"], page)
		}
		if r.Labels["severity"] == "" {
			t.Errorf("%s has no severity", r.Alert)
		}
		if !strings.Contains(r.Annotations["description"], "\nNext: ") {
			t.Errorf("%s does not say what to do next", r.Alert)
		}
	}
}

// The label level routes to the kill switch, so no other alert may carry it.
func TestOnlyReachedCapsCarryALevel(t *testing.T) {
	grouped := regexp.MustCompile(`\b(by|on|group_right|group_left)\s*\([^)]*\blevel\b`)
	found := false
	for _, r := range read(t) {
		_, labelled := r.Labels["level"]
		carries := labelled || grouped.MatchString(r.Expr)
		if carries != (r.Alert == "AISpendCapReached") {
			t.Errorf("%s: carries a level: %t", r.Alert, carries)
		}
		found = found || carries
		if r.Alert == "AISpendCapReached" && r.For != "" {
			t.Error("a reached cap must not wait")
		}
	}
	if !found {
		t.Error("no alert carries a level")
	}
}

// metricName matches what a rule or an annotation takes for a metric of ours.
var metricName = regexp.MustCompile(`\baispend_[a-z_]+\b`)

func TestEveryMetricExists(t *testing.T) {
	docs := page(t, "../docs/metrics.md")
	exists := func(name string) bool { return strings.Contains(docs, "\n| `"+name+"` |") }
	used := map[string]bool{}
	for _, r := range read(t) {
		texts := append(slices.Collect(maps.Values(r.Annotations)), r.Expr)
		for _, name := range metricName.FindAllString(strings.Join(texts, "\n"), -1) {
			used[name] = true
			if !exists(name) {
				t.Errorf("%s uses %s, which docs/metrics.md does not know", r.Alert, name)
			}
		}
	}
	if len(used) < 25 {
		t.Errorf("found only the metrics %v: this test reads the rules wrong", slices.Sorted(maps.Keys(used)))
	}
}

// A label value that no daemon exposes would keep a rule silent for ever.
func TestEveryOutcomeExists(t *testing.T) {
	docs := page(t, "../docs/metrics.md")
	_, row, _ := strings.Cut(docs, "\n| `aispend_pulls_total` |")
	row, _, _ = strings.Cut(row, "\n")
	selected := regexp.MustCompile(`aispend_pulls_total\{outcome=~"([a-z_|]+)"`)
	found := 0
	for _, r := range read(t) {
		for _, m := range selected.FindAllStringSubmatch(r.Expr, -1) {
			for outcome := range strings.SplitSeq(m[1], "|") {
				found++
				if !regexp.MustCompile(`[ ,]` + outcome + `[,.]`).MatchString(row) {
					t.Errorf("%s selects outcome %q, which aispend_pulls_total does not have", r.Alert, outcome)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no rule selects an outcome: this test reads the rules wrong")
	}
}

func TestEveryAlertHasARunbookAndEveryRunbookAnAlert(t *testing.T) {
	files, err := filepath.Glob("../docs/runbooks/AISpend*.md")
	if err != nil {
		t.Fatal(err)
	}
	docs := page(t, "../docs/metrics.md")
	var pages []string
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".md")
		pages = append(pages, name)
		text := page(t, file)
		last := 0
		for _, heading := range []string{
			"# " + name + "\n", "\n## What it means\n", "\n## How it can be wrong\n", "\n## What to look at\n",
			"\n## What to do\n", "\n## Who is hurt meanwhile\n",
		} {
			at := strings.Index(text, heading)
			if at < last {
				t.Errorf("%s: the heading %q is missing or out of order", file, strings.TrimSpace(heading))
				continue
			}
			last = at
		}
		for _, metric := range metricName.FindAllString(text, -1) {
			if !strings.Contains(docs, "\n| `"+metric+"` |") {
				t.Errorf("%s names %s, which docs/metrics.md does not know", file, metric)
			}
		}
	}
	if d := cmp.Diff(names(t), pages); d != "" {
		t.Errorf("runbooks (-alerts +pages):\n%s", d)
	}
}

// docs/alerts.md has one row per alert: name, severities, for.
func TestTheListOfAlertsIsComplete(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| \\[`(AISpend[A-Za-z]+)`\\]\\(runbooks/(AISpend[A-Za-z]+)\\.md\\)" +
		` \| ([a-z, ]+) \| ([0-9a-z, ]+) \|`)
	listed := map[string][]string{}
	for _, m := range row.FindAllStringSubmatch(page(t, "../docs/alerts.md"), -1) {
		if m[1] != m[2] {
			t.Errorf("%s is linked to the page of %s", m[1], m[2])
		}
		listed[m[1]] = []string{m[3], m[4]}
	}
	severity := regexp.MustCompile(`\b(critical|warning|none)\b`)
	want := map[string][]string{}
	for _, r := range read(t) {
		found := severity.FindAllString(r.Labels["severity"], -1)
		slices.Sort(found)
		wait := r.For
		if wait == "" {
			wait = "at once"
		}
		want[r.Alert] = []string{strings.Join(slices.Compact(found), ", "), wait}
	}
	if d := cmp.Diff(want, listed); d != "" {
		t.Errorf("docs/alerts.md (-rules +page):\n%s", d)
	}
}

// Each alert is seen firing with every word of it, and silent; but for the watchdog,
// which never is.
func TestEveryAlertIsTestedFiringAndSilent(t *testing.T) {
	fires, silent, worded := tested(t)
	for _, name := range names(t) {
		if !fires[name] || !worded[name] {
			t.Errorf("%s: a test sees it firing: %t, word by word: %t", name, fires[name], worded[name])
		}
		if !silent[name] && name != "AISpendWatchdog" {
			t.Errorf("no test sees %s silent", name)
		}
	}
}

// What a text says when its template fails is never what is expected of it.
func TestNoTextIsAnError(t *testing.T) {
	files, err := filepath.Glob("tests/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if strings.Contains(page(t, file), "error expanding template") {
			t.Errorf("%s expects a template to fail", file)
		}
	}
}

func tested(t *testing.T) (fires, silent, worded map[string]bool) {
	t.Helper()
	fires, silent, worded = map[string]bool{}, map[string]bool{}, map[string]bool{}
	named := regexp.MustCompile(`alertname="([A-Za-z]+)"`)
	files, err := filepath.Glob("tests/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		var parsed struct {
			Tests []struct {
				Exprs []struct {
					Expr    string `yaml:"expr"`
					Samples []any  `yaml:"exp_samples"`
				} `yaml:"promql_expr_test"`
				Alerts []struct {
					Name string `yaml:"alertname"`
					Exp  []any  `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			} `yaml:"tests"`
		}
		if err := yaml.Unmarshal([]byte(page(t, file)), &parsed); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, group := range parsed.Tests {
			for _, e := range group.Exprs {
				for _, m := range named.FindAllStringSubmatch(e.Expr, -1) {
					fires[m[1]] = fires[m[1]] || len(e.Samples) > 0
					silent[m[1]] = silent[m[1]] || len(e.Samples) == 0
				}
			}
			for _, a := range group.Alerts {
				worded[a.Name] = worded[a.Name] || len(a.Exp) > 0
			}
		}
	}
	return fires, silent, worded
}

func page(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
