package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/ingest"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

var november = win("2026-11-01", "2026-12-01")

// loaded starts a rig whose first load is over: 2.5 USD on the 20th, 1 on the 22nd.
func loaded(t *testing.T, r *rig) *script {
	t.Helper()
	s := r.add(acme)
	s.bill[day("2026-11-20")] = []row{usd("m", "1"), usd("n", "1.5")}
	s.bill[day("2026-11-22")] = []row{usd("m", "1")}
	r.start()
	time.Sleep(minute)
	r.wantTotal(november, "3.5")
	r.seen.outcomes()
	return s
}

// TestFailedWalkChangesNothing: whatever ends a walk early, the ledger, the
// rollup and the data through stay; the pages are kept and the verdict is failed.
func TestFailedWalkChangesNothing(t *testing.T) {
	tests := []struct {
		name   string
		break_ func(s *script)
		want   spend.Outcome
		pages  int
		detail string
	}{
		{"refused before the first page", func(s *script) {
			s.before = func(context.Context, walk, int) error { return refuse(spend.Permission) }
		}, spend.Permission, 0, "scripted permission"},
		{"broken off between pages", func(s *script) {
			s.before = func(_ context.Context, _ walk, page int) error {
				if page == 1 {
					return refuse(spend.Network)
				}
				return nil
			}
		}, spend.Network, 1, "scripted network"},
		{"second page is no JSON", func(s *script) {
			s.mangle = func(p *spend.Page) {
				if p.Seq == 1 {
					p.Body = p.Body[:len(p.Body)/2]
				}
			}
		}, spend.Decode, 2, "page 1: "},
		{"a page of another shape", func(s *script) {
			s.mangle = func(p *spend.Page) { p.Body = []byte(`{"error":"quota"}`) }
		}, spend.Schema, 1, "no buckets"},
		{"every page says that more follow", func(s *script) {
			s.mangle = func(p *spend.Page) {
				p.Body = []byte(strings.Replace(string(p.Body), `"More":false`, `"More":true`, 1))
			}
		}, spend.Incomplete, 2, "no last page"},
		{"vendor code panics while decoding", func(s *script) {
			s.decode = func() { panic("nil dereference") }
		}, spend.Decode, 1, "panic: nil dereference"},
		{"vendor code panics while fetching", func(s *script) {
			s.before = func(context.Context, walk, int) error { panic("index out of range") }
		}, spend.Schema, 0, "panic: index out of range"},
		{"a vendor that classifies its error as success", func(s *script) {
			s.before = func(context.Context, walk, int) error { return refuse(spend.OK) }
		}, spend.Schema, 0, "scripted ok"},
		{"a vendor that does not classify its error", func(s *script) {
			s.before = func(context.Context, walk, int) error { return errors.New("connection reset") }
		}, spend.Network, 0, "connection reset"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
				s := loaded(t, r)
				r.cfgs[0].Lookback = 40 * oneDay // two pages
				r.restart(0)
				before := r.status()
				version := r.book.Snapshot().Version()
				s.set(func(s *script) {
					s.bill[day("2026-11-20")] = []row{usd("m", "1000")}
					tt.break_(s)
				})
				time.Sleep(quarter - 30*time.Second)
				if diff := cmp.Diff(map[spend.Outcome]int{tt.want: 1}, r.seen.outcomes()); diff != "" {
					t.Fatalf("outcomes (-want +got):\n%s", diff)
				}
				r.wantTotal(november, "3.5")
				if v := r.book.Snapshot().Version(); v != version {
					t.Errorf("a failed walk published snapshot %d after %d", v, version)
				}
				st := r.status()
				if st.Up || !strings.Contains(st.LastError, tt.detail) || st.LastOutcome != tt.want ||
					!st.DataThrough.Equal(before.DataThrough) || !st.LastSuccess.Equal(before.LastSuccess) {
					t.Errorf("status %+v\nbefore %+v", st, before)
				}
				pulls := r.pulls(acme)
				last := pulls[len(pulls)-1]
				if last.Verdict != store.Failed || last.Outcome != tt.want || last.Pages != tt.pages {
					t.Errorf("record %+v, want verdict failed with %d pages", last, tt.pages)
				}
				r.restart(0)
				r.wantTotal(november, "3.5")
				if got := r.status(); got.Up || got.LastOutcome != tt.want || !strings.Contains(got.LastError, tt.detail) {
					t.Errorf("status after a restart %+v", got)
				}
			})
		})
	}
}

