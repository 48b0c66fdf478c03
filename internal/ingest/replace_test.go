package ingest_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/spend"
)

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
