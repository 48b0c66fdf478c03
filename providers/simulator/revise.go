package simulator

import (
	"slices"
	"sync"
	"time"

	"github.com/aispend/aispend/spend"
)

type revision struct {
	provider string
	day      spend.Day
	change   func([]Row) []Row
}

// Revise corrects the cost of a day in the pages and in the ground truth alike,
// until undo: change gets the day's rows as they would be and returns what they
// are instead (lower, renamed, none). Amount follows Literal, which is in dollars
// at OpenAI and in cents at Anthropic. change may be called at any time and by
// several goroutines; it may keep neither argument nor result. It must not call
// the World. Usage stays as it is. Vertex has AppendExport instead, as nothing is ever
// changed in its table: for it Revise panics.
func (w *World) Revise(provider string, d spend.Day, change func([]Row) []Row) (undo func()) {
	if provider == Vertex {
		panic("simulator: an export is append-only: call AppendExport")
	}
	r := &revision{provider: provider, day: d, change: change}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.revise = append(w.revise, r)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.revise = slices.DeleteFunc(w.revise, func(o *revision) bool { return o == r })
	}
}

// revised applies the revisions of a day in their order.
func (w *World) revised(provider string, d spend.Day, rows []Row) []Row {
	w.mu.Lock()
	all := slices.Clone(w.revise)
	w.mu.Unlock()
	for _, r := range all {
		if r.provider != provider || r.day != d {
			continue
		}
		rows = r.change(rows)
		for i := range rows {
			rows[i].Provider, rows[i].Day = provider, d
			rows[i].Amount = parseLiteral(rows[i].Literal)
			if provider == Anthropic {
				rows[i].Amount = rows[i].Amount.Shift(-2)
			}
		}
	}
	return rows
}

// Clock is a clock that stands still until it is told to move, for Options.Now.
// It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows t.
func NewClock(t time.Time) *Clock { return &Clock{now: t} }

// Now returns what the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock by d, which may be negative.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Set moves the clock to t.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}
