package hardcap_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aispend/aispend/internal/hardcap"
	"github.com/aispend/aispend/internal/store"
)

// retarget gives the rig a new Hook whose target is asked of f, with how often it was
// asked before.
func (r *rig) retarget(f func(asked int) (hardcap.Target, error)) {
	var asked atomic.Int32
	r.hook = hardcap.New(hardcap.Options{
		Outbox: r.store, Ledger: r, UserAgent: "aispend/test", Now: r.now, Rand: func() float64 { return 0.5 },
		Target: func() (hardcap.Target, error) { return f(int(asked.Add(1)) - 1) }, Logger: textLogger(r.log),
	})
}

// A hook that answers 101 and keeps the connection holds nothing: net/http then leaves
// the connection to the caller, and no deadline of the request ends a read of it.
func TestSwitchingProtocolsHoldsNothing(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.retarget(func(int) (hardcap.Target, error) { return hardcap.Target{URL: "http://hook.example/"}, nil })
		var ends []net.Conn
		r.hook.Transport().DialContext = func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			ends = append(ends, theirs)
			go func() {
				buf := make([]byte, 1<<16)
				_, _ = theirs.Read(buf)
				_, _ = theirs.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"))
				for err := error(nil); err == nil; {
					_, err = theirs.Read(buf)
				}
			}()
			return ours, nil
		}
		r.run()
		r.breach()
		time.Sleep(time.Minute)
		e := r.hook.Deliveries()[0]
		if e.Attempts < 2 || e.LastError != "the hook answered 101 Switching Protocols" {
			t.Errorf("after a minute: %+v", e)
		}
		for _, c := range ends {
			_ = c.Close() // or a hook that hangs would hang this test too
		}
	})
}

// What cannot be written as a time must not come in: it would come out of the list of
// deliveries for as long as events are kept, as an error.
func TestStartsAtThatCannotBeTold(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.run()
		r.spends(openai, "1000")
		for _, at := range []string{"9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00", "0000-12-31T00:00:00Z"} {
			for _, test := range []string{"true", ""} {
				a := firing("openai", "month", r.now(), "test", test)
				a["startsAt"] = at
				if _, err := r.tell(a); !errors.Is(err, hardcap.ErrPayload) {
					t.Errorf("startsAt %s, test %q: error %v", at, test, err)
				}
			}
		}
		r.wantStates()
	})
}

// A dry run that begins between the review and the attempt sends nothing more.
func TestDryRunInTheLastMoment(t *testing.T) {
	for name, last := range map[string]hardcap.Target{
		"dry run": {URL: hookURL, DryRun: true},
		"no URL":  {},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, noon, func(t *testing.T, r *rig) {
				r.retarget(func(asked int) (hardcap.Target, error) {
					if asked < 2 { // of the alert and of the review
						return hardcap.Target{URL: hookURL}, nil
					}
					return last, nil
				})
				r.hook.SetTransport(r.wire)
				r.breach()
				r.run()
				time.Sleep(time.Minute)
				r.wantStates("openai/month 1000 cancelled")
				if n := len(r.wire.all()); n != 0 {
					t.Errorf("%d deliveries", n)
				}
				r.wantCounts("ok 0, retried 0, rejected 0, cancelled 1, dead 0")
			})
		})
	}
}

// An event that waits to be stored is stored before an alert about it is answered 200.
func TestKnownIsDurableToo(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(refused)
		r.run()
		r.breach()
		time.Sleep(time.Second)
		r.change(func(r *rig) { r.free = 1 << 10 })
		r.spends(openai, "1200")
		r.limit(0, "1100") // its event takes the place of the old one and cannot be stored
		synctest.Wait()
		r.wantStates("openai/month 1100 pending", "openai/month 1000 cancelled")
		if _, err := r.tell(firing("openai", "month", r.now())); !errors.Is(err, store.ErrLowSpace) {
			t.Errorf("error %v of an alert whose event is not stored", err)
		}
		r.change(func(r *rig) { r.free = 1 << 40 })
		synctest.Wait()
		r.wantDecision(hardcap.Known, firing("openai", "month", r.now()))
		r.restart()
		synctest.Wait()
		r.wantStates("openai/month 1100 pending", "openai/month 1000 cancelled")
	})
}

