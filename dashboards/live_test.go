package dashboards_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// rightlyEmpty are queries without an answer in the demo, and why.
var rightlyEmpty = map[string]string{
	"aispend-spend/In no sum: other currencies/A": "the simulated providers bill in USD only",
	"aispend-spend/In no sum: tax/A":              "Google bills the tax of a month when it is over",
	"aispend-caps/Caps that count a budget/A":     "the demo has a billing export, so its caps count charges",
	"aispend-caps/Budgets/I":                      "the demo's budget is no spend cap",
	"aispend-health/Oddities in the last hour/A":  "the simulated pages have no oddities",
	"aispend-health/Oddities in the last hour/B":  "no simulated page is too large",
}

// patience is how long the queries may take to get their data: rates need two
// scrapes, and something in between that counts; the demo pulls every 15 s.
const patience = 90 * time.Second

// TestQueriesAgainstPrometheus runs every query of every panel, variable and
// annotation against a real Prometheus that scrapes the real demo.
func TestQueriesAgainstPrometheus(t *testing.T) {
	binary := os.Getenv("AISPEND_PROMETHEUS")
	if binary == "" {
		t.Skip("AISPEND_PROMETHEUS names no Prometheus binary: make test-e2e sets it")
	}
	prom := startPrometheus(t, binary, startDemo(t))
	deadline := time.Now().Add(patience)
	asked, excused := 0, maps.Clone(rightlyEmpty)
	for _, b := range load(t) {
		b.queries(func(where string, q target) {
			asked++
			why, empty := excused[where]
			delete(excused, where)
			if empty {
				if n, err := prom.run(q); err != nil || n > 0 {
					t.Errorf("%s: said to be empty (%s): %d series, %v", where, why, n, err)
				}
				return
			}
			prom.wantData(t, where, deadline, func() (int, error) { return prom.run(q) })
		})
		for _, v := range b.variables {
			if v.Type == "query" {
				asked++
				prom.wantData(t, b.UID+"/variable "+v.Name, deadline, func() (int, error) { return prom.values(v.query(t)) })
			}
		}
	}
	// Without a daemon there is nothing to see. A zero would look like good news.
	for _, b := range load(t) {
		b.queries(func(where string, q target) {
			q.Expr = strings.ReplaceAll(q.Expr, "$job", "nobody")
			if n, err := prom.run(q); err != nil || n > 0 {
				t.Errorf("%s: %d series of a job that is not there, %v", where, n, err)
			}
		})
	}
	for where := range excused {
		t.Errorf("%s is said to be empty and is not there", where)
	}
	t.Logf("%d queries executed", asked)
}

type prometheus struct{ base string }

// wantData asks until there is data. A query that is refused is not asked again.
func (p prometheus) wantData(t *testing.T, where string, deadline time.Time, ask func() (int, error)) {
	t.Helper()
	for {
		n, err := ask()
		switch {
		case err != nil:
			t.Errorf("%s: %v", where, err)
			return
		case n > 0:
			return
		case time.Now().After(deadline):
			t.Errorf("%s: no data", where)
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// substitute does what Grafana does with the variables when all is chosen.
func substitute(text string) string {
	text = strings.NewReplacer("$__rate_interval", "20s", "$__interval", "1s").Replace(text)
	text = strings.ReplaceAll(text, "$job", "aispend")
	return regexp.MustCompile(`\$[a-z]+`).ReplaceAllString(text, ".*")
}

// run executes a query and counts the series that have a number in them.
func (p prometheus) run(q target) (int, error) {
	now := time.Now()
	params, path := url.Values{"query": {substitute(q.Expr)}}, "/api/v1/query"
	if q.Range {
		path = "/api/v1/query_range"
		params.Set("start", strconv.FormatInt(now.Add(-15*time.Second).Unix(), 10))
		params.Set("end", strconv.FormatInt(now.Unix(), 10))
		params.Set("step", "1")
	}
	var data struct {
		Result []struct {
			Value  [2]any   `json:"value"`
			Values [][2]any `json:"values"`
		} `json:"result"`
	}
	if err := p.get(path, params, &data); err != nil {
		return 0, err
	}
	n := 0
	for _, series := range data.Result {
		if slices.ContainsFunc(append(series.Values, series.Value), isNumber) {
			n++
		}
	}
	return n, nil
}

func isNumber(sample [2]any) bool {
	text, _ := sample[1].(string)
	v, err := strconv.ParseFloat(text, 64)
	return err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}

// values executes label_values(selector, label), as Grafana's variables write it.
func (p prometheus) values(query string) (int, error) {
	m := regexp.MustCompile(`^label_values\((.+), ([a-z_]+)\)$`).FindStringSubmatch(query)
	if m == nil {
		return 0, fmt.Errorf("%s is not label_values(selector, label)", query)
	}
	var values []string
	err := p.get("/api/v1/label/"+m[2]+"/values", url.Values{"match[]": {substitute(m[1])}}, &values)
	return len(values), err
}

func (p prometheus) get(path string, params url.Values, data any) error {
	resp, err := http.Get(p.base + path + "?" + params.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	reply := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.NewDecoder(resp.Body).Decode(&reply); err != nil {
		return err
	}
	if reply.Status != "success" {
		return fmt.Errorf("%s: %s", params.Encode(), reply.Error)
	}
	return nil
}

// startDemo builds aispend, runs `aispend demo` and returns its address once the
// history is loaded.
func startDemo(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "aispend")
	if out, err := exec.Command("go", "build", "-o", bin, "../cmd/aispend").CombinedOutput(); err != nil {
		t.Fatalf("building aispend: %v\n%s", err, out)
	}
	cmd := exec.Command(bin, "demo", "--web.listen-address=127.0.0.1:0")
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, cmd, out, `open +http://(127\.0\.0\.1:\d+)/`, `It keeps pulling`)
}

// startPrometheus runs binary with the rules of the repository, scraping the demo
// each second.
func startPrometheus(t *testing.T, binary, demo string) prometheus {
	t.Helper()
	rules, err := filepath.Abs("../rules")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - job_name: aispend
    static_configs: [{targets: [%q]}]
`, rules+"/*.rules.yml", demo)
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address=127.0.0.1:0", "--log.level=info")
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	return prometheus{base: "http://" + start(t, cmd, out, `msg="Listening on".* address=(127\.0\.0\.1:\d+)`, `Server is ready`)}
}

// start runs cmd until the test ends. It returns what the group of address found
// in the output, once the output matches ready too.
func start(t *testing.T, cmd *exec.Cmd, out io.Reader, address, ready string) string {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, done := make(chan string), make(chan struct{})
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			select {
			case lines <- s.Text():
			case <-done: // nobody listens any more
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		for range lines { // until it closes its output
		}
		_ = cmd.Wait()
	})
	defer close(done)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var found, said string
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				t.Fatalf("%s ended:\n%s", cmd, said)
			}
			said += line + "\n"
			if m := regexp.MustCompile(address).FindStringSubmatch(line); m != nil {
				found = m[1]
			}
			if found != "" && regexp.MustCompile(ready).MatchString(said) {
				return found
			}
		case <-ctx.Done():
			t.Fatalf("%s was not ready in time:\n%s", cmd, said)
		}
	}
}
