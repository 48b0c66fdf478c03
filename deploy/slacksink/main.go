// Command slacksink stands in for Slack in the demo stack: it takes what an incoming
// webhook takes and shows the last messages as a page. It keeps them in memory.
package main

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html"
	"html/template"
	"io"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	kept    = 100     // messages
	maxBody = 1 << 20 // bytes of one
)

//go:embed page.html
var files embed.FS

func main() {
	listen := flag.String("listen", "127.0.0.1:8060", "address to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *listen); err != nil {
		fmt.Fprintln(os.Stderr, "slacksink:", err)
		os.Exit(1) //nolint:forbidigo // this is a command
	}
}

// serve answers on addr until ctx ends.
func serve(ctx context.Context, addr string) error {
	page, err := template.New("page.html").Funcs(template.FuncMap{"mrkdwn": mrkdwn}).ParseFS(files, "page.html")
	if err != nil {
		return fmt.Errorf("parsing the page: %w", err)
	}
	server := &http.Server{
		Addr: addr, Handler: newSink(page, time.Now).handler(),
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
	}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

// message is the part of an incoming webhook's body that Alertmanager fills.
type message struct {
	At          time.Time    `json:"at"`
	Channel     string       `json:"channel,omitempty"`
	Username    string       `json:"username,omitempty"`
	Text        string       `json:"text,omitempty"`
	Attachments []attachment `json:"attachments,omitempty"`
}

type attachment struct {
	Color     string   `json:"color,omitempty"`
	Fallback  string   `json:"fallback,omitempty"`
	Pretext   string   `json:"pretext,omitempty"`
	Title     string   `json:"title,omitempty"`
	TitleLink string   `json:"title_link,omitempty"`
	Text      string   `json:"text,omitempty"`
	Footer    string   `json:"footer,omitempty"`
	Fields    []field  `json:"fields,omitempty"`
	Actions   []action `json:"actions,omitempty"`
}

type field struct {
	Title string `json:"title"`
	Value string `json:"value"`
	Short bool   `json:"short,omitempty"`
}

type action struct {
	Text string `json:"text"`
	URL  string `json:"url"`
}

// sink keeps the newest messages. It is safe for concurrent use.
type sink struct {
	page *template.Template
	now  func() time.Time

	mu       sync.Mutex
	messages []message // newest first
}

func newSink(page *template.Template, now func() time.Time) *sink {
	return &sink{page: page, now: now}
}

func (s *sink) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /messages", s.list)
	mux.HandleFunc("GET /{$}", s.show)
	mux.HandleFunc("POST /services/", s.receive)
	return mux
}

// receive answers like Slack: "ok", or a word for what is wrong.
func (s *sink) receive(w http.ResponseWriter, r *http.Request) {
	var m message
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&m); err != nil {
		http.Error(w, "invalid_payload", http.StatusBadRequest)
		return
	}
	if m.Text == "" && len(m.Attachments) == 0 {
		http.Error(w, "no_text", http.StatusBadRequest)
		return
	}
	m.At = s.now().UTC()
	s.mu.Lock()
	s.messages = slices.Insert(s.messages, 0, m)
	s.messages = s.messages[:min(len(s.messages), kept)]
	s.mu.Unlock()
	_, _ = io.WriteString(w, "ok")
}

func (s *sink) newest() []message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// list gives the messages as JSON, newest first.
func (s *sink) list(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(append([]message{}, s.newest()...))
}

func (s *sink) show(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_ = s.page.Execute(w, s.newest())
}

// Bar is the color of the attachment's edge, grey if it is none that CSS knows.
func (a attachment) Bar() template.CSS {
	named := map[string]string{"good": "#2eb67d", "warning": "#ecb22e", "danger": "#e01e5a"}
	c := cmp.Or(named[a.Color], a.Color)
	if !regexp.MustCompile(`^#[0-9a-fA-F]{6}$`).MatchString(c) {
		c = "#999999"
	}
	return template.CSS("border-left-color:" + c) //nolint:gosec // checked right above
}

var (
	mrkdwnLink = regexp.MustCompile(`&lt;(https?://[^|\s]+)\|([^&]+)&gt;`)
	mrkdwnCode = regexp.MustCompile("`([^`\n]+)`")
	mrkdwnBold = regexp.MustCompile(`\*([^*\n]+)\*`)
)

// mrkdwn shows the part of Slack's markup that the templates use: bold words,
// links, and the three escapes.
func mrkdwn(text string) template.HTML {
	plain := strings.NewReplacer("&lt;", "\x00", "&gt;", "\x01", "&amp;", "&").Replace(text)
	safe := html.EscapeString(plain)
	safe = mrkdwnLink.ReplaceAllString(safe, `<a href="$1">$2</a>`)
	safe = mrkdwnCode.ReplaceAllString(safe, "<code>$1</code>")
	safe = mrkdwnBold.ReplaceAllString(safe, "<b>$1</b>")
	safe = strings.NewReplacer("\x00", "&lt;", "\x01", "&gt;").Replace(safe)
	return template.HTML(safe) //nolint:gosec // all of the text is escaped above
}
