package collector

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// A client is known only while a request of it is here: addresses are many.
func TestGateForgetsClients(t *testing.T) {
	g := newGate(nil)
	during := 0
	g.next = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { during = len(g.clients) })
	g.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if during != 1 || len(g.clients) != 0 {
		t.Errorf("%d clients known during a request and %d after it, want 1 and 0", during, len(g.clients))
	}
}
