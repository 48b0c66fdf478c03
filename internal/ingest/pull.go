package ingest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

const (
	// putAwayTimeout bounds the record of a failed pull, commitTimeout the write of a
	// whole window: both go on when the daemon is stopping.
	putAwayTimeout = 15 * time.Second
	commitTimeout  = 2 * time.Minute
	// maxSkew is the difference between the provider's clock and ours beyond which no
	// answer is believed: one of the two does not know what day it is.
	maxSkew = 24 * time.Hour
)

// errAbandoned is why a pull that a shutdown cut off has verdict failed.
var errAbandoned = errors.New("abandoned: the daemon was stopping")

// pullResult is the final outcome of a pull, all its walks together.
type pullResult struct {
	outcome    spend.Outcome
	retryAfter time.Duration
	err        error
	abandoned  bool
	heavy      bool // the walk as a whole was large, whatever was wrong with it
}

// pull walks one step, in as many walks as that takes, and counts the final outcome
// once.
func (s *source) pull(ctx context.Context, step Step) pullResult {
	began := s.opts.Now()
	s.begun(step, began)
	defer s.stopped()
	r := s.newRound(step, began)
	res := s.walk(ctx, r)
	for more, again := r.next(res); more; more, again = r.next(res) {
		if again {
			s.log.Info("walking again with less at once", "window", r.part().Window.String(),
				"buckets", r.buckets, "outcome", string(res.outcome), "err", res.err)
			s.opts.Instruments.Rewalked(s.id.Source)
		}
		res = s.walk(ctx, r)
	}
	if r.foreign && res.outcome == spend.OK {
		res.outcome = spend.Currency
	}
	if res.abandoned {
		s.log.Info("pull abandoned", "window", step.Window.String())
		return res
	}
	now := s.opts.Now()
	s.remember(r, res)
	if !res.outcome.Applied() && res.outcome != spend.Held {
		s.log.Warn("pull failed", "window", step.Window.String(), "kind", step.Kind,
			"outcome", string(res.outcome), "err", res.err)
		if stack := stackOf(res.err); stack != nil {
			s.log.Error("vendor code panicked", "err", res.err, "stack", string(stack))
		}
	}
	s.judged(step.topic(), res.outcome, res.err, now)
	s.opts.Observer.PullEnded(s.id, res.outcome, now.Sub(began).Seconds())
	return res
}

// walk is one attempt: space, pages, checks, and exactly one verdict.
func (s *source) walk(ctx context.Context, r *round) pullResult {
	start := s.opts.Now()
	if r.step.Kind == KindCurrent && r.began.IsZero() {
		// Midnight may have passed since the step was planned.
		r.step.Window = s.present(start, s.current())
		r.left, r.known = r.step.Window, r.step.Window.To
	}
	step := r.part()
	if err := s.opts.Store.CheckSpace(); err != nil {
		return failed(ctx, spend.Classify(spend.StoreFailed, err))
	}
	w, err := s.opts.Store.Begin(ctx, store.Pull{
		Source: s.id, Window: step.Window, Kind: step.Kind, Scope: s.cfg.Scope, Buckets: r.buckets, Started: start,
	})
	if err != nil {
		return failed(ctx, spend.Classify(spend.StoreFailed, fmt.Errorf("opening a pull: %w", err)))
	}
	t := &tour{source: s, round: r, writer: w, step: step, start: start}
	result, err := t.fetch(ctx)
	if t.skewed {
		s.opts.Observer.ClockSkew(s.id.Provider, t.skew)
	}
	if err == nil {
		var res pullResult
		if res, err = t.commit(ctx, result); err == nil {
			return t.afterwards(ctx, res)
		}
	}
	if step.Window.Days() == 1 && r.buckets == 1 && classOf(err) == spend.TooLarge {
		err = spend.Classify(spend.TooLarge, fmt.Errorf("%s alone is more than aispend reads at once: "+
			"limit the block to fewer projects or workspaces: %w", step.Window.From, err))
	}
	res := t.putAway(ctx, err)
	res.heavy = t.bytes >= s.heavyWalk
	return res
}

// failed is the result of a walk that changed nothing.
func failed(ctx context.Context, err error) pullResult {
	if ctx.Err() != nil {
		return pullResult{outcome: spend.Incomplete, err: errAbandoned, abandoned: true}
	}
	res := pullResult{outcome: classOf(err), err: err}
	if pe, ok := errors.AsType[*spend.PullError](err); ok {
		res.retryAfter = pe.RetryAfter
	}
	return res
}