// TestHalving: a page that is too large, and a walk that takes too long, are
// walked again with half the buckets; only the final outcome is counted.
func TestHalving(t *testing.T) {
	tests := []struct {
		name    string
		fits    int // most buckets that work
		outcome spend.Outcome
		sizes   []int
		want    spend.Outcome
	}{
		{"fits at once", 31, spend.TooLarge, []int{31}, spend.OK},
		{"too large above 8", 8, spend.TooLarge, []int{31, 15, 7}, spend.OK},
		{"one bucket fits", 1, spend.TooLarge, []int{31, 15, 7, 3, 1}, spend.OK},
		{"not even one bucket fits", 0, spend.TooLarge, []int{31, 15, 7, 3, 1}, spend.TooLarge},
		{"too slow above 15", 15, spend.Timeout, []int{31, 15}, spend.OK},
		{"always too slow", 0, spend.Timeout, []int{31, 15, 7, 3, 1}, spend.Timeout},
		{"another failure is not walked again", 0, spend.Server, []int{31}, spend.Server},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
				s := r.add(acme)
				s.bill[day("2026-11-20")] = []row{usd("m", "1")}
				s.before = func(ctx context.Context, w walk, _ int) error {
					switch {
					case w.Buckets <= tt.fits:
						return nil
					case tt.outcome == spend.Timeout:
						<-ctx.Done()
						return spend.Classify(spend.Network, ctx.Err())
					}
					return refuse(tt.outcome)
				}
				r.opts.InitialHistory = oneDay
				r.start()
				time.Sleep(26 * minute) // five timeouts of five minutes
				var sizes []int
				for _, w := range s.seen() {
					if w.Window.From == day("2026-11-01") && len(sizes) < len(tt.sizes) {
						sizes = append(sizes, w.Buckets)
					}
				}
				if diff := cmp.Diff(tt.sizes, sizes); diff != "" {
					t.Errorf("buckets (-want +got):\n%s", diff)
				}
				for i, p := range r.pulls(acme)[:len(tt.sizes)] {
					want, outcome := store.Failed, tt.outcome
					if i == len(tt.sizes)-1 && tt.want == spend.OK {
						want, outcome = store.Applied, spend.OK
					}
					if p.Verdict != want || p.Outcome != outcome || p.Buckets != tt.sizes[i] {
						t.Errorf("record of attempt %d: %+v", i, p)
					}
					if tt.outcome == spend.Timeout && want == store.Failed && p.Finished.Sub(p.Started) != 5*minute {
						t.Errorf("attempt %d took %s, want its own five minutes", i, p.Finished.Sub(p.Started))
					}
				}
				if n := r.seen.outcomes(); tt.want == spend.OK && n[tt.outcome] != 0 {
					t.Errorf("walks that were repeated are counted: %v", n)
				}
			})
		})
	}
}

// TestWorkingSizeIsRememberedForTheDay: until midnight UTC, then the most again.
func TestWorkingSizeIsRememberedForTheDay(t *testing.T) {
	story(t, "2026-11-23T23:20:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		s.before = func(_ context.Context, w walk, _ int) error {
			if w.Buckets > 10 {
				return refuse(spend.TooLarge)
			}
			return nil
		}
		r.start()
		time.Sleep(hour)
		var got []string
		for _, w := range s.seen() {
			if w.Window.Contains(day("2026-11-23")) {
				got = append(got, fmt.Sprint(w.Began.UTC().Format("15:04 "), w.Buckets))
			}
		}
		want := []string{
			"23:20 31", "23:20 15", "23:20 7", "23:35 7", "23:50 7", "00:05 31", "00:05 15", "00:05 7",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("walks (-want +got):\n%s", diff)
		}
	})
}

