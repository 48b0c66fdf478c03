package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/aispend/aispend/spend"
	"github.com/aispend/aispend/test/e2e/receiver"
)

// TestKillHookPeriod kills the daemon with SIGKILL between its 200 to Alertmanager and
// the call of the hook, and starts it again on the next day: a cap of the day is over
// then and never sent, a cap of the month is sent. The daemon is the test binary, whose
// clock can be moved; no other program is needed. AISPEND_HOOK_KILLS=100 makes it 20
// days; fewer kills have 2.
func TestKillHookPeriod(t *testing.T) {
	t.Parallel()
	days := 2
	if n, err := strconv.Atoi(os.Getenv("AISPEND_HOOK_KILLS")); err == nil {
		days = max(days, min(n/5, 20))
	}
	now := time.Now()
	// From the evening of the first day of next month: no round ends a month.
	first := (spend.DayOf(now).MonthStart() + 31).MonthStart()
	evening := func(day int) time.Duration { return (first + spend.Day(day)).Time().Add(23 * time.Hour).Sub(now) }
	clock := newOffsetClock(t, evening(0))
	c := newCompany(t, clock.Now)
	hook := newReceiver(t, clock.Now)
	dir := t.TempDir()
	s := &site{t: t, dir: dir, receiver: hook}
	for day := range days {
		for _, period := range []string{"day", "month"} {
			scope := fmt.Sprintf("%s-%02d", period, day)
			s.caps = append(s.caps, capLimits{scope: scope, model: scope, soft: "0", hard: "0.5", period: period})
		}
	}
	s.configure(c)
	address := freeAddress(t)
	d := &daemon{site: s, process: process{
		t: t, name: "aispend", log: &logBuffer{}, bin: os.Args[0], url: "http://" + address, up: "/-/ready",
		env:  []string{clockFileVariable + "=" + clock.path},
		args: []string{filepath.Join(dir, "aispend.yml"), filepath.Join(dir, "store"), address},
	}}
	d.keepLog(t.ArtifactDir())
	d.start()
	d.loaded()
	modes := []receiver.Mode{receiver.Refuse, receiver.Hold, receiver.Fail}
	set := func(m receiver.Mode) {
		if err := hook.Set(m); err != nil {
			t.Fatal(err)
		}
	}
	for day := range days {
		ended, goesOn := fmt.Sprintf("day-%02d", day), fmt.Sprintf("month-%02d", day)
		set(modes[day%len(modes)])
		for scope, period := range map[string]string{ended: "day", goesOn: "month"} {
			c.spendsOn(first+spend.Day(day), scope, "0.6")
			alarm := receiver.Alarm(scope, period, clock.Now())
			eventually(t, time.Minute, scope+" is recorded", func() bool {
				status, body := d.tell(hookToken, alarm)
				return status == http.StatusOK && containsAll(body, `"decision":"recorded"`)
			})
		}
		d.kill()
		set(receiver.Refuse) // nothing of the old day is on its way any more
		clock.set(t, evening(day+1))
		before, _ := hook.Of(ended)
		set(receiver.Accept)
		d.start()
		d.becomes(goesOn, "delivered")
		if e := d.becomes(ended, "cancelled"); !containsAll(e.Reason, "the period ended") {
			t.Errorf("%s is cancelled because %q", ended, e.Reason)
		}
		if all, accepted := hook.Of(ended); len(all) > len(before) || len(accepted) > 0 {
			t.Errorf("%s: %d attempts on the next day, %d accepted", ended, len(all)-len(before), len(accepted))
		}
		if all, accepted := hook.Of(goesOn); len(accepted) == 0 || len(receiver.IDs(all)) != 1 {
			t.Errorf("%s: %d accepted by ids %v", goesOn, len(accepted), receiver.IDs(all))
		}
	}
	for day := range days {
		if _, accepted := hook.Of(fmt.Sprintf("day-%02d", day)); len(accepted) > 0 {
			t.Errorf("sent after its day: %+v", accepted)
		}
	}
	for _, complaint := range hook.Complaints() {
		t.Error(complaint)
	}
	t.Logf("%d kills with a day that ended and a month that did not", days)
}
