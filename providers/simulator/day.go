package simulator

import (
	"math"
	"time"

	"github.com/aispend/aispend/spend"
)

// work is what a lane did on a day, as it is known at some time.
type work struct {
	lane *lane
	hash hash // of lane and day

	in, cached, out, write5m, write1h int64
	requests                          int64
	units                             float64 // of what is not counted in tokens
	zero                              bool    // a row of nothing is reported all the same
}

// epoch anchors growth, so that a day's spend does not depend on Options.Start.
func epoch() spend.Day { return spend.Date(2026, time.January, 1) }

// day returns what every lane of a vendor did on day d, as known at time at.
func (w *World) day(v *vendor, d spend.Day, at time.Time) []work {
	part, age := w.progress(d, at)
	if d < w.opt.Start || part <= 0 || w.quiet(v, d) {
		return nil
	}
	var out []work
	for i := range v.lanes {
		l := &v.lanes[i]
		h := l.hash.num(uint64(d))
		factor, present := w.restated(l, h, v.hash.num(uint64(d)), age)
		if !present {
			continue
		}
		if wk, ok := measure(l, h, w.volume(l, h, d), part*factor); ok {
			out = append(out, wk)
		}
	}
	return out
}

// progress returns which part of day d is visible at time at, and how many whole
// days have passed since it was complete (-1 while it is not).
func (w *World) progress(d spend.Day, at time.Time) (part float64, age int) {
	elapsed := at.Sub(d.Time()) - w.opt.Lag
	if elapsed < 0 {
		return 0, -1
	}
	const full = 24 * time.Hour
	if elapsed >= full {
		return 1, int((elapsed - full) / full)
	}
	elapsed -= elapsed % w.opt.Step
	x := float64(elapsed) / float64(full)
	// Slow at night, fast in the working hours; strictly growing from 0 to 1.
	return x - math.Sin(2*math.Pi*x)/(2*math.Pi)*0.8, -1
}

// quiet days have a bucket and no rows.
func (w *World) quiet(v *vendor, d spend.Day) bool {
	return !w.opt.Plain && d.Weekday() == time.Sunday && v.hash.text("quiet").num(uint64(d)).chance(0.2)
}

// restated returns by which factor a lane's day is off at an age, and whether
// the lane is reported at all. Most values start low and grow; some start high;
// a few rows come late and a few vanish again; the biggest lane of a model is
// always there. h is of lane and day, dh of vendor and day.
func (w *World) restated(l *lane, h, dh hash, age int) (factor float64, present bool) {
	u := h.text("present").unit()
	if l.steady {
		u = 0.5
	}
	phantom, absent := u >= 0.95 && u < 0.97, u >= 0.97
	if w.opt.NoRestatement {
		return 1, u < 0.95
	}
	settle := 3 + int(dh.text("settle").below(3))
	left := settle - max(age, 0)
	if left <= 0 {
		return 1, u < 0.95
	}
	r := h.text("restated")
	switch {
	case absent:
		return 0, false
	case phantom:
		return 0.05, left > 1
	case u < 0.03 && left == settle:
		return 0, false // comes a day late
	case dh.text("overshot").chance(0.12) || r.chance(0.15): // a whole day, or a row
		return 1 + 0.03*float64(left)/float64(settle), true
	case r.num(1).chance(0.3):
		return 1, true // was right at once
	}
	return 1 - (0.02+0.06*r.num(2).unit())*float64(left)/float64(settle), true
}

// volume returns a lane's final volume of a day.
func (w *World) volume(l *lane, h hash, d spend.Day) float64 {
	v := l.volume * max(0.3, 1+0.002*float64(d-epoch()))
	switch d.Weekday() {
	case time.Saturday:
		v *= 0.35
	case time.Sunday:
		v *= 0.28
	case time.Monday, time.Friday:
		v *= 0.9
	}
	v *= 0.85 + 0.3*h.text("noise").unit()
	if l.model.runaway && !w.opt.NoRunaway && d >= w.opt.Runaway {
		v *= min(math.Pow(1.5, float64(d-w.opt.Runaway+1)), 25)
	}
	if !w.opt.Plain && h.text("zero").chance(0.01) {
		v = 0
	}
	return v
}

// measure splits a volume into what is counted. It reports false when there is
// nothing to report yet.
func measure(l *lane, h hash, volume, part float64) (work, bool) {
	m := l.model
	wk := work{lane: l, hash: h, zero: volume == 0}
	share := func(name string, lo, hi float64) float64 {
		return lo + (hi-lo)*h.text(name).unit()
	}
	count := func(v float64) int64 { return int64(v * part) }
	switch m.kind {
	case text:
		wk.in = count(volume)
		wk.cached = count(volume * share("cached", 0.5, 3))
		wk.out = count(volume * share("out", 0.08, 0.2))
		if m.write5m > 0 {
			wk.write5m = count(volume * share("write5m", 0.05, 0.15))
		}
		if m.write1h > 0 {
			wk.write1h = count(volume * share("write1h", 0.01, 0.04))
		}
		wk.requests = 1 + count(volume/share("size", 2000, 9000))
	case audio:
		wk.in = count(volume)
		wk.out = count(volume * share("out", 0.3, 0.6))
		wk.requests = 1 + count(volume/1500)
	case embedding:
		wk.in = 1 + count(volume*math.Pow(share("size", 0, 1), 8)) // often a handful: 1e-7 dollars
		wk.requests = 1 + count(volume/4000)
	case image:
		wk.units = float64(count(volume))
		wk.cached = count(volume * 260)
	case minutes:
		wk.units = float64(count(volume))
	case tool:
		wk.units = float64(count(volume))
		if m.unit == "gibibyte_hours" {
			wk.units = float64(count(volume*2)) / 2
		}
	}
	if wk.zero {
		wk.requests = 0
		return wk, true
	}
	return wk, wk.in+wk.cached+wk.out+wk.requests > 0 || wk.units > 0
}
