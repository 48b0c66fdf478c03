package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/api"
	"github.com/aispend/aispend/internal/hardcap"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// hook answers as it is told and remembers what it was given.
type hook struct {
	receipt  hardcap.Receipt
	err      error
	events   []hardcap.Event
	retryErr error
	payloads []string
	retried  []string
}

func (h *hook) Receive(_ context.Context, payload []byte) (hardcap.Receipt, error) {
	h.payloads = append(h.payloads, string(payload))
	return h.receipt, h.err
}

func (h *hook) Deliveries() []hardcap.Event { return h.events }

func (h *hook) Retry(_ context.Context, id string) (hardcap.Event, error) {
	h.retried = append(h.retried, id)
	return hardcap.Event{ID: id, State: hardcap.Pending}, h.retryErr
}

const inboundToken = "inbound-canary-20ad"

func body(text string) func(*http.Request) {
	return func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	}
}

// An inbound token is the only one that opens the webhook, for Alertmanager's
// configuration is read by more people than the admin token is for.
func TestInboundToken(t *testing.T) {
	both := api.Tokens{Admin: []string{adminToken}, Read: []string{readToken}, Inbound: []string{"old", inboundToken}}
	unreadable := api.Tokens{Admin: []string{adminToken}, InboundSet: true}
	for _, tc := range []struct {
		name   string
		tokens api.Tokens
		token  string
		want   int
	}{
		{"inbound", both, inboundToken, 200},
		{"inbound, rotated", both, "old", 200},
		{"admin", both, adminToken, 403},
		{"read", both, readToken, 403},
		{"wrong", both, wrongToken, 401},
		{"none", both, "", 401},
		{"file unreadable, admin", unreadable, adminToken, 503},
		{"file unreadable, empty", unreadable, "", 503},
		{"inbound alone", api.Tokens{Inbound: []string{inboundToken}}, inboundToken, 200},
		{"no token at all", api.Tokens{}, inboundToken, 403},
		{"no inbound token, admin", api.Tokens{Admin: []string{adminToken}}, adminToken, 200},
	} {
		k := newKit(t)
		k.tokens = tc.tokens
		w := k.do(http.MethodPost, "/webhook/hard-cap", tc.token, body("{}"))
		if w.Code != tc.want {
			t.Errorf("%s: %d, want %d: %s", tc.name, w.Code, tc.want, w.Body)
		}
		if got := len(k.hook.payloads); (got == 1) != (tc.want == 200) {
			t.Errorf("%s: %d payloads reached the hook", tc.name, got)
		}
		if strings.Contains(k.log.String(), inboundToken) || strings.Contains(w.Body.String(), inboundToken) {
			t.Errorf("%s: the token is told", tc.name)
		}
	}
	k := newKit(t)
	k.tokens = both
	if w := k.do(http.MethodGet, "/status", inboundToken); w.Code != http.StatusUnauthorized {
		t.Errorf("the inbound token reads /status: %d", w.Code)
	}
}

func TestWebhookAnswers(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("openai/month: %w", err) }
	for name, tc := range map[string]struct {
		err    error
		status int
		detail string
	}{
		"later":                   {wrap(hardcap.ErrLater), 503, "openai/month: not yet"},
		"later and truncated":     {errors.Join(hardcap.ErrTruncated, hardcap.ErrLater), 503, "not yet"},
		"truncated":               {wrap(hardcap.ErrTruncated), 400, "cut off"},
		"malformed":               {wrap(hardcap.ErrPayload), 400, "version 4"},
		"full disk":               {wrap(store.ErrLowSpace), 503, "free disk space"},
		"damaged":                 {wrap(store.ErrCorrupt), 503, "damaged"},
		"something else entirely": {errors.New("secret-canary"), 503, "its log has the details"},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			k.tokens = api.Tokens{Inbound: []string{inboundToken}}
			k.hook.err = tc.err
			w := k.do(http.MethodPost, "/webhook/hard-cap", inboundToken, body("{}"))
			p := wantProblem(t, w, tc.status)
			mustContain(t, p.Detail, tc.detail)
			if strings.Contains(w.Body.String(), "secret-canary") {
				t.Error("an error of inside is told")
			}
			if retry := w.Header().Get("Retry-After"); errors.Is(tc.err, hardcap.ErrLater) != (retry != "") {
				t.Errorf("Retry-After %q", retry)
			}
		})
	}
}