// TestTimeoutBoundsTheWholeWalk: pages that each come in time do not add up to
// more than the timeout.
func TestTimeoutBoundsTheWholeWalk(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		s.before = func(ctx context.Context, w walk, _ int) error {
			select {
			case <-time.After(4 * minute):
				return nil
			case <-ctx.Done():
				return spend.Classify(spend.Network, ctx.Err())
			}
		}
		r.cfgs[0].Timeout = 10 * minute
		s.bill[day("2026-11-20")] = []row{usd("m", "1")}
		r.start()
		time.Sleep(10 * minute)
		first := r.pulls(acme)[0]
		if first.Pages != 1 || first.Outcome != spend.OK {
			t.Fatalf("one page in 4 of 10 minutes: %+v", first)
		}
		// A window of two pages fits, one of three does not.
		r.cfgs[0].Lookback = 80 * oneDay
		r.restart(0)
		time.Sleep(quarter + 10*minute)
		pulls := r.pulls(acme)
		last := pulls[len(pulls)-1]
		if last.Outcome != spend.Timeout || last.Pages != 2 || last.Finished.Sub(last.Started) != 10*minute {
			t.Errorf("three pages of 4 minutes: %+v, want a timeout after 10", last)
		}
	})
}

// TestDayIsReplacedWhole: rows and days that vanish from a complete walk go, a
// renamed model is not counted twice, and money may fall below zero.
func TestDayIsReplacedWhole(t *testing.T) {
	tests := []struct {
		name     string
		change   func(s *script)
		want     string
		up, down string
	}{
		{"nothing", func(*script) {}, "3.5", "0", "0"},
		{"a row vanished", func(s *script) { s.bill[day("2026-11-20")] = []row{usd("m", "1")} }, "2", "0", "1.5"},
		{"a day became empty", func(s *script) { delete(s.bill, day("2026-11-20")) }, "1", "0", "2.5"},
		{"the bucket of a day vanished", func(s *script) { s.gone[day("2026-11-20")] = true }, "1", "0", "2.5"},
		{"a model was renamed", func(s *script) {
			s.bill[day("2026-11-20")] = []row{usd("m-2", "1"), usd("n", "1.5")}
		}, "3.5", "0", "0"},
		{"raised by a digit far back", func(s *script) {
			s.bill[day("2026-11-20")] = []row{usd("m", "1.000000000000000000000000001"), usd("n", "1.5")}
		}, "3.500000000000000000000000001", "0.000000000000000000000000001", "0"},
		{"below zero", func(s *script) { s.bill[day("2026-11-22")] = []row{usd("m", "-4")} }, "-1.5", "0", "5"},
		{"a row twice is two rows", func(s *script) {
			s.bill[day("2026-11-22")] = []row{usd("m", "1"), usd("m", "1")}
		}, "4.5", "1", "0"},
		{"today only grows", func(s *script) { s.bill[day("2026-11-23")] = []row{usd("m", "9")} }, "12.5", "0", "0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
				s := loaded(t, r)
				s.set(tt.change)
				time.Sleep(quarter)
				r.wantTotal(november, tt.want)
				r.wantRevised(tt.up, tt.down)
				r.restart(0)
				r.wantTotal(november, tt.want)
			})
		})
	}
}

// TestVanishedMoneyIsHeld: a whole window that turns empty is believed after an
// hour and at least three complete walks, across a restart, and then followed.
func TestVanishedMoneyIsHeld(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := loaded(t, r)
		through := r.status().DataThrough
		s.set(func(s *script) { clear(s.bill) })
		time.Sleep(2 * quarter)
		st := r.status()
		if !st.Held || !st.Up || st.LastOutcome != spend.Held || !st.DataThrough.Equal(through) {
			t.Errorf("after two empty walks: %+v", st)
		}
		r.wantTotal(november, "3.5")
		r.restart(0) // the hold lies in the ledger
		if st := r.status(); !st.Held {
			t.Error("a restart forgot the hold")
		}
		s.set(func(s *script) {
			s.before = func(context.Context, walk, int) error { return refuse(spend.Decode) }
		})
		time.Sleep(quarter) // a failed walk neither counts nor clears
		s.set(func(s *script) { s.before = nil })
		time.Sleep(quarter)
		r.wantTotal(november, "3.5")
		if st := r.status(); !st.Held {
			t.Error("released before an hour was over")
		}
		time.Sleep(2 * quarter)
		r.wantTotal(november, "0")
		if st := r.status(); st.Held || !st.Up || st.LastOutcome != spend.OK {
			t.Errorf("after the hour: %+v", st)
		}
		r.wantRevised("0", "3.5")
		n := r.seen.outcomes()
		if n[spend.Held] < 3 || n[spend.Decode] != 1 {
			t.Errorf("outcomes %v", n)
		}
	})
}

