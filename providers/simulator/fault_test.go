package simulator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
)

// lab is a tiny world behind real sockets.
type lab struct {
	*simulator.World
	servers *simulator.Servers
	client  *http.Client
	win     spend.Window
}

func newLab(t *testing.T) *lab {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	w := simulator.New(simulator.Options{Seed: 9, Now: at(noon), Tiny: true, Plain: true})
	servers, err := w.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		if err := servers.Close(); err != nil {
			t.Error(err)
		}
		goleak.VerifyNone(t, ignore)
	})
	today := spend.DayOf(noon)
	return &lab{World: w, servers: servers, client: client, win: spend.Window{From: today - 8, To: today + 1}}
}

// reply is an answer as a plain client sees it.
type reply struct {
	status int
	header http.Header
	body   []byte
	err    error // of the exchange or of reading the body
}

func (l *lab) get(ctx context.Context, t *testing.T, source string, pairs ...string) reply {
	t.Helper()
	provider, path, q := query(source, l.win, 3)
	base := l.servers.OpenAI
	if provider == simulator.Anthropic {
		base = l.servers.Anthropic
	}
	target := base + path + "?" + edit(q, pairs...).Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = request(t, l.World, provider, path, nil).Header
	resp, err := l.client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return reply{status: resp.StatusCode, header: resp.Header, body: body, err: err}
}

func (l *lab) next(t *testing.T, r reply) string {
	t.Helper()
	var a answer
	if err := json.Unmarshal(r.body, &a); err != nil || a.Next == nil {
		t.Fatalf("no cursor: %v in %s", err, r.body)
	}
	return *a.Next
}

// both are the billed sources of the two providers.
var both = []string{"openai/costs", "anthropic/cost_report"}

func TestStatusFaults(t *testing.T) {
	l := newLab(t)
	for _, c := range []struct {
		do      simulator.Effect
		status  int
		header  string // "Name: value", with an empty value for absent
		openai  string // part of the body
		anthrop string
	}{
		{simulator.Status(400), 400, "", "page token", "ending date"},
		{simulator.Status(401), 401, "", "sk-admin-****************0001", "authentication_error"},
		{simulator.Status(403), 403, "", "api.usage.read", "permission_error"},
		{simulator.Status(404), 404, "", "Invalid URL (GET", "not_found_error"},
		{simulator.Status(429), 429, "Retry-After: 20|12", "rate_limit_exceeded", "rate_limit_error"},
		{simulator.Status(500), 500, "", "server_error", "api_error"},
		{simulator.Status(502), 502, "Content-Type: text/html", "cloudflare", "cloudflare"},
		{simulator.Status(503), 503, "", "server_error", "api_error"},
		{simulator.Status(504), 504, "", "server_error", "timeout_error"},
		{simulator.Status(529), 529, "", "server_error", "overloaded_error"},
		{simulator.MissingScopes(401), 401, "", "missing_scope", "permission_error"},
		{simulator.MissingScopes(403), 403, "", "Missing scopes", "permission_error"},
		{simulator.EchoKey(401), 401, "", simulator.DefaultOpenAIKey, simulator.DefaultAnthropicKey},
		{simulator.RateLimited("7"), 429, "Retry-After: 7", "rate_limit", "rate_limit"},
		{simulator.RateLimited(""), 429, "Retry-After: ", "rate_limit", "rate_limit"},
		{simulator.RateLimited("86400000"), 429, "Retry-After: 86400000", "rate_limit", "rate_limit"},
		{simulator.RateLimitedUntil(time.Minute), 429, "Retry-After: Wed, 18 Nov 2026 12:35:00 GMT", "", ""},
		{simulator.InsufficientQuota(), 429, "Retry-After: ", "insufficient_quota", "insufficient_quota"},
		{simulator.HTML200(), 200, "Content-Type: text/html; charset=utf-8", "<html>", "<html>"},
		{simulator.Error200(), 200, "Content-Type: application/json", `"error"`, `"error"`},
		{simulator.ContentType("text/plain"), 200, "Content-Type: text/plain", `"data"`, `"data"`},
		{simulator.ClockSkew(26 * time.Hour), 200, "Date: Thu, 19 Nov 2026 14:34:00 GMT", `"data"`, `"data"`},
		{simulator.Header("Date", ""), 200, "Date: ", `"data"`, `"data"`},
		{
			simulator.Respond(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(418) })),
			418, "", "", "",
		},
	} {
		for i, source := range both {
			t.Run(c.do.Name()+" "+source, func(t *testing.T) {
				remove := l.Inject(simulator.Fault{Source: source, Do: c.do})
				defer remove()
				r := l.get(t.Context(), t, source)
				want := []string{c.openai, c.anthrop}[i]
				if r.err != nil || r.status != c.status || !strings.Contains(string(r.body), want) {
					t.Errorf("status %d, %v: %s", r.status, r.err, r.body)
				}
				name, value, _ := strings.Cut(c.header, ": ")
				values := strings.Split(value, "|")
				if name != "" && r.header.Get(name) != values[min(i, len(values)-1)] {
					t.Errorf("%s is %q, want %q", name, r.header.Get(name), value)
				}
			})
		}
	}
}

