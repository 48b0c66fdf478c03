package collector_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/aispend/aispend/collector"
	"github.com/aispend/aispend/internal/telemetry"
	"github.com/aispend/aispend/spend"
)

// documented is a row of docs/metrics.md.
type documented struct{ kind, labels, meaning string }

var metricRow = regexp.MustCompile("^\\| `(aispend_[a-z_]+)` \\| ([a-z]+) \\| ([a-z_, ]*) ?\\| (.+) \\|$")

func readDocs(t *testing.T) map[string]documented {
	t.Helper()
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]documented{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		m := metricRow.FindStringSubmatch(line)
		switch {
		case m == nil && strings.HasPrefix(line, "| `"):
			t.Errorf("docs/metrics.md: row of an odd shape: %s", line)
		case m == nil:
		case out[m[1]] != documented{}:
			t.Errorf("docs/metrics.md lists %s twice", m[1])
		default:
			out[m[1]] = documented{m[2], strings.TrimSpace(m[3]), m[4]}
		}
	}
	return out
}

func TestDocsListEveryMetric(t *testing.T) {
	docs := readDocs(t)
	if len(docs) < 30 {
		t.Fatalf("found only %d metrics in docs/metrics.md: this test reads it wrong", len(docs))
	}
	want := map[string]documented{}
	for _, d := range collector.Descriptors() {
		want[d.Name] = documented{kind: d.Type, labels: strings.Join(d.Labels, ", ")}
	}
	for _, d := range telemetry.Definitions() {
		if want[d.Name] != (documented{}) {
			t.Errorf("%s is declared by telemetry and collector", d.Name)
		}
		want[d.Name] = documented{kind: d.Type, labels: strings.Join(d.Labels, ", ")}
	}
	got := map[string]documented{}
	for name, d := range docs {
		got[name] = documented{kind: d.kind, labels: d.labels}
	}
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(documented{})); d != "" {
		t.Errorf("docs/metrics.md differs from the code (-code +docs):\n%s", d)
	}
}

func TestDocsNameEveryOutcome(t *testing.T) {
	meaning := readDocs(t)["aispend_pulls_total"].meaning
	_, list, _ := strings.Cut(meaning, ": ")
	list, _, _ = strings.Cut(list, ".")
	var want []string
	for _, o := range spend.Outcomes() {
		want = append(want, string(o))
	}
	if got := strings.Split(list, ", "); !slices.Equal(got, want) {
		t.Errorf("outcomes in docs/metrics.md %v, want %v", got, want)
	}
}

func TestHelpIsASentence(t *testing.T) {
	for _, d := range collector.Descriptors() {
		if d.Help == "" || !strings.HasSuffix(d.Help, ".") || strings.ContainsRune(d.Help, '\n') {
			t.Errorf("%s: HELP %q", d.Name, d.Help)
		}
	}
	for _, d := range telemetry.Definitions() {
		if d.Help == "" || !strings.HasSuffix(d.Help, ".") || !strings.HasPrefix(d.Name, "aispend_") {
			t.Errorf("%s: HELP %q", d.Name, d.Help)
		}
	}
}
