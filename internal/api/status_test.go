package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/api"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

func TestStatus(t *testing.T) {
	k := newKit(t, func(d *api.Deps) {
		d.Revision, d.Demo = "abc123", true
		d.Alertmanagers = func(context.Context) []api.Alertmanager {
			return []api.Alertmanager{
				{URL: "http://a:9093", Reachable: true, Version: "0.31.1", Cluster: "ready", Peers: 2},
				{URL: "http://b:9093", Error: "connection refused"},
			}
		}
		d.ExternalURL = func() string { return "https://spend.example" }
	})
	k.put(openaiCosts, noon(), spend.Statement{Day: day("2026-11-01"), Charges: []spend.Charge{
		charge("a", "1", "0"), charge("b", "1", "0"),
	}})
	k.stats = store.Stats{
		RawPages: map[string]int{"openai": 3}, LSMBytes: 100, VlogBytes: 5,
		FreeBytes: 1 << 30, ReserveBytes: 1 << 20,
	}
	berlin := time.FixedZone("CET", 3600)
	k.statuses = []spend.SourceStatus{{
		ID: openaiCosts, Enabled: true, Up: true, Pulling: true, PagesPulled: 2,
		PullWindow:  spend.Window{From: day("2026-10-01"), To: day("2026-11-01")},
		LastSuccess: noon().Add(-time.Minute).In(berlin), DataThrough: noon().Add(-time.Hour),
		LastOutcome: spend.OK, NextPull: noon().Add(15*time.Minute + 300*time.Millisecond),
		Interval: 15 * time.Minute, MaxStaleness: 6 * time.Hour,
		HistoryGoal: day("2026-08-25"), CoveredFrom: day("2026-11-01"),
	}, {
		ID: anthropic, Enabled: true, LastOutcome: spend.Auth, LastError: "401: invalid x-api-key",
		LastErrorAt: noon(), Interval: time.Hour, MaxStaleness: 30 * time.Hour,
	}}
	w := k.get("/status")
	wantOK(t, w)
	var got bytes.Buffer
	if err := json.Indent(&got, w.Body.Bytes(), "", " "); err != nil {
		t.Fatal(err)
	}
	want := `{
 "version": "1.2.3",
 "revision": "abc123",
 "external_url": "https://spend.example",
 "started": "2026-11-23T11:00:00Z",
 "uptime_seconds": 3600,
 "ready": true,
 "demo": true,
 "problems": [
  "anthropic/cost_report (default): the newest pull failed (auth): 401: invalid x-api-key",
  "Alertmanager http://b:9093 cannot be reached: connection refused"
 ],
 "history": {
  "done": false,
  "days_read": 23,
  "days_total": 91
 },
 "sources": [
  {
   "provider": "openai",
   "account": "acme",
   "source": "openai/costs",
   "enabled": true,
   "up": true,
   "held": false,
   "stale": false,
   "last_success": "2026-11-23T11:59:00Z",
   "data_through": "2026-11-23T11:00:00Z",
   "last_outcome": "ok",
   "last_error_at": null,
   "next_pull": "2026-11-23T12:15:00Z",
   "interval_seconds": 900,
   "max_staleness_seconds": 21600,
   "history": {
    "done": false,
    "goal": "2026-08-25",
    "covered_from": "2026-11-01",
    "days_read": 23,
    "days_total": 91
   },
   "pulling": {
    "window": {
     "from": "2026-10-01",
     "to": "2026-10-31"
    },
    "pages": 2
   }
  },
  {
   "provider": "anthropic",
   "account": "default",
   "source": "anthropic/cost_report",
   "enabled": true,
   "up": false,
   "held": false,
   "stale": true,
   "last_success": null,
   "data_through": null,
   "last_outcome": "auth",
   "last_error": "401: invalid x-api-key",
   "last_error_at": "2026-11-23T12:00:00Z",
   "next_pull": null,
   "interval_seconds": 3600,
   "max_staleness_seconds": 108000,
   "history": {
    "done": false,
    "goal": null,
    "covered_from": null,
    "days_read": 0,
    "days_total": 0
   },
   "pulling": null
  }
 ],
 "store": {
  "raw_pages": {
   "openai": 3
  },
  "bytes": {
   "lsm": 100,
   "vlog": 5
  },
  "free_bytes": 1073741824,
  "reserve_bytes": 1048576,
  "corrupt": false
 },
 "charges": {
  "openai": 2
 },
 "budgets": [],
 "alertmanagers": [
  {
   "url": "http://a:9093",
   "reachable": true,
   "version": "0.31.1",
   "cluster_status": "ready",
   "cluster_peers": 2
  },
  {
   "url": "http://b:9093",
   "reachable": false,
   "error": "connection refused"
  }
 ]
}
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

// What is wrong is said in one sentence each, and what is fine is not mentioned.
func TestProblemsOfTheDay(t *testing.T) {
	source := func(change func(*spend.SourceStatus)) []spend.SourceStatus {
		st := spend.SourceStatus{
			ID: openaiCosts, Enabled: true, Up: true, LastOutcome: spend.OK,
			DataThrough: noon().Add(-time.Hour), MaxStaleness: 6 * time.Hour,
		}
		change(&st)
		return []spend.SourceStatus{st}
	}
	type status = spend.SourceStatus
	for _, tc := range []struct {
		name   string
		source func(*status)
		stats  store.Stats
		want   string
	}{
		{"all well", func(*status) {}, store.Stats{FreeBytes: 2, ReserveBytes: 1}, ""},
		{"not pulled yet", func(s *status) {
			s.LastOutcome, s.Up, s.DataThrough = "", false, time.Time{}
		}, store.Stats{}, ""},
		{"failed", func(s *status) {
			s.Up, s.LastOutcome, s.LastError = false, spend.Server, "500"
		}, store.Stats{}, "(server): 500"},
		{"held", func(s *status) { s.Held, s.LastOutcome = true, spend.Held }, store.Stats{}, "held until"},
		{"held, then failed", func(s *status) {
			s.Held, s.Up, s.LastOutcome = true, false, spend.Auth
		}, store.Stats{}, "failed (auth)"},
		{"stale", func(s *status) {
			s.DataThrough = noon().Add(-7 * time.Hour)
		}, store.Stats{}, "older than it should be (limit 6h)"},
		{"just not stale", func(s *status) { s.DataThrough = noon().Add(-6 * time.Hour) }, store.Stats{}, ""},
		{"currency", func(s *status) { s.LastOutcome = spend.Currency }, store.Stats{}, "without a rate"},
		{"disabled and failed", func(s *status) {
			s.Enabled, s.Up, s.LastOutcome = false, false, spend.Auth
		}, store.Stats{}, ""},
		{"damage", func(*status) {}, store.Stats{Corrupt: true}, "damaged"},
		{"no space", func(*status) {}, store.Stats{FreeBytes: 1, ReserveBytes: 2}, "nearly full"},
	} {
		k := newKit(t)
		k.statuses, k.stats = source(tc.source), tc.stats
		var got struct{ Problems []string }
		if err := json.Unmarshal(k.get("/status").Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		page := k.get("/").Body.String()
		if tc.want == "" {
			if len(got.Problems) != 0 || strings.Contains(page, "Something is wrong") {
				t.Errorf("%s: %q", tc.name, got.Problems)
			}
			continue
		}
		if len(got.Problems) != 1 || !strings.Contains(got.Problems[0], tc.want) {
			t.Errorf("%s: %q, want one with %q", tc.name, got.Problems, tc.want)
		}
		if i, j := strings.Index(page, "Something is wrong"), strings.Index(page, "so far"); i < 0 || i > j {
			t.Errorf("%s: not at the top of the page", tc.name)
		}
	}
}

func TestPageShowsTheMonthSoFar(t *testing.T) {
	k := ledger(t)
	k.statuses[0].DataThrough = noon().Add(-time.Hour)
	k.statuses[0].HistoryGoal, k.statuses[0].CoveredFrom = day("2026-08-26"), day("2026-11-01")
	w := k.get("/")
	wantOK(t, w)
	page := w.Body.String()
	mustContain(t, page, "November 2026 so far", "10.62<small>34567890123456790112</small>", `<th scope="row">openai</th>`,
		"7.25 EUR", "2026-11-23 11:00<", "no data yet", "23 of 90 days read", "9,007,199,254,740,996",
		`href="./spend"`, `href="./raw/anthropic"`, "/raw/:provider/:id", "POST")
	for _, rt := range api.Routes() {
		path := rt.Pattern
		if !strings.Contains(path, ":id") {
			path = strings.Replace(path, ":provider", "openai", 1)
		}
		if !strings.Contains(page, ">"+path+"<") {
			t.Errorf("the page does not name %s", rt.Pattern)
		}
	}
}

func TestPageKeepsItsFiguresFromStrangers(t *testing.T) {
	k := ledger(t)
	k.statuses[0].LastError, k.statuses[0].LastOutcome = "detail-canary", spend.Auth
	k.tokens = api.Tokens{Read: []string{readToken}, Admin: []string{adminToken}}
	for _, token := range []string{"", wrongToken} {
		w := k.do(http.MethodGet, "/", token)
		wantOK(t, w)
		page := w.Body.String()
		mustContain(t, page, "A read token is set", `href="./spend"`)
		for _, private := range []string{"10.62", "so far", "acme", "detail-canary", "7.25"} {
			if strings.Contains(page, private) {
				t.Errorf("token %q: the page shows %q", token, private)
			}
		}
	}
	for _, token := range []string{readToken, adminToken} {
		page := k.do(http.MethodGet, "/", token).Body.String()
		mustContain(t, page, "10.62<small>34567890123456790112</small>")
	}
}

func TestPageIsPlain(t *testing.T) {
	k := ledger(t)
	k.statuses = []spend.SourceStatus{{
		ID: openaiCosts, Enabled: true, LastOutcome: spend.Server, LastError: `<script>alert("x")</script>`,
	}}
	w := k.get("/")
	if ct := w.Header().Get("Content-Type"); ct != "text/html; charset=utf-8" {
		t.Errorf("content type %q", ct)
	}
	inline := regexp.MustCompile(`(?i)<script|<style|\sstyle=|\son[a-z]+=|javascript:|https?://`)
	if found := inline.FindString(w.Body.String()); found != "" {
		t.Errorf("the page holds %q, which its policy forbids", found)
	}
	css := k.get("/assets/style.css")
	wantOK(t, css)
	if ct := css.Header().Get("Content-Type"); ct != "text/css; charset=utf-8" {
		t.Errorf("content type %q", ct)
	}
	if strings.Contains(css.Body.String(), "url(") || strings.Contains(css.Body.String(), "@import") {
		t.Error("the style sheet loads something")
	}
}