func TestWireFaults(t *testing.T) {
	l := newLab(t)
	whole := l.get(t.Context(), t, "openai/costs")
	valid := json.Valid
	grownBy := func(n int) func(reply) bool {
		return func(r reply) bool { return r.err == nil && len(r.body) == len(whole.body)+n && valid(r.body) }
	}
	for _, c := range []struct {
		do simulator.Effect
		ok func(r reply) bool
	}{
		{simulator.Reset(), func(r reply) bool {
			return errors.Is(r.err, syscall.ECONNRESET) || errors.Is(r.err, io.EOF)
		}},
		{simulator.TruncatedJSON(), func(r reply) bool {
			return r.err == nil && r.status == 200 && !valid(r.body) && bytes.HasPrefix(whole.body, r.body)
		}},
		{simulator.ShortBody(), func(r reply) bool {
			return errors.Is(r.err, io.ErrUnexpectedEOF) && r.status == 200
		}},
		{simulator.CloseTruncated(), func(r reply) bool {
			return r.err == nil && r.status == 200 && !valid(r.body) && bytes.HasPrefix(whole.body, r.body)
		}},
		{simulator.TrailingGarbage("<!-- x -->"), func(r reply) bool {
			return r.err == nil && bytes.HasPrefix(r.body, whole.body) && !valid(r.body)
		}},
		{simulator.HugeBody(3 << 20), grownBy(3 << 20)},
		{simulator.GzipBomb(3 << 20), grownBy(3 << 20)},
		{simulator.HeavyBuckets(100_000), grownBy(300_000)},
		{simulator.HeavyAbove(2, 1<<20), func(r reply) bool { return len(r.body) > 1<<20 && valid(r.body) }},
		{simulator.HeavyAbove(3, 1<<20), func(r reply) bool { return bytes.Equal(r.body, whole.body) }},
		{
			simulator.Rewrite(func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("usd"), []byte("gbp")) }),
			func(r reply) bool { return bytes.Contains(r.body, []byte(`"gbp"`)) && valid(r.body) },
		},
	} {
		t.Run(c.do.Name(), func(t *testing.T) {
			remove := l.Inject(simulator.Fault{Do: c.do})
			defer remove()
			if r := l.get(t.Context(), t, "openai/costs"); !c.ok(r) {
				t.Errorf("status %d, %d bytes, %v", r.status, len(r.body), r.err)
			}
		})
	}
	if r := l.get(t.Context(), t, "openai/costs"); !bytes.Equal(r.body, whole.body) {
		t.Error("the page is another after all faults were removed")
	}
}

func TestSlowFaultsLastUntilTheClientGivesUp(t *testing.T) {
	l := newLab(t)
	for _, c := range []struct {
		do      simulator.Effect
		headers bool // arrive before the stall
	}{
		{simulator.Hang(), false},
		{simulator.SlowLoris(time.Hour), true},
	} {
		remove := l.Inject(simulator.Fault{Source: "openai", Do: c.do})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		r := l.get(ctx, t, "openai/costs")
		cancel()
		remove()
		if !errors.Is(r.err, context.DeadlineExceeded) || (r.status == 200) != c.headers {
			t.Errorf("%s: status %d, %v", c.do.Name(), r.status, r.err)
		}
	}
	remove := l.Inject(simulator.Fault{Do: simulator.SlowLoris(time.Microsecond)})
	defer remove()
	if r := l.get(t.Context(), t, "openai/costs"); r.err != nil || !json.Valid(r.body) {
		t.Errorf("a slow body did not arrive whole: %v", r.err)
	}
}

func TestCompressionIsOnRequest(t *testing.T) {
	l := newLab(t)
	plain := l.get(t.Context(), t, "openai/costs") // Go asks for gzip and undoes it
	l.client = &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer l.client.CloseIdleConnections()
	r := l.get(t.Context(), t, "openai/costs")
	if !bytes.Equal(r.body, plain.body) || r.header.Get("Content-Encoding") != "" {
		t.Error("the page differs without compression")
	}
	for _, r := range l.Requests() {
		if r.Agent == "" || len(r.Headers) < 2 || r.RawQuery == "" || r.Page != 1 {
			t.Errorf("log entry %+v", r)
		}
	}
}

