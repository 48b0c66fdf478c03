package simulator_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
)

// usageRows returns the rows of one day of a usage endpoint.
func usageRows(t *testing.T, w *simulator.World, path string, extra url.Values) []map[string]any {
	t.Helper()
	day := spend.DayOf(noon) - 1
	source := "openai/usage"
	if path == "/v1/organizations/usage_report/messages" {
		source = "anthropic/usage_report"
	}
	provider, _, q := query(source, spend.Window{From: day, To: day + 1}, 1)
	q.Del("group_by[]")
	for name, v := range extra {
		q[name] = v
	}
	rec := do(t, w, provider, path, q)
	var page struct {
		Data []struct{ Results []map[string]any }
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &page); err != nil || len(page.Data) != 1 {
		t.Fatalf("%s: status %d, %v: %s", path, rec.Code, err, rec.Body)
	}
	return page.Data[0].Results
}

func sumOf(rows []map[string]any, field string) (sum float64) {
	for _, r := range rows {
		n, _ := r[field].(float64)
		sum += n
	}
	return sum
}

func TestUsageAddsUpHoweverItIsGrouped(t *testing.T) {
	w := simulator.New(simulator.Options{Seed: 2, Now: at(noon)})
	for _, c := range []struct {
		path   string
		groups []string
		fields []string
	}{
		{
			"/v1/organization/usage/completions",
			[]string{"project_id", "api_key_id", "model", "batch", "service_tier", "user_id"},
			[]string{"input_tokens", "input_cached_tokens", "output_tokens", "num_model_requests"},
		},
		{
			"/v1/organization/usage/embeddings",
			[]string{"project_id", "api_key_id", "model", "user_id"},
			[]string{"input_tokens", "num_model_requests"},
		},
		{
			"/v1/organizations/usage_report/messages",
			[]string{"workspace_id", "api_key_id", "model", "service_tier", "context_window", "inference_geo"},
			[]string{"uncached_input_tokens", "cache_read_input_tokens", "output_tokens"},
		},
	} {
		total := usageRows(t, w, c.path, nil)
		if len(total) != 1 {
			t.Fatalf("%s: %d rows without grouping", c.path, len(total))
		}
		for _, g := range c.groups {
			if total[0][g] != nil {
				t.Errorf("%s: ungrouped %s is %v", c.path, g, total[0][g])
			}
		}
		groupings := [][]string{c.groups}
		for _, g := range c.groups {
			groupings = append(groupings, []string{g})
		}
		for _, groups := range groupings {
			rows := usageRows(t, w, c.path, url.Values{"group_by[]": groups})
			for _, f := range c.fields {
				if got, want := sumOf(rows, f), sumOf(total, f); got != want || want == 0 {
					t.Errorf("%s by %v: %s is %v in sum, %v in total", c.path, groups, f, got, want)
				}
			}
		}
	}
}

func TestOpenAITokensSatisfyTheIdentities(t *testing.T) {
	w := simulator.New(simulator.Options{Seed: 2, Now: at(noon)})
	groups := url.Values{"group_by[]": {"model", "project_id"}}
	rows := usageRows(t, w, "/v1/organization/usage/completions", groups)
	audio := 0.0
	for _, r := range rows {
		n := func(name string) float64 { return r[name].(float64) }
		if n("input_tokens") != n("input_cached_tokens")+n("input_cache_write_tokens")+n("input_uncached_tokens") {
			t.Errorf("input is not cached, written and uncached: %v", r)
		}
		if n("input_uncached_tokens") != n("input_text_tokens")+n("input_audio_tokens")+n("input_image_tokens") {
			t.Errorf("uncached input is not text, audio and image: %v", r)
		}
		if n("output_tokens") != n("output_text_tokens")+n("output_audio_tokens")+n("output_image_tokens") {
			t.Errorf("output is not text, audio and image: %v", r)
		}
		audio += n("input_audio_tokens")
	}
	if audio == 0 {
		t.Error("no audio tokens")
	}
}

