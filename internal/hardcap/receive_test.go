package hardcap_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/hardcap"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

const noon = "2026-11-24T12:00:00Z" // a Tuesday

// The id is a promise: receivers remember it, and replicas of other versions send it.
func TestIDIsForEver(t *testing.T) {
	id := hardcap.ID("openai", caps.Month, day("2026-11-01"), usd("1000"))
	if want := "hc_"; !strings.HasPrefix(id, want) || len(id) != len(want)+32 {
		t.Errorf("id %q", id)
	}
	if want := "hc_a590080eaaa551d3599c2d2d5d517a62"; id != want {
		t.Errorf("id %s, was %s in the first version", id, want)
	}
	if again := hardcap.ID("openai", caps.Month, day("2026-11-01"), usd("1000.00")); again != id {
		t.Error("the same amount written otherwise has another id")
	}
	seen := map[string]string{id: "the first"}
	for name, other := range map[string]string{
		"another scope":     hardcap.ID("global", caps.Month, day("2026-11-01"), usd("1000")),
		"another period":    hardcap.ID("openai", caps.Day, day("2026-11-01"), usd("1000")),
		"another start":     hardcap.ID("openai", caps.Month, day("2026-12-01"), usd("1000")),
		"a raised limit":    hardcap.ID("openai", caps.Month, day("2026-11-01"), usd("1000.01")),
		"a moved boundary":  hardcap.ID("openaimonth", "", day("2026-11-01"), usd("1000")),
		"a moved boundary2": hardcap.ID("openaim", "onth", day("2026-11-01"), usd("1000")),
	} {
		if was, ok := seen[other]; ok {
			t.Errorf("%s has the id of %s", name, was)
		}
		seen[other] = name
	}
}

// A breach is durable, with its body, before the answer: a daemon that dies right after
// finds it again.
func TestBreachIsKeptBeforeTheAnswer(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		began := r.now()
		time.Sleep(time.Second)
		r.spends(openai, "1003.520000000000000001")
		got := r.wantDecision(hardcap.Recorded, firing("openai", "month", began))
		if got.ID != hardcap.ID("openai", caps.Month, day("2026-11-01"), usd("1000")) || got.State != hardcap.Pending ||
			!strings.Contains(got.Reason, "1003.520000000000000001 USD of 1000 USD") {
			t.Errorf("answer %+v", got)
		}
		recorded := r.now()
		time.Sleep(time.Minute)
		r.shut()
		r.open()
		events := r.hook.Deliveries()
		if len(events) != 1 {
			t.Fatalf("%d events after a restart", len(events))
		}
		e := events[0]
		want := `{"event":"ai_spend_hard_cap","id":"` + got.ID + `","breaches":[{"scope":"openai","level":"hard","period":"month",` +
			`"period_start":"2026-11-01","threshold":1000,"total":1003.520000000000000001,"triggeredAt":"2026-11-24T12:00:00Z"}],` +
			`"totals":{"global":1003.520000000000000001,"openai":1003.520000000000000001},"triggeredAt":"2026-11-24T12:00:01Z"}`
		if diff := cmp.Diff(want, string(e.Body)); diff != "" {
			t.Error(diff)
		}
		if !e.Recorded.Equal(recorded) || !e.Armed.Equal(recorded) || !e.TriggeredAt.Equal(began) || e.State != hardcap.Pending {
			t.Errorf("event %+v", e)
		}
	})
}

// Data from before the alert says nothing about it: newer is asked for, and
// Alertmanager is told to come again.
func TestOldDataIsReadAnewFirst(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.spends(openai, "2000") // breached, by data from before the alert
		time.Sleep(time.Minute)
		_, err := r.tell(firing("openai", "month", r.now()))
		if !errors.Is(err, hardcap.ErrLater) || !strings.Contains(err.Error(), "openai/costs") {
			t.Fatalf("error %v", err)
		}
		r.wantStates()
		if want := []string{"openai/costs since 2026-11-24T12:01:00Z"}; !slices.Equal(r.hurried, want) {
			t.Errorf("hurried %q, want %q", r.hurried, want)
		}
		r.pulled(claude) // does not feed the cap
		if _, err := r.tell(firing("openai", "month", r.now())); !errors.Is(err, hardcap.ErrLater) {
			t.Errorf("a pull of another provider counts: %v", err)
		}
		r.pulled(openai) // begins with the alert: new enough
		r.wantDecision(hardcap.Recorded, firing("openai", "month", r.now()))
	})
}

