package simulator

import (
	"compress/gzip"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// api is what differs between the vendors.
type api interface {
	// provider returns the vendor's name.
	provider() string
	// source returns the source a path belongs to, or "" for an unknown path.
	source(path string) string
	// key returns the key that a request carries.
	key(r *http.Request) string
	// authorise returns nil for a request that may read.
	authorise(r *http.Request) *failure
	// endpoint returns what else a path is, or nil: keys and spend limits.
	endpoint(path string) *endpoint
	// page answers a request that may read.
	page(path string, q url.Values, r *http.Request) (*page, *failure)
	// tokenPrefix returns what page tokens of a path begin with.
	tokenPrefix(path string) string
	// headers sets what the vendor sends with every answer.
	headers(h http.Header, requestID string)
	// requestID makes the id of the n-th request.
	requestID(n uint64) string
	// methodNotAllowed and notFound answer what they say.
	methodNotAllowed(r *http.Request) *failure
	notFound(r *http.Request) *failure
}

// failure is an error answer.
type failure struct {
	status int
	body   []byte
	ctype  string
	header map[string]string
}

// Request is one request that a World was asked, and how it answered.
type Request struct {
	Time     time.Time // on the world's clock
	Provider string
	Source   string // "openai/costs"; empty for a path that no source uses
	Method   string
	Path     string
	RawQuery string
	Query    url.Values
	Headers  []string // canonical names, sorted
	Agent    string   // User-Agent
	Key      string   // as sent, without "Bearer "
	Body     string   // of a request about keys or limits, up to 1 MiB
	Page     int      // 1 for a first page, else what the page token says; 0 if it says nothing
	Status   int      // 0 while the answer is not decided, or when there was none
	Faults   []string // names of the effects that hit it
}

// Requests returns a copy of the log of requests so far, oldest first. Of very
// many only the newest are kept.
func (w *World) Requests() []Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.requests)
}

// maxLog bounds the log: a demo runs for weeks.
const maxLog = 20000

// ForgetRequests empties the log.
func (w *World) ForgetRequests() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests, w.served = nil, w.served+uint64(len(w.requests))
}

// exchange is one request on its way through the server.
type exchange struct {
	server  *server
	w       http.ResponseWriter
	r       *http.Request
	query   url.Values
	source  string
	number  int
	id      string
	index   uint64
	effects []Effect

	endpoint *endpoint // nil for a page of buckets
	body     []byte    // read for an endpoint only
}

type server struct {
	world *World
	api   api
}

// ServeHTTP answers one request.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := s.begin(w, r)
	h := w.Header()
	h.Set("Date", s.world.Now().Format(http.TimeFormat))
	s.api.headers(h, x.id)
	for _, e := range x.effects {
		if e.header != nil {
			e.header(h)
		}
	}
	for _, e := range x.effects {
		if e.before != nil && e.before(x) {
			return
		}
	}
	body, fail := s.body(x)
	if fail != nil {
		x.fail(fail)
		return
	}
	for _, e := range x.effects {
		if e.body != nil {
			body = e.body(body)
		}
	}
	x.status(http.StatusOK)
	for _, e := range x.effects {
		if e.send != nil && e.send(x, body) {
			return
		}
	}
	x.send(http.StatusOK, "application/json", body)
}

// body makes the bytes of a 200 answer.
func (s *server) body(x *exchange) ([]byte, *failure) {
	if x.endpoint != nil {
		return s.perform(x)
	}
	p, fail := s.answer(x)
	if fail != nil {
		return nil, fail
	}
	for _, e := range x.effects {
		if e.page != nil {
			e.page(p)
		}
	}
	return p.render(), nil
}

// begin logs the request and picks its faults.
func (s *server) begin(w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{server: s, w: w, r: r, source: s.api.source(r.URL.Path)}
	if x.source == "" {
		if x.endpoint = s.api.endpoint(r.URL.Path); x.endpoint != nil {
			x.source, x.body = x.endpoint.source, readBody(r)
		}
	}
	x.query, _ = url.ParseQuery(r.URL.RawQuery)
	x.number = 1
	if token := orDefault(x.query.Get("page"), x.query.Get("pageToken")); token != "" {
		_, _, x.number, _ = decodeToken(s.api.tokenPrefix(r.URL.Path), token)
	}
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	now := s.world.Now()

	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	if len(s.world.requests) >= maxLog {
		s.world.requests = slices.Delete(s.world.requests, 0, maxLog/2)
		s.world.served += maxLog / 2
	}
	var hit []string
	x.effects, hit = s.world.strike(s.api.provider(), x.source, x.number)
	x.index = s.world.served + uint64(len(s.world.requests))
	x.id = s.api.requestID(x.index)
	s.world.requests = append(s.world.requests, Request{
		Time: now, Provider: s.api.provider(), Source: x.source, Method: r.Method, Path: r.URL.Path,
		RawQuery: r.URL.RawQuery, Query: x.query, Headers: names, Agent: r.UserAgent(),
		Key: s.api.key(r), Body: string(x.body), Page: x.number, Faults: hit,
	})
	return x
}

// answer checks the request the way the vendor does and makes the page.
func (s *server) answer(x *exchange) (*page, *failure) {
	if x.source == "" {
		return nil, s.api.notFound(x.r)
	}
	if x.r.Method != http.MethodGet {
		return nil, s.api.methodNotAllowed(x.r)
	}
	if fail := s.api.authorise(x.r); fail != nil {
		return nil, fail
	}
	return s.api.page(x.r.URL.Path, x.query, x.r)
}

// status notes the status of the answer in the log.
func (x *exchange) status(code int) {
	w := x.server.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := int64(x.index) - int64(w.served); i >= 0 && i < int64(len(w.requests)) {
		w.requests[i].Status = code
	}
}

func (x *exchange) fail(f *failure) {
	for name, v := range f.header {
		x.w.Header().Set(name, v)
	}
	x.status(f.status)
	x.send(f.status, orDefault(f.ctype, "application/json"), withRequestID(f.body, x.id))
}

// send writes a complete answer, compressed if the client asked for that.
func (x *exchange) send(status int, ctype string, body []byte) {
	h := x.w.Header()
	if _, set := h["Content-Type"]; !set {
		h.Set("Content-Type", ctype)
	}
	h.Add("Vary", "Accept-Encoding")
	if !strings.Contains(x.r.Header.Get("Accept-Encoding"), "gzip") || x.r.Method == http.MethodHead {
		h.Set("Content-Length", strconv.Itoa(len(body)))
		x.w.WriteHeader(status)
		_, _ = x.w.Write(body) // the client may be gone: nothing to do about that
		return
	}
	h.Set("Content-Encoding", "gzip")
	x.w.WriteHeader(status)
	z, _ := gzip.NewWriterLevel(x.w, gzip.BestSpeed) // the level is valid
	_, _ = z.Write(body)
	_ = z.Close()
}

// number reads an integer parameter.
func number(q url.Values, name string, def int64) (int64, error) {
	s := q.Get(name)
	if s == "" {
		return def, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", name, err)
	}
	return n, nil
}
