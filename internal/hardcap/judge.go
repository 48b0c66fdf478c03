package hardcap

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/spend"
)

// verdict is what the ledger says of a hint.
type verdict int

const (
	act     verdict = iota // the cap is breached
	reject                 // it is not, and the data is new enough to say so
	wait                   // the data is too old to say anything: newer is asked for
	foreign                // there is no such hard cap here
)

// finding is a verdict with its reason.
type finding struct {
	verdict verdict
	reason  string
	status  caps.Status      // zero if foreign
	limit   spend.Money      // the hard limit
	behind  []spend.SourceID // the sources to be pulled
	since   time.Time        // by a pull that begins then or later
}

// futureSlack is how new the data must be for an alert that began in the future:
// the clock of Prometheus is ahead of ours, and no pull ever begins late enough.
const futureSlack = time.Minute

// judge asks the ledger. The rules, in the order in which they are tried:
//
//   - No pull of any source that feeds the cap has begun since the alert did and been
//     applied: wait. Money is lost by waiting a pull, keys by not waiting.
//   - The limit is reached: act. Sources that are behind can only add to it.
//   - A source that feeds the cap is behind the alert, or the spend is not known: wait.
//     The replica that sent the alert may know what this one has not read yet.
//   - Otherwise reject.
func judge(h hint, statuses []caps.Status, sources []spend.SourceStatus, now time.Time) finding {
	st, ok := capOf(statuses, h.scope, h.period)
	if !ok {
		return finding{verdict: foreign, reason: "no cap of this scope and period is configured here"}
	}
	hard, ok := st.Level(caps.Hard)
	if !ok {
		return finding{verdict: foreign, reason: "this cap has no hard limit here"}
	}
	f := finding{status: st, limit: hard.Limit, since: h.startsAt}
	if f.since.After(now) {
		f.since = now.Add(-futureSlack)
	}
	feeding := 0
	for _, s := range sources {
		if !st.FedBy(s) {
			continue
		}
		feeding++
		if s.LastApplied.Before(f.since) {
			f.behind = append(f.behind, s.ID)
		}
	}
	spent := fmt.Sprintf("the ledger has %s USD of %s USD", st.Spend, hard.Limit)
	if !st.Known {
		spent = "the spend of the period is not known yet"
	}
	switch {
	case feeding == 0:
		f.verdict, f.reason = reject, "no enabled source feeds this cap here"
	case len(f.behind) == feeding:
		f.verdict, f.reason = wait, "no data newer than the alert yet; pulling "+names(f.behind)
	case hard.Reached:
		f.verdict, f.reason = act, spent
	case len(f.behind) > 0:
		f.verdict, f.reason = wait, spent+", and no data newer than the alert yet of "+names(f.behind)
	case !st.Known:
		f.verdict, f.reason = wait, spent
	default:
		f.verdict, f.reason = reject, spent
	}
	return f
}

func capOf(statuses []caps.Status, scope string, period caps.Period) (caps.Status, bool) {
	i := slices.IndexFunc(statuses, func(s caps.Status) bool {
		return s.Period == period && labelOf(s.Scope) == scope
	})
	if i < 0 {
		return caps.Status{}, false
	}
	return statuses[i], true
}

// labelOf is a scope as the label of its metrics, and so of its alerts.
func labelOf(scope string) string {
	label, _ := spend.CleanLabel(scope)
	return label
}

func names(ids []spend.SourceID) string {
	var out []string
	for _, id := range ids {
		out = append(out, id.String())
	}
	return strings.Join(out, ", ")
}

// stillRight asks the ledger before an attempt whether a pending event is to be sent.
// It returns the state that it must have now and why: Pending to send it. Unsure
// means that the ledger cannot tell at the moment.
func stillRight(e Event, statuses []caps.Status, now time.Time) (state State, reason string, unsure bool) {
	st, ok := capOf(statuses, labelOf(e.Scope), e.Period)
	hard, on := st.Level(caps.Hard)
	switch {
	case !now.Before(e.ends()):
		return Cancelled, fmt.Sprintf("the period ended on %s", e.PeriodEnd), false
	case !ok || !on:
		return Cancelled, "the cap has no hard limit any more", false
	case st.Window.From != e.PeriodStart:
		return Cancelled, "the cap has another period now", false
	case !hard.Limit.Equal(e.Threshold):
		return Cancelled, fmt.Sprintf("the limit was changed to %s USD", hard.Limit), false
	case !st.Known:
		return Pending, "the spend of the period is not known at the moment", true
	case !hard.Reached:
		return Cancelled, fmt.Sprintf("no longer breached: the ledger has %s USD of %s USD", st.Spend, hard.Limit), false
	default:
		return Pending, "", false
	}
}
