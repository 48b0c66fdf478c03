package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// alertmanager takes every alert and tells a status; posts counts the alerts.
func alertmanager(t *testing.T, version string) (url string, posts *atomic.Int32) {
	t.Helper()
	posts = &atomic.Int32{}
	am := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts.Add(1)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"cluster":{"status":"ready","peers":[]},"config":{"original":""},
			"uptime":"2026-11-23T12:00:00Z","versionInfo":{"version":%q}}`, version)
	}))
	t.Cleanup(am.Close)
	return am.URL, posts
}

// TestTestAlert sends one through the Alertmanager of the configuration in force,
// which a reload changes.
func TestTestAlert(t *testing.T) {
	s := newSite(t)
	r := s.mustStart()
	defer r.stop()
	const admin = "admin-token-for-app-tests"
	code, body := r.call(http.MethodPost, "/test/alert", admin)
	if code != http.StatusConflict || !strings.Contains(body, "alertmanager.urls") {
		t.Errorf("without an Alertmanager: %d %s", code, body)
	}
	first, posts := alertmanager(t, "0.31.1")
	s.configure("alertmanager: {urls: [" + first + "]}\nlinks: {dashboard_url: 'https://grafana.example/d/caps'}\n")
	s.mustReload(r)
	if code, body = r.call(http.MethodPost, "/test/alert?level=hard", admin); code != http.StatusOK ||
		!strings.Contains(body, `"version":"0.31.1"`) || posts.Load() != 1 {
		t.Errorf("%d alerts: %d %s", posts.Load(), code, body)
	}
	second, _ := alertmanager(t, "0.34.2")
	s.configure("alertmanager: {urls: [" + second + ", 'http://127.0.0.1:1']}\n")
	s.mustReload(r)
	_, body = r.call(http.MethodGet, "/status", "")
	for _, want := range []string{
		`{"url":"` + second + `","reachable":true,"version":"0.34.2","cluster_status":"ready"}`,
		`{"url":"http://127.0.0.1:1","reachable":false,"error":"`, `"Alertmanager http://127.0.0.1:1 cannot be reached: `,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not in %s", want, body)
		}
	}
	if code, body = r.call(http.MethodPost, "/test/alert", admin); code != http.StatusOK ||
		!strings.Contains(body, `"accepted":false`) || posts.Load() != 1 {
		t.Errorf("after the reload: %d %s", code, body)
	}
}

func (s *site) mustReload(r *running) {
	s.t.Helper()
	if code, body := r.call(http.MethodPost, "/-/reload", "admin-token-for-app-tests"); code != http.StatusOK {
		s.t.Fatalf("reload: %d %s", code, body)
	}
}
