package badger

import (
	"fmt"
	"testing"
)

// TestSummaryThatLagsBehind: a writer that knows of no summary leaves the one of the newest
// commit as it was. Both ends of it are compared with what is there.
func TestSummaryThatLagsBehind(t *testing.T) {
	t.Parallel()
	counters := func(s *Store, pages int) []byte {
		v := fmt.Sprintf(`{"pages":{"openai":%d},"pulls":4}`, pages)
		return s.sealer.seal(keyCounters(woundDay), kindCounters, []byte(v))
	}
	for name, change := range map[string]func(p *patient){
		"a newer day": func(p *patient) {
			p.set(keyCounters(woundDay+1), p.sealer.seal(keyCounters(woundDay+1), kindCounters, []byte(`{"pulls":0}`)))
		},
		"an older day": func(p *patient) {
			p.set(keyCounters(woundDay-1), p.sealer.seal(keyCounters(woundDay-1), kindCounters, []byte(`{"pulls":0}`)))
		},
		"more on the newest day": func(p *patient) { p.set(keyCounters(woundDay), counters(p.Store, 13)) },
		"no day left":            func(p *patient) { p.must(p.db.DropPrefix(prefixDay(spaceRaw, woundDay))) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPatient(t)
			change(p)
			p.reopen()
			was := p.Stats().RawPages["openai"]
			n := len(p.days)
			p.set(keySummary(), nil)
			p.reopen()
			if got := p.Stats().RawPages["openai"]; got != was || len(p.days) != n {
				t.Errorf("%d pages on %d days by the summary, %d on %d by the days", was, n, got, len(p.days))
			}
		})
	}
}