// A replica that lags does not call a breach none: what it has not read may be it.
func TestLaggingSourceIsNoAllClear(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.spends(openai, "400")
		time.Sleep(time.Minute)
		began := r.now()
		r.pulled(openai)
		_, err := r.tell(firing("global", "week", began))
		if !errors.Is(err, hardcap.ErrLater) || !strings.Contains(err.Error(), "anthropic/cost_report") {
			t.Fatalf("error %v", err)
		}
		r.wantStates()
		if want := []string{"anthropic/cost_report since 2026-11-24T12:01:00Z"}; !slices.Equal(r.hurried, want) {
			t.Errorf("hurried %q", r.hurried)
		}
		r.spends(claude, "100")
		r.wantDecision(hardcap.Recorded, firing("global", "week", began))
	})
}

// What is read of one source is enough if that alone is too much.
func TestBreachNeedsNotEverySource(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		time.Sleep(time.Minute)
		began := r.now()
		r.spends(openai, "500")
		r.wantDecision(hardcap.Recorded, firing("global", "week", began))
	})
}

// An alert from a clock that is ahead is judged by data of the last minute; no pull
// would ever begin late enough.
func TestAlertFromTheFuture(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.spends(openai, "1000")
		time.Sleep(time.Minute)
		r.wantDecision(hardcap.Recorded, firing("openai", "month", r.now().Add(time.Hour)))
		r.spends(claude, "1")
		time.Sleep(time.Minute + time.Second)
		if _, err := r.tell(firing("global", "week", r.now().Add(time.Hour))); !errors.Is(err, hardcap.ErrLater) {
			t.Errorf("old data: %v", err)
		}
		if want := "since 2026-11-24T12:01:01Z"; len(r.hurried) == 0 || !strings.HasSuffix(r.hurried[0], want) {
			t.Errorf("hurried %q", r.hurried)
		}
	})
}

// Not known is neither a breach nor none.
func TestUnknownSpendWaits(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.change(func(r *rig) { r.sources[0].CoveredFrom = day("2026-11-20") })
		_, err := r.tell(firing("openai", "month", r.now()))
		if !errors.Is(err, hardcap.ErrLater) || !strings.Contains(err.Error(), "not known") {
			t.Errorf("error %v", err)
		}
		r.wantStates()
		// Nor is it 0, for whoever reads the log.
		if text := r.log.String(); !strings.Contains(text, "total_usd=unknown") || strings.Contains(text, "total_usd=0") {
			t.Errorf("log %s", text)
		}
		r.pulled(openai)
		r.change(func(r *rig) { r.caps[1].Scope, r.sources[1].CoveredFrom = "both", day("2026-11-24") })
		r.caps[1].Match = caps.Match{Model: "*"}
		time.Sleep(time.Minute)
		r.pulled(openai)
		_, err = r.tell(firing("both", "week", r.now()))
		if !errors.Is(err, hardcap.ErrLater) || strings.Contains(err.Error(), "has 0 USD") {
			t.Errorf("error %v", err)
		}
	})
}

func TestNoBreachIsRejectedOnce(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.spends(openai, "999.999999")
		a := firing("openai", "month", r.now())
		got := r.wantDecision(hardcap.Refused, a)
		if got.ID == "" || got.State != hardcap.Rejected {
			t.Errorf("answer %+v", got)
		}
		changed := r.hook.Deliveries()[0].Changed
		r.pass(time.Hour)
		r.wantDecision(hardcap.Refused, a)
		if e := r.hook.Deliveries()[0]; !e.Changed.Equal(changed) {
			t.Error("a replay writes")
		}
		r.wantCounts("ok 0, retried 0, rejected 2, cancelled 0, dead 0")
		// The next breach is real.
		r.spends(openai, "1000")
		r.wantDecision(hardcap.Recorded, a)
		r.wantStates("openai/month 1000 pending")
	})
}

