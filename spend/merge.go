package spend

import (
	"cmp"
	"math"
	"slices"
)

// MergeCharges adds up the rows of equal model, project, item, currency, rate and
// tax, and sorts by these fields in this order: the shape that a Statement wants. The sums
// are exact, so the result does not depend on the order of the rows. The argument
// is left as it is; no rows give nil.
func MergeCharges(rows []Charge) []Charge {
	sorted := slices.Clone(rows)
	slices.SortFunc(sorted, compareCharges)
	var out []Charge
	for _, c := range sorted {
		if n := len(out); n > 0 && compareCharges(out[n-1], c) == 0 {
			out[n-1].Gross = out[n-1].Gross.Add(c.Gross)
			out[n-1].Credits = out[n-1].Credits.Add(c.Credits)
			continue
		}
		out = append(out, c)
	}
	return slices.Clip(out)
}

// MergeUsage adds up the rows of equal model and project, and sorts by these
// fields. Counts stop at the largest int64 instead of turning negative. A sum has
// requests if any of its rows has. The argument is left as it is; no rows give nil.
func MergeUsage(rows []Usage) []Usage {
	sorted := slices.Clone(rows)
	slices.SortFunc(sorted, compareUsage)
	var out []Usage
	for _, u := range sorted {
		if n := len(out); n > 0 && compareUsage(out[n-1], u) == 0 {
			out[n-1] = out[n-1].add(u)
			continue
		}
		if !u.HasRequests {
			u.Requests = 0
		}
		out = append(out, u)
	}
	return slices.Clip(out)
}

func compareCharges(a, b Charge) int {
	return cmp.Or(
		cmp.Compare(a.Model, b.Model),
		cmp.Compare(a.Project, b.Project),
		cmp.Compare(a.Item, b.Item),
		cmp.Compare(a.Currency, b.Currency),
		a.Rate.Cmp(b.Rate),
		compareBool(a.Tax, b.Tax),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

func compareUsage(a, b Usage) int {
	return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Project, b.Project))
}

func (u Usage) add(o Usage) Usage {
	u.Input = AddCount(u.Input, o.Input)
	u.Output = AddCount(u.Output, o.Output)
	u.CacheRead = AddCount(u.CacheRead, o.CacheRead)
	u.CacheWrite = AddCount(u.CacheWrite, o.CacheWrite)
	u.Uncosted = AddCount(u.Uncosted, o.Uncosted)
	if o.HasRequests {
		u.Requests = AddCount(u.Requests, o.Requests)
		u.HasRequests = true
	}
	return u
}

// AddCount returns a+b for counts, which are never negative, and the largest
// int64 where the sum does not fit: an absurd count stays absurd, it does not turn
// into a plausible one.
func AddCount(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