func TestUsageFilters(t *testing.T) {
	w := simulator.New(simulator.Options{Seed: 2, Now: at(noon)})
	const completions, messages = "/v1/organization/usage/completions", "/v1/organizations/usage_report/messages"
	all := url.Values{"group_by[]": {"model", "batch", "project_id", "service_tier"}}
	reports := url.Values{"group_by[]": {"model", "service_tier", "context_window", "inference_geo"}}
	model, project := w.Models(simulator.Anthropic)[0], w.Projects(simulator.OpenAI)[0]
	for _, c := range []struct {
		path, filter, value, field string
		want                       any
	}{
		{completions, "batch", "true", "batch", true},
		{completions, "batch", "false", "batch", false},
		{completions, "models[]", "gpt-5.6-sol", "model", "gpt-5.6-sol"},
		{completions, "project_ids[]", project, "project_id", project},
		{messages, "models[]", model, "model", model},
		{messages, "service_tiers[]", "priority", "service_tier", "priority"},
		{messages, "context_window[]", "200k-1M", "context_window", "200k-1M"},
		{messages, "inference_geos[]", "us", "inference_geo", "us"},
	} {
		extra := url.Values{c.filter: {c.value}, "group_by[]": all["group_by[]"]}
		if c.path == messages {
			extra["group_by[]"] = reports["group_by[]"]
		}
		rows := usageRows(t, w, c.path, extra)
		other := func(r map[string]any) bool { return r[c.field] != c.want }
		if len(rows) == 0 || slices.ContainsFunc(rows, other) {
			t.Errorf("%s=%s gives %v", c.filter, c.value, rows)
		}
	}
}

func TestEveryUsageEndpointAnswers(t *testing.T) {
	w := simulator.New(simulator.Options{Seed: 2, Now: at(noon)})
	for _, c := range []struct {
		name, group string
		rows        bool
	}{
		{"completions", "service_tier", true},
		{"embeddings", "model", true},
		{"decisions", "batch", false},
		{"moderations", "model", false},
		{"images", "size", false}, // billed all the same, as was seen on the wire
		{"audio_speeches", "model", false},
		{"audio_transcriptions", "model", false},
		{"vector_stores", "project_id", false},
		{"code_interpreter_sessions", "project_id", false},
		{"file_search_calls", "vector_store_id", false},
		{"web_search_calls", "context_level", false},
	} {
		rows := usageRows(t, w, "/v1/organization/usage/"+c.name, url.Values{"group_by[]": {c.group}})
		if (len(rows) > 0) != c.rows {
			t.Errorf("%s: %d rows", c.name, len(rows))
		}
	}
}

func TestSpeedNeedsItsBetaHeader(t *testing.T) {
	w := simulator.New(simulator.Options{Now: at(noon), Tiny: true})
	today := spend.DayOf(noon)
	provider, path, q := query("anthropic/usage_report", spend.Window{From: today - 1, To: today}, 1)
	q["group_by[]"] = []string{"speed"}
	r := request(t, w, provider, path, q)
	r.Header.Set("Anthropic-Beta", "other-2026-01-01,fast-mode-2026-02-01")
	rec := httptest.NewRecorder()
	w.Anthropic().ServeHTTP(rec, r)
	var page struct {
		Data []struct{ Results []map[string]any }
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &page); err != nil || rec.Code != http.StatusOK {
		t.Fatalf("status %d, %v: %s", rec.Code, err, rec.Body)
	}
	if got := page.Data[0].Results[0]["speed"]; got != "standard" {
		t.Errorf("speed %v", got)
	}
}

