package simulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
)

// noon is the time on the clock of most tests: Wednesday 2026-11-18, 12:34 UTC.
var noon = time.Date(2026, 11, 18, 12, 34, 0, 0, time.UTC)

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

// answer is one decoded page of either provider.
type answer struct {
	Data []struct {
		Start      int64  `json:"start_time"`
		StartingAt string `json:"starting_at"`
		Results    []struct {
			OpenAI      json.RawMessage `json:"amount"`
			LineItem    *string         `json:"line_item"`
			Description *string         `json:"description"`
			Project     *string         `json:"project_id"`
			Workspace   *string         `json:"workspace_id"`
			Model       *string         `json:"model"`

			Input    int64 `json:"input_tokens"`
			Cached   int64 `json:"input_cached_tokens"`
			Write    int64 `json:"input_cache_write_tokens"`
			Output   int64 `json:"output_tokens"`
			Requests int64 `json:"num_model_requests"`
			Uncached int64 `json:"uncached_input_tokens"`
			Read     int64 `json:"cache_read_input_tokens"`
			Creation struct {
				H1 int64 `json:"ephemeral_1h_input_tokens"`
				M5 int64 `json:"ephemeral_5m_input_tokens"`
			} `json:"cache_creation"`
			Tier *string `json:"service_tier"`
		} `json:"results"`
	} `json:"data"`
	HasMore bool    `json:"has_more"`
	Next    *string `json:"next_page"`
}

// dollars reads the amount of a row of either provider, exactly.
func dollars(t *testing.T, raw json.RawMessage) spend.Money {
	t.Helper()
	if raw[0] != '{' {
		m, err := spend.ParseMoney(strings.Trim(string(raw), `"`))
		if err != nil {
			t.Fatal(err)
		}
		return m.Shift(-2)
	}
	var a struct {
		Value    json.RawMessage
		Currency string
	}
	if err := json.Unmarshal(raw, &a); err != nil || a.Currency != "usd" {
		t.Fatalf("amount %s: %v", raw, err)
	}
	m, err := spend.ParseMoney(strings.Trim(string(a.Value), `"`))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func request(t *testing.T, w *simulator.World, provider, path string, q url.Values) *http.Request {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path+"?"+q.Encode(), http.NoBody)
	if provider == simulator.OpenAI {
		r.Header.Set("Authorization", "Bearer "+w.Key(provider))
	} else {
		r.Header.Set("X-Api-Key", w.Key(provider))
		r.Header.Set("Anthropic-Version", "2023-06-01")
	}
	return r
}

func handler(w *simulator.World, provider string) http.Handler {
	if provider == simulator.OpenAI {
		return w.OpenAI()
	}
	return w.Anthropic()
}

func do(t *testing.T, w *simulator.World, provider, path string, q url.Values) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	handler(w, provider).ServeHTTP(rec, request(t, w, provider, path, q))
	return rec
}

// query returns the usual query of a source over a window.
func query(source string, w spend.Window, limit int) (provider, path string, q url.Values) {
	q = url.Values{"limit": {strconv.Itoa(limit)}, "bucket_width": {"1d"}}
	switch source {
	case "openai/costs":
		provider, path = simulator.OpenAI, "/v1/organization/costs"
		q["group_by[]"] = []string{"project_id", "line_item"}
	case "openai/usage":
		provider, path = simulator.OpenAI, "/v1/organization/usage/completions"
		q["group_by[]"] = []string{"project_id", "model"}
	case "anthropic/cost_report":
		provider, path = simulator.Anthropic, "/v1/organizations/cost_report"
		q["group_by[]"] = []string{"workspace_id", "description"}
	case "anthropic/usage_report":
		provider, path = simulator.Anthropic, "/v1/organizations/usage_report/messages"
		q["group_by[]"] = []string{"workspace_id", "model", "service_tier"}
	}
	if provider == simulator.OpenAI {
		q.Set("start_time", strconv.FormatInt(w.From.Time().Unix(), 10))
		q.Set("end_time", strconv.FormatInt(w.To.Time().Unix(), 10))
	} else {
		q.Set("starting_at", w.From.Time().Format(time.RFC3339))
		q.Set("ending_at", w.To.Time().Format(time.RFC3339))
	}
	return provider, path, q
}