func TestWebhookHandsOverTheWholeBody(t *testing.T) {
	k := newKit(t)
	k.tokens = api.Tokens{Inbound: []string{inboundToken}}
	k.hook.receipt = hardcap.Receipt{Answers: []hardcap.Answer{{
		Scope: "openai", Period: "month", Decision: hardcap.Recorded, ID: "hc_1", State: hardcap.Pending, Reason: "because",
	}}, Ignored: 2}
	text := strings.Repeat(" ", 1<<20-2) + "{}"
	w := k.do(http.MethodPost, "/webhook/hard-cap", inboundToken, body(text))
	wantOK(t, w)
	if len(k.hook.payloads) != 1 || k.hook.payloads[0] != text {
		t.Error("the body did not arrive as it was sent")
	}
	want := `{"answers":[{"scope":"openai","period":"month","decision":"recorded","id":"hc_1","state":"pending",` +
		`"reason":"because"}],"ignored":2}` + "\n"
	if got := w.Body.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	p := wantProblem(t, k.do(http.MethodPost, "/webhook/hard-cap", inboundToken, body(text+" ")), http.StatusRequestEntityTooLarge)
	mustContain(t, p.Detail, "group_by")
	wantProblem(t, k.do(http.MethodPost, "/webhook/hard-cap?x=1", inboundToken, body("{}")), http.StatusBadRequest)
	wantProblem(t, k.do(http.MethodGet, "/webhook/hard-cap", inboundToken), http.StatusMethodNotAllowed)
	if len(k.hook.payloads) != 1 {
		t.Errorf("%d payloads reached the hook", len(k.hook.payloads))
	}
}

func event(id string, state hardcap.State) hardcap.Event {
	return hardcap.Event{
		ID: id, Scope: "openai", Period: "month", PeriodStart: day("2026-11-01"), PeriodEnd: day("2026-12-01"),
		Threshold: spend.MustMoney("1000"), Total: spend.MustMoney("1000.0000000000000001"), State: state,
		TriggeredAt: noon(), Recorded: noon().Add(time.Second), Changed: noon().Add(2 * time.Second),
		Body: json.RawMessage(`{"canary":true}`), Endpoint: "canary", DataThrough: noon().Add(-time.Minute),
	}
}

func TestDeliveriesListTheOutbox(t *testing.T) {
	k := newKit(t)
	k.tokens = api.Tokens{Admin: []string{adminToken}}
	e := event("hc_1", hardcap.Pending)
	e.Attempts, e.LastAttempt, e.NextAttempt, e.Status, e.LastError = 2, noon(), noon().Add(time.Minute), 502, "the hook answered 502"
	k.hook.events = []hardcap.Event{e, {ID: "hc_t", Test: true, State: hardcap.Rejected, Reason: "a test"}}
	w := k.do(http.MethodGet, "/hard-cap/deliveries", adminToken)
	wantOK(t, w)
	want := `{"items":[{"id":"hc_1","scope":"openai","period":"month","period_start":"2026-11-01T00:00:00Z",` +
		`"period_end":"2026-12-01T00:00:00Z","threshold_usd":1000,"total_usd":1000.0000000000000001,` +
		`"data_through":"2026-11-23T11:59:00Z","state":"pending","attempts":2,"last_attempt":"2026-11-23T12:00:00Z",` +
		`"next_attempt":"2026-11-23T12:01:00Z","last_status":502,"last_error":"the hook answered 502",` +
		`"triggered_at":"2026-11-23T12:00:00Z","recorded_at":"2026-11-23T12:00:01Z","changed_at":"2026-11-23T12:00:02Z","body":{"canary":true}},` +
		`{"id":"hc_t","scope":"","period":"","period_start":null,"period_end":null,"threshold_usd":0,"total_usd":0,` +
		`"data_through":null,"state":"rejected","reason":"a test","test":true,"attempts":0,"last_attempt":null,` +
		`"next_attempt":null,"triggered_at":"0001-01-01T00:00:00Z","recorded_at":"0001-01-01T00:00:00Z",` +
		`"changed_at":"0001-01-01T00:00:00Z"}],"cursor":""}` + "\n"
	if diff := cmp.Diff(want, w.Body.String()); diff != "" {
		t.Error(diff)
	}
}

