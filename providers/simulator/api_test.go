package simulator_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
)

// errorBody is the error of either provider.
type errorBody struct {
	Type  string `json:"type"`
	Error struct {
		Type    string  `json:"type"`
		Message string  `json:"message"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	} `json:"error"`
	RequestID string `json:"request_id"`
}

func decodeError(t *testing.T, body []byte) errorBody {
	t.Helper()
	var e errorBody
	if err := json.Unmarshal(body, &e); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return e
}

// edit returns a copy of a query with some parameters set, or removed when empty.
func edit(q url.Values, pairs ...string) url.Values {
	c := url.Values{}
	for k, v := range q {
		c[k] = append([]string(nil), v...)
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			c.Del(pairs[i])
		} else {
			c.Set(pairs[i], pairs[i+1])
		}
	}
	return c
}

func TestParameterErrors(t *testing.T) {
	w := simulator.New(simulator.Options{Now: at(noon), Tiny: true})
	today := spend.DayOf(noon)
	win := spend.Window{From: today - 3, To: today + 1}
	for _, c := range []struct {
		source  string
		pairs   []string
		status  int
		param   string // OpenAI
		message string // part of it
		fixture string // the whole body
	}{
		{"openai/costs", nil, 200, "", "", ""},
		{"openai/costs", []string{"limit", "366"}, 400, "limit", "", "400_limit"},
		{"openai/costs", []string{"limit", "181"}, 400, "limit", "less than or equal to 180", ""},
		{"openai/costs", []string{"limit", "180"}, 200, "", "", ""},
		{"openai/costs", []string{"limit", "32"}, 200, "", "", ""},
		{"openai/costs", []string{"limit", "0"}, 400, "limit", "greater than or equal to 1", ""},
		{"openai/costs", []string{"limit", "many"}, 400, "limit", "integer", ""},
		{"openai/costs", []string{"start_time", ""}, 400, "start_time", "Missing required parameter", ""},
		{"openai/costs", []string{"start_time", "2026-11-01"}, 400, "start_time", "Invalid type", ""},
		{"openai/costs", []string{"end_time", "1"}, 400, "end_time", "after 'start_time'", ""},
		{"openai/costs", []string{"bucket_width", "1h"}, 400, "bucket_width", "'1d'", ""},
		{"openai/costs", []string{"group_by[]", "model"}, 400, "group_by[0]", "'line_item'", ""},
		{"openai/costs", []string{"start_date", "2026-11-01"}, 400, "start_date", "Unknown parameter", ""},
		{"openai/costs", []string{"limit[]", "3"}, 400, "limit[]", "Unknown parameter", ""},
		{"openai/costs", []string{"page", "nonsense"}, 400, "page", "", "400_stale_page_token"},
		{
			"openai/costs",
			[]string{"group_by[]", "api_key_id", "start_time", "1764979199"},
			400, "start_time", "", "400_api_key_floor",
		},
		{"openai/costs", []string{"group_by[]", "api_key_id", "start_time", "1764979200"}, 200, "", "", ""},
		{"openai/usage", []string{"limit", "31"}, 200, "", "", ""},
		{"openai/usage", []string{"limit", "32"}, 400, "limit", "less than or equal to 31", ""},
		{"openai/usage", []string{"group_by[]", "line_item"}, 400, "group_by[0]", "'model'", ""},
		{"anthropic/cost_report", nil, 200, "", "", ""},
		{"anthropic/cost_report", []string{"limit", "32"}, 400, "", "less than or equal to 31", ""},
		{"anthropic/cost_report", []string{"limit", "0"}, 400, "", "greater than or equal to 1", ""},
		{"anthropic/cost_report", []string{"limit", "x"}, 400, "", "integer", ""},
		{"anthropic/cost_report", []string{"starting_at", ""}, 400, "", "starting_at: Field required", ""},
		{"anthropic/cost_report", []string{"starting_at", "yesterday"}, 400, "", "datetime", ""},
		{"anthropic/cost_report", []string{"ending_at", "tomorrow"}, 400, "", "datetime", ""},
		{
			"anthropic/cost_report",
			[]string{"ending_at", (today - 3).Time().Format(time.RFC3339)},
			400, "", "", "400_end_before_start",
		},
		{
			"anthropic/cost_report",
			[]string{"starting_at", today.Time().Format(time.RFC3339), "ending_at", ""},
			400, "", "", "400_end_before_start",
		},
		{"anthropic/cost_report", []string{"bucket_width", "1h"}, 400, "", "1d", ""},
		{"anthropic/cost_report", []string{"group_by[]", "model"}, 400, "", "group_by.0", ""},
		{"anthropic/cost_report", []string{"workspace_ids[]", "w"}, 400, "", "not permitted", ""},
		{"anthropic/cost_report", []string{"page", "page_x"}, 400, "", "page token", ""},
		{"anthropic/usage_report", []string{"workspace_ids[]", "w"}, 200, "", "", ""},
		{"anthropic/usage_report", []string{"group_by[]", "speed"}, 400, "", "beta header", ""},
		{"anthropic/usage_report", []string{"start_date", "x"}, 400, "", "not permitted", ""},
	} {
		t.Run(c.source+" "+strings.Join(c.pairs, " "), func(t *testing.T) {
			provider, path, q := query(c.source, win, 31)
			rec := do(t, w, provider, path, edit(q, c.pairs...))
			if rec.Code != c.status {
				t.Fatalf("status %d: %s", rec.Code, rec.Body)
			}
			if c.status == http.StatusOK {
				return
			}
			e := decodeError(t, rec.Body.Bytes())
			if e.Error.Type != "invalid_request_error" || !strings.Contains(e.Error.Message, c.message) {
				t.Errorf("error %+v", e)
			}
			if c.param != "" && (e.Error.Param == nil || *e.Error.Param != c.param) {
				t.Errorf("param of %s", rec.Body)
			}
			if c.fixture != "" {
				sameAsFixture(t, provider, c.fixture, rec)
			}
		})
	}
}

// sameAsFixture compares an error body with the collected example; Anthropic's
// request id is that of the answer.
func sameAsFixture(t *testing.T, provider, name string, rec *httptest.ResponseRecorder) {
	t.Helper()
	raw, err := os.ReadFile("bodies/" + provider + "/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	want := decodeError(t, raw)
	if want.RequestID != "" {
		want.RequestID = rec.Header().Get("Request-Id")
	}
	if diff := cmp.Diff(want, decodeError(t, rec.Body.Bytes())); diff != "" {
		t.Errorf("body differs from the example (-want +got):\n%s", diff)
	}
}

func TestKeysAndHeaders(t *testing.T) {
	const newKey = "sk-admin-simulator-rotated-0002"
	w := simulator.New(simulator.Options{Now: at(noon), Tiny: true})
	today := spend.DayOf(noon)
	win := spend.Window{From: today - 1, To: today}
	type change func(*http.Request)
	set := func(name, value string) change {
		return func(r *http.Request) {
			r.Header.Del(name)
			if value != "" {
				r.Header.Set(name, value)
			}
		}
	}
	for _, c := range []struct {
		name    string
		source  string
		change  change
		status  int
		message string
	}{
		{"right key", "openai/costs", func(*http.Request) {}, 200, ""},
		{"no key", "openai/costs", set("Authorization", ""), 401, "didn't provide an API key"},
		{"no bearer", "openai/costs", set("Authorization", simulator.DefaultOpenAIKey), 401, "didn't provide"},
		{
			"wrong key", "openai/costs", set("Authorization", "Bearer sk-admin-something-else-AbCd"), 401,
			"Incorrect API key provided: sk-admin-****************AbCd.",
		},
		{"project key", "openai/costs", set("Authorization", "Bearer sk-proj-1"), 403, "scopes: api.usage.read"},
		{"right key", "anthropic/cost_report", func(*http.Request) {}, 200, ""},
		{"no key", "anthropic/cost_report", set("X-Api-Key", ""), 401, "x-api-key header is required"},
		{"wrong key", "anthropic/cost_report", set("X-Api-Key", "sk-ant-admin01-other"), 401, "invalid x-api-key"},
		{"workspace key", "anthropic/cost_report", set("X-Api-Key", "sk-ant-api03-x"), 403, "not have permission"},
		{"no version", "anthropic/cost_report", set("Anthropic-Version", ""), 400, "anthropic-version"},
		{"odd version", "anthropic/cost_report", set("Anthropic-Version", "2020"), 400, "not a valid version"},
	} {
		t.Run(c.source+" "+c.name, func(t *testing.T) {
			provider, path, q := query(c.source, win, 1)
			r := request(t, w, provider, path, q)
			c.change(r)
			rec := httptest.NewRecorder()
			handler(w, provider).ServeHTTP(rec, r)
			if rec.Code != c.status || !strings.Contains(rec.Body.String(), c.message) {
				t.Errorf("status %d: %s", rec.Code, rec.Body)
			}
			if got := rec.Header().Get("Date"); got != "Wed, 18 Nov 2026 12:34:00 GMT" {
				t.Errorf("date %q", got)
			}
			id := rec.Header().Get("X-Request-Id") + rec.Header().Get("Request-Id")
			if !strings.HasPrefix(id, "req_") {
				t.Errorf("request id %q", id)
			}
		})
	}
	w.RotateKey(simulator.OpenAI, newKey)
	provider, path, q := query("openai/costs", win, 1)
	old := request(t, w, provider, path, q)
	old.Header.Set("Authorization", "Bearer "+simulator.DefaultOpenAIKey)
	rec := httptest.NewRecorder()
	w.OpenAI().ServeHTTP(rec, old)
	if rec.Code != http.StatusUnauthorized {
		t.Errorf("the old key after a rotation: status %d", rec.Code)
	}
	if rec := do(t, w, provider, path, q); rec.Code != http.StatusOK {
		t.Errorf("the new key after a rotation: status %d", rec.Code)
	}
	log := w.Requests()
	if last := log[len(log)-1]; last.Key != newKey || last.Status != 200 || last.Source != "openai/costs" {
		t.Errorf("log ends in %+v", last)
	}
}

func TestPathsAndMethods(t *testing.T) {
	w := simulator.New(simulator.Options{Now: at(noon), Tiny: true})
	for _, c := range []struct {
		provider, method, path string
		status                 int
	}{
		{simulator.OpenAI, http.MethodGet, "/v1/organization/cost", 404},
		{simulator.OpenAI, http.MethodGet, "/v1/organization/usage/dreams", 404},
		{simulator.OpenAI, http.MethodGet, "/v1/organization/usage/images?start_time=1794960000", 200},
		{simulator.OpenAI, http.MethodPost, "/v1/organization/costs", 405},
		{simulator.OpenAI, http.MethodHead, "/v1/organization/costs", 405},
		{simulator.Anthropic, http.MethodGet, "/v1/usage", 404},
		{simulator.Anthropic, http.MethodPost, "/v1/organizations/cost_report", 405},
		{simulator.Anthropic, http.MethodHead, "/v1/organizations/usage_report/messages", 405},
	} {
		r := request(t, w, c.provider, "/", nil)
		r.Method = c.method
		r.URL, _ = url.Parse(c.path)
		rec := httptest.NewRecorder()
		handler(w, c.provider).ServeHTTP(rec, r)
		if rec.Code != c.status {
			t.Errorf("%s %s: status %d", c.method, c.path, rec.Code)
		}
		if c.status == 405 && rec.Header().Get("Allow") != http.MethodGet {
			t.Errorf("%s %s: no Allow", c.method, c.path)
		}
	}
}

func TestPagesOfBuckets(t *testing.T) {
	w := simulator.New(simulator.Options{Now: at(noon), Tiny: true})
	today := spend.DayOf(noon)
	win := spend.Window{From: today - 99, To: today + 1}
	count := func(source string, pairs ...string) (buckets int, more bool) {
		provider, path, q := query(source, win, 31)
		rec := do(t, w, provider, path, edit(q, pairs...))
		var a answer
		if err := json.Unmarshal(rec.Body.Bytes(), &a); err != nil || rec.Code != 200 {
			t.Fatalf("%s %v: %d %s", source, pairs, rec.Code, rec.Body)
		}
		if a.HasMore != (a.Next != nil) {
			t.Errorf("%s %v: has_more %t, next_page %v", source, pairs, a.HasMore, a.Next)
		}
		return len(a.Data), a.HasMore
	}
	rfc := func(d spend.Day) string { return d.Time().Format(time.RFC3339) }
	now := noon.Format(time.RFC3339)
	for _, c := range []struct {
		source  string
		pairs   []string
		buckets int
		more    bool
	}{
		{"openai/costs", []string{"limit", ""}, 7, true},     // the default
		{"openai/costs", []string{"limit", "180"}, 31, true}, // clamped in silence
		{"openai/costs", []string{"limit", "12"}, 12, true},
		{"openai/costs", []string{"start_time", unix(today)}, 1, false},
		{"openai/costs", []string{"start_time", unix(today), "end_time", ""}, 1, false}, // today is there
		{"openai/costs", []string{"start_time", unix(today), "end_time", unix(today + 9)}, 1, false},
		{"openai/costs", []string{"start_time", unix(today + 2), "end_time", unix(today + 9)}, 0, false},
		{"openai/usage", []string{"limit", ""}, 7, true},
		{"anthropic/cost_report", []string{"limit", ""}, 7, true},
		{"anthropic/cost_report", []string{"starting_at", rfc(today - 1)}, 2, false}, // today is there
		{"anthropic/cost_report", []string{"starting_at", rfc(today - 1), "ending_at", ""}, 1, false},
		{"anthropic/cost_report", []string{"starting_at", rfc(today - 1), "ending_at", now}, 1, false},
		{"anthropic/cost_report", []string{"starting_at", now}, 1, false}, // snapped to its day
		{"anthropic/usage_report", []string{"limit", "31"}, 31, true},
	} {
		if n, more := count(c.source, c.pairs...); n != c.buckets || more != c.more {
			t.Errorf("%s %v: %d buckets, more %t", c.source, c.pairs, n, more)
		}
	}
	closed := simulator.New(simulator.Options{Now: at(noon), Tiny: true, AnthropicClosedOnly: true})
	pages := walk(t, closed, "anthropic/cost_report", spend.Window{From: today - 3, To: today + 1}, 31)
	if len(pages[0].Data) != 3 {
		t.Errorf("%d buckets with AnthropicClosedOnly", len(pages[0].Data))
	}
}

func TestPageTokensAreBoundToTheirQuery(t *testing.T) {
	w := simulator.New(simulator.Options{Now: at(noon), Tiny: true})
	today := spend.DayOf(noon)
	for _, source := range sources {
		provider, path, q := query(source, spend.Window{From: today - 20, To: today + 1}, 5)
		var first, second answer
		if err := json.Unmarshal(do(t, w, provider, path, q).Body.Bytes(), &first); err != nil {
			t.Fatal(err)
		}
		token := *first.Next
		if !strings.Contains(token, "+") || !strings.Contains(token, "/") || !strings.Contains(token, "=") {
			t.Errorf("%s: token %q needs no escaping", source, token)
		}
		next := edit(q, "page", token)
		if err := json.Unmarshal(do(t, w, provider, path, next).Body.Bytes(), &second); err != nil {
			t.Fatal(err)
		}
		if len(second.Data) != 5 || cmp.Equal(first.Data[0], second.Data[0]) {
			t.Errorf("%s: the second page begins like the first", source)
		}
		later := (today + 2).Time().Format(time.RFC3339)
		for name, broken := range map[string]url.Values{
			"moved end":      edit(next, "end_time", unix(today+2), "ending_at", later),
			"other limit":    edit(next, "limit", "6"),
			"other grouping": edit(next, "group_by[]", "project_id"),
			"unescaped plus": edit(next, "page", strings.ReplaceAll(token, "+", " ")),
			"cut off":        edit(next, "page", token[:len(token)-4]),
		} {
			if provider == simulator.Anthropic {
				broken.Del("end_time")
				if name == "other grouping" {
					broken.Set("group_by[]", "workspace_id")
				}
			} else {
				broken.Del("ending_at")
			}
			rec := do(t, w, provider, path, broken)
			if rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), "page token") {
				t.Errorf("%s, %s: status %d %s", source, name, rec.Code, rec.Body)
			}
		}
	}
}

func TestOnlyBracketsGroup(t *testing.T) {
	w := simulator.New(simulator.Options{Now: at(noon), Plain: true})
	today := spend.DayOf(noon)
	win := spend.Window{From: today - 1, To: today}
	for _, source := range []string{"openai/costs", "anthropic/cost_report"} {
		provider, path, q := query(source, win, 1)
		grouped := walk(t, w, source, win, 1)[0].Data[0].Results
		q["group_by"] = q["group_by[]"]
		q.Del("group_by[]")
		var a answer
		if err := json.Unmarshal(do(t, w, provider, path, q).Body.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		rows := a.Data[0].Results
		if len(rows) != 1 || len(grouped) < 50 {
			t.Fatalf("%s: %d rows without and %d with brackets", source, len(rows), len(grouped))
		}
		r := rows[0]
		if r.LineItem != nil || r.Description != nil || r.Project != nil || r.Workspace != nil || r.Model != nil {
			t.Errorf("%s: an ungrouped row has dimensions", source)
		}
		if got, want := dollars(t, r.OpenAI), w.Total(provider, win, noon); !got.Equal(want) {
			t.Errorf("%s: ungrouped %s, truth %s", source, got, want)
		}
	}
}

func TestOneDimensionAddsUp(t *testing.T) {
	w := simulator.New(simulator.Options{Now: at(noon), Plain: true})
	today := spend.DayOf(noon)
	win := spend.Window{From: today - 1, To: today}
	for _, c := range []struct{ source, by string }{
		{"openai/costs", "project_id"},
		{"openai/costs", "line_item"},
		{"openai/costs", "api_key_id"},
		{"anthropic/cost_report", "workspace_id"},
		{"anthropic/cost_report", "description"},
	} {
		provider, path, q := query(c.source, win, 1)
		var a answer
		rec := do(t, w, provider, path, edit(q, "group_by[]", c.by))
		if err := json.Unmarshal(rec.Body.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		var sum spend.Money
		for _, r := range a.Data[0].Results {
			sum = sum.Add(dollars(t, r.OpenAI))
			if (r.Project != nil || r.Workspace != nil) && c.by != "project_id" && c.by != "workspace_id" {
				t.Errorf("%s by %s: a row has a project", c.source, c.by)
			}
		}
		if n := len(a.Data[0].Results); n < 2 || !sum.Equal(w.Total(provider, win, noon)) {
			t.Errorf("%s by %s: %d rows add up to %s", c.source, c.by, n, sum)
		}
	}
}

func TestFilters(t *testing.T) {
	w := simulator.New(simulator.Options{Now: at(noon)})
	today := spend.DayOf(noon)
	win := spend.Window{From: today - 1, To: today}
	project := w.Projects(simulator.OpenAI)[1]
	provider, path, q := query("openai/costs", win, 1)
	q.Set("project_ids[]", project)
	var a answer
	if err := json.Unmarshal(do(t, w, provider, path, q).Body.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	if len(a.Data[0].Results) == 0 {
		t.Error("no rows of the project")
	}
	for _, r := range a.Data[0].Results {
		if r.Project == nil || *r.Project != project {
			t.Errorf("a row of project %v", r.Project)
		}
	}
}

func unix(d spend.Day) string { return itoa(d.Time().Unix()) }
