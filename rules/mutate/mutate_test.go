package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mistakes returns the expressions that come of one, by what was done.
func mistakes(expr string) map[string]string {
	out := map[string]string{}
	for _, c := range changes(expr) {
		out[c.what] = c.expr
	}
	return out
}

func TestChanges(t *testing.T) {
	for _, tt := range []struct {
		name, expr string
		want       map[string]string
	}{
		{"comparison", `a >= b`, map[string]string{
			">= becomes <": `a < b`, ">= becomes >": `a > b`,
		}},
		{"a matcher is no comparison", `a{x!="1",y="}>"} == b`, map[string]string{
			"drop matcher x!=\"1\"": `a{y="}>"} == b`, "drop matcher y=\"}>\"": `a{x!="1",} == b`,
			"== becomes !=": `a{x!="1",y="}>"} != b`,
		}},
		{"labels", `max by (job, scope) (a)`, map[string]string{
			"max becomes min": `min by (job, scope) (a)`, "drop job from by": `max by ( scope) (a)`,
			"drop scope from by": `max by (job) (a)`,
		}},
		{"bridge", `last_over_time(a{x="y"}[10m] offset 1d)`, map[string]string{
			"remove last_over_time": `(a{x="y"} offset 1d)`,
			`drop matcher x="y"`:    `last_over_time(a{}[10m] offset 1d)`,
			"remove offset 1d":      `last_over_time(a{x="y"}[10m] )`,
		}},
		{"bridge of a sum", `last_over_time(sum by (job) (a)[10m:1m])`, map[string]string{
			"remove the bridge of the sum": `last_over_time(sum by (job) (a)[1m:1m])`,
			"drop job from by":             `last_over_time(sum by () (a)[10m:1m])`,
		}},
		{"clauses", `(a or on (x) b unless c) and d`, map[string]string{
			"remove or ...": `(a ) and d`, "remove ... or": `(b unless c) and d`,
			"remove unless ...": `(a or on (x) b ) and d`, "remove and ...": `(a or on (x) b unless c) `,
			"drop x from on": `(a or on () b unless c) and d`,
		}},
		{"thresholds", `a[10m] > 0 # 7`, map[string]string{
			"> becomes <=": `a[10m] <= 0 # 7`, "> becomes >=": `a[10m] >= 0 # 7`,
		}},
		{"more thresholds", `clamp_min(0.5 * Inf, 25)`, map[string]string{
			"clamp_min becomes clamp_max": `clamp_max(0.5 * Inf, 25)`, "double 0.5": `clamp_min(1 * Inf, 25)`,
			"halve 0.5": `clamp_min(0.25 * Inf, 25)`, "double 25": `clamp_min(0.5 * Inf, 50)`,
			"halve 25": `clamp_min(0.5 * Inf, 12.5)`,
		}},
		{"nothing to change", `vector(1)`, map[string]string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := mistakes(tt.expr)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("changes of %s (-want +got):\n%s", tt.expr, d)
			}
		})
	}
}

const file = `groups:
  - name: g
    rules:
      - alert: One
        expr: a > 1
        for: 10m
        annotations: {x: &anchor "y"}
      - alert: Two
        expr: b
        annotations: {x: *anchor}
`

func TestMutantsHoldOneAlertAndOneMistake(t *testing.T) {
	list, err := mutants("f.yml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range list {
		if m.alert != "One" || strings.Contains(string(m.content), "Two") {
			t.Errorf("mutant %q of %s:\n%s", m.what, m.alert, m.content)
		}
		content := string(m.content)
		if strings.Contains(content, "expr: a > 1\n") && strings.Contains(content, "for: 10m\n") {
			t.Errorf("mutant %q has no mistake:\n%s", m.what, m.content)
		}
		got = append(got, m.what)
	}
	slices.Sort(got)
	want := []string{
		"> becomes <=", "> becomes >=", "double 1", "double for 10m", "drop for 10m", "halve 1", "halve for 10m",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("mutants (-want +got):\n%s", d)
	}
	two, err := only("f.yml", []byte(file), "Two")
	if err != nil || len(rulesOf(two)) != 1 || value(value(rulesOf(two)[0], "annotations"), "x").Value != "y" {
		t.Errorf("the anchor of another alert is lost: %v", err)
	}
}

// The rule that spends the most money if it is wrong is tried at every run; `make
// mutate` tries all of them.
func TestMutantsOfReachedCapsAreCaught(t *testing.T) {
	if os.Getenv("AISPEND_PROMTOOL") == "" {
		t.Skip("AISPEND_PROMTOOL is not set; make test sets it")
	}
	if testing.Short() {
		t.Skip("takes a while")
	}
	var out strings.Builder
	if err := run(t.Context(), []string{"-rules", "..", "-alert", "AISpendCapReached"}, &out); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	t.Log(out.String())
}

// Without its tests a rule can be as wrong as one likes.
func TestSurvivorsAreListed(t *testing.T) {
	list, err := mutants("f.yml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	verdicts := make([]verdict, len(list))
	verdicts[0] = caught
	verdicts[1] = invalid
	var out strings.Builder
	err = report(&out, list, verdicts, true)
	if err == nil || !strings.Contains(err.Error(), "16.7 % caught is less than 95 %") {
		t.Errorf("report: %v", err)
	}
	for _, want := range []string{
		"f.yml: One: not valid: > becomes >=\n", "f.yml: One: survived: drop for 10m\n",
		"6 mutants, 1 caught (16.7 %), 5 survived; 1 more",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &out)
		}
	}
}
