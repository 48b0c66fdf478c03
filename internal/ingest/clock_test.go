package ingest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/ingest"
	"github.com/aispend/aispend/spend"
)

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
