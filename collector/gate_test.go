package collector_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aispend/aispend/collector"
)

// slowReader is a client that takes nothing of the page until it is told to.
type slowReader struct {
	*httptest.ResponseRecorder
	writing *atomic.Int64 // clients that are being written to
	read    chan struct{}
	once    sync.Once
}

func (w *slowReader) Write(b []byte) (int, error) {
	if w.Code == http.StatusOK {
		w.once.Do(func() {
			w.writing.Add(1)
			<-w.read
		})
	}
	return w.ResponseRecorder.Write(b)
}

// crowd sends scrapes of slow readers.
type crowd struct {
	h       http.Handler
	writing atomic.Int64
	read    chan struct{}
	wg      sync.WaitGroup
	answers []*slowReader
}

func newCrowd(f *fixture) *crowd {
	return &crowd{h: collector.New(f.options()).Handler(), read: make(chan struct{})}
}

func (c *crowd) send(ctx context.Context, n int, addr func(i int) string) {
	for i := range n {
		w := &slowReader{ResponseRecorder: httptest.NewRecorder(), writing: &c.writing, read: c.read}
		c.answers = append(c.answers, w)
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/metrics", nil)
		r.RemoteAddr = addr(i)
		c.wg.Go(func() { c.h.ServeHTTP(w, r) })
	}
	synctest.Wait()
}

func (c *crowd) codes() map[int]int {
	out := map[int]int{}
	for _, w := range c.answers {
		out[w.Code]++
	}
	return out
}

func same(addr string) func(int) string { return func(int) string { return addr } }

// One client that opens many scrapes and reads none of them costs four places;
// what it waits for in vain is refused, and others are served meanwhile.
func TestOneClientCannotStarveAScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture("2026-11-23T12:00:00Z")
		world(t, f)
		c := newCrowd(f)
		c.send(t.Context(), 300, func(i int) string { return fmt.Sprintf("192.0.2.7:%d", 1000+i) })
		if n := c.writing.Load(); n != 4 {
			t.Errorf("%d pages are being written to one client, want 4", n)
		}
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.RemoteAddr = "192.0.2.8:1000"
		began := time.Now()
		c.h.ServeHTTP(w, r)
		if waited := time.Since(began); w.Code != http.StatusOK || waited != 0 {
			t.Errorf("another client: %d after %s, want 200 at once", w.Code, waited)
		}
		time.Sleep(6 * time.Second)
		close(c.read)
		c.wg.Wait()
		if got := c.codes(); got[http.StatusOK] != 4 || got[http.StatusServiceUnavailable] != 296 {
			t.Errorf("answers by status: %v, want 4 pages and 296 refusals", got)
		}
		for _, w := range c.answers {
			if w.Code == http.StatusOK {
				continue
			}
			var problem struct{ Status int }
			err := json.Unmarshal(w.Body.Bytes(), &problem)
			if err != nil || problem.Status != w.Code || w.Header().Get("Retry-After") == "" ||
				w.Header().Get("Content-Type") != "application/problem+json" {
				t.Fatalf("refusal: %v %s", w.Header(), w.Body)
			}
		}
		c.answers, c.read = nil, make(chan struct{})
		close(c.read)
		c.send(t.Context(), 1, same("192.0.2.7:1"))
		if got := c.codes(); got[http.StatusOK] != 1 {
			t.Errorf("after the storm: %v, want the page", got)
		}
	})
}

func TestWaitingScrapesAreServedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture("2026-11-23T12:00:00Z")
		world(t, f)
		c := newCrowd(f)
		c.send(t.Context(), 20, same("192.0.2.7:1"))
		close(c.read)
		c.wg.Wait()
		if got := c.codes(); got[http.StatusOK] != 20 {
			t.Errorf("answers by status: %v, want 20 pages", got)
		}
	})
}

func TestPagesAtOnceAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture("2026-11-23T12:00:00Z")
		world(t, f)
		c := newCrowd(f)
		c.send(t.Context(), 100, func(i int) string { return fmt.Sprintf("192.0.2.%d:1", i) })
		if n := c.writing.Load(); n != 32 {
			t.Errorf("%d pages are being written, want 32", n)
		}
		close(c.read)
		c.wg.Wait()
	})
}

// A scrape that its client gave up leaves its place in the queue.
func TestAbandonedScrapeStopsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture("2026-11-23T12:00:00Z")
		world(t, f)
		c := newCrowd(f)
		c.send(t.Context(), 4, same("192.0.2.7:1"))
		ctx, cancel := context.WithCancel(t.Context())
		c.send(ctx, 1, same("192.0.2.7:1"))
		cancel()
		synctest.Wait()
		close(c.read)
		c.wg.Wait()
		if n := c.writing.Load(); n != 4 {
			t.Errorf("%d pages were written, want the 4 that somebody waited for", n)
		}
	})
}

func TestWhoIsOneClient(t *testing.T) {
	for _, tc := range []struct {
		name string
		addr func(i int) string
		want int64 // places out of 8 requests
	}{
		{"ports of one address", func(i int) string { return fmt.Sprintf("192.0.2.7:%d", i) }, 4},
		{"IPv4 in IPv6", func(i int) string { return []string{"192.0.2.7:1", "[::ffff:192.0.2.7]:1"}[i%2] }, 4},
		{"one IPv6 network", func(i int) string { return fmt.Sprintf("[2001:db8::%d]:1", i) }, 4},
		{"zones", func(i int) string { return fmt.Sprintf("[fe80::1%%eth%d]:1", i) }, 4},
		{"unix socket", same("@"), 4},
		{"two addresses", func(i int) string { return fmt.Sprintf("192.0.2.%d:1", i%2) }, 8},
		{"two IPv6 networks", func(i int) string { return fmt.Sprintf("[2001:db8:0:%d::1]:1", i%2) }, 8},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture("2026-11-23T12:00:00Z")
				world(t, f)
				c := newCrowd(f)
				c.send(t.Context(), 8, tc.addr)
				if n := c.writing.Load(); n != tc.want {
					t.Errorf("%d pages are being written, want %d", n, tc.want)
				}
				close(c.read)
				c.wg.Wait()
			})
		})
	}
}
