package amclient_test

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
)

// posted is an alert as it comes over the wire.
type posted struct {
	Labels       map[string]string
	Annotations  map[string]string
	StartsAt     time.Time
	EndsAt       time.Time
	GeneratorURL string
}

// fakeAM behaves like the API v2 of Alertmanager 0.31 and 0.34 as far as the traps
// of toolchain.md section 4 say.
type fakeAM struct {
	*httptest.Server
	prefix  string
	version string
	// before, if set, may answer a request itself.
	before func(w http.ResponseWriter, r *http.Request) (answered bool)

	mu       sync.Mutex
	alerts   []posted
	statuses int
	agents   []string
}

func newFake(t *testing.T, prefix string) *fakeAM {
	t.Helper()
	f := &fakeAM{prefix: prefix, version: "0.31.1"}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeAM) url() string { return f.URL + f.prefix }

func (f *fakeAM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.agents = append(f.agents, r.Header.Get("User-Agent"))
	before := f.before
	f.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	switch path, ok := strings.CutPrefix(r.URL.Path, f.prefix+"/api/v2/"); {
	case !ok:
		http.NotFound(w, r)
	case r.Method == http.MethodGet && path == "status":
		f.status(w)
	case r.Method == http.MethodPost && path == "alerts":
		f.post(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (f *fakeAM) status(w http.ResponseWriter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.statuses++
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"cluster":{"name":"01J","peers":[{"address":"10.0.0.1:9094","name":"a"},
		{"address":"10.0.0.2:9094","name":"b"}],"status":"ready"},
		"config":{"original":"route: {receiver: x}\n"},"uptime":"2026-11-23T17:00:00.000Z",
		"versionInfo":{"branch":"","buildDate":"","buildUser":"","goVersion":"go1.26.8","revision":"","version":%q}}`, f.version)
}

func (f *fakeAM) post(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, `{"code":415,"message":"unsupported media type"}`, http.StatusUnsupportedMediaType)
		return
	}
	body, _ := io.ReadAll(r.Body)
	var alerts []posted
	if err := json.Unmarshal(body, &alerts); err != nil {
		refuse(w, "parsing alerts body: "+err.Error())
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range alerts {
		switch {
		case len(a.Labels) == 0:
			refuse(w, "at least one label pair required")
			return
		case a.StartsAt.IsZero() || a.EndsAt.Before(a.StartsAt):
			refuse(w, "start time must be before end time")
			return
		}
		f.alerts = append(f.alerts, a)
	}
}

func refuse(w http.ResponseWriter, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(why)
}

func (f *fakeAM) received() []posted {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]posted{}, f.alerts...)
}

func (f *fakeAM) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.statuses
}

func (f *fakeAM) intercept(before func(w http.ResponseWriter, r *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before = before
}

// answering answers everything in one way.
func answering(code int, contentType, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
		return true
	}
}
