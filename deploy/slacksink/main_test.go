package main

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func newTestSink(t *testing.T) *sink {
	t.Helper()
	page, err := template.New("page.html").Funcs(template.FuncMap{"mrkdwn": mrkdwn}).ParseFS(files, "page.html")
	if err != nil {
		t.Fatal(err)
	}
	return newSink(page, func() time.Time { return time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC) })
}

func (s *sink) ask(method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

func TestReceive(t *testing.T) {
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		answer                   string
	}{
		{"attachment", "POST", "/services/demo", `{"channel":"#x","attachments":[{"title":"t","unknown":1}]}`, 200, "ok"},
		{"text", "POST", "/services/demo", `{"text":"hello"}`, 200, "ok"},
		{"nothing to say", "POST", "/services/demo", `{}`, 400, "no_text"},
		{"no JSON", "POST", "/services/demo", `payload=1`, 400, "invalid_payload"},
		{"too large", "POST", "/services/demo", `{"text":"` + strings.Repeat("x", maxBody) + `"}`, 400, "invalid_payload"},
		{"another method", "GET", "/services/demo", "", 405, ""},
		{"another path", "POST", "/", "{}", 405, ""},
		{"health", "GET", "/-/healthy", "", 200, "ok"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newTestSink(t).ask(c.method, c.path, c.body)
			if w.Code != c.status || !strings.HasPrefix(w.Body.String(), c.answer) {
				t.Errorf("answered %d %s, want %d %s", w.Code, w.Body, c.status, c.answer)
			}
		})
	}
}

func TestKeepsTheNewest(t *testing.T) {
	s := newTestSink(t)
	if got := strings.TrimSpace(s.ask("GET", "/messages", "").Body.String()); got != "[]" {
		t.Errorf("messages before the first: %s", got)
	}
	for i := range kept + 5 {
		s.ask("POST", "/services/demo", fmt.Sprintf(`{"text":"number %d"}`, i))
	}
	var got []message
	if err := json.Unmarshal(s.ask("GET", "/messages", "").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != kept || got[0].Text != "number 104" || got[kept-1].Text != "number 5" {
		t.Errorf("%d messages from %q to %q", len(got), got[0].Text, got[len(got)-1].Text)
	}
}

func TestPage(t *testing.T) {
	s := newTestSink(t)
	if page := s.ask("GET", "/", "").Body.String(); !strings.Contains(page, "Nothing yet") {
		t.Errorf("empty page:\n%s", page)
	}
	s.ask("POST", "/services/demo", strings.ReplaceAll(`{"attachments":[{"color":"danger","title":"openai: hard cap","title_link":"http://127.0.0.1:3000/d/x",
		"text":"ENDrun a&lt;b --cEND *Spent:* a &lt;b&gt; &amp; <script>alert(1)</script>\nsee <https://example.com/r?a=1&b=2|runbook>",
		"fields":[{"title":"Top models","value":"gpt-6","short":true}],
		"actions":[{"text":"Silence","url":"http://127.0.0.1:9093/#/silences"},{"text":"Bad","url":"javascript:alert(1)"}]}]}`, "END", "`"))
	w := s.ask("GET", "/", "")
	page := w.Body.String()
	for _, want := range []string{
		"Mon 23 Nov 2026, 10:00:00 UTC", "border-left-color:#e01e5a", `<a href="http://127.0.0.1:3000/d/x">openai: hard cap</a>`,
		"<code>run a&lt;b --c</code>", "<b>Spent:</b> a &lt;b&gt; &amp; &lt;script&gt;", `<a href="https://example.com/r?a=1&amp;b=2">runbook</a>`,
		"<dt>Top models</dt><dd>gpt-6</dd>", `<a href="http://127.0.0.1:9093/#/silences">Silence</a>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	for _, bad := range []string{"<script", `"javascript:`} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %s", bad)
		}
	}
	if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("Content-Security-Policy %q", csp)
	}
	if w.Code != http.StatusOK {
		t.Errorf("status %d", w.Code)
	}
}