// Older days that the provider refuses are missing for good: that is told although
// the present is read and the source is up. While the present fails, its days do not
// count as read.
func TestStatusOfPartlyReadSources(t *testing.T) {
	k := newKit(t)
	k.statuses = []spend.SourceStatus{{
		ID: openaiCosts, Enabled: true, Up: true, LastOutcome: spend.OK, LastError: "400: start_time is too far back",
		DataThrough: noon(), MaxStaleness: 6 * time.Hour, HistoryGoal: day("2026-08-25"), CoveredFrom: day("2026-10-01"),
	}, {
		ID: anthropic, Enabled: true, LastOutcome: spend.Schema, LastError: "amount is missing",
		DataThrough: day("2026-11-01").Time(), HistoryGoal: day("2026-08-25"), CoveredFrom: day("2026-10-01"),
	}}
	w := k.get("/status")
	wantOK(t, w)
	var got struct {
		Problems []string
		Sources  []struct {
			History struct {
				Read int `json:"days_read"`
			}
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"openai/costs (acme): older days cannot be read and are missing: 400: start_time is too far back",
		"anthropic/cost_report (default): the newest pull failed (schema): amount is missing",
	}
	if diff := cmp.Diff(want, got.Problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if a, b := got.Sources[0].History.Read, got.Sources[1].History.Read; a != 54 || b != 32 {
		t.Errorf("%d and %d days read, want 54 and 32", a, b)
	}
}
