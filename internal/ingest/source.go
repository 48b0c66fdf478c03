package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

const (
	defaultInterval = 15 * time.Minute
	defaultTimeout  = 5 * time.Minute
	// pullMemory is how far back the newest pulls are looked for after a start.
	pullMemory = 62 * 24 * time.Hour
	// hurryAgain is how long after a pull that failed somebody's hurry starts another
	// one: the rate that a provider calls fine (apis/openai-anthropic.md 2.7).
	hurryAgain = time.Minute
)

// source is one configured source: its loop's own state, and what others may see
// of it under mu.
type source struct {
	opts *Options
	cfg  SourceConfig
	id   spend.SourceID
	log  *slog.Logger

	kicked chan struct{}
	// commit is held while the ledger and the book change, by a pull or by a
	// replay, so that neither works on what the other is about to replace.
	commit semaphore
	// heavyWalk is the constant of that name, except in tests.
	heavyWalk int64

	mu      sync.Mutex
	state   store.State
	status  spend.SourceStatus
	failing map[string]failure // by topic of steps, whose newest pull failed
	clock   evidence
	asked   time.Time // start of the newest pull of the present, whatever became of it

	// The rest belongs to the goroutine of the loop.
	failedAt time.Time // start of the newest pull, if it failed or was cut off
	sizeDay  spend.Day
	size     int            // buckets per page that worked on sizeDay
	spans    map[string]int // days at once that worked on sizeDay where not all did, by kind of window
	notices  map[string]int // of the last walk, to log changes only
	last     Step           // the newest applied step other than the present
	mark     mark           // of the newest applied present
}

// mark is what a provider's data looked like when the days of a window were read.
type mark struct {
	window spend.Window
	value  string
}

func newSource(o *Options, cfg SourceConfig) *source {
	if cfg.Interval <= 0 {
		cfg.Interval = defaultInterval
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	id := cfg.Source.ID()
	return &source{
		opts: o, cfg: cfg, id: id,
		log: o.Logger.With("provider", id.Provider, "account", id.Account, "source", id.Source),

		kicked:  make(chan struct{}, 1),
		commit:  newSemaphore(),
		failing: map[string]failure{},

		heavyWalk: heavyWalk,
		status: spend.SourceStatus{
			ID: id, Interval: cfg.Interval, MaxStaleness: cfg.MaxStaleness, Enabled: cfg.Enabled,
			Usage: cfg.Source.Type().Kind == providers.Usage, Lag: cfg.Source.Type().Lag,
			BudgetSource: cfg.Source.Type().Kind == providers.Budgets, BudgetOnly: cfg.BudgetOnly, Counted: cfg.Counted,
			NoSpend: cfg.NoSpend && cfg.Source.Type().Kind == providers.Budgets,
		},
	}
}

func (s *source) settings() Settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settingsLocked()
}

func (s *source) settingsLocked() Settings {
	_, fails := s.failing[KindCurrent]
	return Settings{Lookback: s.cfg.Lookback, InitialHistory: s.opts.InitialHistory, PresentFails: fails}
}

// budgets reports whether the source tells of budgets, which have no days.
func (s *source) budgets() bool { return s.cfg.Source.Type().Kind == providers.Budgets }

// maxBuckets is the largest page in days.
func (s *source) maxBuckets() int {
	if n := s.cfg.Source.Type().MaxBuckets; n > 0 {
		return n
	}
	return providers.MaxBuckets
}

// present is the window that every poll reads.
func (s *source) present(now time.Time, st store.State) spend.Window {
	if s.budgets() {
		today := spend.DayOf(now)
		return spend.Window{From: today, To: today + 1}
	}
	return currentWindow(now, st, s.settings())
}

// plan lists the pulls that the source needs at now.
func (s *source) plan(now time.Time, st store.State) []Step {
	if s.budgets() {
		return []Step{{KindCurrent, s.present(now, st)}}
	}
	return Plan(now, st, s.settings(), s.missing(st, now))
}

// prepare takes over the state of the ledger and what became of the newest pulls.
func (s *source) prepare(ctx context.Context, st store.State) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.LastSuccess = st.LastApplied // unless a record knows better
	s.state = rescoped(st, s.cfg.Scope)
	if s.state.CoveredFrom != st.CoveredFrom {
		s.log.Warn("the filter of this account has changed: its history is read again",
			"from", st.CoveredFrom.String(), "filter", s.cfg.Scope, "filter_before", st.Scope)
	}
	since := s.opts.Now().Add(-pullMemory)
	h := past{began: st.LastApplied}
	err := s.opts.Store.Pulls(ctx, s.id, since, h.add)
	if errors.Is(err, store.ErrCorrupt) {
		// They only say what the status was before the start.
		s.log.Error("the newest pulls cannot be read", "err", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the newest pulls of %s: %w", s.id, err)
	}
	s.takeOver(h)
	return nil
}

