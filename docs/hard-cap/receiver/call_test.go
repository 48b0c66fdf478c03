package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// provider is a fake provider that answers each "METHOD path" with one text and
// notes what it was asked.
type provider struct {
	*httptest.Server
	answers map[string]string // "404" and the like are statuses
	asked   []string
}

func newProvider(t *testing.T, answers map[string]string) (*provider, *api) {
	t.Helper()
	p := &provider{answers: answers}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		what := r.Method + " " + r.URL.Path
		p.asked = append(p.asked, what)
		switch text := p.answers[what]; {
		case text == "":
			w.WriteHeader(http.StatusNotFound)
		case text[0] >= '1' && text[0] <= '9':
			w.WriteHeader(int(text[0]-'0')*100 + int(text[1]-'0')*10 + int(text[2]-'0'))
		default:
			_, _ = w.Write([]byte(text))
		}
	}))
	t.Cleanup(p.Close)
	t.Setenv("TEST_ADMIN_KEY", "sk-ant-api03-R2Dxxxxcanaryxxxxigaa")
	return p, &api{
		name: "openai", base: p.URL, client: newClient(5 * time.Second), now: time.Now,
		key:  secret{what: "the admin key", env: "TEST_ADMIN_KEY"},
		sign: func(h http.Header, key string) { h.Set("X-Api-Key", key) },
	}
}

const (
	anthropicPath = "/v1/organizations/api_keys/apikey_1"
	limitPath     = "/v1/organization/projects/proj_1/spend_limit"
	openAIList    = "/v1/organization/projects/proj_1/api_keys"
)

func TestActions(t *testing.T) {
	const inactive = `{"id":"apikey_1","status":"inactive"}`
	limit := func(cents, more string) string {
		return `{"object":"project.spend_limit","threshold_amount":` + cents + `,"currency":"USD","interval":"month"` + more + `}`
	}
	const get, post, del = "GET " + anthropicPath, "POST " + anthropicPath, "DELETE " + openAIList + "/key_1"
	const getLimit, setLimit = "GET " + limitPath, "POST " + limitPath
	type answers = map[string]string
	for name, c := range map[string]struct {
		do      string
		answers answers
		last    string // the last call
		outcome string // part of it; empty for a failure
	}{
		"active":                {"key", answers{get: `{"id":"apikey_1","status":"active"}`, post: inactive}, post, "inactive now"},
		"unknown status":        {"key", answers{get: `{"id":"apikey_1","status":"new"}`, post: inactive}, post, "inactive now"},
		"inactive":              {"key", answers{get: inactive}, get, "inactive already"},
		"archived stays so":     {"key", answers{get: `{"id":"apikey_1","status":"archived"}`}, get, "archived already"},
		"expired stays so":      {"key", answers{get: `{"id":"apikey_1","status":"expired"}`}, get, "expired already"},
		"no such key":           {"key", answers{}, get, ""},
		"another key":           {"key", answers{get: `{"id":"apikey_2","status":"active"}`}, get, ""},
		"no status":             {"key", answers{get: `{"id":"apikey_1"}`}, get, ""},
		"a page for people":     {"key", answers{get: "<html>"}, get, ""},
		"it stayed active":      {"key", answers{get: `{"id":"apikey_1","status":"active"}`, post: `{"id":"apikey_1","status":"active"}`}, post, ""},
		"an admin key":          {"key", answers{get: `{"id":"apikey_1","status":"active","partial_key_hint":"sk-ant-admin01-R2D...igAA"}`}, get, ""},
		"the key of our own":    {"key", answers{get: `{"id":"apikey_1","status":"active","partial_key_hint":"sk-ant-api03-R2D...igaa"}`}, get, ""},
		"like the key of own":   {"key", answers{get: `{"id":"apikey_1","status":"active","partial_key_hint":"sk-ant-api03-R2D...igAA"}`, post: inactive}, post, "inactive now"},
		"deleted":               {"delete", answers{del: `{"id":"key_1","deleted":true}`}, del, "deleted"},
		"not deleted":           {"delete", answers{del: `{"id":"key_1","deleted":false}`}, del, ""},
		"another deleted":       {"delete", answers{del: `{"id":"key_2","deleted":true}`}, del, ""},
		"gone before":           {"delete", answers{"GET " + openAIList: `{"object":"list"}`}, "GET " + openAIList, "not there"},
		"no such project":       {"delete", answers{}, "GET " + openAIList, ""},
		"gone, odd list":        {"delete", answers{"GET " + openAIList: `{}`}, "GET " + openAIList, ""},
		"service account":       {"delete", answers{del: "400"}, del, ""},
		"forbidden":             {"delete", answers{del: "403"}, del, ""},
		"no limit yet":          {"limit", answers{setLimit: limit("5000", "")}, setLimit, "50.00 USD now"},
		"a higher limit":        {"limit", answers{getLimit: limit("5001", ""), setLimit: limit("5000", "")}, setLimit, "50.00 USD now"},
		"the same limit":        {"limit", answers{getLimit: limit("5000", "")}, getLimit, "50.00 USD already"},
		"a lower limit":         {"limit", answers{getLimit: limit("1", "")}, getLimit, "0.01 USD already"},
		"0 means none":          {"limit", answers{getLimit: limit("0", `,"enforcement":{"status":"inactive"}`), setLimit: limit("5000", "")}, setLimit, "now"},
		"0 means nothing goes":  {"limit", answers{getLimit: limit("0", `,"enforcement":{"status":"enforcing"}`)}, getLimit, "already"},
		"a negative limit":      {"limit", answers{getLimit: limit("-1", "")}, getLimit, ""},
		"a fraction of a cent":  {"limit", answers{getLimit: limit("0.5", "")}, getLimit, ""},
		"a limit in euros":      {"limit", answers{getLimit: strings.Replace(limit("1", ""), "USD", "EUR", 1)}, getLimit, ""},
		"a limit a day":         {"limit", answers{getLimit: strings.Replace(limit("1", ""), "month", "day", 1)}, getLimit, ""},
		"some other object":     {"limit", answers{getLimit: strings.Replace(limit("1", ""), "project.", "other.", 1)}, getLimit, ""},
		"the limit did not set": {"limit", answers{setLimit: limit("5001", "")}, setLimit, ""},
		"limit forbidden":       {"limit", answers{getLimit: "403"}, getLimit, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p, a := newProvider(t, c.answers)
			act := map[string]action{
				"key": &anthropicKey{a, "apikey_1"}, "delete": &openAIKey{a, "proj_1", "key_1"},
				"limit": &openAILimit{a, "proj_1", 5000},
			}[c.do]
			outcome, err := act.do(t.Context())
			if (err == nil) != (c.outcome != "") || !strings.Contains(outcome, c.outcome) {
				t.Errorf("%q, %v", outcome, err)
			}
			if last := p.asked[len(p.asked)-1]; last != c.last {
				t.Errorf("it ended with %s", last)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("the key is shown: %v", err)
			}
		})
	}
}