func TestRedirectShowsWhetherTheKeyLeaks(t *testing.T) {
	l := newLab(t)
	remove := l.Inject(simulator.Fault{Do: simulator.Redirect(http.StatusFound, l.servers.Elsewhere+"/v1/x")})
	defer remove()
	if r := l.get(t.Context(), t, "openai/costs"); r.err != nil || r.status != 200 {
		t.Fatalf("status %d, %v", r.status, r.err)
	}
	if got := l.servers.Stolen(); len(got) != 0 {
		t.Errorf("Go's client sent Authorization to another host: %q", got)
	}
	l.get(t.Context(), t, "anthropic/cost_report")
	if got := l.servers.Stolen(); len(got) != 1 || got[0] != simulator.DefaultAnthropicKey {
		t.Errorf("stolen keys %q; Go's client forwards x-api-key, so there is one", got)
	}
}

func TestMatchers(t *testing.T) {
	l := newLab(t)
	status := func(source string, pairs ...string) int { return l.get(t.Context(), t, source, pairs...).status }
	expect := func(name string, got []int, want ...int) {
		t.Helper()
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: statuses %v, want %v", name, got, want)
				return
			}
		}
	}
	l.Inject(simulator.Fault{Source: "openai/costs", Skip: 1, Times: 2, Do: simulator.Status(500)})
	var got []int
	for range 4 {
		got = append(got, status("openai/costs"), status("openai/usage"))
	}
	expect("skip and times", got, 200, 200, 500, 200, 500, 200, 200, 200)

	remove := l.Inject(simulator.Fault{Source: "anthropic", Do: simulator.Status(529)})
	got = []int{status("anthropic/cost_report"), status("anthropic/usage_report"), status("openai/costs")}
	expect("provider", got, 529, 529, 200)
	remove()
	remove()
	expect("removed", []int{status("anthropic/cost_report")}, 200)

	remove = l.Inject(simulator.Fault{Page: 2, Do: simulator.Status(500)})
	first := l.get(t.Context(), t, "openai/costs")
	expect("page", []int{first.status, status("openai/costs", "page", l.next(t, first))}, 200, 500)
	remove()

	defer l.Inject(simulator.Fault{Times: 1, Do: simulator.ClockSkew(time.Hour)})()
	defer l.Inject(simulator.Fault{Times: 1, Do: simulator.Status(500)})()
	both := l.get(t.Context(), t, "openai/costs")
	if both.status != 500 || both.header.Get("Date") != "Wed, 18 Nov 2026 13:34:00 GMT" {
		t.Errorf("two faults at once: %d %s", both.status, both.header.Get("Date"))
	}
	log := l.Requests()
	if last := log[len(log)-1]; len(last.Faults) != 2 || last.Faults[0] != "clock skew" || last.Status != 500 {
		t.Errorf("log ends in %+v", last)
	}
	l.ForgetRequests()
	status("openai/costs")
	if log := l.Requests(); len(log) != 1 || log[0].Status != 200 {
		t.Errorf("log after forgetting: %+v", log)
	}
}

func TestCloseBreaksWhatHangs(t *testing.T) {
	l := newLab(t)
	l.Inject(simulator.Fault{Do: simulator.Hang()})
	done := make(chan reply)
	go func() { done <- l.get(t.Context(), t, "openai/costs") }()
	for len(l.Requests()) == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := l.servers.Close(); err != nil {
		t.Error(err)
	}
	if r := <-done; r.err == nil {
		t.Errorf("the request ended with status %d", r.status)
	}
}

func TestScript(t *testing.T) {
	var pages [][]byte
	for _, name := range []string{"one", "two"} {
		b, err := os.ReadFile("testdata/script_" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, b)
	}
	s := simulator.NewScript(pages...)
	get := func(token string) (int, string) {
		target := "/x?page=" + url.QueryEscape(token)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, r)
		return rec.Code, rec.Body.String()
	}
	for _, c := range []struct {
		token  string
		status int
		body   []byte
	}{
		{"", 200, pages[0]},
		{"a+b/c=", 200, pages[1]},
		{"loop", 200, pages[1]},
		{"a b/c=", 400, nil},
	} {
		status, body := get(c.token)
		if status != c.status || c.body != nil && body != string(c.body) {
			t.Errorf("token %q: status %d, %s", c.token, status, body)
		}
	}
	s.Replace(pages[1])
	if _, body := get(""); body != string(pages[1]) {
		t.Errorf("after Replace: %s", body)
	}
	if n := len(s.Requests()); n != 5 {
		t.Errorf("%d requests", n)
	}
	s.Replace()
	if status, _ := get(""); status != 400 {
		t.Errorf("an empty script answers %d", status)
	}
}
