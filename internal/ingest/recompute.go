package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

// RecomputeRequest selects what to replay. Empty fields select everything.
type RecomputeRequest struct {
	DryRun   bool // report the difference and change nothing
	Provider string
	Window   *spend.Window
}

// RecomputeReport is what a replay found. Applied in full unless DryRun was set.
type RecomputeReport struct {
	DryRun bool
	// Sources were replayed, from Pulls of their pulls, over Days of their days.
	Sources, Pulls, Days int
	// Kept counts the days of the ledger that stay as they are because no pull of
	// theirs can be replayed.
	Kept int
	// Changed counts the days whose statement differs from the ledger's.
	Changed int
	// Changes is the difference, sorted by provider, model, day and currency. Days
	// whose statement differs only in project, item or tax appear in Changed alone.
	Changes []Change
	// Problems names pulls and sources that could not be replayed; their days stay
	// as they are.
	Problems []string
}

// Change is the difference of one provider, model and day over all its accounts
// and sources. Money without a rate has a Change for each currency; tokens are told on
// one with an empty currency.
type Change struct {
	Provider, Model           string
	Day                       spend.Day
	Currency                  string
	Before, After             spend.Money
	TokensBefore, TokensAfter int64
}

// Recompute replays raw pages through the decoders that ingest uses: for each
// source, configured or not, and each day, the newest applied pull that covers
// the day and has all its pages. Days without such a pull stay as they are; days
// whose replayed statement is what the ledger says are not written. Nothing is
// counted as revised, and no source's state moves. One Recompute runs at a time;
// a pull that ends meanwhile waits for the replay of its source before it applies.
//
// Memory holds one page and one decoded pull. After an error, days that were
// amended before it stay amended; a repetition completes them.
func (r *Runner) Recompute(ctx context.Context, req RecomputeRequest) (RecomputeReport, error) {
	if err := r.replaying.lock(ctx); err != nil {
		return RecomputeReport{}, fmt.Errorf("waiting for another recompute: %w", err)
	}
	defer r.replaying.unlock()
	p := &replay{runner: r, req: req, changes: map[changeKey]Change{}}
	p.report.DryRun = req.DryRun
	records, err := r.opts.Store.Sources(ctx)
	if errors.Is(err, store.ErrCorrupt) {
		p.report.Problems = append(p.report.Problems, err.Error())
		err = nil
	}
	if err != nil {
		return p.report, fmt.Errorf("listing the sources of the ledger: %w", err)
	}
	for _, rec := range records {
		if req.Provider != "" && rec.ID.Provider != req.Provider {
			continue
		}
		err := p.source(ctx, rec.ID, rec.State)
		if errors.Is(err, store.ErrCorrupt) {
			p.problem(rec.ID, err.Error()) // the others can be replayed all the same
			continue
		}
		if err != nil {
			return p.report, fmt.Errorf("recomputing %s: %w", rec.ID, err)
		}
	}
	p.report.Changes = sortedChanges(p.changes)
	return p.report, nil
}

// replay is one Recompute in progress.
type replay struct {
	runner  *Runner
	req     RecomputeRequest
	report  RecomputeReport
	changes map[changeKey]Change
}

type changeKey struct {
	provider, model string
	day             spend.Day
	currency        string
}

// source replays one source, shut off from its pulls.
func (p *replay) source(ctx context.Context, id spend.SourceID, st store.State) error {
	newDecoder, scope, lock := p.parts(id)
	if newDecoder == nil {
		p.problem(id, "no decoder: this build or configuration does not know the source")
		return nil
	}
	if lock != nil {
		if err := lock.lock(ctx); err != nil {
			return err
		}
		defer lock.unlock()
	}
	p.report.Sources++
	pulls, err := p.pulls(ctx, id)
	if err != nil {
		return err
	}
	// Days are done when their newest whole pull was found: replayed (true) or not.
	done := map[spend.Day]bool{}
	for _, pull := range pulls {
		todo := p.todo(pull.Window, done)
		if len(todo) == 0 {
			continue
		}
		days, err := p.decode(ctx, pull, scope, newDecoder, todo)
		replayed := err == nil
		switch {
		case errors.Is(err, store.ErrPagesMissing):
			continue // an older pull may be whole
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errUnreadable):
			// The newest word on these days cannot be read any more; an older one must
			// not take its place.
			p.problem(id, "pull "+pull.ID+": "+err.Error())
		case err != nil:
			return err
		default:
			p.report.Pulls++
			p.report.Days += len(days)
			if err := p.settle(ctx, id, days); err != nil {
				return err
			}
		}
		for _, d := range todo {
			done[d] = replayed
		}
	}
	p.countKept(id, st, done)
	return nil
}

// countKept counts the requested days of the ledger that were not replayed.
func (p *replay) countKept(id spend.SourceID, st store.State, done map[spend.Day]bool) {
	snap := p.runner.opts.Book.Snapshot()
	held := spend.Window{From: st.CoveredFrom, To: spend.DayOf(p.runner.opts.Now()) + 1}
	for _, d := range p.todo(held, nil) {
		if _, known := snap.Statement(id, d); known && !done[d] {
			p.report.Kept++
		}
	}
}

// errUnreadable marks pages that are there and that the decoder refuses or would
// read with another filter.
var errUnreadable = errors.New("its pages cannot be replayed")

// parts returns the decoder of a source with the scope that it decodes for and,
// if the source is configured, the lock that keeps its pulls out. A source that is
// not configured is never decoded by another account's decoder, whose filter
// would drop its rows.
func (p *replay) parts(id spend.SourceID) (func(spend.Window) providers.Decoder, string, semaphore) {
	for _, s := range p.runner.sources {
		if s.id == id {
			return s.decoder, s.cfg.Scope, s.commit
		}
	}
	return p.runner.opts.Decoders[id.Source], "", nil
}

