package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestHealthcheck asks servers that a container may find behind its own port.
func TestHealthcheck(t *testing.T) {
	t.Parallel()
	answer := func(code int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
	}
	elsewhere := http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound)
	for _, tc := range []struct {
		name   string
		server *httptest.Server
		want   int
		says   string
	}{
		{"ready", httptest.NewServer(answer(http.StatusOK)), exitOK, "ready"},
		{"ready behind TLS, with a certificate that nobody here trusts", httptest.NewTLSServer(answer(http.StatusOK)), exitOK, "ready"},
		{"not ready", httptest.NewServer(answer(http.StatusServiceUnavailable)), exitRuntime, "503"},
		{"users of a web configuration", httptest.NewServer(answer(http.StatusUnauthorized)), exitRuntime, "web.read_token_file"},
		{"redirect", httptest.NewServer(elsewhere), exitRuntime, "302"},
	} {
		var out, errs bytes.Buffer
		got := run([]string{"healthcheck", "--url=" + tc.server.URL + "/-/ready"}, &out, &errs)
		if got != tc.want || !strings.Contains(out.String()+errs.String(), tc.says) {
			t.Errorf("%s: exit code %d, want %d: %s%s", tc.name, got, tc.want, &out, &errs)
		}
		tc.server.Close()
	}
}
