package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/aispend/aispend/internal/hardcap"
	"github.com/aispend/aispend/spend"
)

const (
	hookSecret    = "whsec_aG9vayBzZWNyZXQgb2YgdGhlIGFwcCB0ZXN0cyAzMiE="
	hookSecretTwo = "whsec_c2Vjb25kIHNlY3JldCBvZiB0aGUgYXBwIHRlc3RzIDI="
	inboundToken  = "inbound-token-for-app-tests"
)

// userHook is the user's own endpoint: it keeps what it takes and answers as it is told.
type userHook struct {
	*httptest.Server
	mu     sync.Mutex
	answer func(http.ResponseWriter, *http.Request)
	seen   []http.Header
	bodies []string
}

func newUserHook(t *testing.T) *userHook {
	t.Helper()
	h := &userHook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		h.seen, h.bodies = append(h.seen, r.Header.Clone()), append(h.bodies, string(b))
		answer := h.answer
		h.mu.Unlock()
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *userHook) set(answer func(http.ResponseWriter, *http.Request)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = answer
}

func (h *userHook) calls() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.seen)
}

// hookSite has a hard cap of a cent on openai's month, which any bill reaches.
func hookSite(t *testing.T, h *userHook, extra string) *site {
	t.Helper()
	if spend.DayOf(time.Now()).MonthStart() == spend.DayOf(time.Now()) && time.Now().UTC().Hour() == 0 {
		t.Skip("the month is minutes old and may have cost nothing yet")
	}
	s := newSite(t)
	s.write("hook.url", h.URL+"/hard-cap?path-canary")
	s.write("hook.secret", hookSecret)
	s.write("inbound.token", inboundToken)
	s.hookCaps("0.01", extra)
	return s
}

func (s *site) hookCaps(hard, extra string) {
	s.configure(fmt.Sprintf("caps: [{scope: openai, hard_usd: %s}]\n"+
		"hard_cap: {url_file: hook.url, secret_file: hook.secret, inbound_token_file: inbound.token%s}\n", hard, extra))
}

