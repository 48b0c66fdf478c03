package amclient_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/amclient"
	"github.com/aispend/aispend/internal/amconfig"
)

// slackMessage is as much of what Alertmanager sends to Slack as is looked at.
type slackMessage struct {
	Attachments []struct {
		Title, Text, Color string
		Fields             []struct{ Title, Value string }
		Actions            []struct{ Text, URL string }
	}
}

// sinks take what a real Alertmanager sends.
type sinks struct {
	*httptest.Server
	slack chan slackMessage
	mu    sync.Mutex
	hooks int
}

func newSinks(t *testing.T) *sinks {
	t.Helper()
	s := &sinks{slack: make(chan slackMessage, 10)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, amconfig.HookPath) {
			s.mu.Lock()
			s.hooks++
			s.mu.Unlock()
			return
		}
		var m slackMessage
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Errorf("decoding a Slack message: %v", err)
		}
		s.slack <- m
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(s.Close)
	return s
}

// realAlertmanager runs the pinned Alertmanager with the shipped configuration.
func realAlertmanager(t *testing.T, s *sinks) string {
	t.Helper()
	binary := os.Getenv("AISPEND_ALERTMANAGER")
	if binary == "" {
		t.Skip("AISPEND_ALERTMANAGER is not set: make test-e2e sets it to a pinned Alertmanager")
	}
	dir := t.TempDir()
	templates, err := filepath.Abs("../../rules/templates")
	if err != nil {
		t.Fatal(err)
	}
	token := filepath.Join(dir, "token")
	text, err := amconfig.Render(amconfig.Settings{
		SlackURL: s.URL + "/slack", Hooks: []string{s.URL + amconfig.HookPath}, HookTokenFile: token, TemplatesDir: templates,
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, b := range map[string][]byte{token: []byte("token"), filepath.Join(dir, "am.yml"): text} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "--config.file="+filepath.Join(dir, "am.yml"), "--storage.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+addr, "--cluster.listen-address=", "--web.external-url=http://"+addr)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		_ = log.Close()
		if b, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("log of Alertmanager:\n%s", b)
		}
	})
	return "http://" + addr
}

// A test alert goes through a real Alertmanager with the shipped routes: to people
// at once, each time anew, and to no hook.
func TestRealAlertmanager(t *testing.T) {
	s := newSinks(t)
	url := realAlertmanager(t, s)
	var st []amclient.State
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		st = newClient(t, nil, url).Status(t.Context())
		if st[0].Reachable {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not ready: %+v", st)
		}
	}
	if st[0].Cluster != "disabled" || st[0].Error != "" {
		t.Errorf("%+v", st[0])
	}
	c := newClient(t, nil, url, deadURL(t))
	for range 2 {
		p := c.PostTest(t.Context(), amclient.Test{
			Level: "hard", GeneratorURL: "https://spend.example", RunbookURL: "https://docs.example/test",
		})
		if p.Accepted() != 1 || !p.Answers[0].Accepted {
			t.Fatalf("%+v", p.Answers)
		}
		wantSlack(t, s)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hooks > 0 {
		t.Errorf("the kill switch was called %d times by a test", s.hooks)
	}
}

func wantSlack(t *testing.T, s *sinks) {
	t.Helper()
	var m slackMessage
	select {
	case m = <-s.slack:
	case <-time.After(30 * time.Second):
		t.Fatal("no message came")
	}
	if len(m.Attachments) != 1 {
		t.Fatalf("%+v", m)
	}
	a := m.Attachments[0]
	if want := "🔵 TEST: hard cap reached, 102.70 USD of 100.00 USD (102.7%)"; a.Title != want || a.Color != "#175cd3" {
		t.Errorf("title %q, want %q; colour %s", a.Title, want, a.Color)
	}
	for _, part := range []string{"This is a test", "*Hard limit:* 100.00 USD", "*Next:* nothing."} {
		if !strings.Contains(a.Text, part) {
			t.Errorf("%q is not in %q", part, a.Text)
		}
	}
	var fields, actions []string
	for _, f := range a.Fields {
		if fields = append(fields, f.Title); f.Value == "" {
			t.Errorf("field %s is empty", f.Title)
		}
	}
	for _, x := range a.Actions {
		if actions = append(actions, x.Text); !strings.HasPrefix(x.URL, "http") {
			t.Errorf("action %s leads to %q", x.Text, x.URL)
		}
	}
	if !cmp.Equal(fields, []string{"Firing since", "Data through", "Top models"}) ||
		!cmp.Equal(actions, []string{"Dashboard", "Runbook", "Silence"}) {
		t.Errorf("fields %q, actions %q", fields, actions)
	}
}