// classOf is the outcome that an error counts as. A class that would mean success
// is a vendor's mistake.
func classOf(err error) spend.Outcome {
	o := spend.OutcomeOf(err, spend.Network)
	if o.Applied() || o == spend.Held {
		return spend.Schema
	}
	return o
}

// tour is one walk on its way from the provider to the ledger.
type tour struct {
	*source
	round  *round
	writer store.PullWriter
	step   Step // the part of the round
	start  time.Time
	pages  int
	bytes  int64
	ended  bool // the writer was asked for a verdict; how that went wrong does not matter
	// unchanged is set if the provider says that nothing has happened since the mark,
	// partial if something beside the pages failed.
	unchanged bool
	partial   error
	skewed    bool
	skew      time.Duration // provider's clock minus ours
}

// fetch walks the window under the timeout of the whole walk, keeps every page
// and decodes the good ones. A nil error means that the walk is complete and
// every page of it was understood.
func (t *tour) fetch(ctx context.Context) (providers.Result, error) {
	wctx, cancel := context.WithTimeout(ctx, t.cfg.Timeout)
	defer cancel()
	var dec providers.Decoder
	if err := safely(spend.Schema, func() error { dec = t.decoder(t.step.Window); return nil }); err != nil {
		return providers.Result{}, err
	}
	var own error // of a page; a vendor may wrap it beyond recognition
	req := providers.Request{Window: t.step.Window, Buckets: t.round.buckets, Mark: t.marked()}
	err := safely(spend.Schema, func() error {
		return t.cfg.Source.Fetch(wctx, req, func(p spend.Page) error {
			if own == nil {
				own = t.page(ctx, dec, p)
			}
			return own
		})
	})
	partial, isPartial := errors.AsType[*providers.PartialError](err)
	switch {
	case own != nil:
		err = own
	case req.Mark != "" && errors.Is(err, providers.ErrUnchanged):
		t.unchanged = true
		return providers.Result{}, nil
	case isPartial:
		t.partial, err = partial.Err, nil
	}
	if err != nil {
		return providers.Result{}, timedOut(wctx, t.cfg.Timeout, err)
	}
	var result providers.Result
	err = safely(spend.Decode, func() error { result, err = dec.Result(); return err })
	return result, err
}

// timedOut gives errors that only say that the time was over their class.
func timedOut(ctx context.Context, limit time.Duration, err error) error {
	o := spend.OutcomeOf(err, spend.Network)
	vague := o == spend.Network || o == spend.Incomplete
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && vague {
		return spend.Classify(spend.Timeout, fmt.Errorf("walk did not end within %s: %w", limit, err))
	}
	return err
}

// page keeps one response, then decodes it if it is an answer.
func (t *tour) page(ctx context.Context, dec providers.Decoder, p spend.Page) error {
	t.paged()
	t.pages++
	t.bytes += int64(len(p.Body))
	t.noteSkew(p)
	err := safely(spend.StoreFailed, func() error { return t.writer.Page(ctx, p) })
	if err != nil {
		return spend.Classify(spend.StoreFailed, fmt.Errorf("keeping page %d: %w", p.Seq, err))
	}
	if p.Status != http.StatusOK {
		return nil // Fetch returns its error after the page was kept
	}
	began := t.opts.Now()
	err = safely(spend.Decode, func() error { return dec.Page(p.Body) })
	t.opts.Instruments.PageDecoded(t.id.Source, len(p.Body), t.opts.Now().Sub(began).Seconds())
	if err != nil {
		return spend.Classify(spend.OutcomeOf(err, spend.Decode), fmt.Errorf("page %d: %w", p.Seq, err))
	}
	return nil
}

// noteSkew compares the provider's clock with ours; Date has whole seconds.
func (t *tour) noteSkew(p spend.Page) {
	d, err := http.ParseTime(p.Header["Date"])
	if err != nil || p.FetchedAt.IsZero() {
		t.compared(noDate)
		return
	}
	t.skewed, t.skew = true, d.Sub(p.FetchedAt)
	if t.skew.Abs() > maxSkew {
		t.compared(disagrees)
	} else {
		t.compared(agrees)
	}
}

