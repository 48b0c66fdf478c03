package hardcap_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/hardcap"
	"github.com/aispend/aispend/internal/signature"
)

// breach makes openai's month reach its limit and tells of it.
func (r *rig) breach() hardcap.Answer {
	r.t.Helper()
	began := r.now()
	r.spends(openai, "1003.5")
	return r.wantDecision(hardcap.Recorded, firing("openai", "month", began))
}

// waits are the pauses between the deliveries, in whole seconds.
func waits(all []request) []int {
	var out []int
	for i := 1; i < len(all); i++ {
		out = append(out, int(all[i].at.Sub(all[i-1].at).Seconds()))
	}
	return out
}

func TestDelivery(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		keys, err := signature.ParseKeys(newSecret + "\n" + oldSecret + "\n")
		if err != nil {
			t.Fatal(err)
		}
		r.change(func(r *rig) { r.target.Keys = keys })
		r.run()
		began := r.now()
		a := r.breach()
		time.Sleep(time.Second)
		all := r.wire.all()
		if len(all) != 1 {
			t.Fatalf("%d deliveries", len(all))
		}
		got := all[0]
		if got.id != a.ID || got.header.Get("Content-Type") != "application/json" || got.header.Get("User-Agent") != "aispend/test" {
			t.Errorf("headers %v", got.header)
		}
		if at := got.header.Get("Webhook-Timestamp"); at != fmt.Sprint(got.at.Unix()) {
			t.Errorf("timestamp %s at %d", at, got.at.Unix())
		}
		for _, secret := range []string{newSecret, oldSecret} {
			if err := verify(t, secret, got); err != nil {
				t.Errorf("signature: %v", err)
			}
		}
		if verify(t, "whsec_bm9ib2R5IGhhcyBldmVyIGhhZCB0aGlzIHNlY3JldCE=", got) == nil {
			t.Error("anybody's secret verifies")
		}
		changed := got
		changed.body = []byte(strings.Replace(string(got.body), "1003.5", "1003.6", 1))
		if verify(t, newSecret, changed) == nil {
			t.Error("a changed body verifies")
		}
		b := got.decode(t)
		if b.Event != "ai_spend_hard_cap" || b.ID != a.ID || b.Totals["global"] != "1003.5" || b.Totals["openai"] != "1003.5" {
			t.Errorf("body %+v", b)
		}
		r.wantStates("openai/month 1000 delivered")
		r.wantCounts("ok 1, retried 0, rejected 0, cancelled 0, dead 0")
		// Alertmanager repeats it every hour; that is no second delivery, nor after a restart.
		for range 3 {
			r.pass(time.Hour)
			r.wantDecision(hardcap.Known, firing("openai", "month", began))
		}
		r.restart()
		r.wantDecision(hardcap.Known, firing("openai", "month", began))
		r.pass(time.Hour)
		if n := len(r.wire.all()); n != 1 {
			t.Errorf("%d deliveries", n)
		}
	})
}

func TestUnsignedWithoutASecret(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.change(func(r *rig) { r.target.Keys = nil })
		r.run()
		r.breach()
		time.Sleep(time.Second)
		if all := r.wire.all(); len(all) != 1 || len(all[0].header.Values("Webhook-Signature")) != 0 {
			t.Errorf("deliveries %+v", all)
		}
	})
}