func TestChecksChangeNothing(t *testing.T) {
	p, a := newProvider(t, map[string]string{
		"GET " + anthropicPath:         `{"id":"apikey_1","status":"active"}`,
		"GET " + openAIList:            `{"object":"list"}`,
		"GET " + openAIList + "/key_1": `{"id":"key_1","owner":{"type":"user"}}`,
		"GET " + openAIList + "/key_2": `{"id":"key_2","owner":{"type":"service_account"}}`,
	})
	for name, c := range map[string]struct {
		act action
		ok  bool
	}{
		"key":             {&anthropicKey{a, "apikey_1"}, true},
		"no key":          {&anthropicKey{a, "apikey_2"}, false},
		"delete":          {&openAIKey{a, "proj_1", "key_1"}, true},
		"service account": {&openAIKey{a, "proj_1", "key_2"}, false},
		"nothing there":   {&openAIKey{a, "proj_1", "key_3"}, false},
		"limit":           {&openAILimit{a, "proj_1", 1}, true},
		"no project":      {&openAILimit{a, "proj_2", 1}, false},
	} {
		if found, err := c.act.check(t.Context()); (err == nil) != c.ok {
			t.Errorf("%s: %q, %v", name, found, err)
		}
	}
	for _, what := range p.asked {
		if !strings.HasPrefix(what, "GET ") {
			t.Errorf("a check called %s", what)
		}
	}
}

func TestNoRedirectIsFollowed(t *testing.T) {
	stolen := ""
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		stolen += r.Header.Get("X-Api-Key")
	}))
	defer thief.Close()
	p, a := newProvider(t, nil)
	for _, code := range []int{301, 302, 303, 307, 308} {
		p.Config.Handler = http.RedirectHandler(thief.URL, code)
		err := a.call(t.Context(), http.MethodGet, "/v1/x", nil, &struct{}{})
		if !isStatus(err, code) || stolen != "" {
			t.Errorf("%d: %v, the other host got %q", code, err, stolen)
		}
	}
}

func TestAnswersAreBounded(t *testing.T) {
	p, a := newProvider(t, nil)
	for size, ok := range map[int]bool{maxAnswer: true, maxAnswer + 1: false} {
		p.answers = map[string]string{"GET /v1/x": "{}" + strings.Repeat(" ", size-2)}
		err := a.call(t.Context(), http.MethodGet, "/v1/x", nil, &struct{}{})
		if (err == nil) != ok {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	p, a := newProvider(t, nil)
	p.Config.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := a.call(ctx, http.MethodGet, "/v1/x", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	a.client.Timeout = 20 * time.Millisecond
	if err := a.call(t.Context(), http.MethodGet, "/v1/x", nil, nil); err == nil {
		t.Error("no error")
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "0": 0, "-7": 0, "7.5": 0, "soon": 0, "999999": 24 * time.Hour,
		"99999999999999999999":          0,
		"Tue, 24 Nov 2026 10:01:30 GMT": 90 * time.Second, "Tue, 24 Nov 2026 09:00:00 GMT": 0,
		"Sun, 24 Nov 2030 10:00:00 GMT": 24 * time.Hour,
	} {
		if got := retryAfter(v, now); got != want {
			t.Errorf("%q: %v, want %v", v, got, want)
		}
	}
}

func TestBases(t *testing.T) {
	for base, ok := range map[string]bool{
		"https://api.openai.com": true, "http://127.0.0.1:8080": true, "http://[::1]:8080": true, "http://localhost:1": true,
		"http://api.openai.com": false, "http://127.0.0.1.evil.test": false, "https://u:p@api.openai.com": false,
		"https://api.openai.com/v1": false, "api.openai.com": false, "": false, "ftp://127.0.0.1": false, "https://a?b": false,
	} {
		if err := validBase(base); (err == nil) != ok {
			t.Errorf("%q: %v", base, err)
		}
	}
}
