package hardcap_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/hardcap"
)

// The bill falls while the daemon is down: what the ledger knew before sends nothing.
func TestNothingIsSentOnDataFromBeforeTheStart(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.run()
		r.wire.set(always(500))
		r.breach()
		time.Sleep(time.Second)
		r.wire.set(nil)
		sent := len(r.wire.all())
		r.shut()
		r.pass(time.Hour)
		r.open()
		r.run()
		time.Sleep(10 * time.Second)
		if n := len(r.wire.all()); n != sent {
			t.Errorf("%d attempts before anything was read", n-sent)
		}
		if e := r.hook.Deliveries()[0]; e.State != hardcap.Pending || !strings.Contains(e.Reason, "openai/costs") {
			t.Errorf("event %+v", e)
		}
		r.mu.Lock()
		if want := "openai/costs since " + r.now().Add(-10*time.Second).Format(time.RFC3339); !slices.Contains(r.hurried, want) {
			t.Errorf("hurried %q, want %q", r.hurried, want)
		}
		r.mu.Unlock()
		r.spends(openai, "1") // and with it the pull
		time.Sleep(2 * time.Second)
		r.wantStates("openai/month 1000 cancelled")
		if n := len(r.wire.all()); n != sent {
			t.Errorf("%d attempts although the bill has fallen", n-sent)
		}
	})
}

// What is breached still is sent as soon as that is known; a provider that is away
// holds it up for a minute and no longer.
func TestFirstDataAfterTheStart(t *testing.T) {
	for name, c := range map[string]struct {
		read  time.Duration
		wants time.Duration
	}{"read": {7 * time.Second, 8 * time.Second}, "away": {time.Hour, 61 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			story(t, noon, func(t *testing.T, r *rig) {
				r.run()
				r.wire.set(always(500))
				r.breach()
				time.Sleep(time.Second)
				r.wire.set(nil)
				r.shut()
				r.pass(time.Hour)
				r.open()
				started := r.now()
				r.run()
				time.Sleep(c.read)
				r.pulled(openai)
				time.Sleep(2 * time.Second)
				r.wantStates("openai/month 1000 delivered")
				all := r.wire.all()
				if took := all[len(all)-1].at.Sub(started); took > c.wants || took < min(c.read, freshPatience) {
					t.Errorf("sent %s after the start", took)
				}
			})
		})
	}
}

// freshPatience is the bound of the wait for the first data.
const freshPatience = time.Minute