// hint is what Alertmanager sends of openai's hard cap.
func hint(began time.Time) string {
	b, err := json.Marshal(map[string]any{"version": "4", "alerts": []map[string]any{{
		"status": "firing", "startsAt": began.Format(time.RFC3339Nano),
		"labels": map[string]string{"alertname": "AISpendCapReached", "level": "hard", "scope": "openai", "period": "month"},
	}}})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// post sends a body with a bearer token.
func (r *running) post(path, token, body string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.base+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// hintUntilTaken posts as Alertmanager does: again while it is told 503.
func (r *running) hintUntilTaken(began time.Time) (decision, id string, laters int) {
	r.t.Helper()
	var receipt hardcap.Receipt
	r.until("an answer to the alert", func() bool {
		code, body := r.post("/webhook/hard-cap", inboundToken, hint(began))
		switch code {
		case http.StatusServiceUnavailable:
			laters++
			return false
		case http.StatusOK:
			if err := json.Unmarshal([]byte(body), &receipt); err != nil {
				r.t.Fatal(err)
			}
			return true
		}
		r.t.Fatalf("%d %s", code, body)
		return false
	})
	return string(receipt.Answers[0].Decision), receipt.Answers[0].ID, laters
}

type delivery struct {
	ID, State, Reason string
	Attempts          int
	LastError         string `json:"last_error"`
	Body              json.RawMessage
}

func (r *running) deliveries() []delivery {
	r.t.Helper()
	code, body := r.call(http.MethodGet, "/hard-cap/deliveries", "admin-token-for-app-tests")
	var reply struct{ Items []delivery }
	if err := json.Unmarshal([]byte(body), &reply); err != nil || code != http.StatusOK {
		r.t.Fatalf("%d %s", code, body)
	}
	return reply.Items
}

// TestHardCapToHook: the alert is newer than the data, so the daemon pulls first; then
// the breach is kept, told, signed with every secret of the file, and told once.
func TestHardCapToHook(t *testing.T) {
	h := newUserHook(t)
	s := hookSite(t, h, "")
	s.write("hook.secret", hookSecret+"\n"+hookSecretTwo+"\n")
	r := s.mustStart()
	r.loaded()
	decision, id, laters := r.hintUntilTaken(time.Now())
	if decision != string(hardcap.Recorded) || laters == 0 {
		t.Errorf("decision %s after %d answers of 503", decision, laters)
	}
	r.until("the delivery", func() bool { return h.calls() > 0 && r.deliveries()[0].State == "delivered" })
	h.mu.Lock()
	header, body := h.seen[0], h.bodies[0]
	h.mu.Unlock()
	for _, secret := range []string{hookSecret, hookSecretTwo} {
		wh, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := wh.Verify([]byte(body), header); err != nil {
			t.Error(err)
		}
	}
	if header.Get("Webhook-Id") != id || !strings.HasPrefix(header.Get("User-Agent"), "aispend/") {
		t.Errorf("headers %v", header)
	}
	if got := r.deliveries()[0]; got.ID != id || string(got.Body) != body {
		t.Errorf("delivery %+v, sent %s", got, body)
	}
	var sent struct {
		Breaches []struct{ Total json.Number }
		Totals   map[string]json.Number
	}
	if err := json.Unmarshal([]byte(body), &sent); err != nil {
		t.Fatal(err)
	}
	all := spend.MustMoney(string(sent.Totals["openai"])).Add(spend.MustMoney(string(sent.Totals["anthropic"])))
	if sent.Breaches[0].Total != sent.Totals["openai"] || all.String() != string(sent.Totals["global"]) {
		t.Errorf("body %s", body)
	}
	if got := r.metric(`aispend_hard_cap_delivered{period="month",scope="openai"}`); got != "1" {
		t.Errorf("aispend_hard_cap_delivered %q", got)
	}
	if got := r.metric(`aispend_hook_deliveries_total{outcome="ok"}`); got != "1" {
		t.Errorf("aispend_hook_deliveries_total %q", got)
	}
	if code, body := r.post("/webhook/hard-cap", "admin-token-for-app-tests", hint(time.Now())); code != http.StatusForbidden {
		t.Errorf("the admin token beside an inbound one: %d %s", code, body)
	}
	if decision, again, _ := r.hintUntilTaken(time.Now()); decision != string(hardcap.Known) || again != id {
		t.Errorf("a repeat: %s %s", decision, again)
	}
	r.stop()
	r = s.mustStart()
	defer r.stop()
	if decision, _, _ := r.hintUntilTaken(time.Now()); decision != string(hardcap.Known) || h.calls() != 1 {
		t.Errorf("after a restart: %s, %d calls", decision, h.calls())
	}
	if strings.Contains(s.log.String(), "path-canary") || strings.Contains(s.log.String(), "whsec_") {
		t.Error("the log holds the hook's URL or secret")
	}
}

// TestReloadReachesPendingDeliveries: a raised limit cancels at once what waits for a
// hook that is down, although its next attempt is far away.
func TestReloadReachesPendingDeliveries(t *testing.T) {
	h := newUserHook(t)
	h.set(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	s := hookSite(t, h, "")
	r := s.mustStart()
	defer r.stop()
	r.loaded()
	_, first, _ := r.hintUntilTaken(time.Now())
	r.until("a failed attempt", func() bool { return r.deliveries()[0].Attempts == 1 })
	if got := r.deliveries()[0]; got.LastError != "the hook answered 503 Service Unavailable" {
		t.Errorf("delivery %+v", got)
	}
	if got := r.metric("aispend_hook_pending"); got != "1" {
		t.Errorf("aispend_hook_pending %q", got)
	}
	s.hookCaps("1e9", "")
	if code, body := r.call(http.MethodPost, "/-/reload", "admin-token-for-app-tests"); code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	r.until("the delivery is cancelled", func() bool { return r.deliveries()[0].State == "cancelled" })
	if decision, id, _ := r.hintUntilTaken(time.Now()); decision != string(hardcap.Refused) || id == first {
		t.Errorf("below the raised limit: %s %s", decision, id)
	}
	// Dry run: kept, not sent.
	n := h.calls()
	s.hookCaps("0.02", ", dry_run: true")
	r.call(http.MethodPost, "/-/reload", "admin-token-for-app-tests")
	if decision, _, _ := r.hintUntilTaken(time.Now()); decision != string(hardcap.Recorded) {
		t.Errorf("in a dry run: %s", decision)
	}
	r.until("the dry run is noted", func() bool {
		got := r.deliveries()[0]
		return got.State == "cancelled" && strings.Contains(got.Reason, "dry_run")
	})
	if got := r.metric(`aispend_hard_cap_delivered{period="month",scope="openai"}`); got != "" {
		t.Errorf("aispend_hard_cap_delivered %q in a dry run", got)
	}
	if h.calls() != n {
		t.Error("a dry run calls the hook")
	}
}

// TestStopDoesNotWaitForAHangingHook, and the attempt is made again after the start.
func TestStopDoesNotWaitForAHangingHook(t *testing.T) {
	h := newUserHook(t)
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	h.set(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	s := hookSite(t, h, "")
	r := s.mustStart()
	r.loaded()
	_, id, _ := r.hintUntilTaken(time.Now())
	r.until("the attempt", func() bool { return h.calls() == 1 })
	r.stop()
	h.set(nil)
	r = s.mustStart()
	defer r.stop()
	r.until("the delivery", func() bool { return r.deliveries()[0].State == "delivered" })
	if got := r.deliveries(); len(got) != 1 || got[0].ID != id || got[0].Attempts != 1 || h.calls() != 2 {
		t.Errorf("deliveries %+v, %d calls", got, h.calls())
	}
}

// TestEmptySecretIsNoUnsignedDelivery: a secret file that was emptied stops
// deliveries, loudly, and mending it needs no restart.
func TestEmptySecretIsNoUnsignedDelivery(t *testing.T) {
	h := newUserHook(t)
	s := hookSite(t, h, "")
	r := s.mustStart()
	defer r.stop()
	r.loaded()
	s.write("hook.secret", "\n")
	r.hintUntilTaken(time.Now())
	r.until("a failed attempt", func() bool { return r.deliveries()[0].Attempts > 0 })
	if got := r.deliveries()[0]; h.calls() != 0 || !strings.Contains(got.LastError, "hard_cap.secret") {
		t.Errorf("%d calls, delivery %+v", h.calls(), got)
	}
	// Nor is a URL taken that the configuration would have refused.
	s.write("hook.url", "http://10.0.0.1/path-canary")
	s.write("hook.secret", hookSecret)
	r.until("another failed attempt", func() bool { return strings.Contains(r.deliveries()[0].LastError, "https://") })
	s.write("hook.url", h.URL+"/hard-cap")
	code, body := r.call(http.MethodPost, "/hard-cap/deliveries/"+r.deliveries()[0].ID+"/retry", "admin-token-for-app-tests")
	if code != http.StatusAccepted {
		t.Fatalf("%d %s", code, body)
	}
	r.until("the delivery", func() bool { return r.deliveries()[0].State == "delivered" })
	if strings.Contains(s.log.String(), "path-canary") {
		t.Error("the log holds the hook's URL")
	}
}