// Everything that is no firing alert of a hard cap of ours does nothing.
func TestInertAlerts(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.run()
		r.spends(openai, "5000")
		now := r.now()
		resolved := firing("openai", "month", now)
		resolved["status"] = "resolved"
		receipt, err := r.tell(resolved, firing("openai", "month", now, "level", "soft"),
			firing("openai", "month", now, "level", ""), firing("openai", "month", now, "level", "HARD"))
		if err != nil || receipt.Ignored != 4 || len(receipt.Answers) != 0 {
			t.Errorf("%+v, %v", receipt, err)
		}
		receipt, err = r.tell(firing("openai", "week", now), firing("nobody", "month", now), firing("", "", now),
			firing("OpenAI", "month", now), firing(strings.Repeat("x\n", 500), "month", now))
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range receipt.Answers {
			if a.Decision != hardcap.Refused || a.ID != "" || len(a.Scope) > 128 {
				t.Errorf("answer %+v", a)
			}
		}
		r.change(func(r *rig) { r.caps[0].Hard = spend.Money{} }) // only a soft limit is left
		if a := r.wantDecision(hardcap.Refused, firing("openai", "month", now)); !strings.Contains(a.Reason, "no hard limit") {
			t.Errorf("answer %+v", a)
		}
		r.change(func(r *rig) { r.caps[0].Hard = usd("1000"); r.sources[0].Enabled = false })
		if a := r.wantDecision(hardcap.Refused, firing("openai", "month", now)); !strings.Contains(a.Reason, "no enabled source") {
			t.Errorf("answer %+v", a)
		}
		time.Sleep(time.Minute)
		if n := len(r.wire.all()); n != 0 {
			t.Errorf("%d deliveries", n)
		}
	})
}

func TestTestsAreKeptAndNeverSent(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.run()
		r.spends(openai, "5000")
		got := r.wantDecision(hardcap.Tested, firing("openai", "month", r.now(), "test", "true"))
		r.wantDecision(hardcap.Tested, firing("test", "", r.now(), "test", "true"))
		r.wantDecision(hardcap.Tested, firing("openai", "month", r.now(), "test", "true"))
		r.pass(time.Hour)
		if n := len(r.wire.all()); n != 0 {
			t.Errorf("%d deliveries of tests", n)
		}
		events := r.hook.Deliveries()
		if len(events) != 2 || !events[0].Test || events[0].State != hardcap.Rejected {
			t.Fatalf("events %+v", events)
		}
		if _, err := r.hook.Retry(t.Context(), got.ID); !errors.Is(err, hardcap.ErrNotRetried) {
			t.Errorf("a test is retried: %v", err)
		}
		// The real one is another event.
		if real := r.wantDecision(hardcap.Recorded, firing("openai", "month", r.now().Add(-time.Hour))); real.ID == got.ID {
			t.Error("a test has the id of a breach")
		}
		for i := range 300 {
			r.wantDecision(hardcap.Tested, firing(fmt.Sprint("flood", i), "day", r.now(), "test", "true"))
		}
		if n := len(r.hook.Deliveries()); n != 101 {
			t.Errorf("%d events are kept of a flood of tests", n)
		}
	})
}

