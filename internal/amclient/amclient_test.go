package amclient_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/aispend/aispend/internal/amclient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock that tests move.
type clock struct{ unix atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.unix.Store(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Unix())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(c.unix.Load(), 0) }
func (c *clock) advance(d time.Duration) { c.unix.Add(int64(d / time.Second)) }

func newClient(t *testing.T, now func() time.Time, urls ...string) *amclient.Client {
	t.Helper()
	c, err := amclient.New(amclient.Options{URLs: urls, UserAgent: "aispend/test", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// deadURL refuses connections.
func deadURL(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func TestPostTestReachesEveryMember(t *testing.T) {
	a, b := newFake(t, ""), newFake(t, "/alertmanager")
	b.version = "0.34.2"
	clk := newClock()
	c := newClient(t, clk.now, a.url(), deadURL(t), b.url()+"/")
	p := c.PostTest(t.Context(), amclient.Test{
		Level: "hard", GeneratorURL: "https://spend.example/status", RunbookURL: "https://docs.example/test",
	})
	if p.Accepted() != 2 || len(p.Answers) != 3 {
		t.Fatalf("answers: %+v", p.Answers)
	}
	versions := []string{p.Answers[0].Version, p.Answers[1].Version, p.Answers[2].Version}
	if !cmp.Equal(versions, []string{"0.31.1", "", "0.34.2"}) {
		t.Errorf("versions %q", versions)
	}
	if e := p.Answers[1].Error; !strings.Contains(e, "connection refused") || strings.Contains(e, "/api/v2") {
		t.Errorf("error of the dead member: %q", e)
	}
	want := map[string]string{
		"alertname": "AISpendTest", "test": "true", "level": "hard", "severity": "critical", "scope": "test",
		"test_id": "20261123T120000.000Z",
	}
	for _, am := range []*fakeAM{a, b} {
		got := am.received()
		if len(got) != 1 {
			t.Fatalf("%d alerts", len(got))
		}
		if diff := cmp.Diff(want, got[0].Labels); diff != "" {
			t.Errorf("labels (-want +got):\n%s", diff)
		}
		if !got[0].StartsAt.Equal(clk.now()) || got[0].EndsAt.Sub(got[0].StartsAt) != 5*time.Minute {
			t.Errorf("from %v to %v", got[0].StartsAt, got[0].EndsAt)
		}
		if got[0].GeneratorURL != "https://spend.example/status" || got[0].Annotations["runbook_url"] != "https://docs.example/test" {
			t.Errorf("links: %+v", got[0])
		}
		if _, empty := got[0].Annotations["dashboard_url"]; empty || !strings.HasPrefix(got[0].Annotations["summary"], "TEST: hard cap") ||
			!strings.Contains(got[0].Annotations["description"], "\nHard limit: 100.00 USD") ||
			!strings.Contains(got[0].Annotations["description"], "\nData reaches to 23 Nov 2026 12:00 UTC") {
			t.Errorf("annotations: %q", got[0].Annotations)
		}
		if am.agents[0] != "aispend/test" {
			t.Errorf("user agent %q", am.agents[0])
		}
	}
	if diff := cmp.Diff(want, p.Labels); diff != "" {
		t.Errorf("reported labels (-want +got):\n%s", diff)
	}
}

func TestEveryTestIsAnAlertOfItsOwn(t *testing.T) {
	am, clk := newFake(t, ""), newClock()
	c := newClient(t, clk.now, am.url())
	c.PostTest(t.Context(), amclient.Test{Level: "soft"})
	clk.advance(time.Second)
	c.PostTest(t.Context(), amclient.Test{Level: "soft"})
	got := am.received()
	if len(got) != 2 || got[0].Labels["test_id"] == got[1].Labels["test_id"] {
		t.Errorf("a second test joins the first and is told to nobody: %+v", got)
	}
	if got[0].Labels["severity"] != "warning" || got[0].GeneratorURL != "" {
		t.Errorf("soft alert: %+v", got[0])
	}
}

// failures are things at the other end of a URL that are no healthy Alertmanager.
func failures() map[string]struct {
	before func(http.ResponseWriter, *http.Request) bool
	want   string
} {
	return map[string]struct {
		before func(http.ResponseWriter, *http.Request) bool
		want   string
	}{
		"refused": {
			answering(400, "application/json", `"at least one label\npair required"`),
			"refused the alert: at least one label pair required",
		},
		"broken": {answering(500, "application/json", `"disk full"`), "failed: disk full"},
		"no such route": {
			answering(404, "text/plain", "secret-canary"), "answered 404 Not Found; is it an Alertmanager, " +
				"and does the URL hold the path of its --web.route-prefix?",
		},
		"login": {
			answering(401, "text/html", "secret-canary"), "answered 401 Unauthorized; it wants a login, " +
				"which alertmanager.urls cannot give: let aispend in without",
		},
		"gateway":      {answering(502, "text/html", "secret-canary"), "answered 502 Bad Gateway"},
		"odd code":     {answering(999, "application/json", "{}"), "answered 999"},
		"a web page":   {answering(200, "text/html", "<h1>secret-canary</h1>"), "answers, but not as an Alertmanager does"},
		"other JSON":   {answering(200, "application/json", `{"status":"ok"}`), "answers, but not as an Alertmanager does"},
		"no JSON":      {answering(200, "application/json", `secret-canary`), "answers, but not as an Alertmanager does"},
		"unknown type": {answering(200, "application/x-secret", `secret-canary`), "answers, but not as an Alertmanager does"},
		"hangs up":     {func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, "hung up without an answer"},
	}
}

func TestPostTestSaysWhyNot(t *testing.T) {
	for name, tc := range failures() {
		t.Run(name, func(t *testing.T) {
			am := newFake(t, "")
			am.intercept(tc.before)
			c := newClient(t, newClock().now, am.url())
			p := c.PostTest(t.Context(), amclient.Test{Level: "soft"})
			if a := p.Answers[0]; a.Accepted || a.Error != tc.want {
				t.Errorf("accepted %t, error %q, want %q", a.Accepted, a.Error, tc.want)
			}
		})
	}
}

func TestStatusSaysWhyNot(t *testing.T) {
	for name, tc := range failures() {
		if name == "refused" || name == "broken" {
			continue // answers to a posted alert
		}
		t.Run(name, func(t *testing.T) {
			am := newFake(t, "")
			am.intercept(tc.before)
			st := newClient(t, newClock().now, am.url()).Status(t.Context())
			if len(st) != 1 || st[0].Reachable || st[0].Error != tc.want || st[0].URL != am.url() {
				t.Errorf("%+v, want %q", st, tc.want)
			}
		})
	}
}

// An Alertmanager that lets us post and not ask has taken the alert all the same.
func TestPostTestWhereTheStatusIsClosed(t *testing.T) {
	am := newFake(t, "")
	am.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			w.WriteHeader(http.StatusForbidden)
		}
		return r.Method == http.MethodGet
	})
	p := newClient(t, newClock().now, am.url()).PostTest(t.Context(), amclient.Test{Level: "soft"})
	if a := p.Answers[0]; !a.Accepted || a.Error != "" || a.Version != "" {
		t.Errorf("%+v", a)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var stolen atomic.Bool
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Store(true) }))
	defer thief.Close()
	am := newFake(t, "")
	am.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, thief.URL+r.URL.Path, http.StatusTemporaryRedirect)
		return true
	})
	c := newClient(t, newClock().now, am.url())
	p := c.PostTest(t.Context(), amclient.Test{Level: "soft"})
	if want := "answered 307 Temporary Redirect; redirects are not followed, so name the place itself"; p.Answers[0].Error != want {
		t.Errorf("error %q, want %q", p.Answers[0].Error, want)
	}
	if stolen.Load() {
		t.Error("the redirect was followed")
	}
}