// commit judges a complete walk and makes it the truth, or holds it. It runs to
// its end even when ctx ends meanwhile. An error means that nothing changed and
// that the pull failed.
func (t *tour) commit(ctx context.Context, result providers.Result) (pullResult, error) {
	if t.skewed && t.skew.Abs() > maxSkew {
		return pullResult{}, spend.Classify(spend.Schema, fmt.Errorf("the provider's clock and this machine's "+
			"differ by %s: nothing is applied until both know what day it is; check this machine's clock", t.skew))
	}
	if err := t.source.commit.lock(ctx); err != nil {
		return pullResult{}, err
	}
	defer t.source.commit.unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()

	st := t.current()
	switch {
	case t.budgets():
		return t.applyNoDays(ctx, withBudgets(st, result, t.start))
	case t.unchanged:
		return t.applyNoDays(ctx, advance(st, t.step.Window, t.step.Window.From, t.start))
	}
	known := knownDays(t.step.Window, st, result)
	prev := previous(t.opts.Book.Snapshot(), t.id, known, sameFilter(st, known))
	got := wholeWindow(known, t.start, result.Statements)
	if suspicious(prev, got) {
		h, release := hold(seenEmpty(st.Holds[t.step.topic()], prev), t.step.Window, t.start)
		if !release {
			return t.holdBack(ctx, withHold(st, t.step.topic(), h), h)
		}
	}
	next := t.round.advance(st, t.step.Window, known, t.start, result)
	notices := result.Notices
	if n := missingTail(known, t.start, result.Statements); n > 0 {
		notices = maps.Clone(notices)
		if notices == nil {
			notices = map[string]int{}
		}
		notices[noticeTail] = n
	}
	res, err := t.apply(ctx, next, known, prev, got)
	if err == nil {
		t.noteNotices(notices)
		t.setMark(result.Mark)
	}
	return res, err
}

// holdBack ends the pull without believing it.
func (t *tour) holdBack(ctx context.Context, next store.State, h store.Hold) (pullResult, error) {
	t.ended = true
	if err := t.writer.Hold(ctx, next); err != nil {
		return pullResult{}, spend.Classify(spend.StoreFailed, fmt.Errorf("holding a pull: %w", err))
	}
	t.setState(next)
	t.log.Warn("empty window held", "pull", t.writer.ID(), "window", t.step.Window.String(),
		"walks", h.Count, "since", h.First)
	return pullResult{outcome: spend.Held}, nil
}

// apply replaces every day of the known window in the ledger, then in the book.
func (t *tour) apply(
	ctx context.Context, next store.State, known spend.Window, prev map[spend.Day]spend.Statement,
	got []spend.Statement,
) (pullResult, error) {
	outcome := appliedOutcome(got)
	t.ended = true
	if known != t.step.Window {
		t.writer.Narrow(known)
	}
	if err := t.writer.Apply(ctx, outcome, got, next); err != nil {
		return pullResult{}, spend.Classify(spend.StoreFailed, fmt.Errorf("applying a pull: %w", err))
	}
	t.opts.Book.Update(func(tx *rollup.Tx) {
		tx.ReplaceWindow(t.id, known, t.start, got)
		tx.SetThrough(t.id, next.DataThrough)
	})
	t.setState(next)
	if up, down := revisions(prev, got, t.start); up.Sign() > 0 || down.Sign() > 0 {
		t.opts.Observer.Revised(t.id.Provider, up, down)
	}
	t.log.Info("pull applied", "pull", t.writer.ID(), "window", known.String(), "kind", t.step.Kind,
		"pages", t.pages, "buckets", t.round.buckets, "outcome", string(outcome))
	return pullResult{outcome: outcome}, nil
}

// noteNotices counts oddities, and logs them when they are not those of last time.
func (t *tour) noteNotices(notices map[string]int) {
	changed := len(notices) != len(t.notices)
	for name, n := range notices {
		t.opts.Instruments.Noticed(t.id.Source, name, n)
		if _, known := t.notices[name]; !known {
			changed = true
		}
	}
	t.notices = notices
	if changed && len(notices) > 0 {
		t.log.Info("oddities in the answer", "pull", t.writer.ID(), "notices", fmt.Sprint(notices))
	}
}

// putAway ends the pull with verdict failed, also when ctx is over. A pull that
// the store could not apply or hold keeps whatever verdict the store left it: if
// its commit did reach the disk after all, "failed" would be a lie.
func (t *tour) putAway(ctx context.Context, err error) pullResult {
	res := failed(ctx, err)
	if t.ended {
		return res
	}
	wctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putAwayTimeout)
	defer cancel()
	if err := t.writer.Fail(wctx, res.outcome, res.err.Error()); err != nil {
		t.log.Warn("recording a failed pull", "pull", t.writer.ID(), "err", err)
	}
	return res
}