// TestAnyWalkIsComplete walks random windows at random limits and times: the
// buckets are the window's days up to today, each once and in order, and their
// rows add up to the truth.
func TestAnyWalkIsComplete(t *testing.T) {
	clock := simulator.NewClock(noon)
	w := simulator.New(simulator.Options{Seed: 8, Now: clock.Now, Tiny: true, Start: spend.DayOf(noon) - 50})
	rapid.Check(t, func(rt *rapid.T) {
		now := noon.Add(time.Duration(rapid.IntRange(-40*24*60, 40*24*60).Draw(rt, "minutes")) * time.Minute)
		clock.Set(now)
		today := spend.DayOf(now)
		from := today - spend.Day(rapid.IntRange(1, 70).Draw(rt, "back"))
		win := spend.Window{From: from, To: from + spend.Day(rapid.IntRange(1, 80).Draw(rt, "days"))}
		source := rapid.SampledFrom(both).Draw(rt, "source")
		next, sum := win.From, spend.Money{}
		for _, p := range walk(t, w, source, win, rapid.IntRange(1, 31).Draw(rt, "limit")) {
			for _, b := range p.Data {
				day := spend.DayOf(time.Unix(b.Start, 0))
				if b.StartingAt != "" {
					day, _ = spend.ParseDay(b.StartingAt[:10])
				}
				if day != next {
					rt.Fatalf("bucket of %s, want %s", day, next)
				}
				next++
				for _, r := range b.Results {
					sum = sum.Add(dollars(t, r.OpenAI))
				}
			}
		}
		if want := min(win.To, today+1); next != want {
			rt.Fatalf("the walk ends before %s, want %s", next, want)
		}
		provider := simulator.OpenAI
		if source != "openai/costs" {
			provider = simulator.Anthropic
		}
		if want := w.Total(provider, win, now); !sum.Equal(want) {
			rt.Fatalf("pages add up to %s, the truth is %s", sum, want)
		}
	})
}

func TestTheLogIsBounded(t *testing.T) {
	w := simulator.New(simulator.Options{Now: at(noon), Tiny: true})
	w.Inject(simulator.Fault{Do: simulator.Status(http.StatusNotFound)})
	today := spend.DayOf(noon)
	provider, path, q := query("openai/costs", spend.Window{From: today, To: today + 1}, 1)
	for range 20_001 {
		do(t, w, provider, path, q)
	}
	log := w.Requests()
	if n := len(log); n != 10_001 {
		t.Errorf("%d requests are kept", n)
	}
	if last := log[len(log)-1]; last.Status != http.StatusNotFound {
		t.Errorf("the newest entry is %+v", last)
	}
}

// TestEffectsWithoutASocket shows that what needs a connection aborts the request
// where there is none.
func TestEffectsWithoutASocket(t *testing.T) {
	w := simulator.New(simulator.Options{Now: at(noon), Tiny: true})
	defer w.Inject(simulator.Fault{Do: simulator.Reset()})()
	defer func() {
		if r := recover(); r != http.ErrAbortHandler { //nolint:errorlint // a recovered value
			t.Errorf("recovered %v", r)
		}
	}()
	today := spend.DayOf(noon)
	provider, path, q := query("openai/costs", spend.Window{From: today, To: today + 1}, 1)
	do(t, w, provider, path, q)
}

func TestPriorityTierIsInUsageAndNotInCost(t *testing.T) {
	w := simulator.New(simulator.Options{Seed: 2, Now: at(noon)})
	today := spend.DayOf(noon)
	tiers := func(source string) map[string]bool {
		seen := map[string]bool{}
		for _, p := range walk(t, w, source, spend.Window{From: today - 5, To: today}, 5) {
			for _, b := range p.Data {
				for _, r := range b.Results {
					if r.Tier != nil {
						seen[*r.Tier] = true
					}
				}
			}
		}
		return seen
	}
	if got := tiers("anthropic/usage_report"); !got["priority"] || !got["standard"] || !got["batch"] {
		t.Errorf("tiers of usage: %v", got)
	}
	if got := tiers("anthropic/cost_report"); got["priority"] || !got["standard"] || !got["batch"] {
		t.Errorf("tiers of cost: %v", got)
	}
}