func TestStatusIsCached(t *testing.T) {
	am, clk := newFake(t, ""), newClock()
	c := newClient(t, clk.now, am.url(), deadURL(t))
	st := c.Status(t.Context())
	want := amclient.State{URL: am.url(), Reachable: true, Version: "0.31.1", Cluster: "ready", Peers: 2}
	if len(st) != 2 || st[0] != want || st[1].Reachable || !strings.Contains(st[1].Error, "connection refused") {
		t.Fatalf("%+v", st)
	}
	st[0].Version = "changed by the caller"
	clk.advance(14 * time.Second)
	if st = c.Status(t.Context()); st[0] != want || am.asked() != 1 {
		t.Errorf("%+v after %d questions", st[0], am.asked())
	}
	am.mu.Lock()
	am.version = "0.34.2"
	am.mu.Unlock()
	clk.advance(time.Second)
	if st = c.Status(t.Context()); st[0].Version != "0.34.2" || am.asked() != 2 {
		t.Errorf("%+v after %d questions", st[0], am.asked())
	}
	clk.advance(-time.Hour)
	if c.Status(t.Context()); am.asked() != 3 {
		t.Error("a clock that was set back keeps an old answer alive")
	}
}

func TestStatusOfNobody(t *testing.T) {
	c := newClient(t, nil)
	if st := c.Status(t.Context()); len(st) != 0 {
		t.Errorf("%+v", st)
	}
	if p := c.PostTest(t.Context(), amclient.Test{Level: "soft"}); len(p.Answers) != 0 || p.Accepted() != 0 {
		t.Errorf("%+v", p)
	}
}

// While a member hangs, one caller waits for it and the others get what was known.
func TestStatusDoesNotHang(t *testing.T) {
	am, clk := newFake(t, ""), newClock()
	c := newClient(t, clk.now, am.url())
	c.Status(t.Context())
	asked, release := make(chan struct{}), make(chan struct{})
	am.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		close(asked)
		select {
		case <-r.Context().Done():
		case <-release:
		}
		return true
	})
	clk.advance(time.Minute)
	var wg sync.WaitGroup
	var slow []amclient.State
	gone, cancel := context.WithCancel(t.Context())
	wg.Go(func() { slow = c.Status(gone) })
	<-asked
	cancel() // a caller who goes away spoils nothing
	if st := c.Status(t.Context()); !st[0].Reachable {
		t.Errorf("while another asks: %+v", st)
	}
	wg.Wait()
	close(release)
	if slow[0].Reachable || slow[0].Error != "did not answer within 1s" {
		t.Errorf("%+v", slow)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, u := range []string{"", "localhost:9093", "ftp://a:1", "http://", "://", "/status"} {
		if _, err := amclient.New(amclient.Options{URLs: []string{u}}); err == nil {
			t.Errorf("%q was taken", u)
		}
	}
}

// The library prints everything it sends when DEBUG is set.
func TestDebugVariableStaysSilent(t *testing.T) {
	t.Setenv("DEBUG", "1")
	am := newFake(t, "")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stderr
	os.Stderr = write
	newClient(t, newClock().now, am.url()).PostTest(t.Context(), amclient.Test{Level: "hard"})
	os.Stderr = old
	_ = write.Close()
	buf := make([]byte, 1024)
	if n, _ := read.Read(buf); n > 0 {
		t.Errorf("printed %q", buf[:n])
	}
	_ = read.Close()
}
