package api_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/aispend/aispend/internal/api"
)

func alertKit(t *testing.T, answers ...api.AlertAnswer) (*kit, *[]string) {
	t.Helper()
	var levels []string
	k := newKit(t, func(d *api.Deps) {
		d.TestAlert = func(_ context.Context, level string) api.TestAlert {
			levels = append(levels, level)
			return api.TestAlert{
				Labels: map[string]string{"alertname": "AISpendTest", "level": level}, StartsAt: noon(),
				EndsAt: noon().Add(300e9), Answers: answers,
			}
		}
	})
	k.tokens = api.Tokens{Admin: []string{adminToken}}
	return k, &levels
}

func TestTestAlertSaysWhatEachAlertmanagerSaid(t *testing.T) {
	k, levels := alertKit(t,
		api.AlertAnswer{URL: "http://a:9093", Error: "connection refused"},
		api.AlertAnswer{URL: "http://b:9093/am", Accepted: true, Version: "0.34.2"},
	)
	w := k.do(http.MethodPost, "/test/alert?level=hard", adminToken)
	wantOK(t, w)
	want := `{"labels":{"alertname":"AISpendTest","level":"hard"},` +
		`"starts_at":"2026-11-23T12:00:00Z","ends_at":"2026-11-23T12:05:00Z",` +
		`"alertmanagers":[{"url":"http://a:9093","accepted":false,"error":"connection refused"},` +
		`{"url":"http://b:9093/am","accepted":true,"version":"0.34.2"}]}` + "\n"
	if got := w.Body.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	wantOK(t, k.do(http.MethodPost, "/test/alert", adminToken))
	if len(*levels) != 2 || (*levels)[0] != "hard" || (*levels)[1] != "soft" {
		t.Errorf("levels %q", *levels)
	}
}

func TestTestAlertThatNobodyAccepts(t *testing.T) {
	k, _ := alertKit(t,
		api.AlertAnswer{URL: "http://a:9093", Error: "connection refused"},
		api.AlertAnswer{URL: "http://b:9093", Error: "answered 404 Not Found"},
	)
	p := wantProblem(t, k.do(http.MethodPost, "/test/alert", adminToken), http.StatusBadGateway)
	mustContain(t, p.Detail, "http://a:9093 connection refused", "http://b:9093 answered 404 Not Found")
}

func TestTestAlertWithoutAlertmanager(t *testing.T) {
	k, _ := alertKit(t)
	p := wantProblem(t, k.do(http.MethodPost, "/test/alert", adminToken), http.StatusConflict)
	mustContain(t, p.Detail, "alertmanager.urls", "reload")
	none := newKit(t, func(d *api.Deps) { d.TestAlert, d.Alertmanagers = nil, nil })
	none.tokens = k.tokens
	wantProblem(t, none.do(http.MethodPost, "/test/alert", adminToken), http.StatusConflict)
	w := none.get("/status")
	wantOK(t, w)
	mustContain(t, w.Body.String(), `"alertmanagers":[]`)
}

func TestTestAlertSendsNothingThatWasNotAskedFor(t *testing.T) {
	k, levels := alertKit(t, api.AlertAnswer{Accepted: true})
	for _, query := range []string{"?level=medium", "?level=", "?level=soft&level=hard", "?levels=hard"} {
		wantProblem(t, k.do(http.MethodPost, "/test/alert"+query, adminToken), http.StatusBadRequest)
	}
	wantProblem(t, k.do(http.MethodGet, "/test/alert", adminToken), http.StatusMethodNotAllowed)
	wantProblem(t, k.do(http.MethodPost, "/test/alert", ""), http.StatusUnauthorized)
	if len(*levels) != 0 {
		t.Errorf("sent %q", *levels)
	}
}