// A thousand alerts in one payload are judged one by one, each cap once.
func TestThousandAlerts(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.change(func(r *rig) {
			for i := range 500 {
				r.caps = append(r.caps, caps.Cap{
					Scope: fmt.Sprintf("team-%d", i), Period: caps.Day, Match: caps.Match{Provider: "openai"}, Hard: usd(fmt.Sprint(i + 1)),
				})
			}
		})
		r.spends(openai, "250")
		var alerts []alert
		for i := range 1000 {
			alerts = append(alerts, firing(fmt.Sprintf("team-%d", i%500), "day", r.now(), "job", fmt.Sprint(i/500)))
		}
		receipt, err := r.tell(alerts...)
		if err != nil {
			t.Fatal(err)
		}
		n := map[hardcap.Decision]int{}
		for _, a := range receipt.Answers {
			n[a.Decision]++
		}
		want := map[hardcap.Decision]int{hardcap.Recorded: 250, hardcap.Refused: 250}
		if diff := cmp.Diff(want, n); diff != "" || receipt.Ignored != 500 {
			t.Errorf("%d ignored, decisions (-want +got):\n%s", receipt.Ignored, diff)
		}
		r.shut()
		r.open()
		if n := len(r.hook.Deliveries()); n != 500 {
			t.Errorf("%d events are durable", n)
		}
	})
}

// Of two alerts that name one cap the one that needs the newer data counts.
func TestSameCapTwiceInOnePayload(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.spends(openai, "1000")
		time.Sleep(time.Minute)
		for _, order := range [][]alert{
			{firing("openai", "month", r.now(), "job", "a"), firing("openai", "month", r.now().Add(-time.Hour), "job", "b")},
			{firing("openai", "month", r.now().Add(-time.Hour), "job", "b"), firing("openai", "month", r.now(), "job", "a")},
		} {
			if _, err := r.tell(order...); !errors.Is(err, hardcap.ErrLater) {
				t.Errorf("error %v", err)
			}
		}
	})
}

// What can be decided is, although another cap of the payload has to wait.
func TestOneCapThatWaitsHoldsNoOtherUp(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		began := r.now()
		time.Sleep(time.Minute)
		r.spends(openai, "1000")
		r.change(func(r *rig) { r.caps[1].Scope = "anthropic" })
		_, err := r.tell(firing("anthropic", "week", r.now()), firing("openai", "month", began))
		if !errors.Is(err, hardcap.ErrLater) {
			t.Errorf("error %v", err)
		}
		r.wantStates("openai/month 1000 pending")
	})
}

// Alerts that were cut off are no success: Alertmanager asks again and says that it fails.
func TestTruncatedPayload(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.spends(openai, "1000")
		b := strings.Replace(string(payload(firing("openai", "month", r.now()))), `"truncatedAlerts":0`, `"truncatedAlerts":7`, 1)
		_, err := r.hook.Receive(t.Context(), []byte(b))
		if !errors.Is(err, hardcap.ErrTruncated) || !strings.Contains(err.Error(), "7") || !strings.Contains(err.Error(), "max_alerts") {
			t.Errorf("error %v", err)
		}
		r.wantStates("openai/month 1000 pending")
	})
}

// Nothing is acknowledged that is not stored.
func TestFullDisk(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.run()
		r.spends(openai, "1000")
		r.change(func(r *rig) { r.free = 1 << 10 })
		if _, err := r.tell(firing("openai", "month", r.now())); !errors.Is(err, store.ErrLowSpace) {
			t.Fatalf("error %v", err)
		}
		r.wantStates()
		time.Sleep(time.Minute)
		if n := len(r.wire.all()); n != 0 {
			t.Fatalf("%d deliveries of what was not stored", n)
		}
		r.change(func(r *rig) { r.free = 1 << 40 })
		r.wantDecision(hardcap.Recorded, firing("openai", "month", r.now().Add(-time.Minute)))
	})
}

func TestLedgerThatCannotAnswer(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.run()
		r.spends(openai, "1000")
		r.wire.set(always(500))
		r.wantDecision(hardcap.Recorded, firing("openai", "month", r.now()))
		time.Sleep(time.Second)
		n := len(r.wire.all())
		r.change(func(r *rig) { r.broken = errors.New("ledger-canary") })
		if _, err := r.tell(firing("openai", "month", r.now())); err == nil || errors.Is(err, hardcap.ErrPayload) {
			t.Errorf("error %v", err)
		}
		r.pass(time.Hour)
		if got := len(r.wire.all()); got != n {
			t.Errorf("%d deliveries that the ledger was not asked about", got-n)
		}
		r.change(func(r *rig) { r.broken = nil })
		r.wire.set(nil)
		time.Sleep(time.Minute)
		r.wantStates("openai/month 1000 delivered")
	})
}

