package dashboards_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const datasourceVariable = "${datasource}"

func TestShape(t *testing.T) {
	uids := map[string]string{}
	for _, b := range load(t) {
		t.Run(b.UID, func(t *testing.T) {
			if other := uids[b.UID]; other != "" || !strings.HasPrefix(b.UID, "aispend-") {
				t.Errorf("uid %q: not aispend-..., or %s has it too", b.UID, other)
			}
			uids[b.UID] = b.file
			if b.SchemaVersion != 42 {
				t.Errorf("schemaVersion %d, not that of Grafana 12 and 13", b.SchemaVersion)
			}
			if b.Timezone != "utc" {
				t.Errorf("timezone %q: every figure is UTC", b.Timezone)
			}
			if !slices.Equal(b.Tags, []string{"aispend"}) || len(b.Links) != 1 ||
				!slices.Equal(b.Links[0].Tags, b.Tags) || !b.Links[0].IncludeVars {
				t.Errorf("the dashboards are not linked to each other by tag: %v, %+v", b.Tags, b.Links)
			}
			checkVariables(t, b)
			checkPanels(t, b)
		})
	}
}

func checkVariables(t *testing.T, b board) {
	t.Helper()
	var names []string
	for _, v := range b.variables {
		names = append(names, v.Name)
		switch v.Type {
		case "datasource":
			if string(v.Query) != `"prometheus"` {
				t.Errorf("variable %s: %s is no data source of Prometheus", v.Name, v.Query)
			}
		case "query":
			if v.Datasource.UID != datasourceVariable {
				t.Errorf("variable %s asks data source %q", v.Name, v.Datasource.UID)
			}
			// All jobs are the jobs of aispend, not all of this Prometheus.
			all := map[bool]string{true: "", false: ".*"}[v.Name == "job"]
			if !v.IncludeAll || v.AllValue != all || !slices.Equal(v.Current.Value, []string{"$__all"}) {
				t.Errorf("variable %s does not begin with all, or all is %q", v.Name, v.AllValue)
			}
		default:
			t.Errorf("variable %s has type %q", v.Name, v.Type)
		}
	}
	if len(names) < 3 || names[0] != "datasource" || names[1] != "job" {
		t.Errorf("variables %v, want datasource, job and more", names)
	}
	text, err := os.ReadFile(b.file)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\$\{?([a-z_]+)`).FindAllStringSubmatch(string(text), -1) {
		if name := m[1]; !slices.Contains(names, name) && !strings.HasPrefix(name, "__") {
			t.Errorf("$%s is no variable of this dashboard", name)
		}
	}
	for _, name := range names {
		if !regexp.MustCompile(`\$\{?` + name + `\b`).Match(text) {
			t.Errorf("variable %s is not used", name)
		}
	}
	for _, m := range regexp.MustCompile(`"uid": "([^"]*)"`).FindAllStringSubmatch(string(text), -1) {
		if m[1] != datasourceVariable && m[1] != b.UID {
			t.Errorf("hard-coded uid %q", m[1])
		}
	}
}

func checkPanels(t *testing.T, b board) {
	t.Helper()
	ids, titles, taken := map[int]bool{}, map[string]bool{}, map[[2]int]int{}
	for _, p := range b.Panels {
		what := fmt.Sprintf("panel %d (%s)", p.ID, p.Title)
		if p.ID <= 0 || ids[p.ID] {
			t.Errorf("%s: the id is not its own", what)
		}
		ids[p.ID] = true
		if p.Title == "" || titles[p.Type+p.Title] {
			t.Errorf("%s: the title is empty or used twice", what)
		}
		titles[p.Type+p.Title] = true
		g := p.GridPos
		if g.W < 1 || g.H < 1 || g.X < 0 || g.Y < 0 || g.X+g.W > 24 {
			t.Errorf("%s: does not fit the grid: %+v", what, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := taken[[2]int{x, y}]; other != 0 {
					t.Fatalf("%s: overlaps panel %d", what, other)
				}
				taken[[2]int{x, y}] = p.ID
			}
		}
		if p.Type != "row" {
			checkPanel(t, what, p)
		}
	}
}