// A hook that is down is called again after 5 s, 10 s, ... an hour, and given up after
// a day; the id and the body stay, the timestamp does not.
func TestScheduleOfAttempts(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(refused)
		r.run()
		a := r.breach()
		r.pass(26 * time.Hour)
		all := r.wire.all()
		want := []int{5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560}
		for len(want) < len(all)-1 {
			want = append(want, 3600)
		}
		if diff := cmp.Diff(want, waits(all)); diff != "" {
			t.Errorf("pauses (-want +got):\n%s", diff)
		}
		if last := all[len(all)-1].at.Sub(all[0].at); last < 24*time.Hour || last > 25*time.Hour {
			t.Errorf("%d attempts in %s", len(all), last)
		}
		stamps := map[string]bool{}
		for _, q := range all {
			stamps[q.header.Get("Webhook-Timestamp")] = true
			if q.id != a.ID || string(q.body) != string(all[0].body) || verify(t, newSecret, q) != nil {
				t.Errorf("attempt at %s differs", q.at)
			}
		}
		if len(stamps) != len(all) {
			t.Errorf("%d timestamps of %d attempts", len(stamps), len(all))
		}
		e := r.hook.Deliveries()[0]
		if e.State != hardcap.Dead || e.Attempts != len(all) || !strings.Contains(e.Reason, "given up") || e.LastError == "" {
			t.Errorf("event %+v", e)
		}
		r.wantCounts(fmt.Sprintf("ok 0, retried %d, rejected 0, cancelled 0, dead 1", len(all)-1))
		// It stays dead until somebody asks.
		r.wire.set(nil)
		r.wantDecision(hardcap.Known, firing("openai", "month", r.now().Add(-26*time.Hour)))
		r.pass(time.Hour)
		if n := len(r.wire.all()); n != len(all) {
			t.Errorf("%d attempts after it was given up", n-len(all))
		}
		if _, err := r.hook.Retry(t.Context(), a.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r.wantStates("openai/month 1000 delivered")
	})
}

func TestAnswersOfTheHook(t *testing.T) {
	for name, tc := range map[string]struct {
		answer func(int, *http.Request) (*http.Response, error)
		state  hardcap.State
		text   string
		wait   int // seconds to the second attempt; 0: there is none within the hour
	}{
		"200":                    {always(200), hardcap.Delivered, "", 0},
		"299":                    {always(299), hardcap.Delivered, "", 0},
		"301":                    {always(301, "Location", "https://elsewhere.example.com/"), hardcap.Pending, "redirects are not followed", 5},
		"400":                    {always(400), hardcap.Pending, "the hook answered 400 Bad Request", 5},
		"401":                    {always(401), hardcap.Pending, "401", 5},
		"404":                    {always(404), hardcap.Pending, "404", 5},
		"410":                    {always(410), hardcap.Dead, "410 Gone", 0},
		"429":                    {always(429), hardcap.Pending, "429", 5},
		"429 with Retry-After":   {always(429, "Retry-After", "42"), hardcap.Pending, "429", 42},
		"429 with a short one":   {always(429, "Retry-After", "1"), hardcap.Pending, "429", 5},
		"429 with an absurd one": {always(429, "Retry-After", "86400"), hardcap.Pending, "429", 3600},
		"503 with a date":        {always(503, "Retry-After", "Tue, 24 Nov 2026 12:01:00 GMT"), hardcap.Pending, "503", 60},
		"500":                    {always(500), hardcap.Pending, "the hook answered 500 Internal Server Error", 5},
		"599":                    {always(599), hardcap.Pending, "the hook answered status 599", 5},
		"no connection":          {refused, hardcap.Pending, "not HTTP", 5},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, noon, func(t *testing.T, r *rig) {
				r.wire.set(tc.answer)
				r.run()
				r.breach()
				time.Sleep(time.Second)
				e := r.hook.Deliveries()[0]
				if e.State != tc.state || !strings.Contains(e.Reason+e.LastError, tc.text) || e.Attempts != 1 {
					t.Errorf("state %s, reason %q, error %q", e.State, e.Reason, e.LastError)
				}
				r.pass(time.Hour + time.Second)
				switch all := r.wire.all(); {
				case tc.wait == 0 && len(all) != 1:
					t.Errorf("attempts after %v", waits(all))
				case tc.wait != 0 && (len(all) < 2 || waits(all)[0] != tc.wait):
					t.Errorf("attempts after %v, want the second one after %d", waits(all), tc.wait)
				}
				for _, canary := range []string{"body-canary", "refused canary", "url-canary", "elsewhere", "whsec_"} {
					if strings.Contains(r.log.String(), canary) || strings.Contains(fmt.Sprintf("%+v", r.hook.Deliveries()), canary) {
						t.Errorf("%q is told", canary)
					}
				}
			})
		})
	}
}