func TestRecordedPayloads(t *testing.T) {
	files, err := filepath.Glob("testdata/webhook-*.json")
	if err != nil || len(files) < 4 {
		t.Fatalf("fixtures %q, %v", files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		// They were recorded with other labels.
		caps, ignored, err := hardcap.ParsePayload([]byte(strings.ReplaceAll(string(b), `"cap":"hard"`, `"level":"hard"`)))
		if err != nil {
			t.Errorf("%s: %v", f, err)
		}
		if resolved := strings.Contains(f, "resolved"); resolved != (ignored == 1) || resolved != (caps == 0) {
			t.Errorf("%s: %d caps, %d ignored", f, caps, ignored)
		}
	}
}

func TestMalformedPayloads(t *testing.T) {
	ok := string(payload(firing("openai", "month", time.Unix(1.8e9, 0).UTC())))
	for name, tc := range map[string]struct{ text, want string }{
		"empty":                {"", "not a whole JSON document"},
		"not JSON":             {"alerts", "not JSON (at byte 1)"},
		"cut off":              {ok[:len(ok)-5], "not a whole JSON document"},
		"two documents":        {ok + ok, "something follows"},
		"a list":               {"[" + ok + "]", "wrong type"},
		"null":                 {"null", "no version"},
		"no version":           {strings.Replace(ok, `"version"`, `"versions"`, 1), "no version"},
		"version 3":            {strings.Replace(ok, `"version":"4"`, `"version":"3"`, 1), `version is not "4"`},
		"version as a number":  {strings.Replace(ok, `"version":"4"`, `"version":4`, 1), "version has the wrong type"},
		"no alerts":            {`{"version":"4"}`, "no alerts"},
		"alerts of null":       {`{"version":"4","alerts":null}`, "no alerts"},
		"an alert of null":     {`{"version":"4","alerts":[null]}`, "alerts[0].status"},
		"an odd status":        {strings.ReplaceAll(ok, `"status":"firing"`, `"status":"pending"`), "alerts[0].status"},
		"no labels":            {strings.Replace(ok, `"labels"`, `"label"`, 1), "alerts[0] has no labels"},
		"a label as a number":  {strings.Replace(ok, `"level":"hard"`, `"level":1`, 1), "wrong type"},
		"no start":             {strings.Replace(ok, `"startsAt"`, `"startedAt"`, 1), "alerts[0].startsAt"},
		"a start that is none": {strings.Replace(ok, `"2027-`, `"year 2027-`, 1), "startsAt is not a time"},
		"not UTF-8":            {strings.Replace(ok, "openai", "open\xffai", 1), "not UTF-8"},
		"truncated below zero": {strings.Replace(ok, `"truncatedAlerts":0`, `"truncatedAlerts":-1`, 1), "truncatedAlerts"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := hardcap.ParsePayload([]byte(tc.text))
			if !errors.Is(err, hardcap.ErrPayload) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
	if n, _, err := hardcap.ParsePayload([]byte(ok)); n != 1 || err != nil {
		t.Errorf("the good one: %d, %v", n, err)
	}
}

func FuzzPayload(f *testing.F) {
	files, _ := filepath.Glob("testdata/webhook-*.json")
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(payload(firing("openai", "month", time.Unix(1.8e9, 0), "test", "true")))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, ignored, err := hardcap.ParsePayload(b)
		if err != nil && (!errors.Is(err, hardcap.ErrPayload) || len(err.Error()) > 300) {
			t.Errorf("error %v", err)
		}
		if n+ignored > len(b)/2 {
			t.Errorf("%d alerts out of %d bytes", n+ignored, len(b))
		}
	})
}
