package simulator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Servers are the listening providers of a World.
type Servers struct {
	OpenAI    string // base URL, "http://127.0.0.1:41234"
	Anthropic string // base URL
	Google    string // base URL of BigQuery, Budgets and Pub/Sub; its token endpoint is at /token
	// Elsewhere is the base URL of a third host, which answers every request with
	// an empty page and records the keys that reach it: the aim of a redirect. It
	// is named localhost, so that it is another host than the providers.
	Elsewhere string

	servers []*http.Server
	cancel  context.CancelFunc
	serving sync.WaitGroup
	asked   sync.RWMutex // held for reading while a request is answered

	mu     sync.Mutex
	stolen []string
}

// Start listens on free ports of the loopback address and serves the providers
// until Close. Requests inherit ctx.
func (w *World) Start(ctx context.Context) (*Servers, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &Servers{cancel: cancel}
	for _, v := range []struct {
		url     *string
		host    string
		handler http.Handler
	}{
		{&s.OpenAI, "127.0.0.1", w.OpenAI()},
		{&s.Anthropic, "127.0.0.1", w.Anthropic()},
		{&s.Google, "127.0.0.1", w.Google()},
		{&s.Elsewhere, "localhost", http.HandlerFunc(s.elsewhere)},
	} {
		var lc net.ListenConfig
		ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listening for the simulator: %w", err), s.Close())
		}
		_, port, _ := net.SplitHostPort(ln.Addr().String()) // a listener's address has a port
		*v.url = "http://" + net.JoinHostPort(v.host, port)
		s.serve(ctx, ln, v.handler)
	}
	return s, nil
}

func (s *Servers) serve(ctx context.Context, ln net.Listener, h http.Handler) {
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.asked.RLock()
			defer s.asked.RUnlock()
			h.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: time.Minute,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	s.servers = append(s.servers, srv)
	s.serving.Go(func() {
		_ = srv.Serve(ln) // returns when Close is called; there is nothing else to tell
	})
}

// Close stops the servers, breaks what is still being answered and waits until
// nothing of it runs.
func (s *Servers) Close() error {
	s.cancel()
	var errs []error
	for _, srv := range s.servers {
		errs = append(errs, srv.Close())
	}
	s.serving.Wait()
	s.asked.Lock() // waits for the last request
	defer s.asked.Unlock()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("closing the simulator: %w", err)
	}
	return nil
}

// Stolen returns the keys that reached Elsewhere, in any header, oldest first.
func (s *Servers) Stolen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.stolen)
}

func (s *Servers) elsewhere(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	for _, name := range []string{"Authorization", "X-Api-Key"} {
		s.stolen = append(s.stolen, r.Header.Values(name)...)
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"object": "page", "data": [], "has_more": false, "next_page": null}`)) // see send
}