// Everything that makes a pending event wrong cancels it, and it is never sent again.
func TestCancelled(t *testing.T) {
	for name, tc := range map[string]struct {
		then   func(*rig)
		reason string
	}{
		"the bill fell":        {func(r *rig) { r.spends(openai, "999.99") }, "no longer breached: the ledger has 999.99 USD of 1000 USD"},
		"the limit was raised": {func(r *rig) { r.limit(0, "1100") }, "the limit was changed to 1100 USD"},
		"the cap was removed":  {func(r *rig) { r.change(func(r *rig) { r.caps = r.caps[1:] }) }, "no hard limit any more"},
		"only soft is left":    {func(r *rig) { r.limit(0, "0") }, "no hard limit any more"},
		"the period ended":     {func(r *rig) { r.pass(4*time.Hour + time.Second) }, "the period ended on 2026-12-01"},
		"dry run":              {func(r *rig) { r.change(func(r *rig) { r.target.DryRun = true }) }, "dry_run"},
		"the hook was removed": {func(r *rig) { r.change(func(r *rig) { r.target.URL = "" }) }, "no hard_cap.url"},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, "2026-11-30T20:00:00Z", func(t *testing.T, r *rig) {
				r.wire.set(always(500))
				r.run()
				id := r.breach().ID
				time.Sleep(11 * time.Second) // attempts at 0 and 5 s
				if n := len(r.wire.all()); n != 2 {
					t.Fatalf("%d attempts", n)
				}
				tc.then(r)
				time.Sleep(20 * time.Second)
				n := len(r.wire.all()) // one may be at the hook already
				r.wire.set(nil)
				r.pass(2 * time.Hour)
				if got := len(r.wire.all()); got != n {
					t.Errorf("%d more attempts", got-n)
				}
				for _, q := range r.wire.all() {
					if !q.at.Before(day("2026-12-01").Time()) {
						t.Errorf("sent at %s, after its period", q.at)
					}
				}
				e := r.hook.Deliveries()[0]
				if e.ID != id || e.State != hardcap.Cancelled || !strings.Contains(e.Reason, tc.reason) {
					t.Errorf("event %+v", e)
				}
				if s := r.hook.Stats(nil); s.Pending != 0 || !s.OldestPending.IsZero() || s.Deliveries[hardcap.CancelledEvent] != 1 {
					t.Errorf("figures %+v", s)
				}
			})
		})
	}
}

// A cancelled event whose breach comes back is armed by the next alert.
func TestCancelledIsArmedAnew(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(always(500))
		r.run()
		first := r.breach()
		r.spends(openai, "900")
		time.Sleep(time.Minute)
		r.wantStates("openai/month 1000 cancelled")
		r.wire.set(nil)
		time.Sleep(time.Minute)
		r.spends(openai, "1500")
		again := r.wantDecision(hardcap.Recorded, firing("openai", "month", r.now()))
		time.Sleep(time.Second)
		all := r.wire.all()
		last := all[len(all)-1]
		if again.ID != first.ID || last.decode(t).Totals["openai"] != "1500" {
			t.Errorf("id %s after %s, body %s", again.ID, first.ID, last.body)
		}
		r.wantStates("openai/month 1000 delivered")
	})
}

