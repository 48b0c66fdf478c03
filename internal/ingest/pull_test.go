package ingest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