func TestDeliveriesInPages(t *testing.T) {
	k := newKit(t)
	k.tokens = api.Tokens{Admin: []string{adminToken}}
	var want []string
	for i := range 10 {
		state := hardcap.Delivered
		if i%3 == 0 {
			state = hardcap.Dead
		}
		id := fmt.Sprintf("hc_%d", i)
		k.hook.events = append(k.hook.events, event(id, state))
		if state == hardcap.Delivered {
			want = append(want, id)
		}
	}
	var got []string
	cursor := ""
	for range 10 {
		w := k.do(http.MethodGet, "/hard-cap/deliveries?state=delivered&limit=2&cursor="+cursor, adminToken)
		if cursor == "" {
			w = k.do(http.MethodGet, "/hard-cap/deliveries?state=delivered&limit=2", adminToken)
		}
		wantOK(t, w)
		var page struct {
			Items  []struct{ ID string }
			Cursor string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
			t.Fatal(err)
		}
		for _, it := range page.Items {
			got = append(got, it.ID)
		}
		if cursor = page.Cursor; cursor == "" {
			break
		}
		k.hook.events = append([]hardcap.Event{event("hc_new"+cursor, hardcap.Delivered)}, k.hook.events...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, query := range []string{"state=sent", "state=", "limit=0", "limit=1001", "limit=x", "cursor=hc_none", "foo=1"} {
		wantProblem(t, k.do(http.MethodGet, "/hard-cap/deliveries?"+query, adminToken), http.StatusBadRequest)
	}
}

func TestRetry(t *testing.T) {
	k := newKit(t)
	k.tokens = api.Tokens{Admin: []string{adminToken}}
	w := k.do(http.MethodPost, "/hard-cap/deliveries/hc_1/retry", adminToken)
	if w.Code != http.StatusAccepted || !strings.Contains(w.Body.String(), `"state":"pending"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w.Header().Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("content type %q", w.Header().Get("Content-Type"))
	}
	k.hook.retryErr = fmt.Errorf("%w: its period is over", hardcap.ErrNotRetried)
	p := wantProblem(t, k.do(http.MethodPost, "/hard-cap/deliveries/hc_1/retry", adminToken), http.StatusConflict)
	mustContain(t, p.Detail, "its period is over")
	k.hook.retryErr = hardcap.ErrUnknown
	p = wantProblem(t, k.do(http.MethodPost, "/hard-cap/deliveries/hc_2/retry", adminToken), http.StatusNotFound)
	mustContain(t, p.Detail, "GET /hard-cap/deliveries")
	n := len(k.hook.retried)
	wantProblem(t, k.do(http.MethodPost, "/hard-cap/deliveries/"+strings.Repeat("x", 65)+"/retry", adminToken), http.StatusNotFound)
	wantProblem(t, k.do(http.MethodPost, "/hard-cap/deliveries//retry", adminToken), http.StatusNotFound)
	wantProblem(t, k.do(http.MethodPost, "/hard-cap/deliveries/hc_1/retry", adminToken, body("{}")), http.StatusBadRequest)
	wantProblem(t, k.do(http.MethodPost, "/hard-cap/deliveries/hc_1/retry?force", adminToken), http.StatusBadRequest)
	if len(k.hook.retried) != n {
		t.Errorf("retried %q", k.hook.retried[n:])
	}
}
