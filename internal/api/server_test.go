package api_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aispend/aispend/internal/api"
	"github.com/aispend/aispend/internal/rollup"
)

func TestServerBounds(t *testing.T) {
	srv := newKit(t).srv.HTTPServer(t.Context())
	for name, got := range map[string][2]any{
		"ReadHeaderTimeout": {srv.ReadHeaderTimeout, 5 * time.Second},
		"ReadTimeout":       {srv.ReadTimeout, 30 * time.Second},
		"WriteTimeout":      {srv.WriteTimeout, 60 * time.Second},
		"IdleTimeout":       {srv.IdleTimeout, 120 * time.Second},
		"MaxHeaderBytes":    {srv.MaxHeaderBytes, 64 << 10},
	} {
		if got[0] != got[1] {
			t.Errorf("%s is %v, want %v", name, got[0], got[1])
		}
	}
}

// pipes is a listener inside the process, so that the clock of a synctest bubble
// drives the connections' deadlines.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { close(p.done); return nil }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// dial serves k on a pipe and returns the client's end. Call it in a bubble.
func dial(t *testing.T, k *kit) net.Conn {
	ln := &pipes{make(chan net.Conn), make(chan struct{})}
	srv := k.srv.HTTPServer(context.WithoutCancel(t.Context()))
	served := make(chan error)
	go func() { served <- srv.Serve(ln) }()
	client, server := net.Pipe()
	ln.conns <- server
	t.Cleanup(func() {
		_ = srv.Close()
		_ = client.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serving: %v", err)
		}
	})
	return client
}

// A client that sends its header a byte at a time loses the connection after 5s.
func TestSlowHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, newKit(t))
		go func() { _, _ = io.Copy(io.Discard, c) }()
		start := time.Now()
		var err error
		for _, b := range []byte("GET /spend HTTP/1.1\r\nHost: a\r\nX-Slow: " + strings.Repeat("z", 100)) {
			if _, err = c.Write([]byte{b}); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		if err == nil || time.Since(start) > 10*time.Second {
			t.Errorf("the connection lived %v: %v", time.Since(start), err)
		}
	})
}

// A client that promises a body and does not send it is refused at once.
func TestSlowBodies(t *testing.T) {
	for token, want := range map[string]int{adminToken: 400, wrongToken: 401} {
		synctest.Test(t, func(t *testing.T) {
			k := newKit(t)
			k.tokens = api.Tokens{Admin: []string{adminToken}}
			c := dial(t, k)
			start := time.Now()
			_, _ = io.WriteString(c, "POST /recompute HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"+
				"Authorization: Bearer "+token+"\r\n\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != want || time.Since(start) != 0 {
				t.Errorf("status %d after %v", resp.StatusCode, time.Since(start))
			}
		})
	}
}

// The server's deadlines are for slow clients: they neither cancel a recompute
// that takes longer nor cut off its answer.
func TestLongRecomputeOutlivesTheServersDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, func(d *api.Deps) {
			d.Recompute = func(ctx context.Context, _ api.RecomputeRequest) (r api.RecomputeReport, err error) {
				select {
				case <-time.After(10 * time.Minute):
					return api.RecomputeReport{Days: 7}, nil
				case <-ctx.Done():
					return r, ctx.Err()
				}
			}
		})
		k.tokens = api.Tokens{Admin: []string{adminToken}}
		c := dial(t, k)
		_, _ = io.WriteString(c, "POST /recompute HTTP/1.1\r\nHost: a\r\n"+
			"Authorization: Bearer "+adminToken+"\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || !strings.Contains(string(body), `"days_replayed":7`) {
			t.Errorf("%s %v", body, err)
		}
	})
}

// With every slot of /spend taken and its queue full, further requests are told to
// come back, and a scrape is not held up.
func TestABusyRouteNeverHoldsUpAScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		finish := make(chan struct{})
		empty := rollup.NewBook()
		k := newKit(t, func(d *api.Deps) {
			d.Limits = api.Limits{Spend: 2, Wait: 3 * time.Second}
			d.Snapshot = func() *rollup.Snapshot { <-finish; return empty.Snapshot() }
		})
		codes := make(chan int, 100)
		ask := func() { codes <- k.do(http.MethodGet, "/spend", "").Code }
		for range 2 + 2*16 {
			go ask()
		}
		synctest.Wait()
		w := k.do(http.MethodGet, "/spend", "")
		wantProblem(t, w, http.StatusServiceUnavailable)
		if got := w.Header().Get("Retry-After"); got != "3" {
			t.Errorf("Retry-After is %q", got)
		}
		for _, path := range []string{"/metrics", "/-/healthy", "/-/ready"} {
			wantOK(t, k.do(http.MethodGet, path, ""))
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		for range 32 {
			if code := <-codes; code != http.StatusServiceUnavailable {
				t.Fatalf("one that waited too long got %d", code)
			}
		}
		go ask() // waits, and is served as soon as a slot is free
		synctest.Wait()
		close(finish)
		for range 3 {
			if code := <-codes; code != http.StatusOK {
				t.Errorf("one with a slot got %d", code)
			}
		}
	})
}

func TestWaitingEndsWithTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		finish := make(chan struct{})
		empty := rollup.NewBook()
		k := newKit(t, func(d *api.Deps) {
			d.Limits = api.Limits{Spend: 1, Wait: time.Hour}
			d.Snapshot = func() *rollup.Snapshot { <-finish; return empty.Snapshot() }
		})
		done := make(chan int)
		go func() { done <- k.do(http.MethodGet, "/spend", "").Code }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		w := k.do(http.MethodGet, "/spend", "", func(r *http.Request) { *r = *r.WithContext(ctx) })
		wantProblem(t, w, http.StatusServiceUnavailable)
		if time.Since(start) != time.Second {
			t.Errorf("waited %v", time.Since(start))
		}
		close(finish)
		<-done
	})
}
