package hardcap_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/hardcap"
	"github.com/aispend/aispend/spend"
)

// TestWhateverHappens: bills that rise and fall, limits that change, alerts true and
// false, hooks that fail, restarts and midnights in any order. The hook is only ever
// called with what the ledger says at that very moment, under the one id of that
// breach; what is breached and told of arrives; and what has arrived is not sent again.
func TestWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) { whatever(t, rt) })
	})
}

func whatever(t *testing.T, rt *rapid.T) {
	r := newRig(t, "2026-11-30T21:00:00Z")
	r.caps = []caps.Cap{{Scope: "openai", Period: caps.Day, Hard: usd("100")}, {Scope: "global", Period: caps.Month, Hard: usd("300")}}
	var mu sync.Mutex // of the two attempts that may be under way at once
	up := true
	taken := map[string]bool{}
	r.wire.set(func(n int, q *http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		sent := r.wire.all()[n-1]
		checkSent(rt, r, sent)
		if taken[sent.id] {
			rt.Errorf("%s was taken and is sent again", sent.id)
		}
		if !up {
			return status(http.StatusBadGateway), nil
		}
		taken[sent.id] = true
		return status(http.StatusNoContent), nil
	})
	r.run()
	told := map[string]bool{}
	tell := func(i int, at time.Time) {
		c := r.caps[i]
		receipt, err := r.tell(firing(c.Scope, string(c.Period), at))
		if err != nil && !errors.Is(err, hardcap.ErrLater) {
			rt.Fatal(err)
		}
		if err == nil && (receipt.Answers[0].Decision == hardcap.Recorded) {
			told[receipt.Answers[0].ID] = true
		}
	}
	amount := rapid.IntRange(0, 400)
	rt.Repeat(map[string]func(*rapid.T){
		"bill": func(rt *rapid.T) { r.spends(openai, fmt.Sprint(amount.Draw(rt, "usd"))) },
		"limit": func(rt *rapid.T) {
			r.limit(rapid.IntRange(0, 1).Draw(rt, "cap"), fmt.Sprint(100*rapid.IntRange(1, 3).Draw(rt, "x100")))
		},
		"alert":   func(rt *rapid.T) { tell(rapid.IntRange(0, 1).Draw(rt, "cap"), r.sources[0].LastApplied) },
		"too new": func(rt *rapid.T) { tell(rapid.IntRange(0, 1).Draw(rt, "cap"), r.now().Add(time.Nanosecond)) },
		"hook": func(*rapid.T) {
			mu.Lock()
			defer mu.Unlock()
			up = !up
		},
		"restart": func(*rapid.T) { r.restart() },
		"time": func(rt *rapid.T) {
			r.pass(time.Duration(rapid.IntRange(1, 900).Draw(rt, "seconds")) * time.Second)
		},
		"": func(*rapid.T) { synctest.Wait() },
	})
	// In the end the hook is well and the alerts stand: everything that is breached has
	// arrived, and nothing waits.
	mu.Lock()
	up = true
	mu.Unlock()
	for i := range r.caps {
		tell(i, r.sources[0].LastApplied)
	}
	r.pass(70 * time.Minute)
	statuses, _, err := r.Look()
	if err != nil {
		rt.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, st := range statuses {
		hard, _ := st.Level(caps.Hard)
		id := hardcap.ID(st.Scope, st.Period, st.Window.From, hard.Limit)
		if hard.Reached && told[id] && !taken[id] {
			rt.Errorf("%s of %s %s is breached and told and never arrived: %q", id, st.Scope, hard.Limit, r.states())
		}
	}
	for _, e := range r.hook.Deliveries() {
		if e.State == hardcap.Pending {
			rt.Errorf("%+v waits still", e)
		}
		if taken[e.ID] != (e.State == hardcap.Delivered) {
			rt.Errorf("%s is %s, taken %t", e.ID, e.State, taken[e.ID])
		}
	}
}

// checkSent compares a delivery with the ledger of this moment.
func checkSent(rt *rapid.T, r *rig, sent request) {
	b := sent.decode(r.t)
	if len(b.Breaches) != 1 {
		rt.Fatalf("body %s", sent.body)
	}
	said := b.Breaches[0]
	statuses, _, err := r.Look()
	if err != nil {
		rt.Fatal(err)
	}
	for _, st := range statuses {
		if st.Scope != said["scope"] || string(st.Period) != said["period"] {
			continue
		}
		hard, _ := st.Level(caps.Hard)
		if !hard.Reached || st.Window.From.String() != said["period_start"] {
			rt.Errorf("sent at %s without a breach: ledger %s of %s: %s", sent.at, st.Spend, hard.Limit, sent.body)
		}
		if want := hardcap.ID(st.Scope, st.Period, spend.DayOf(st.Start()), hard.Limit); sent.id != want || b.ID != want {
			rt.Errorf("sent under %s and %s, want %s", sent.id, b.ID, want)
		}
		return
	}
	rt.Errorf("sent for a cap that is not there: %s", sent.body)
}