// A limit that is raised after the delivery is another breach.
func TestRaisedLimitArmsAnew(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.run()
		first := r.breach()
		time.Sleep(time.Second)
		r.limit(0, "1100")
		if a := r.wantDecision(hardcap.Refused, firing("openai", "month", r.now().Add(-time.Minute))); a.ID == first.ID {
			t.Error("the raised limit has the old id")
		}
		r.spends(openai, "1100")
		second := r.wantDecision(hardcap.Recorded, firing("openai", "month", r.now()))
		time.Sleep(time.Second)
		var ids []string
		for _, q := range r.wire.all() {
			ids = append(ids, q.id)
		}
		if want := []string{first.ID, second.ID}; !slices.Equal(ids, want) || first.ID == second.ID {
			t.Errorf("delivered %q, want %q", ids, want)
		}
		// Back to the first limit: that breach has been told.
		r.limit(0, "1000")
		r.pulled(openai)
		r.wantDecision(hardcap.Known, firing("openai", "month", r.now()))
	})
}

// A limit that is changed while its event is pending, and is reached all the same,
// needs no alert: Alertmanager tells of the old one again only with its next repeat.
func TestChangedLimitThatIsReachedToo(t *testing.T) {
	for _, limit := range []string{"1002", "10"} {
		t.Run(limit, func(t *testing.T) {
			story(t, noon, func(t *testing.T, r *rig) {
				r.wire.set(always(500))
				r.run()
				old := r.breach()
				time.Sleep(time.Second)
				r.limit(0, limit)
				time.Sleep(time.Second)
				n := len(r.wire.all())
				r.wire.set(nil)
				r.pass(time.Hour)
				r.wantStates("openai/month "+limit+" delivered", "openai/month 1000 cancelled")
				for _, q := range r.wire.all()[n:] {
					if q.id == old.ID || q.decode(t).Breaches[0]["threshold"] == "1000" {
						t.Errorf("sent %s", q.body)
					}
				}
			})
		})
	}
}

// An event of a dry run is kept, never sent, and comes alive with the next alert after
// the dry run.
func TestDryRun(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.change(func(r *rig) { r.target.DryRun = true })
		r.run()
		r.breach()
		r.pass(time.Hour)
		r.wantStates("openai/month 1000 cancelled")
		r.wantDecision(hardcap.Known, firing("openai", "month", r.now().Add(-time.Hour)))
		if statuses, _, _ := r.Look(); len(r.hook.Stats(statuses).Delivered) != 0 {
			t.Error("a dry run says of caps that they were not delivered")
		}
		r.wantCounts("ok 0, retried 0, rejected 0, cancelled 1, dead 0")
		if len(r.wire.all()) != 0 {
			t.Fatal("a dry run sends")
		}
		r.change(func(r *rig) { r.target.DryRun = false })
		r.pass(time.Hour)
		r.wantDecision(hardcap.Recorded, firing("openai", "month", r.now().Add(-2*time.Hour)))
		time.Sleep(time.Second)
		r.wantStates("openai/month 1000 delivered")
	})
}

