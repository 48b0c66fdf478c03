package rollup

import (
	"slices"
	"time"

	"github.com/aispend/aispend/spend"
)

// part is one source's statement of one day. It is immutable and shared between
// snapshots.
type part struct {
	readAt  time.Time
	charges []spend.Charge
	usage   []spend.Usage
}

func newPart(st spend.Statement) *part {
	return &part{readAt: st.ReadAt, charges: slices.Clone(st.Charges), usage: slices.Clone(st.Usage)}
}

func (p *part) chargeRows() int { return len(p.charges) }

func (p *part) usageRows() int { return len(p.usage) }

func (p *part) statement(day spend.Day) spend.Statement {
	return spend.Statement{
		Day: day, ReadAt: p.readAt,
		Charges: slices.Clone(p.charges), Usage: slices.Clone(p.usage),
	}
}

func (p *part) usd() (sum spend.Money) {
	for _, c := range p.charges {
		if c.Currency == spend.USD {
			sum = sum.Add(c.Cost())
		}
	}
	return sum
}
