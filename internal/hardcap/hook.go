package hardcap

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// Outbox keeps the events; store.Outbox satisfies it.
type Outbox interface {
	// PutEvents stores events by their ids, durably.
	PutEvents(ctx context.Context, events []store.OutboxEvent) error
	// Events calls fn with every event that is kept. Lost ones do not keep the others
	// from arriving; the error then wraps store.ErrCorrupt.
	Events(ctx context.Context, fn func(store.OutboxEvent) error) error
}

// Ledger is who decides.
type Ledger interface {
	// Look returns how every cap stands now, and how the sources stood just before.
	Look() ([]caps.Status, []spend.SourceStatus, error)
	// Totals returns what each provider cost in the window in USD, net of credits or
	// gross; providers without cost may be missing.
	Totals(w spend.Window, gross bool) (map[string]spend.Money, error)
	// Hurry starts a pull of a source unless one that began at or after since is
	// under way or was applied. It does not wait for it.
	Hurry(id spend.SourceID, since time.Time)
}

// Options are the parts of a Hook. Outbox, Ledger and Target are required.
type Options struct {
	Outbox Outbox
	Ledger Ledger
	// Target returns where deliveries go right now. It is called before every attempt,
	// so that a rotated secret takes effect at once. Its error holds no secret.
	Target    func() (Target, error)
	UserAgent string
	// Roots are the certificates to trust; nil: the system's.
	Roots  *x509.CertPool
	Logger *slog.Logger     // nil: silent
	Now    func() time.Time // nil: time.Now
	// Rand returns numbers in [0,1) for jitter, safe for concurrent use; nil: math/rand/v2.
	Rand func() float64
}

// Hook is the kill switch. Its methods are safe for concurrent use; Run may be called
// once.
type Hook struct {
	opts   Options
	log    *slog.Logger
	client *http.Client
	woken  chan struct{} // one slot: something is to be looked at
	slots  chan struct{} // of running attempts

	// changing is held while events change, from reading them to having stored them.
	changing sync.Mutex
	waits    map[string]string // why an alert of an event could not be judged, as last said

	started time.Time // set by Load

	mu      sync.RWMutex // guards what follows
	events  map[string]Event
	sending map[string]bool // events with an attempt under way
	unsaved map[string]bool // events whose newest version is not in the outbox yet
	counts  map[Outcome]uint64
}

// Outcome is what an event or an attempt came to, as counted in
// aispend_hook_deliveries_total.
type Outcome string

// The outcomes of the contract.
const (
	OK             Outcome = "ok"        // an attempt was answered 2xx
	Retried        Outcome = "retried"   // an attempt failed and will be made again
	RejectedHint   Outcome = "rejected"  // the ledger saw no breach when an alert came
	CancelledEvent Outcome = "cancelled" // an event was not sent: no breach any more, period over, dry run
	DeadEvent      Outcome = "dead"      // an event was given up
)

// maxConcurrently bounds the attempts under way.
const maxConcurrently = 8

// Outcomes lists every outcome.
func Outcomes() []Outcome { return []Outcome{OK, Retried, RejectedHint, CancelledEvent, DeadEvent} }

// Errors a caller decides on.
var (
	// ErrLater: an alert cannot be judged yet; the same request will be answered in a while.
	ErrLater = errors.New("not yet")
	// ErrTruncated: Alertmanager has cut alerts off; what it did send has been taken.
	ErrTruncated = errors.New("alerts were cut off")
	// ErrUnknown: no event has this id.
	ErrUnknown = errors.New("no such delivery")
	// ErrNotRetried: the event cannot be sent again; the text says why.
	ErrNotRetried = errors.New("not retried")
)

// New returns a Hook without events; Load reads them. It starts nothing.
func New(o Options) *Hook {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	return &Hook{
		opts: o, log: o.Logger, client: newClient(o.Roots),
		woken: make(chan struct{}, 1), slots: make(chan struct{}, maxConcurrently),
		waits: map[string]string{}, events: map[string]Event{}, sending: map[string]bool{}, unsaved: map[string]bool{}, counts: map[Outcome]uint64{},
	}
}