// TestHoldIsClearedByMoney: one walk that finds money again ends the hold, and the
// count starts anew.
func TestHoldIsClearedByMoney(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := loaded(t, r)
		was := s.bill
		empty := map[spend.Day][]row{}
		for range 2 {
			s.set(func(s *script) { s.bill = empty })
			time.Sleep(4 * quarter) // four empty walks over 45 minutes
			if !r.status().Held {
				t.Fatal("not held")
			}
			s.set(func(s *script) { s.bill = was })
			time.Sleep(quarter)
			if r.status().Held {
				t.Fatal("still held")
			}
			r.wantTotal(november, "3.5")
		}
		r.wantRevised("0", "0")
	})
}

// TestHoldOfThePreviousMonth: the previous month, once held, is walked
// again on the interval, not in a loop, and released on its own.
func TestHoldOfThePreviousMonth(t *testing.T) {
	story(t, "2026-12-01T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		r.cfgs[0].Lookback = oneDay
		s.bill[day("2026-11-10")] = []row{usd("m", "5")}
		s.bill[day("2026-12-01")] = []row{usd("m", "1")}
		r.start()
		time.Sleep(minute)
		s.set(func(s *script) { delete(s.bill, day("2026-11-10")) })
		n := len(s.seen())
		r.skip(14 * hour)
		time.Sleep(90 * minute)
		var previous []time.Time
		for _, w := range s.seen()[n:] {
			if w.Window == november {
				previous = append(previous, w.Began)
			}
		}
		if len(previous) != 5 || previous[4].Sub(previous[0]) != hour {
			t.Errorf("November was read at %v, want five times in an hour", previous)
		}
		r.wantTotal(november, "0")
		r.wantTotal(win("2026-12-01", "2027-01-01"), "1")
	})
}

// TestHoldOutlivesTheFifth: the last reading of a month that closes finds it empty.
// The hold does not stay for a month because nobody looks any more.
func TestHoldOutlivesTheFifth(t *testing.T) {
	story(t, "2026-12-04T22:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		r.cfgs[0].Lookback = oneDay
		s.bill[day("2026-11-10")] = []row{usd("m", "5")}
		s.bill[day("2026-12-01")] = []row{usd("m", "1")}
		r.start()
		time.Sleep(minute)
		s.set(func(s *script) { delete(s.bill, day("2026-11-10")) })
		r.skip(25*hour + quarter)
		if !r.status().Held {
			t.Fatalf("not held: %+v", r.status())
		}
		time.Sleep(2 * hour) // over midnight
		if st := r.status(); st.Held || !st.Up {
			t.Errorf("on the sixth: %+v", st)
		}
		r.wantTotal(november, "0")
	})
}

// TestFirstLoadOfAnEmptyAccountIsNotHeld.
func TestFirstLoadOfAnEmptyAccountIsNotHeld(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		r.add(acme)
		r.start()
		time.Sleep(hour + quarter)
		if n := r.seen.outcomes(); n[spend.Held] != 0 || n[spend.OK] == 0 {
			t.Errorf("outcomes %v", n)
		}
		if st := r.status(); st.DataThrough.IsZero() || !st.HistoryDone {
			t.Errorf("status %+v", st)
		}
	})
}

// TestDataThroughFollowsTheBuckets: as contract section 2 says.
func TestDataThroughFollowsTheBuckets(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := loaded(t, r)
		want := func(why string, want time.Time) {
			t.Helper()
			if got := r.status().DataThrough; !got.Equal(want) {
				t.Errorf("%s: data through %s, want %s", why, got, want)
			}
			if got := r.book.Snapshot(); !throughOf(t, r).Equal(want) {
				t.Errorf("%s: snapshot %d says %s, want %s", why, got.Version(), throughOf(t, r), want)
			}
		}
		newest := func() time.Time { w := s.seen(); return w[len(w)-1].Began }
		time.Sleep(quarter)
		want("an empty bucket for today", newest())
		s.set(func(s *script) { s.gone[day("2026-11-23")] = true })
		time.Sleep(quarter)
		want("no bucket for today", at("2026-11-23T00:00:00Z"))
		s.set(func(s *script) { s.gone[day("2026-11-22")], s.gone[day("2026-11-21")] = true, true })
		time.Sleep(quarter)
		want("the 20th is the newest", at("2026-11-21T00:00:00Z"))
		s.set(func(s *script) {
			s.before = func(context.Context, walk, int) error { return refuse(spend.Server) }
			clear(s.gone)
		})
		time.Sleep(2 * quarter)
		want("failed polls", at("2026-11-21T00:00:00Z"))
		s.set(func(s *script) { s.before = nil })
		time.Sleep(quarter)
		want("healed", newest())
		r.restart(0)
		want("restarted", newest())
	})
}