func (s *source) current() store.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

func (s *source) setState(st store.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = st
}

func (s *source) setNext(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.NextPull = at
}

func (s *source) begun(step Step, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Pulling, s.status.PagesPulled, s.status.PullWindow = true, 0, step.Window
	if step.Kind == KindCurrent {
		s.asked = now
	}
}

// hurry makes the present due now unless a pull that began at or after since was
// applied, is under way, or failed less than hurryAgain ago.
func (s *source) hurry(since, now time.Time) {
	s.mu.Lock()
	answered := !s.state.LastApplied.Before(since)
	tried := !s.asked.Before(since) && (s.status.Pulling || now.Sub(s.asked) < hurryAgain)
	s.mu.Unlock()
	if !answered && !tried {
		s.kick()
	}
}

// kick has the loop pull the present as soon as it can.
func (s *source) kick() {
	select {
	case s.kicked <- struct{}{}:
	default: // one is waiting already
	}
}

func (s *source) paged() {
	s.opts.Observer.PageFetched(s.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.PagesPulled++
}

// evidence is what the newest answers say about this machine's clock.
type evidence int

const (
	noAnswer  evidence = iota // nobody has answered since the start
	noDate                    // answers come without a time
	agrees                    // within maxSkew
	disagrees                 // beyond
)

// compared notes how the clock of the newest answer compares with ours.
func (s *source) compared(e evidence) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e != noDate || s.clock == noAnswer {
		s.clock = e
	}
}

func (s *source) evidence() evidence {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock
}

// stopped ends the running state of a pull without judging it.
func (s *source) stopped() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Pulling, s.status.PagesPulled, s.status.PullWindow = false, 0, spend.Window{}
}

// missing lists the days before the present that history covers and the book does not
// know, or knows only from before their end: their statement was damaged, or they
// fell out of a present that nobody could read. History before the goal that is
// missing from its very start has expired and is not read again.
func (s *source) missing(st store.State, now time.Time) []spend.Day {
	if st.CoveredFrom == 0 {
		return nil
	}
	goal := historyGoal(spend.DayOf(now), st, s.settings())
	limit := currentWindow(now, st, s.settings()).From
	snap := s.opts.Book.Snapshot()
	var out []spend.Day
	seen := false
	for d := st.CoveredFrom; d < limit; d++ {
		said, ok := snap.Statement(s.id, d)
		seen = seen || ok
		whole := ok && !said.ReadAt.Before((d + 1).Time())
		expired := !seen && d < goal
		if !whole && !expired {
			out = append(out, d)
		}
	}
	return out
}

// loop pulls until ctx ends.
func (s *source) loop(ctx context.Context) {
	a := newAgenda(s.opts.Now(), s.current().LastApplied, s.failedAt, s.cfg.Interval, s.opts.Rand)
	key := s.fingerprint()
	for ctx.Err() == nil {
		now := s.opts.Now()
		select {
		case <-s.kicked: // while it pulled something else
			a.hurry(now)
		default:
		}
		st := s.current()
		steps := s.plan(now, st)
		s.wanted(steps)
		step, at := a.next(now, steps)
		if step == s.last {
			// It was applied and is wanted again: whatever the cause, never in a hot loop.
			a.postpone(step.topic(), now)
			s.last = Step{}
			continue
		}
		s.setNext(at)
		if at.After(now) {
			s.wait(ctx, a, at.Sub(now), key)
			continue
		}
		key = s.fingerprint()
		res := s.pull(ctx, step)
		if res.abandoned {
			return
		}
		a.ended(step.topic(), now, s.opts.Now(), res.outcome, res.retryAfter)
		s.last = Step{}
		if res.outcome.Applied() && step.Kind != KindCurrent {
			s.last = step
		}
	}
}

// wait sleeps until the next pull is due. While the key is refused it looks every
// few seconds whether there is another one (key is the refused one's fingerprint).
func (s *source) wait(ctx context.Context, a *agenda, d time.Duration, key string) {
	if a.refused && s.cfg.CredentialChanged != nil {
		d = min(d, credentialPoll)
	}
	kicked, err := sleep(ctx, d, s.kicked)
	if err != nil {
		return
	}
	switch {
	case a.refused && s.fingerprint() != key:
		a.wake(s.opts.Now())
	case kicked:
		a.hurry(s.opts.Now())
	}
}

func (s *source) fingerprint() string {
	if s.cfg.CredentialChanged == nil {
		return ""
	}
	return s.cfg.CredentialChanged()
}

// decoder returns a decoder of this source for a window.
func (s *source) decoder(w spend.Window) providers.Decoder { return s.cfg.Source.NewDecoder(w) }
