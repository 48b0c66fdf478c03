package collector

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// How many pages are written at once. One that is being written holds about 2 MB
// of compressor and buffers for as long as the client likes to read: 300 slow
// clients pinned 510 MB before there was a bound. A scrape that finds no place
// waits for one, for less than Prometheus' own timeout of 10 s.
const (
	pagesPerClient = 4
	pagesAtAll     = 32
	placeWait      = 5 * time.Second
)

// errNoPlace means that a request waited in vain.
var errNoPlace = errors.New("too many scrapes at once")

// gate lets requests in by client address, so that one client can use up neither
// the memory nor the places of the others.
type gate struct {
	next http.Handler
	all  chan struct{}

	mu      sync.Mutex
	clients map[string]*client // those with a request here
}

type client struct {
	places   chan struct{}
	requests int // waiting ones included
}

func newGate(next http.Handler) *gate {
	return &gate{next: next, all: make(chan struct{}, pagesAtAll), clients: map[string]*client{}}
}

// ServeHTTP implements http.Handler.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := clientKey(r.RemoteAddr)
	c := g.arrive(key)
	defer g.depart(key, c)
	ctx, cancel := context.WithTimeoutCause(r.Context(), placeWait, errNoPlace)
	defer cancel()
	// The client's own place comes first: whoever has too many requests waits with
	// them here and not among the others.
	for _, places := range []chan struct{}{c.places, g.all} {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errNoPlace) {
				refuse(w)
			}
			return
		}
	}
	g.next.ServeHTTP(w, r)
}

func (g *gate) arrive(key string) *client {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.clients[key]
	if c == nil {
		c = &client{places: make(chan struct{}, pagesPerClient)}
		g.clients[key] = c
	}
	c.requests++
	return c
}

func (g *gate) depart(key string, c *client) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.requests--; c.requests == 0 {
		delete(g.clients, key)
	}
}

func refuse(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, `{"type":"about:blank","title":"Service Unavailable","status":503,`+
		`"detail":"too many or too slow scrapes at once; try again in a moment, and read the page faster"}`+"\n")
}

// clientKey tells clients apart: by IPv4 address, by IPv6 network of 64 bits, of
// which one client has all addresses, else by the text.
func clientKey(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	const networkBits = 64
	network, err := ip.Prefix(networkBits)
	if err != nil {
		return host
	}
	return network.String()
}
