package ingest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

// budgetMemory is how long a budget that nobody publishes any more is remembered: both
// months that people compare.
const budgetMemory = 62 * 24 * time.Hour

// knownDays returns the days of w of which a walk learnt something: all of them, unless
// the provider's data begins later. Days that the ledger covers are known all the same:
// data that was there once does not begin later, it is silent.
func knownDays(w spend.Window, st store.State, result providers.Result) spend.Window {
	from := result.From
	if st.CoveredFrom != 0 {
		from = min(from, st.CoveredFrom)
	}
	w.From = min(max(w.From, from), w.To)
	return w
}

// withBudgets returns st after a walk that began at start learnt something of budgets.
// Settings are learnt all at once: a budget without any is not there any more.
func withBudgets(st store.State, result providers.Result, start time.Time) store.State {
	known := slices.Clone(st.Budgets)
	if slices.ContainsFunc(result.Budgets, func(b spend.Budget) bool { return b.Settings != nil }) {
		for i := range known {
			known[i].Settings = nil
		}
	}
	learnt := spend.StampBudgets(result.Budgets, start)
	st.Budgets = spend.ForgetBudgets(spend.MergeBudgets(known, learnt), start.Add(-budgetMemory))
	st.LastApplied = start
	st.DataThrough = later(st.DataThrough, result.Through)
	return st
}

// applyNoDays ends a pull that changes the state of its source and no day of the ledger.
func (t *tour) applyNoDays(ctx context.Context, next store.State) (pullResult, error) {
	t.ended = true
	t.round.left.To = t.round.left.From
	t.writer.Narrow(spend.Window{From: t.step.Window.To, To: t.step.Window.To})
	if err := t.writer.Apply(ctx, spend.OK, nil, next); err != nil {
		return pullResult{}, spend.Classify(spend.StoreFailed, fmt.Errorf("applying a pull: %w", err))
	}
	t.setState(next)
	t.log.Debug("pull applied", "pull", t.writer.ID(), "kind", t.step.Kind, "pages", t.pages,
		"unchanged", t.unchanged, "budgets", len(next.Budgets))
	return pullResult{outcome: spend.OK}, nil
}

// afterwards is what is left to do once a pull was applied: telling the provider, and
// what failed beside the pages. Neither takes back what was applied.
func (t *tour) afterwards(ctx context.Context, res pullResult) pullResult {
	if s, ok := t.cfg.Source.(providers.Settler); ok && res.outcome.Applied() {
		sctx, cancel := context.WithTimeout(ctx, t.cfg.Timeout)
		defer cancel()
		if err := safely(spend.Schema, func() error { return s.Settle(sctx) }); err != nil {
			return failed(ctx, timedOut(sctx, t.cfg.Timeout, err))
		}
	}
	if t.partial != nil {
		return failed(ctx, t.partial)
	}
	return res
}

// marked returns the mark of the step's window, if all of it was applied with it.
func (t *tour) marked() string {
	if t.step.Kind == KindCurrent && t.step.Window == t.mark.window {
		return t.mark.value
	}
	return ""
}

// setMark remembers what the provider's data looked like when the present was read, if
// one walk read all of it.
func (t *tour) setMark(value string) {
	if t.step.Kind != KindCurrent {
		return
	}
	t.mark = mark{}
	if t.step.Window == t.round.step.Window {
		t.mark = mark{t.step.Window, value}
	}
}