// A hook that answers 410 is called no more, for no breach, until its URL is another
// one or an admin insists.
func TestGoneDisablesTheHook(t *testing.T) {
	two := func(t *testing.T, r *rig) (first, second hardcap.Answer) {
		r.wire.set(always(410))
		r.run()
		first = r.breach()
		time.Sleep(time.Minute)
		r.spends(claude, "1")
		second = r.wantDecision(hardcap.Recorded, firing("global", "week", r.now()))
		r.pass(3 * time.Hour)
		if n := len(r.wire.all()); n != 1 {
			t.Errorf("%d deliveries to a hook that is gone", n)
		}
		r.wantStates("global/week 500 dead", "openai/month 1000 dead")
		r.wantCounts("ok 0, retried 0, rejected 0, cancelled 0, dead 2")
		r.wire.set(nil)
		return first, second
	}
	t.Run("another URL", func(t *testing.T) {
		story(t, noon, func(t *testing.T, r *rig) {
			two(t, r)
			r.restart() // forgets nothing
			r.pass(time.Hour)
			if n := len(r.wire.all()); n != 1 {
				t.Errorf("%d deliveries after a restart", n)
			}
			r.change(func(r *rig) { r.target.URL += "/new" })
			time.Sleep(time.Second)
			r.wantStates("global/week 500 delivered", "openai/month 1000 delivered")
		})
	})
	t.Run("retry", func(t *testing.T) {
		story(t, noon, func(t *testing.T, r *rig) {
			_, second := two(t, r)
			if _, err := r.hook.Retry(t.Context(), second.ID); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			r.wantStates("global/week 500 delivered", "openai/month 1000 delivered")
		})
	})
	t.Run("retry in vain", func(t *testing.T) {
		story(t, noon, func(t *testing.T, r *rig) {
			first, _ := two(t, r)
			r.wire.set(always(410))
			if _, err := r.hook.Retry(t.Context(), first.ID); err != nil {
				t.Fatal(err)
			}
			r.pass(time.Hour)
			if n := len(r.wire.all()); n != 2 {
				t.Errorf("%d deliveries", n)
			}
			r.wantStates("global/week 500 dead", "openai/month 1000 dead")
		})
	})
	t.Run("no breach any more", func(t *testing.T) {
		story(t, noon, func(t *testing.T, r *rig) {
			two(t, r)
			r.spends(openai, "10")
			r.change(func(r *rig) { r.target.URL += "/new" })
			time.Sleep(time.Minute)
			if n := len(r.wire.all()); n != 1 {
				t.Errorf("%d deliveries", n)
			}
		})
	})
}

func TestRetry(t *testing.T) {
	story(t, "2026-11-30T17:00:00Z", func(t *testing.T, r *rig) {
		r.wire.set(always(500))
		r.run()
		id := r.breach().ID
		r.pass(6 * time.Hour)
		n := len(r.wire.all())
		r.wire.set(nil)
		e, err := r.hook.Retry(t.Context(), id)
		if err != nil || e.State != hardcap.Pending {
			t.Errorf("%+v, %v", e, err)
		}
		time.Sleep(time.Millisecond)
		if got := len(r.wire.all()); got != n+1 {
			t.Errorf("%d attempts right after a retry", got-n)
		}
		refuses := func(id, why string, want error) {
			t.Helper()
			if _, err := r.hook.Retry(t.Context(), id); !errors.Is(err, want) || !strings.Contains(err.Error(), why) {
				t.Errorf("error %v, want %q", err, why)
			}
		}
		n = len(r.wire.all())
		if _, err := r.hook.Retry(t.Context(), id); err != nil { // a receiver in a dry run took it
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		if all := r.wire.all(); len(all) != n+1 || all[n].id != id {
			t.Errorf("%d attempts after a retry of what was delivered", len(all)-n)
		}
		r.wantStates("openai/month 1000 delivered")
		refuses("hc_none", "no such", hardcap.ErrUnknown)
		r.pulled(openai)
		r.limit(0, "5000")
		rejected := r.wantDecision(hardcap.Refused, firing("openai", "month", r.now().Add(-time.Hour)))
		refuses(rejected.ID, "no breach", hardcap.ErrNotRetried)
		r.limit(0, "900")
		r.wire.set(always(410))
		last := r.wantDecision(hardcap.Recorded, firing("openai", "month", r.now().Add(-time.Hour)))
		r.pass(2 * time.Hour)
		refuses(last.ID, "its period is over", hardcap.ErrNotRetried)
	})
}

// A retry of what the ledger does not see breached is cancelled, not sent.
func TestRetryAsksTheLedger(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(always(410))
		r.run()
		id := r.breach().ID
		time.Sleep(time.Second)
		r.spends(openai, "1")
		r.wire.set(nil)
		if _, err := r.hook.Retry(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := len(r.wire.all()); n != 1 {
			t.Errorf("%d deliveries", n)
		}
		r.wantStates("openai/month 1000 cancelled")
	})
}