func throughOf(t *testing.T, r *rig) time.Time {
	t.Helper()
	return resultOf(t, r.book, november).DataThrough[acme]
}

// TestOtherCurrenciesStayApart: the walk is applied and counted as currency; the
// money is in no USD sum and visible beside them.
func TestOtherCurrenciesStayApart(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := loaded(t, r)
		s.set(func(s *script) {
			s.bill[day("2026-11-22")] = []row{usd("m", "1"), {Model: "m", Amount: "8.25", Currency: "EUR"}}
		})
		time.Sleep(quarter)
		if diff := cmp.Diff(map[spend.Outcome]int{spend.Currency: 1}, r.seen.outcomes()); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
		r.wantTotal(november, "3.5")
		un := resultOf(t, r.book, november).Unconverted
		if len(un) != 1 || un[0].Currency != "EUR" || un[0].Cost.String() != "8.25" {
			t.Errorf("unconverted %+v", un)
		}
		if st := r.status(); !st.Up || st.LastError != "" || st.LastOutcome != spend.Currency {
			t.Errorf("status %+v", st)
		}
	})
}

// TestClockSkew: the difference is told, and beyond a day nothing is believed.
func TestClockSkew(t *testing.T) {
	for _, tt := range []struct {
		ahead time.Duration
		want  spend.Outcome
		total string
	}{
		{0, spend.OK, "7"},
		{-90 * time.Second, spend.OK, "7"},
		{23 * hour, spend.OK, "7"},
		{25 * hour, spend.Schema, "3.5"},
		{-400 * oneDay, spend.Schema, "3.5"},
	} {
		t.Run(tt.ahead.String(), func(t *testing.T) {
			story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
				s := loaded(t, r)
				s.set(func(s *script) {
					s.bill[day("2026-11-22")] = []row{usd("m", "4.5")}
					s.mangle = func(p *spend.Page) {
						p.Header["Date"] = p.FetchedAt.Add(tt.ahead).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
					}
				})
				time.Sleep(quarter)
				if diff := cmp.Diff(map[spend.Outcome]int{tt.want: 1}, r.seen.outcomes()); diff != "" {
					t.Errorf("outcomes (-want +got):\n%s", diff)
				}
				if d := (r.seen.ahead() - tt.ahead).Abs(); d > time.Second {
					t.Errorf("skew %s, want %s", r.seen.ahead(), tt.ahead)
				}
				r.wantTotal(november, tt.total)
				if got := r.runner.ClockTrusted(); got != (tt.want == spend.OK) {
					t.Errorf("clock trusted: %t", got)
				}
				if st := r.status(); tt.want == spend.Schema && !strings.Contains(st.LastError, "clock") {
					t.Errorf("error %q does not say what to check", st.LastError)
				}
			})
		})
	}
}

// TestClockTrusted: expiry waits for a provider that knows what day it is.
func TestClockTrusted(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		if !ingest.New(ingest.Options{}).ClockTrusted() {
			t.Error("who pulls nothing waits for ever")
		}
		first, second := r.add(acme), r.add(spend.SourceID{Provider: "openai", Account: "beta", Source: "openai/costs"})
		dated := func(s *script, ahead time.Duration) {
			s.set(func(s *script) {
				s.mangle = func(p *spend.Page) {
					p.Header["Date"] = p.FetchedAt.Add(ahead).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
				}
			})
		}
		for _, s := range []*script{first, second} {
			s.before = func(context.Context, walk, int) error { return refuse(spend.Network) }
		}
		r.start()
		time.Sleep(minute)
		if r.runner.ClockTrusted() {
			t.Error("trusted without an answer")
		}
		for _, s := range []*script{first, second} {
			s.set(func(s *script) { s.before = nil })
		}
		time.Sleep(quarter)
		if !r.runner.ClockTrusted() {
			t.Error("answers without a date are held against the clock")
		}
		dated(first, 48*hour)
		dated(second, 48*hour)
		time.Sleep(quarter)
		if r.runner.ClockTrusted() {
			t.Error("trusted although everybody says it is the day after tomorrow")
		}
		dated(second, 0)
		time.Sleep(2 * quarter)
		if !r.runner.ClockTrusted() {
			t.Error("one stale cache is believed more than a provider")
		}
	})
}