func (p *replay) problem(id spend.SourceID, text string) {
	p.report.Problems = append(p.report.Problems, id.String()+": "+text)
}

// pulls lists the applied pulls of a source that touch the requested window, the
// one applied last first: by commit, since a clock that was set back lets a pull
// start before one that it replaced.
func (p *replay) pulls(ctx context.Context, id spend.SourceID) ([]store.Pull, error) {
	var out []store.Pull
	err := p.runner.opts.Store.Pulls(ctx, id, time.Time{}, func(pull store.Pull) bool {
		if pull.Verdict == store.Applied && len(p.todo(pull.Window, nil)) > 0 {
			out = append(out, pull)
		}
		return ctx.Err() == nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing its pulls: %w", err)
	}
	slices.SortStableFunc(out, func(a, b store.Pull) int { return cmp.Compare(b.Commit, a.Commit) })
	return out, ctx.Err()
}

// todo lists the requested days of a pull's window that are not done.
func (p *replay) todo(w spend.Window, done map[spend.Day]bool) []spend.Day {
	if p.req.Window != nil {
		w.From, w.To = max(w.From, p.req.Window.From), min(w.To, p.req.Window.To)
	}
	var out []spend.Day
	for d := w.From; d < w.To; d++ {
		if _, found := done[d]; !found {
			out = append(out, d)
		}
	}
	return out
}

// decode reads one pull's pages back and returns the statements of the wanted
// days, as ingest would have applied them.
func (p *replay) decode(
	ctx context.Context, pull store.Pull, scope string,
	newDecoder func(spend.Window) providers.Decoder, want []spend.Day,
) ([]spend.Statement, error) {
	if pull.Scope != scope {
		return nil, fmt.Errorf("%w: it was read with the filter %q, now it is %q", errUnreadable, pull.Scope, scope)
	}
	var refused error
	var result providers.Result
	dec := newDecoder(pull.Window)
	err := p.runner.opts.Store.PullPages(ctx, pull, func(page spend.Page) error {
		if page.Status == http.StatusOK && refused == nil {
			refused = safely(spend.Decode, func() error { return dec.Page(page.Body) })
		}
		return cmp.Or(refused, ctx.Err())
	})
	if refused == nil && err == nil {
		refused = safely(spend.Decode, func() (err error) { result, err = dec.Result(); return err })
	}
	if refused != nil {
		return nil, fmt.Errorf("%w: %w", errUnreadable, refused)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the pages of pull %s: %w", pull.ID, err)
	}
	all := wholeWindow(pull.Window, pull.Started, result.Statements)
	out := make([]spend.Statement, len(want))
	for i, d := range want {
		out[i] = all[d-pull.Window.From]
	}
	return out, nil
}

// settle compares replayed days with the ledger and writes those that differ.
func (p *replay) settle(ctx context.Context, id spend.SourceID, replayed []spend.Statement) error {
	snap := p.runner.opts.Book.Snapshot()
	var differ []spend.Statement
	for _, st := range replayed {
		was, known := snap.Statement(id, st.Day)
		if known && sameContent(was, st) {
			continue
		}
		differ = append(differ, st)
		p.compare(id.Provider, was, -1)
		p.compare(id.Provider, st, 1)
	}
	p.report.Changed += len(differ)
	if p.req.DryRun || len(differ) == 0 {
		return nil
	}
	if err := p.runner.opts.Store.Amend(ctx, id, differ); err != nil {
		return fmt.Errorf("amending %d days: %w", len(differ), err)
	}
	p.runner.opts.Book.Update(func(tx *rollup.Tx) { tx.Replace(id, differ) })
	return nil
}

// compare adds a statement to one side of the changes: before (-1) or after (1).
func (p *replay) compare(provider string, st spend.Statement, side int) {
	for _, c := range st.Charges {
		if c.Tax {
			continue
		}
		k := changeKey{provider, c.ModelLabel(), st.Day, c.Currency}
		cost := c.Cost()
		if gross, credits, ok := c.USD(); ok {
			k.currency, cost = spend.USD, gross.Add(credits)
		}
		ch := p.changes[k]
		if side < 0 {
			ch.Before = ch.Before.Add(cost)
		} else {
			ch.After = ch.After.Add(cost)
		}
		p.changes[k] = ch
	}
	for _, u := range st.Usage {
		k := changeKey{provider, u.ModelLabel(), st.Day, ""}
		ch := p.changes[k]
		if side < 0 {
			ch.TokensBefore += u.Tokens()
		} else {
			ch.TokensAfter += u.Tokens()
		}
		p.changes[k] = ch
	}
}

// sameContent reports whether two statements of a day say the same.
func sameContent(a, b spend.Statement) bool {
	return slices.Equal(a.Usage, b.Usage) && slices.EqualFunc(a.Charges, b.Charges, sameCharge)
}

func sameCharge(x, y spend.Charge) bool {
	return x.Model == y.Model && x.Project == y.Project && x.Item == y.Item && x.Currency == y.Currency &&
		x.Tax == y.Tax && x.Rate.Equal(y.Rate) && x.Gross.Equal(y.Gross) && x.Credits.Equal(y.Credits)
}

// sortedChanges keeps what did change.
func sortedChanges(m map[changeKey]Change) []Change {
	var out []Change
	for k, c := range m {
		if c.Before.Equal(c.After) && c.TokensBefore == c.TokensAfter {
			continue
		}
		c.Provider, c.Model, c.Day, c.Currency = k.provider, k.model, k.day, k.currency
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Model, b.Model),
			cmp.Compare(a.Day, b.Day), cmp.Compare(a.Currency, b.Currency))
	})
	return out
}
