package rollup

import "github.com/aispend/aispend/spend"

// sums is what a group adds up to.
type sums struct {
	gross, credits, unattributed spend.Money
	hasCost, hasUsage            bool
	counts
}

// counts are token and request counts; the additions stop at the largest int64.
type counts struct {
	input, output, cacheRead, cacheWrite, uncosted, requests int64
	hasRequests                                              bool
}

func countsOf(u spend.Usage) counts {
	c := counts{
		input: u.Input, output: u.Output, cacheRead: u.CacheRead, cacheWrite: u.CacheWrite,
		uncosted: u.Uncosted, hasRequests: u.HasRequests,
	}
	if u.HasRequests {
		c.requests = u.Requests
	}
	return c
}

func (s *sums) addCharge(model uint32, gross, credits spend.Money) {
	s.hasCost = true
	s.gross = s.gross.Add(gross)
	if !credits.IsZero() {
		s.credits = s.credits.Add(credits)
	}
	if model == noModel {
		s.unattributed = s.unattributed.Add(gross).Add(credits)
	}
}

func (s *sums) addCredit(model uint32, amount spend.Money) {
	s.credits = s.credits.Add(amount)
	if model == noModel {
		s.unattributed = s.unattributed.Add(amount)
	}
}

func (s *sums) addUsage(c counts) {
	s.hasUsage = true
	s.counts.add(c)
}

func (s *sums) add(o *sums) {
	s.gross = s.gross.Add(o.gross)
	s.credits = s.credits.Add(o.credits)
	s.unattributed = s.unattributed.Add(o.unattributed)
	s.hasCost = s.hasCost || o.hasCost
	s.hasUsage = s.hasUsage || o.hasUsage
	s.counts.add(o.counts)
}

func (c *counts) add(o counts) {
	c.input = spend.AddCount(c.input, o.input)
	c.output = spend.AddCount(c.output, o.output)
	c.cacheRead = spend.AddCount(c.cacheRead, o.cacheRead)
	c.cacheWrite = spend.AddCount(c.cacheWrite, o.cacheWrite)
	c.uncosted = spend.AddCount(c.uncosted, o.uncosted)
	c.requests = spend.AddCount(c.requests, o.requests)
	c.hasRequests = c.hasRequests || o.hasRequests
}

func (s *sums) cost() spend.Money { return s.gross.Add(s.credits) }

// row returns the sums as a Row without group fields.
func (s *sums) row() Row {
	return Row{
		HasCost: s.hasCost, HasUsage: s.hasUsage,
		Cost: s.cost(), Gross: s.gross, Credits: s.credits, Unattributed: s.unattributed,
		Input: s.input, Output: s.output, CacheRead: s.cacheRead, CacheWrite: s.cacheWrite,
		Requests: s.requests, HasRequests: s.hasRequests, Uncosted: s.uncosted,
	}
}
