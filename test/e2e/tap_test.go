package e2e_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/amconfig"
	"github.com/aispend/aispend/test/e2e/receiver"
)

// gate lets requests pass, or keeps them waiting while it is shut.
type gate struct {
	mu   sync.Mutex
	shut chan struct{} // nil while it is open; closed when it opens
}

// shutGate keeps what comes from now on.
func (g *gate) shutGate() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut == nil {
		g.shut = make(chan struct{})
	}
}

func (g *gate) openGate() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

// pass waits until the gate is open; false means that the client has gone away.
func (g *gate) pass(r *http.Request) bool {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut == nil {
		return true
	}
	select {
	case <-shut:
		return true
	case <-r.Context().Done():
		return false
	}
}

// replica is what lies before one daemon: its address, a tap on the way from
// Alertmanager, and a gate on the way to the provider.
type replica struct {
	address  string
	direct   bool
	tap      *tap
	openAI   *httptest.Server
	provider gate
}

func newReplica(t *testing.T, c *company, direct bool) *replica {
	t.Helper()
	r := &replica{address: freeAddress(t), direct: direct}
	r.tap = newTap(t, "http://"+r.address)
	simulated, err := url.Parse(c.servers.OpenAI)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:      func(p *httputil.ProxyRequest) { p.SetURL(simulated) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	r.openAI = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if r.provider.pass(req) {
			proxy.ServeHTTP(w, req)
		}
	}))
	t.Cleanup(func() {
		r.provider.openGate()
		r.openAI.Close()
	})
	return r
}

// url is what Alertmanager is told to call.
func (r *replica) url() string {
	if r.direct {
		return "http://" + r.address
	}
	return r.tap.server.URL
}

// hookCall is a call of the daemon's POST /webhook/hard-cap: Alertmanager's payload,
// version 4, and what the daemon answered.
type hookCall struct {
	At     time.Time         `json:"-"`
	Header http.Header       `json:"-"`
	Raw    []byte            `json:"-"`
	Answer int               `json:"-"` // 0: none yet; 502: the daemon was not there
	Group  map[string]string `json:"groupLabels"`
	Status string            `json:"status"`
	Alerts []struct {
		Status string            `json:"status"`
		Labels map[string]string `json:"labels"`
	} `json:"alerts"`
	Version string `json:"version"`
}

// tap lies between Alertmanager and a daemon. It changes nothing, remembers all, and
// can be shut.
type tap struct {
	inbox[*hookCall]
	gate

	target string
	server *httptest.Server
}

func newTap(t *testing.T, target string) *tap {
	p := &tap{target: target}
	p.server = httptest.NewServer(p)
	t.Cleanup(func() {
		p.openGate()
		p.server.Close()
	})
	return p
}

func (p *tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return // Alertmanager is gone
	}
	call := &hookCall{At: time.Now(), Header: r.Header, Raw: raw}
	if err := json.Unmarshal(raw, call); err != nil || call.Version != "4" || r.URL.Path != amconfig.HookPath {
		p.complain("tap: %s, version %q, error %v", r.URL.Path, call.Version, err)
	}
	p.add(call)
	if !p.pass(r) {
		return
	}
	req, err := http.NewRequestWithContext(r.Context(), r.Method, p.target+r.URL.Path, bytes.NewReader(raw))
	if err != nil {
		panic(err) // the address is ours
	}
	req.Header = r.Header.Clone()
	answer, body := http.StatusBadGateway, []byte(nil)
	if resp, err := http.DefaultClient.Do(req); err == nil {
		answer = resp.StatusCode
		body, _ = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	p.mark(call, answer)
	w.WriteHeader(answer)
	_, _ = w.Write(body)
}

func (p *tap) mark(c *hookCall, answer int) {
	p.inbox.mu.Lock()
	defer p.inbox.mu.Unlock()
	c.Answer = answer
}

// calls returns the calls about a scope that the daemon answered so.
func (p *tap) calls(scope string, answer int) []hookCall {
	p.inbox.mu.Lock()
	defer p.inbox.mu.Unlock()
	var out []hookCall
	for _, c := range p.got {
		if c.Group["scope"] == scope && c.Answer == answer {
			out = append(out, *c)
		}
	}
	return out
}

// snapshot returns copies of all calls.
func (p *tap) snapshot() []hookCall {
	p.inbox.mu.Lock()
	defer p.inbox.mu.Unlock()
	var out []hookCall
	for _, c := range p.got {
		out = append(out, *c)
	}
	return out
}

// newReceiver starts the user's hook.
func newReceiver(t *testing.T, now func() time.Time) *receiver.Receiver {
	t.Helper()
	r, err := receiver.New(freeAddress(t), now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Set(receiver.Refuse) })
	return r
}