// A clock that was ahead and is put right leaves no attempt days away.
func TestClockIsPutBack(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.ahead.Store(int64(3 * 24 * time.Hour))
		r.wire.set(refused)
		r.run()
		r.breach()
		time.Sleep(time.Minute)
		r.wire.set(nil)
		r.ahead.Store(0)
		r.spends(openai, "1000")
		time.Sleep(time.Minute)
		r.wantStates("openai/month 1000 delivered")
	})
}

// Whoever may post alerts fills neither the log nor the outbox with tests.
func TestManyTests(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		var many []alert
		for i := range 1000 {
			many = append(many, firing(fmt.Sprintf("scope %d", i), "month", r.now(), "test", "true"))
		}
		receipt, err := r.tell(many...)
		if err != nil || len(receipt.Answers) != len(many) {
			t.Fatalf("%d answers, %v", len(receipt.Answers), err)
		}
		if n := len(r.states()); n != 100 {
			t.Errorf("%d tests are kept", n)
		}
		if n := strings.Count(r.log.String(), "\n"); n > 20 {
			t.Errorf("%d lines in the log", n)
		}
		if last := receipt.Answers[len(many)-1]; last.ID != "" || last.State != "" || !strings.Contains(last.Reason, "not kept") {
			t.Errorf("an answer about a test that is not kept: %+v", last)
		}
	})
}

// An admin who insists while an attempt is being given up without a request is heard.
func TestRetryWhileItIsGivenUp(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(always(http.StatusGone))
		r.breach()
		r.run()
		time.Sleep(time.Minute)
		r.wantStates("openai/month 1000 dead")
		r.stop()
		r.wire.set(nil)
		answer := r.wantDecision(hardcap.Recorded, firing("global", "week", r.now().Add(-time.Minute)))
		var asked atomic.Int32
		r.retargetKeeping(func() {
			if asked.Add(1) == 2 { // of the attempt
				if _, err := r.hook.Retry(t.Context(), answer.ID); err != nil {
					t.Error(err)
				}
			}
		})
		r.run()
		time.Sleep(time.Minute)
		r.wantStates("global/week 500 delivered", "openai/month 1000 delivered")
	})
}

// retargetKeeping is retarget over what the outbox holds.
func (r *rig) retargetKeeping(asking func()) {
	r.retarget(func(int) (hardcap.Target, error) {
		asking()
		return hardcap.Target{URL: hookURL}, nil
	})
	r.hook.SetTransport(r.wire)
	if err := r.hook.Load(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	r.pulled(openai, claude)
}

// endless is an answer's body without an end.
type endless struct{ read, closed atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) { e.read.Add(int64(len(p))); return len(p), nil }
func (e *endless) Close() error               { e.closed.Add(1); return nil }

func TestAnswerIsReadInBoundsAndClosed(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		var body endless
		r.wire.set(func(int, *http.Request) (*http.Response, error) {
			resp := status(200)
			resp.Body = &body
			if body.read.Load() > 1<<20 {
				return nil, errors.New("read on and on")
			}
			return resp, nil
		})
		r.run()
		r.breach()
		time.Sleep(time.Second)
		r.wantStates("openai/month 1000 delivered")
		if n := body.read.Load(); n == 0 || n > 64<<10 || body.closed.Load() != 1 {
			t.Errorf("%d bytes are read, closed %d times", n, body.closed.Load())
		}
	})
}

// damaged is an outbox of which something is lost.
type damaged struct {
	hardcap.Outbox
	err error
}

func (d damaged) Events(ctx context.Context, fn func(store.OutboxEvent) error) error {
	return errors.Join(d.Outbox.Events(ctx, fn), d.err)
}

// A lost event keeps nobody from starting with the others; an outbox that cannot be read
// does, or what was delivered would be sent anew.
func TestLoadOfADamagedOutbox(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.breach()
		load := func(err error) (*hardcap.Hook, error) {
			h := hardcap.New(hardcap.Options{
				Outbox: damaged{r.store, err}, Ledger: r, Now: r.now,
				Target: func() (hardcap.Target, error) { return r.target, nil }, Logger: textLogger(r.log),
			})
			return h, h.Load(t.Context())
		}
		if h, err := load(store.ErrCorrupt); err != nil || len(h.Deliveries()) != 1 || !strings.Contains(r.log.String(), "are lost") {
			t.Errorf("a lost event: %v, log %s", err, r.log)
		}
		if h, err := load(store.ErrClosed); !errors.Is(err, store.ErrClosed) || len(h.Deliveries()) != 0 {
			t.Errorf("an unreadable outbox: %v", err)
		}
	})
}