func checkPanel(t *testing.T, what string, p panel) {
	t.Helper()
	if p.Description == "" {
		t.Errorf("%s: no description", what)
	}
	if p.Datasource != (datasource{"prometheus", datasourceVariable}) {
		t.Errorf("%s: data source %+v", what, p.Datasource)
	}
	if len(p.Targets) == 0 {
		t.Errorf("%s: asks nothing", what)
	}
	refs := map[string]bool{}
	dollars := false
	for _, q := range p.Targets {
		if q.Expr == "" || refs[q.RefID] || q.Instant == q.Range {
			t.Errorf("%s: query %q is empty, not the only one of its name, or not one of instant and range", what, q.RefID)
		}
		refs[q.RefID] = true
		if q.Datasource.UID != datasourceVariable {
			t.Errorf("%s: query %s asks data source %q", what, q.RefID, q.Datasource.UID)
		}
		if (p.Type == "timeseries" || p.Type == "state-timeline") != q.Range {
			t.Errorf("%s: a %s with an instant query, or the other way round", what, p.Type)
		}
		if strings.Contains(q.Expr, "vector(0)") {
			t.Errorf("%s: query %s says 0 where nothing is known", what, q.RefID)
		}
		dollars = dollars || strings.Contains(q.Expr, "_usd")
	}
	// Money that is not a share or a count of something is shown as USD.
	usd := p.FieldConfig.Defaults.Unit == "currencyUSD"
	for _, o := range p.FieldConfig.Overrides {
		for _, property := range o.Properties {
			usd = usd || property.ID == "unit" && string(property.Value) == `"currencyUSD"`
		}
	}
	countOrShare := regexp.MustCompile(`^(count|sum\(max by \(job\))|/ on |ALERTS`)
	if dollars && !usd && !countOrShare.MatchString(p.Targets[0].Expr) {
		t.Errorf("%s: money without its unit", what)
	}
	if p.Type == "table" {
		checkTable(t, what, p)
	}
}

// checkTable makes sure that the columns that a table formats are columns it has.
func checkTable(t *testing.T, what string, p panel) {
	t.Helper()
	columns := map[string]bool{}
	for _, tr := range p.Transformations {
		for from, to := range tr.Options.RenameByName {
			if columns[to] {
				t.Errorf("%s: two columns are called %s", what, to)
			}
			columns[to] = true
			if ref, ok := strings.CutPrefix(from, "Value #"); ok &&
				!slices.ContainsFunc(p.Targets, func(q target) bool { return q.RefID == ref }) {
				t.Errorf("%s: column %s renames query %s, which is not there", what, to, ref)
			}
		}
	}
	for _, o := range p.FieldConfig.Overrides {
		if !columns[o.Matcher.Options] {
			t.Errorf("%s: formats %s, which is no column", what, o.Matcher.Options)
		}
	}
}

var (
	documentedRow = regexp.MustCompile("(?m)^\\| `(aispend_[a-z_]+)` \\| ([a-z]+) \\| ([a-z_, ]*) ?\\|")
	metricName    = regexp.MustCompile(`\b((?:aispend|go|process|promhttp|scrape)_[a-z_]+|up|ALERTS)\b(\{[^}]*\})?`)
	labelMatcher  = regexp.MustCompile(`([a-z_]+)(=~|!~|!=|=)"`)
)

// TestMetricsExist compares what the dashboards ask for with docs/metrics.md, which
// a test of the collector compares with the code.
func TestMetricsExist(t *testing.T) {
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string][]string{}
	for _, m := range documentedRow.FindAllStringSubmatch(string(text), -1) {
		names := append(strings.Split(strings.TrimSpace(m[3]), ", "), "job", "instance")
		labels[m[1]] = names
		if m[2] == "histogram" {
			labels[m[1]+"_count"], labels[m[1]+"_sum"] = names, names
			labels[m[1]+"_bucket"] = append(slices.Clone(names), "le")
		}
	}
	if len(labels) < 50 {
		t.Fatalf("only %d metrics in docs/metrics.md: read wrong", len(labels))
	}
	used := map[string]bool{}
	for _, b := range load(t) {
		check := func(where, expr string) {
			for _, m := range metricName.FindAllStringSubmatch(expr, -1) {
				used[m[1]] = true
				if !strings.Contains(m[2], `job=~"$job"`) && m[1] != "aispend_build_info" {
					t.Errorf("%s: %s of every job, not of $job", where, m[1])
				}
				known, ok := labels[m[1]]
				if !ok && strings.HasPrefix(m[1], "aispend_") {
					t.Errorf("%s: %s is not in docs/metrics.md", where, m[1])
				}
				for _, l := range labelMatcher.FindAllStringSubmatch(m[2], -1) {
					if ok && !slices.Contains(known, l[1]) {
						t.Errorf("%s: %s has no label %s", where, m[1], l[1])
					}
				}
			}
		}
		b.queries(func(where string, q target) { check(where, q.Expr) })
		for _, v := range b.variables {
			if v.Type == "query" {
				check(b.UID+"/"+v.Name, v.query(t))
			}
		}
	}
	// What nobody can see is not worth exposing; these are shown elsewhere.
	elsewhere := map[string]string{
		"aispend_links_info":                         "the alerts use it",
		"aispend_cap_period_start_timestamp_seconds": "the alerts name it",
	}
	for name := range labels {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if !used[base] && !used[base+"_bucket"] && elsewhere[name] == "" {
			t.Errorf("%s is on no dashboard", name)
		}
	}
}