// While the spend is not known nothing is sent and nothing is cancelled.
func TestUnknownHoldsAnAttempt(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(always(500))
		r.run()
		r.breach()
		time.Sleep(time.Second)
		r.change(func(r *rig) { r.sources[0].CoveredFrom = 0 })
		r.wire.set(nil)
		r.pass(time.Hour)
		if n := len(r.wire.all()); n != 1 {
			t.Errorf("%d deliveries", n)
		}
		r.wantStates("openai/month 1000 pending")
		r.change(func(r *rig) { r.sources[0].CoveredFrom = day("2026-01-01") })
		time.Sleep(time.Minute)
		r.wantStates("openai/month 1000 delivered")
	})
}

// A hook that hangs on one breach keeps nobody from telling it of another.
func TestHangingHookHoldsNoOtherUp(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(func(n int, q *http.Request) (*http.Response, error) {
			if n > 1 {
				return status(204), nil
			}
			<-q.Context().Done()
			return nil, q.Context().Err()
		})
		r.run()
		r.breach()
		time.Sleep(time.Second)
		r.wantDecision(hardcap.Known, firing("openai", "month", r.now().Add(-time.Second)))
		r.spends(claude, "1")
		r.wantDecision(hardcap.Recorded, firing("global", "week", r.now()))
		time.Sleep(time.Second)
		r.wantStates("global/week 500 delivered", "openai/month 1000 pending")
		time.Sleep(12 * time.Second)
		if e := r.hook.Deliveries()[1]; e.LastError != "" {
			t.Errorf("cut off early: %+v", e)
		}
		time.Sleep(2 * time.Second)
		if e := r.hook.Deliveries()[1]; e.LastError != "no answer within 15s" {
			t.Errorf("error %q after 15 s", e.LastError)
		}
		time.Sleep(10 * time.Second)
		r.wantStates("global/week 500 delivered", "openai/month 1000 delivered")
	})
}

// A request that is under way when the period ends is cut off there.
func TestAttemptEndsWithThePeriod(t *testing.T) {
	story(t, "2026-11-30T23:59:50Z", func(t *testing.T, r *rig) {
		var cut time.Time
		r.wire.set(func(_ int, q *http.Request) (*http.Response, error) {
			<-q.Context().Done()
			cut = r.now()
			return nil, q.Context().Err()
		})
		r.run()
		r.breach()
		r.pass(time.Hour)
		if want := day("2026-12-01").Time(); !cut.Equal(want) {
			t.Errorf("cut off at %s, want %s", cut, want)
		}
		if n := len(r.wire.all()); n != 1 {
			t.Errorf("%d attempts", n)
		}
		r.wantStates("openai/month 1000 cancelled")
	})
}

// A restart goes on where the schedule was, and what was cut off is sent again.
func TestRestart(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(always(500))
		r.run()
		r.breach()
		time.Sleep(80 * time.Second) // attempts at 0, 5, 15, 35, 75; the next one at 155
		if n := len(r.wire.all()); n != 5 {
			t.Fatalf("%d attempts", n)
		}
		r.restart()
		time.Sleep(70 * time.Second)
		if n := len(r.wire.all()); n != 5 {
			t.Errorf("%d attempts: a restart hastens them", n)
		}
		r.wire.set(func(_ int, q *http.Request) (*http.Response, error) {
			<-q.Context().Done()
			return nil, q.Context().Err()
		})
		time.Sleep(6 * time.Second)
		r.wire.set(nil)
		r.restart() // cuts the attempt off
		time.Sleep(time.Second)
		all := r.wire.all()
		if len(all) != 7 || all[5].id != all[6].id {
			t.Errorf("%d attempts", len(all))
		}
		if e := r.hook.Deliveries()[0]; e.State != hardcap.Delivered || e.Attempts != 6 {
			t.Errorf("event %+v", e)
		}
	})
}

