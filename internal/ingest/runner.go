package ingest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// Runner pulls the configured sources. Its methods are safe for concurrent use;
// Run may be called once.
type Runner struct {
	opts    Options
	sources []*source
	// replaying lets one Recompute run at a time.
	replaying semaphore
	prepared  sync.Once
	prepErr   error
}

// New returns a Runner that does nothing until Run is called.
func New(o Options) *Runner {
	r := &Runner{opts: o.withDefaults(), replaying: newSemaphore()}
	for _, cfg := range o.Sources {
		r.sources = append(r.sources, newSource(&r.opts, cfg))
	}
	return r
}

// Prepare reads from the store where every source stands, so that Statuses tells
// what was before the restart. Run calls it if nobody did.
func (r *Runner) Prepare(ctx context.Context) error {
	r.prepared.Do(func() { r.prepErr = r.prepare(ctx) })
	return r.prepErr
}

func (r *Runner) prepare(ctx context.Context) error {
	records, err := r.opts.Store.Sources(ctx)
	if errors.Is(err, store.ErrCorrupt) {
		// Whoever is lost says so at each of its pulls; the others go on.
		r.opts.Logger.Error("the ledger of some sources is lost", "err", err)
		err = nil
	}
	if err != nil {
		return fmt.Errorf("reading where the sources stand: %w", err)
	}
	states := make(map[spend.SourceID]store.State, len(records))
	for _, rec := range records {
		states[rec.ID] = rec.State
	}
	for _, s := range r.sources {
		r.opts.Observer.Register(s.id)
		if err := s.prepare(ctx, states[s.id]); err != nil {
			return err
		}
	}
	return nil
}

// Run pulls every enabled source on its schedule until ctx ends. Pulls that are
// running then are abandoned: their pages are kept, nothing else changes, and
// they are not counted. Run returns when the last of them has been put away. Its
// error is that of Prepare; a source that fails never ends Run.
func (r *Runner) Run(ctx context.Context) error {
	if err := r.Prepare(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	var wg sync.WaitGroup
	for _, s := range r.sources {
		if s.cfg.Enabled {
			wg.Go(func() { s.loop(ctx) })
		}
	}
	wg.Wait()
	return nil
}

// Statuses returns how each configured source stands, in the order of the options.
func (r *Runner) Statuses() []spend.SourceStatus {
	now := r.opts.Now()
	out := make([]spend.SourceStatus, 0, len(r.sources))
	for _, s := range r.sources {
		out = append(out, s.snapshot(now))
	}
	return out
}

// ClockTrusted reports whether this machine's clock is good enough to drop data that
// has expired by it: a clock that jumps ahead by a month would take a month of pages
// along. It takes one provider whose newest answer since the start was less than
// a day off; answers without a Date, and a Runner that pulls nothing, say nothing
// against it.
func (r *Runner) ClockTrusted() bool {
	best, enabled := noAnswer, false
	for _, s := range r.sources {
		if !s.cfg.Enabled {
			continue
		}
		enabled = true
		e := s.evidence()
		if e == agrees {
			return true
		}
		best = max(best, e)
	}
	return !enabled || best == noDate
}

// Hurry starts a pull of the present of a source, unless one that began at or after
// since was applied, is under way, or failed within the last minute. It returns at
// once. A rest that the provider asked for (429 with Retry-After) is kept all the same.
func (r *Runner) Hurry(id spend.SourceID, since time.Time) {
	for _, s := range r.sources {
		if s.id == id && s.cfg.Enabled {
			s.hurry(since, r.opts.Now())
		}
	}
}

// Loaded is what LoadBook found.
type Loaded struct {
	Sources, Days int
	// Damaged days are lost; they are not in the book, and the runner reads them again.
	Damaged map[spend.SourceID][]spend.Day
	// Lost names the sources whose whole ledger is lost, which are not in the book and
	// cannot be pulled; nil if there are none. It wraps store.ErrCorrupt.
	Lost error
}

// LoadBook fills an empty book with everything the ledger holds and publishes it
// once. Damage is told in Loaded and is no error. After an error the book holds
// only part of the ledger.
func LoadBook(ctx context.Context, s store.Ledger, book *rollup.Book) (Loaded, error) {
	l := Loaded{Damaged: map[spend.SourceID][]spend.Day{}}
	records, err := s.Sources(ctx)
	if errors.Is(err, store.ErrCorrupt) {
		l.Lost, err = err, nil
	}
	if err != nil {
		return l, fmt.Errorf("listing the sources of the ledger: %w", err)
	}
	book.Update(func(tx *rollup.Tx) {
		for _, rec := range records {
			if err = loadSource(ctx, s, tx, rec, &l); err != nil {
				return
			}
		}
	})
	return l, err
}

func loadSource(ctx context.Context, s store.Ledger, tx *rollup.Tx, rec store.SourceRecord, l *Loaded) error {
	report, err := s.Statements(ctx, rec.ID, func(st spend.Statement) error {
		tx.Replace(rec.ID, []spend.Statement{st})
		l.Days++
		return nil
	})
	if err != nil {
		return fmt.Errorf("loading %s: %w", rec.ID, err)
	}
	if len(report.Damaged) > 0 {
		l.Damaged[rec.ID] = report.Damaged
	}
	if rec.Days > 0 || rec.State.CoveredFrom != 0 { // budgets have no days, and are no part of the book
		tx.SetThrough(rec.ID, rec.State.DataThrough)
	}
	l.Sources++
	return nil
}

// semaphore is a mutex that can be waited for under a context.
type semaphore chan struct{}

func newSemaphore() semaphore { return make(semaphore, 1) }

func (s semaphore) lock(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s semaphore) unlock() { <-s }

// panicError is a panic of code that ingest does not own, caught.
type panicError struct {
	value any
	stack []byte
}

// Error names the panic without its stack.
func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// safely calls f and turns a panic into an error of the given class, so that one
// vendor's mistake stays the failure of one source.
func safely(o spend.Outcome, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = spend.Classify(o, &panicError{v, debug.Stack()})
		}
	}()
	return f()
}

// stackOf returns the stack of a caught panic in err's chain, or nil.
func stackOf(err error) []byte {
	if pe, ok := errors.AsType[*panicError](err); ok {
		return pe.stack
	}
	return nil
}

// sleep waits for d, for a kick or for the end of ctx; kicked tells which.
func sleep(ctx context.Context, d time.Duration, kick <-chan struct{}) (kicked bool, err error) {
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-t.C:
		return false, nil
	case <-kick:
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