// Load reads the outbox. Events that are lost or not readable are logged and left out:
// Alertmanager repeats an alert that stands, and the same event comes of it.
func (h *Hook) Load(ctx context.Context) error {
	events := map[string]Event{}
	err := h.opts.Outbox.Events(ctx, func(o store.OutboxEvent) error {
		e, err := decodeEvent(o)
		if err != nil {
			h.log.Error("an event of the hard-cap outbox is not readable", "id", o.ID, "err", err)
			return nil
		}
		events[e.ID] = e
		return nil
	})
	if errors.Is(err, store.ErrCorrupt) {
		h.log.Error("events of the hard-cap outbox are lost; the next repeat of their alerts brings them back", "err", err)
		err = nil
	}
	if err != nil {
		return fmt.Errorf("reading the hard-cap outbox: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events, h.started = events, h.opts.Now()
	return nil
}

// Deliveries returns every event that is kept, the newest first.
func (h *Hook) Deliveries() []Event {
	h.mu.RLock()
	defer h.mu.RUnlock()
	out := make([]Event, 0, len(h.events))
	for _, e := range h.events {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b Event) int {
		return cmp.Or(b.Recorded.Compare(a.Recorded), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Stats are the hook's figures.
type Stats struct {
	// Deliveries counts outcomes since the process began; every outcome is in it.
	Deliveries map[Outcome]uint64
	Pending    int
	// OldestPending is since when the oldest pending event waits; zero without one.
	OldestPending time.Time
	// Delivered tells for every hard cap whether the event of its period and threshold
	// reached the hook; nil while nothing is sent (no URL, or dry run).
	Delivered []DeliveredCap
}

// DeliveredCap tells of one hard cap.
type DeliveredCap struct {
	Scope     string
	Period    caps.Period
	Delivered bool
}

// Stats is cheap; statuses are the caps right now.
func (h *Hook) Stats(statuses []caps.Status) Stats {
	target, err := h.opts.Target()
	sends := err != nil || target.off() == "" // a secret that cannot be read is no dry run
	h.mu.RLock()
	defer h.mu.RUnlock()
	s := Stats{Deliveries: map[Outcome]uint64{}}
	for _, o := range Outcomes() {
		s.Deliveries[o] = h.counts[o]
	}
	for _, e := range h.events {
		if e.State != Pending {
			continue
		}
		s.Pending++
		if s.OldestPending.IsZero() || e.Armed.Before(s.OldestPending) {
			s.OldestPending = e.Armed
		}
	}
	for _, st := range statuses {
		hard, on := st.Level(caps.Hard)
		if !on || !sends {
			continue
		}
		e := h.events[ID(st.Scope, st.Period, st.Window.From, hard.Limit)]
		s.Delivered = append(s.Delivered, DeliveredCap{st.Scope, st.Period, e.State == Delivered})
	}
	return s
}

// Forget drops events that the outbox has expired.
func (h *Hook) Forget(before spend.Day) {
	h.changing.Lock()
	defer h.changing.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, e := range h.events {
		if e.day < before {
			delete(h.events, id)
			delete(h.unsaved, id)
		}
	}
}

// Wake has Run look at everything now: the configuration may have changed.
func (h *Hook) Wake() {
	select {
	case h.woken <- struct{}{}:
	default: // it is about to look anyway
	}
}

func (h *Hook) count(o Outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[o]++
}

func (h *Hook) event(id string) (Event, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	e, ok := h.events[id]
	return e, ok
}

// isUnsaved reports whether the newest version of an event is not in the outbox yet.
func (h *Hook) isUnsaved(id string) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.unsaved[id]
}

// put stores events and shows them. changing is held. After an error nothing is shown.
func (h *Hook) put(ctx context.Context, events ...Event) error {
	if err := h.store(ctx, events...); err != nil {
		return err
	}
	h.show(false, events...)
	return nil
}

func (h *Hook) store(ctx context.Context, events ...Event) error {
	var list []store.OutboxEvent
	for _, e := range events {
		o, err := e.encode()
		if err != nil {
			return err
		}
		list = append(list, o)
	}
	if err := h.opts.Outbox.PutEvents(ctx, list); err != nil {
		return fmt.Errorf("storing hard-cap events: %w", err)
	}
	return nil
}

func (h *Hook) show(unsaved bool, events ...Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range events {
		h.events[e.ID] = e
		delete(h.unsaved, e.ID)
		if unsaved {
			h.unsaved[e.ID] = true
		}
	}
}

// total is what the ledger says is spent, for people: what is not known is not 0.
func (e Event) total() string {
	if e.unknown {
		return "unknown"
	}
	return e.Total.String()
}

// audit writes the line of a decision, with the figures it was taken by. What needs a
// person is an error, what may need one soon a warning.
func (h *Hook) audit(decision string, e Event, more ...any) {
	args := []any{
		"decision", decision, "id", e.ID, "scope", e.Scope, "period", string(e.Period), "threshold_usd", e.Threshold.String(),
		"total_usd", e.total(), "state", string(e.State), "attempts", e.Attempts,
	}
	if e.PeriodStart != 0 {
		args = append(args, "period_start", e.PeriodStart.String())
	}
	if !e.DataThrough.IsZero() {
		args = append(args, "data_through", e.DataThrough.UTC().Format(time.RFC3339))
	}
	if e.Reason != "" {
		args = append(args, "reason", e.Reason)
	}
	if e.LastError != "" {
		args = append(args, "err", e.LastError)
	}
	level := slog.LevelInfo
	switch decision {
	case string(Dead):
		level = slog.LevelError
	case string(Retried):
		level = slog.LevelWarn
	}
	h.log.Log(context.Background(), level, "hard cap", append(args, more...)...)
}
