package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/spend"
)

// TestKill kills the daemon with SIGKILL at random moments of its life while the
// bills change under it. After each restart every day must be one that the
// provider really told at some time, a replay of the archived pages must find no
// difference, and in the end everything must equal the truth to the last digit.
// AISPEND_KILLS sets the number of kills (make test-kill: 200).
func TestKill(t *testing.T) {
	t.Parallel()
	kills := 12
	if n, err := strconv.Atoi(os.Getenv("AISPEND_KILLS")); err == nil && n > 0 {
		kills = n
	}
	opt, clk := frozen(23)
	opt.Projects, opt.Models = 1, 3
	s := newSite(t, opt, "")
	rng := rand.New(rand.NewPCG(1, uint64(kills)))
	today := spend.DayOf(clk.Now())
	w := spend.Window{From: min(today-90, today.AddMonths(-1)), To: today + 1}
	told := []map[string]spend.Money{s.truth(w, clk.Now())}
	for i := range kills {
		d, err := s.tryStart()
		if err != nil {
			t.Fatalf("start after %d kills: %v\n%s", i, err, d.log())
		}
		checkTold(t, d.spent(w), told, i)
		// From right after the listener to well into the second round of pulls.
		time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
		if rng.IntN(3) == 0 {
			told = append(told, s.truth(w, clk.advance(time.Duration(1+rng.IntN(20))*time.Minute)))
		}
		d.kill()
	}
	d := s.start()
	d.settled(time.Now())
	if diff := sameMoney(d.spent(w), told[len(told)-1]); diff != "" {
		t.Errorf("after %d kills:\n%s", kills, diff)
	}
	status, body := d.call(http.MethodPost, "/recompute?dry_run=true")
	if status != http.StatusOK || !strings.Contains(string(body), `"days_changed":0`) {
		t.Errorf("a replay of the archive differs from the ledger: %d %s", status, body)
	}
	if code := d.stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// checkTold requires every amount to be what the provider said at one of the
// times that the world went through; a day may be missing.
func checkTold(t *testing.T, got map[string]spend.Money, told []map[string]spend.Money, kill int) {
	t.Helper()
	for key, g := range got {
		if !anyEqual(key, g, told) {
			t.Fatalf("after %d kills %s is %s, which no provider ever said", kill, key, g)
		}
	}
}

func anyEqual(key string, m spend.Money, told []map[string]spend.Money) bool {
	for _, truth := range told {
		if want, ok := truth[key]; ok && want.Equal(m) || !ok && m.IsZero() {
			return true
		}
	}
	return false
}

// String helps to read a failure.
func (s statusReply) String() string { return fmt.Sprintf("%+v", s.Sources) }

// TestStoreTakenAway: a daemon whose directory is moved or removed ends by itself
// and leaves alone what is there afterwards.
func TestStoreTakenAway(t *testing.T) {
	t.Parallel()
	opt, clk := frozen(23)
	opt.Projects, opt.Models = 1, 2
	s := newSite(t, opt, "")
	d := s.start()
	d.settled(time.Now())
	at := filepath.Join(s.dir, "store")
	if err := os.Rename(at, at+".moved"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-d.done:
	case <-time.After(time.Minute):
		t.Fatalf("it goes on without its store\n%s", d.log())
	}
	if code := d.cmd.ProcessState.ExitCode(); code != exitRuntime || !strings.Contains(d.log(), "was removed or replaced") {
		t.Errorf("exit code %d\n%s", code, d.log())
	}
	if _, err := os.Stat(at); !os.IsNotExist(err) {
		t.Errorf("something was written where the store had been: %v", err)
	}
	if err := os.Rename(at+".moved", at); err != nil {
		t.Fatal(err)
	}
	again := s.start()
	again.settled(time.Now())
	today := spend.DayOf(clk.Now())
	w := spend.Window{From: today - 60, To: today + 1}
	if diff := sameMoney(again.spent(w), s.truth(w, clk.Now())); diff != "" {
		t.Errorf("from the moved store:\n%s", diff)
	}
	if code := again.stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}