// TestGracefulStop: a pull that a shutdown cuts off is put away as failed and
// incomplete, changes nothing and is nobody's fault.
func TestGracefulStop(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := loaded(t, r)
		s.set(func(s *script) {
			s.bill[day("2026-11-22")] = []row{usd("m", "99")}
			s.before = func(ctx context.Context, _ walk, page int) error {
				if page == 0 {
					<-ctx.Done()
					return spend.Classify(spend.Network, ctx.Err())
				}
				return nil
			}
		})
		time.Sleep(quarter)
		if !r.status().Pulling {
			t.Fatal("no pull is running")
		}
		began := r.now()
		r.stop()
		if d := r.now().Sub(began); d > time.Second {
			t.Errorf("stopping took %s", d)
		}
		pulls := r.pulls(acme)
		last := pulls[len(pulls)-1]
		if last.Verdict != store.Failed || last.Outcome != spend.Incomplete || !strings.Contains(last.Detail, "stopping") {
			t.Errorf("record %+v", last)
		}
		if n := r.seen.outcomes(); len(n) != 0 {
			t.Errorf("an abandoned pull is counted: %v", n)
		}
		if st := r.status(); !st.Up || st.LastError != "" || st.Pulling {
			t.Errorf("status %+v", st)
		}
		r.wantTotal(november, "3.5")
		s.set(func(s *script) { s.before = nil })
		r.close()
		r.open()
		r.start()
		time.Sleep(minute)
		if st := r.status(); !st.Up || st.LastOutcome != spend.OK {
			t.Errorf("status after the start %+v", st)
		}
		r.wantTotal(november, "101.5")
	})
}

// TestLowSpaceStopsPulls: nothing is asked or written, the text says so, the
// numbers stay, and pulls go on when there is space.
func TestLowSpaceStopsPulls(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := loaded(t, r)
		n, records := len(s.seen()), len(r.pulls(acme))
		r.free.Store(1 << 20)
		time.Sleep(quarter - 30*time.Second)
		if len(s.seen()) != n || len(r.pulls(acme)) != records {
			t.Error("the provider was asked, or a record written, without space to keep the answer")
		}
		if got := r.seen.outcomes(); got[spend.StoreFailed] != 1 {
			t.Errorf("outcomes %v", got)
		}
		if st := r.status(); st.Up || !strings.Contains(st.LastError, "free") {
			t.Errorf("status %+v", st)
		}
		r.wantTotal(november, "3.5")
		r.free.Store(1 << 40)
		time.Sleep(2 * minute)
		if st := r.status(); !st.Up || st.LastError != "" {
			t.Errorf("status with space again %+v", st)
		}
	})
}

// TestMissingDayIsReadAgain: a day that the book does not have although history
// covers it is pulled once more and is then there again.
func TestMissingDayIsReadAgain(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		for d := day("2026-09-01"); d <= day("2026-11-23"); d++ {
			s.bill[d] = []row{usd("m", "1")}
		}
		r.opts.InitialHistory = 80 * oneDay
		r.start()
		time.Sleep(minute)
		r.wantTotal(win("2026-09-04", "2026-12-01"), "81")
		r.stop()
		// A book without 10 October is what LoadBook makes of a damaged day.
		r.book = bookWithout(r.book, acme, day("2026-10-10"))
		r.wantTotal(win("2026-09-04", "2026-12-01"), "80")
		n := len(s.seen())
		r.start()
		time.Sleep(minute)
		if got := windows(s.seen()[n:]); !slices.Equal(got, []string{"2026-10-10..2026-10-10"}) {
			t.Errorf("walks %v, want the missing day once", got)
		}
		r.wantTotal(win("2026-09-04", "2026-12-01"), "81")
		r.wantRevised("0", "0")
	})
}
