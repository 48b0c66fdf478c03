package simulator

import (
	"slices"
	"sync"
	"time"

	"github.com/aispend/aispend/spend"
)

// onPage makes an effect that changes the page.
func onPage(name string, f func(*page)) Effect { return Effect{name: name, page: f} }

// eachRow makes an effect that changes every row.
func eachRow(name string, f func(*page, *wireRow)) Effect {
	return onPage(name, func(p *page) {
		for i := range p.buckets {
			for j := range p.buckets[i].rows {
				f(p, &p.buckets[i].rows[j])
			}
		}
	})
}

// firstRow makes an effect that changes the first row of the page; a page without
// rows stays as it is.
func firstRow(name string, f func(*page, *wireRow)) Effect {
	return onPage(name, func(p *page) {
		for i := range p.buckets {
			if len(p.buckets[i].rows) > 0 {
				f(p, &p.buckets[i].rows[0])
				return
			}
		}
	})
}

// SameCursor says on every page that there is more and gives the same cursor,
// which is accepted.
func SameCursor() Effect {
	return onPage("same cursor", func(p *page) {
		p.hasMore, p.nextPage = "true", quote(p.cursor(p.limit))
	})
}

// CursorCycle says on every page that there is more; after the first page its
// cursors alternate between two.
func CursorCycle() Effect {
	return onPage("cursor cycle", func(p *page) {
		next := p.limit
		if p.offset == p.limit {
			next = 2 * p.limit
		}
		p.hasMore, p.nextPage = "true", quote(p.cursor(next))
	})
}

// EndlessCursor says on every page that there is more, with a new cursor each
// time; the pages beyond the window have no buckets.
func EndlessCursor() Effect {
	return onPage("endless cursor", func(p *page) {
		p.hasMore, p.nextPage = "true", quote(p.cursor(p.offset+p.limit))
	})
}

// MoreWithoutCursor says that there is more and gives next_page as raw JSON
// (`null`, `""`), or leaves it out when raw is empty.
func MoreWithoutCursor(raw string) Effect {
	return onPage("more without cursor", func(p *page) { p.hasMore, p.nextPage = "true", raw })
}

// HasMore gives has_more as raw JSON, or leaves it out when raw is empty, and
// next_page as it was.
func HasMore(raw string) Effect {
	return onPage("has_more", func(p *page) { p.hasMore = raw })
}

// EarlyEnd says that a page is the last one though it is not.
func EarlyEnd() Effect {
	return onPage("early end", func(p *page) { p.hasMore, p.nextPage = "false", "null" })
}

// WithoutData leaves out data.
func WithoutData() Effect { return onPage("without data", func(p *page) { p.dataKey = "" }) }

// WithoutResults leaves out results in every bucket.
func WithoutResults() Effect { return resultsKey("without results", "") }

// OldResultKey calls results by its old name, result.
func OldResultKey() Effect { return resultsKey("old result key", "result") }

func resultsKey(name, key string) Effect {
	return onPage(name, func(p *page) {
		for i := range p.buckets {
			p.buckets[i].rowsKey = key
		}
	})
}

// DuplicateBucket gives the last bucket of a page twice on that page.
func DuplicateBucket(different bool) Effect {
	return onPage("duplicate bucket", func(p *page) {
		if n := len(p.buckets); n > 0 {
			p.buckets = append(p.buckets, p.buckets[n-1].copy(different))
		}
	})
}

// RepeatBucket gives the last bucket of each page again as the first of the next
// one it is applied to.
func RepeatBucket(different bool) Effect {
	var mu sync.Mutex
	var last *bucket
	return onPage("repeated bucket", func(p *page) {
		mu.Lock()
		defer mu.Unlock()
		n := len(p.buckets)
		if n == 0 {
			return
		}
		keep := p.buckets[n-1].copy(false)
		if last != nil && p.offset > 0 {
			p.buckets = slices.Insert(p.buckets, 0, last.copy(different))
		}
		last = &keep
	})
}

// copy returns the bucket again; a different one has a row more.
func (b *bucket) copy(different bool) bucket {
	c := *b
	c.rows = nil
	for _, r := range b.rows {
		r.fields = slices.Clone(r.fields)
		c.rows = append(c.rows, r)
	}
	if different {
		more := wireRow{
			money: true, value: `"0.01"`, currency: `"USD"`,
			fields: []field{{"object", `"organization.costs.result"`}},
		}
		if len(c.rows) > 0 {
			more = c.rows[0]
		}
		c.rows = append(c.rows, more)
	}
	return c
}

// MissingBucket leaves out the bucket of a day.
func MissingBucket(d spend.Day) Effect {
	return onPage("missing bucket", func(p *page) {
		p.buckets = slices.DeleteFunc(p.buckets, func(b bucket) bool { return b.day == d })
	})
}

// DropDay empties the bucket of a day: the day vanishes from the bill.
func DropDay(d spend.Day) Effect {
	return onPage("vanished day", func(p *page) {
		for i := range p.buckets {
			if p.buckets[i].day == d {
				p.buckets[i].rows = nil
			}
		}
	})
}

// EmptyBuckets empties every bucket.
func EmptyBuckets() Effect {
	return onPage("empty buckets", func(p *page) {
		for i := range p.buckets {
			p.buckets[i].rows = nil
		}
	})
}

// EmptyWindow gives no bucket at all and no further page.
func EmptyWindow() Effect {
	return onPage("empty window", func(p *page) {
		p.buckets, p.hasMore, p.nextPage = nil, "false", "null"
	})
}

// ShiftBuckets moves the bounds of every bucket, as away from midnight.
func ShiftBuckets(by time.Duration) Effect {
	return onPage("shifted buckets", func(p *page) {
		for i := range p.buckets {
			b := &p.buckets[i]
			b.start, b.end = b.start.Add(by), b.end.Add(by)
		}
	})
}

// HeavyBuckets adds that many bytes of white space to every bucket, so that a
// page weighs in proportion to its buckets.
func HeavyBuckets(bytes int) Effect {
	return onPage("heavy buckets", func(p *page) { p.pad = bytes })
}

// HeavyAbove makes a page that many bytes heavier if it has more than k buckets.
func HeavyAbove(k, bytes int) Effect {
	return onPage("heavy above", func(p *page) {
		if len(p.buckets) > k {
			p.pad = bytes/len(p.buckets) + 1
		}
	})
}
