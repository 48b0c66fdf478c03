package api

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// class groups routes that share a number of slots.
type class int

const (
	classNone class = iota // cheap, or bounded elsewhere: never waits
	classPage
	classSpend
	classRaw
	classReload
	classRecompute
	classTestAlert
	classHook
)

// Limits says how many requests of each expensive kind run at once. A request
// that finds no slot waits for one, up to Wait and in a bounded queue, and is then
// told to come back. /metrics, health and /status take no slot, so that nothing
// here can hold up a scrape.
type Limits struct {
	Page  int           // default 4
	Spend int           // default 4
	Raw   int           // default 4
	Wait  time.Duration // default 2s
}

// queueFactor bounds the queue of a class: so many wait per slot.
const queueFactor = 16

const (
	defaultSlots = 4
	defaultWait  = 2 * time.Second
)

// ErrBusy is what Recompute and Reload may return while a recompute is running.
var ErrBusy = errors.New("busy")

func (l Limits) slots() map[class]*slots {
	wait := l.Wait
	if wait <= 0 {
		wait = defaultWait
	}
	queued := func(n int) *slots {
		if n <= 0 {
			n = defaultSlots
		}
		return &slots{
			run: make(chan struct{}, n), queue: make(chan struct{}, n*queueFactor), wait: wait,
			busy: &httpError{
				status: http.StatusServiceUnavailable, retryAfter: int(max(1, wait/time.Second)),
				detail: "too many requests of this kind at once; try again in a moment",
			},
		}
	}
	single := func(detail string) *slots {
		return &slots{run: make(chan struct{}, 1), busy: &httpError{status: http.StatusConflict, detail: detail}}
	}
	return map[class]*slots{
		classPage: queued(l.Page), classSpend: queued(l.Spend), classRaw: queued(l.Raw),
		classHook:      queued(defaultSlots),
		classReload:    single("another reload is running; wait until it has ended"),
		classRecompute: single("another recompute is running; wait until it has ended"),
		classTestAlert: single("another test alert is being sent; wait until it has been"),
	}
}

// slots is a counting semaphore with a bounded queue. A nil *slots never blocks.
type slots struct {
	run   chan struct{}
	queue chan struct{} // nil: nobody waits
	wait  time.Duration
	busy  *httpError
}

// acquire takes a slot; the caller gives it back with the returned function.
func (s *slots) acquire(ctx context.Context) (release func(), err error) {
	if s == nil {
		return func() {}, nil
	}
	release = func() { <-s.run }
	select {
	case s.run <- struct{}{}:
		return release, nil
	default:
	}
	select {
	case s.queue <- struct{}{}:
		defer func() { <-s.queue }()
	default:
		return nil, s.busy
	}
	timer := time.NewTimer(s.wait)
	defer timer.Stop()
	select {
	case s.run <- struct{}{}:
		return release, nil
	case <-timer.C:
		return nil, s.busy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
