package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// inbox keeps what a sink received, in order.
type inbox[T any] struct {
	mu  sync.Mutex
	got []T
	bad []string
}

func (b *inbox[T]) add(v T) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, v)
}

// complain notes something that a real receiver would have refused.
func (b *inbox[T]) complain(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bad = append(b.bad, fmt.Sprintf(format, args...))
}

// all returns what was received so far.
func (b *inbox[T]) all() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.got)
}

func (b *inbox[T]) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.bad)
}

// slackMessage is the body of an incoming webhook, as far as Slack documents it
// for attachments.
type slackMessage struct {
	At   time.Time       `json:"-"`
	Raw  json.RawMessage `json:"-"`
	Path string          `json:"-"`

	Channel     string            `json:"channel"`
	Username    string            `json:"username"`
	Text        string            `json:"text"`
	Attachments []slackAttachment `json:"attachments"`
}

type slackAttachment struct {
	Color     string `json:"color"`
	Fallback  string `json:"fallback"`
	Title     string `json:"title"`
	TitleLink string `json:"title_link"`
	Text      string `json:"text"`
	Footer    string `json:"footer"`
	Fields    []struct {
		Title string `json:"title"`
		Value string `json:"value"`
		Short bool   `json:"short"`
	} `json:"fields"`
	Actions []struct {
		Type string `json:"type"`
		Text string `json:"text"`
		URL  string `json:"url"`
	} `json:"actions"`
}

// words is everything a person or a click would find in the message.
func (m slackMessage) words() string {
	var b strings.Builder
	b.WriteString(m.Text + "\n")
	for _, a := range m.Attachments {
		fmt.Fprintln(&b, a.Title, a.TitleLink, a.Fallback, a.Text, a.Footer)
		for _, f := range a.Fields {
			fmt.Fprintf(&b, "%s: %s\n", f.Title, f.Value)
		}
		for _, l := range a.Actions {
			fmt.Fprintln(&b, l.Text, l.URL)
		}
	}
	return b.String()
}

// title is the line that a phone shows.
func (m slackMessage) title() string {
	if len(m.Attachments) == 0 {
		return m.Text
	}
	return m.Attachments[0].Title
}

const slackPath = "/services/T000/B000/secret-part"

type slackSink struct {
	inbox[slackMessage]

	server *httptest.Server
}

func newSlackSink(t *testing.T) *slackSink {
	s := &slackSink{}
	s.server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.server.Close)
	return s
}

func (s *slackSink) url() string { return s.server.URL + slackPath }

// serve takes what Slack takes and answers as it does.
func (s *slackSink) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	m := slackMessage{At: time.Now(), Raw: body, Path: r.URL.Path}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.Method != http.MethodPost || r.URL.Path != slackPath:
		s.complain("slack: %s %s", r.Method, r.URL.Path)
		http.Error(w, "no_team", http.StatusNotFound)
		return
	case kind != "application/json" || json.Unmarshal(body, &m) != nil:
		s.complain("slack: %s with body %s", kind, body)
		http.Error(w, "invalid_payload", http.StatusBadRequest)
		return
	case m.Text == "" && len(m.Attachments) == 0:
		s.complain("slack: no text: %s", body)
		http.Error(w, "no_text", http.StatusBadRequest)
		return
	}
	s.add(m)
	_, _ = io.WriteString(w, "ok")
}

// watchdogCall is as much of Alertmanager's webhook payload, version 4, as a dead
// man's switch looks at.
type watchdogCall struct {
	Version string `json:"version"`
}

// hookSink is a dead man's switch.
type hookSink struct {
	inbox[watchdogCall]

	server *httptest.Server
}

func newHookSink(t *testing.T) *hookSink {
	s := &hookSink{}
	s.server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var c watchdogCall
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil || c.Version != "4" {
			s.complain("webhook: version %q, error %v", c.Version, err)
		}
		s.add(c)
	}))
	t.Cleanup(s.server.Close)
	return s
}

// mailerCall is the body that ALERT_EMAIL_WEBHOOK of the original worker got.
type mailerCall struct {
	Subject string `json:"subject"`
	Text    string `json:"text"`
	HTML    string `json:"html"`
}

// mailerSink stands where ALERT_EMAIL_WEBHOOK points.
type mailerSink struct {
	inbox[mailerCall]

	server *httptest.Server
}

func newMailerSink(t *testing.T) *mailerSink {
	s := &mailerSink{}
	s.server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var c mailerCall
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(&c); err != nil || c.Subject == "" || c.Text == "" || c.HTML == "" {
			s.complain("mailer: %+v, error %v", c, err)
		}
		s.add(c)
	}))
	t.Cleanup(s.server.Close)
	return s
}