// walk follows a source's cursors to the end.
func walk(t *testing.T, w *simulator.World, source string, win spend.Window, limit int) []answer {
	t.Helper()
	provider, path, q := query(source, win, limit)
	var pages []answer
	for {
		rec := do(t, w, provider, path, q)
		if rec.Code != http.StatusOK {
			t.Fatalf("page %d: status %d: %s", len(pages)+1, rec.Code, rec.Body)
		}
		var a answer
		if err := json.Unmarshal(rec.Body.Bytes(), &a); err != nil {
			t.Fatalf("page %d: %v", len(pages)+1, err)
		}
		pages = append(pages, a)
		if !a.HasMore {
			return pages
		}
		q.Set("page", *a.Next)
	}
}

func TestPagesAddUpToTheTruthDigitForDigit(t *testing.T) {
	now := noon
	today := spend.DayOf(now)
	win := spend.Window{From: today - 99, To: today + 1}
	for _, opt := range []simulator.Options{
		{Seed: 1}, {Seed: 2, Tiny: true}, {Seed: 3, Plain: true, Lag: 5 * time.Hour},
	} {
		opt.Now = at(now)
		w := simulator.New(opt)
		for _, source := range []string{"openai/costs", "anthropic/cost_report"} {
			provider, _, _ := strings.Cut(source, "/")
			t.Run(fmt.Sprintf("%s seed %d", source, opt.Seed), func(t *testing.T) {
				var sum spend.Money
				buckets, rows := 0, 0
				for _, p := range walk(t, w, source, win, 31) {
					for _, b := range p.Data {
						buckets++
						for _, r := range b.Results {
							sum = sum.Add(dollars(t, r.OpenAI))
							rows++
						}
					}
				}
				want := w.Total(provider, win, now)
				if !sum.Equal(want) || sum.Sign() <= 0 {
					t.Errorf("pages add up to %s, the truth is %s", sum, want)
				}
				if buckets != 100 || rows < 100 {
					t.Errorf("%d buckets and %d rows", buckets, rows)
				}
			})
		}
	}
}

func TestUsagePagesEqualTheTruth(t *testing.T) {
	w := simulator.New(simulator.Options{Seed: 4, Now: at(noon)})
	today := spend.DayOf(noon)
	win := spend.Window{From: today - 40, To: today + 1}
	for _, source := range []string{"openai/usage", "anthropic/usage_report"} {
		provider, _, _ := strings.Cut(source, "/")
		t.Run(source, func(t *testing.T) {
			type key struct {
				day            spend.Day
				model, project string
			}
			got, want := map[key]spend.Usage{}, map[key]spend.Usage{}
			for _, p := range walk(t, w, source, win, 7) {
				for _, b := range p.Data {
					day := spend.DayOf(time.Unix(b.Start, 0))
					if provider == simulator.Anthropic {
						day, _ = spend.ParseDay(b.StartingAt[:10])
					}
					for _, r := range b.Results {
						project := r.Project
						if provider == simulator.Anthropic {
							project = r.Workspace
						}
						k := key{day: day, model: *r.Model}
						if project != nil {
							k.project = *project
						}
						u := got[k]
						u.Model, u.Project, u.HasRequests = k.model, k.project, provider == simulator.OpenAI
						u.Input += r.Uncached + r.Input - r.Cached - r.Write
						u.CacheRead += r.Cached + r.Read
						u.CacheWrite += r.Write + r.Creation.H1 + r.Creation.M5
						u.Output += r.Output
						u.Requests += r.Requests
						if r.Tier != nil && *r.Tier == "priority" {
							u.Uncosted += r.Uncached + r.Read + r.Creation.H1 + r.Creation.M5 + r.Output
						}
						got[k] = u
					}
				}
			}
			uncosted := int64(0)
			for d := win.From; d < win.To; d++ {
				for _, u := range w.Usage(provider, d, noon) {
					want[key{d, u.Model, u.Project}] = u
					uncosted += u.Uncosted
				}
			}
			if diff := cmp.Diff(want, got); diff != "" || len(want) < 100 {
				t.Errorf("%d rows, usage differs (-want +got):\n%s", len(want), diff)
			}
			if (uncosted > 0) != (provider == simulator.Anthropic) {
				t.Errorf("%d uncosted tokens", uncosted)
			}
		})
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