// What was delivered and cannot be written down is not delivered twice by the same
// process, and is written down as soon as it can be.
func TestResultThatCannotBeStored(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(func(int, *http.Request) (*http.Response, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.free = 1 << 10
			return status(204), nil
		})
		r.run()
		r.breach()
		r.pass(time.Hour)
		if n := len(r.wire.all()); n != 1 {
			t.Errorf("%d deliveries", n)
		}
		r.wantStates("openai/month 1000 delivered")
		r.change(func(r *rig) { r.free = 1 << 40 })
		time.Sleep(time.Minute)
		r.restart()
		r.pass(time.Hour)
		if n := len(r.wire.all()); n != 1 {
			t.Errorf("%d deliveries after a restart", n)
		}
		r.wantStates("openai/month 1000 delivered")
	})
}

// A secret that cannot be read is a failed attempt, never an unsigned one.
func TestUnreadableSecret(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.change(func(r *rig) { r.unread = errors.New("hard_cap.secret: no such file") })
		r.run()
		r.breach()
		time.Sleep(time.Minute)
		e := r.hook.Deliveries()[0]
		if len(r.wire.all()) != 0 || e.State != hardcap.Pending || !strings.Contains(e.LastError, "hard_cap.secret") {
			t.Errorf("%d deliveries, event %+v", len(r.wire.all()), e)
		}
		r.change(func(r *rig) { r.unread = nil })
		time.Sleep(5 * time.Minute)
		r.wantStates("openai/month 1000 delivered")
	})
}

func TestFigures(t *testing.T) {
	story(t, "2026-11-30T22:00:00Z", func(t *testing.T, r *rig) {
		delivered := func() map[string]bool {
			statuses, _, err := r.Look()
			if err != nil {
				t.Fatal(err)
			}
			out := map[string]bool{}
			for _, d := range r.hook.Stats(statuses).Delivered {
				out[d.Scope] = d.Delivered
			}
			return out
		}
		check := func(want map[string]bool) {
			t.Helper()
			if diff := cmp.Diff(want, delivered()); diff != "" {
				t.Errorf("delivered (-want +got):\n%s", diff)
			}
		}
		check(map[string]bool{"openai": false, "global": false})
		r.run()
		r.breach()
		time.Sleep(time.Second)
		check(map[string]bool{"openai": true, "global": false})
		r.limit(0, "1001")
		check(map[string]bool{"openai": false, "global": false})
		r.limit(0, "1000")
		check(map[string]bool{"openai": true, "global": false})
		r.wire.set(always(500))
		began := r.now()
		r.wantDecision(hardcap.Recorded, firing("global", "week", began.Add(-time.Second)))
		r.pass(time.Hour)
		if s := r.hook.Stats(nil); s.Pending != 1 || !s.OldestPending.Equal(began) {
			t.Errorf("figures %+v", s)
		}
		r.change(func(r *rig) { r.target.URL = "" })
		check(map[string]bool{})
		// The next month begins anew, the week of Monday goes on.
		r.wire.set(nil)
		r.change(func(r *rig) { r.target.URL = hookURL })
		r.pass(2 * time.Hour)
		check(map[string]bool{"openai": false, "global": true})
		r.hook.Forget(day("2026-11-30"))
		if n := len(r.states()); n != 2 {
			t.Errorf("%d events are left of today's", n)
		}
		r.hook.Forget(day("2026-12-01"))
		r.wantStates()
	})
}

// A daemon that was down for days has not tried for days: it does so before it gives up.
func TestDowntimeIsNoAttempt(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(always(500))
		r.run()
		r.breach()
		time.Sleep(time.Second)
		r.shut()
		r.epoch += 30 * time.Hour // nobody runs
		r.open()
		r.pulled(openai, claude)
		r.run()
		time.Sleep(time.Second)
		r.wantStates("openai/month 1000 pending")
		if n := len(r.wire.all()); n != 2 {
			t.Fatalf("%d attempts", n)
		}
		r.wire.set(nil)
		time.Sleep(time.Minute)
		r.wantStates("openai/month 1000 delivered")
	})
}
