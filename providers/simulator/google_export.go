package simulator

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aispend/aispend/spend"
)

// sku is one thing that the billing account is charged for. Texts and ids are in the shapes
// of apis page google-vertex, section 2; prices are none of Google's.
type sku struct {
	serviceID, service, id, text string

	model   string  // that the text names; empty: none
	daily   float64 // dollars of a busy project's weekday
	credits float64 // share that is given back
	ai      bool
}

func vertexSKUs() []sku {
	vertex := func(id, text, model string, daily float64) sku {
		return sku{"C7E2-9256-1C43", "Vertex AI", id, text, model, daily, 0, true}
	}
	studio := func(id, text, model string, daily float64) sku {
		return sku{"AEFD-7695-64FA", "Gemini API", id, text, model, daily, 0, true}
	}
	out := []sku{
		vertex("SYN1-0001-0001", "Gemini 3 Pro Text Input - Predictions", "gemini-3-pro", 21),
		vertex("SYN1-0001-0002", "Gemini 3 Pro Text Output - Predictions", "gemini-3-pro", 34),
		{"SYN9-0000-0046", "Claude Opus 4.6", "SYN1-0002-0001", "Claude Opus 4.6 \u2014 Input Tokens \u2014 global \u2014 Context Window Size from 0 to 200000 Tokens", "claude-opus-4-6", 18, 0, true},
		{"SYN9-0000-0046", "Claude Opus 4.6", "SYN1-0002-0002", "Claude Opus 4.6 Output Tokens", "claude-opus-4-6", 40, 0, true},
		vertex("SYN1-0001-0003", "Gemini 2.5 Flash GA Text Input - Batch Predictions", "gemini-2.5-flash", 3.2),
		vertex("SYN1-0001-0004", " Gemini 2.5 Flash GA Input Text Caching", "gemini-2.5-flash", 0.4),
		studio("SYN1-0003-0001", "Generate_content text output token count for gemini 3 flash", "gemini-3-flash", 7),
		studio("SYN1-0003-0002", "Generate content input token count gemini 2.5 flash short input text", "gemini-2.5-flash", 1.1),
		{"SYN9-0000-0047", "Claude Sonnet 4.5", "SYN1-0002-0003", "Claude Sonnet 4.5 Input Cache Write Tokens (TTL 300 seconds)", "claude-sonnet-4-5", 4.5, 0, true},
		{"SYN9-0000-0050", "Vertex AI Search", "SYN1-0002-0004", "AI Dev Tools: Claude Opus 4.8 Input Tokens", "claude-opus-4-8", 2, 0, true},
		vertex("SYN1-0001-0005", "Gemini 3.1 Flash Image Image Output - Predictions", "gemini-3.1-flash-image", 2.5),
		vertex("SYN1-0001-0006", "Cloud Vertex AI Model Garden Model as a Service Llama 4 Maverick Output tokens", "llama-4-maverick", 1.3),
		vertex("SYN1-0001-0007", "Veo Fast Generation 1080p with Audio", "veo-fast", 5),
		studio("SYN1-0003-0003", "EmbedContent input token count for gemini-embedding-001", "gemini-embedding-001", 0.06),
		vertex("SYN1-0001-0008", "Vertex AI: Provisioned Throughput 1 month", "", 6),
		{"6F81-5844-456A", "Compute Engine", "SYN1-0009-0001", "N1 Predefined Instance Core running in EMEA", "", 30, 0, false},
		{"SYN9-0000-0050", "Vertex AI Search", "SYN1-0009-0002", "Vertex AI Search: Ranking", "", 1, 0, false},
	}
	out[0].credits, out[6].credits = 0.15, 1 // a promotion, and a free tier
	return out
}

// exportRow is a row of the export. Amounts are decimals of at most six places, as they are in
// FLOAT64 columns after their cast to NUMERIC.
type exportRow struct {
	sku      sku
	project  string // empty: NULL
	start    time.Time
	export   time.Time
	costType string
	currency string
	rate     string // empty: NULL
	gross    spend.Money
	credits  spend.Money
	usage    int64
	invoice  string
}

// slots are the hours of a day that usage is written of.
func slots() []int { return []int{1, 5, 9, 13, 17, 21} }

// AppendedRow is a row that a test appends to the simulated export, as Google appends
// corrections and late usage.
type AppendedRow struct {
	Start    time.Time // of the usage
	Export   time.Time // zero: now
	Service  string    // id; empty: that of Vertex AI
	SKU      string    // text
	SKUID    string
	Model    string // that the text names, for the truth; empty: none
	Project  string
	CostType string // empty: regular
	Currency string // empty: that of the world
	Rate     string // empty: that of the world; "NULL": none
	Gross    spend.Money
	Credits  spend.Money
}

// AppendExport adds a row to the export, for good: nothing is ever changed in it.
func (w *World) AppendExport(r AppendedRow) {
	o := w.google.opt.Vertex
	row := exportRow{
		sku: sku{
			serviceID: orDefault(r.Service, "C7E2-9256-1C43"), service: "Vertex AI", text: r.SKU, id: r.SKUID, model: r.Model,
			ai: true,
		},
		project: r.Project, start: r.Start, export: r.Export, costType: orDefault(r.CostType, "regular"),
		currency: orDefault(r.Currency, o.Currency), rate: orDefault(r.Rate, o.Rate), gross: r.Gross, credits: r.Credits,
		invoice: r.Start.UTC().Format("200601"),
	}
	if row.rate == "NULL" {
		row.rate = ""
	}
	if row.export.IsZero() {
		row.export = w.Now()
	}
	w.google.mu.Lock()
	defer w.google.mu.Unlock()
	w.google.appended = append(w.google.appended, row)
}

// export returns the rows of usage in [from, to) that are in the table at time at.
func (w *World) export(from, to, at time.Time) []exportRow {
	g := w.google
	var out []exportRow
	keep := func(r exportRow) {
		if !r.export.After(at) && !r.start.Before(from) && r.start.Before(to) &&
			(g.opt.Vertex.ExportFrom == 0 || !r.start.Before(g.opt.Vertex.ExportFrom.Time())) {
			out = append(out, r)
		}
	}
	for d := max(spend.DayOf(from), w.opt.Start); d.Time().Before(to) && !d.Time().After(at); d++ {
		for i := range g.skus {
			for j := range g.ids {
				w.exportLane(d, i, j, keep)
			}
		}
		if d == d.AddMonths(1)-1 && !w.opt.Plain {
			w.exportTax(d, keep)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.appended {
		keep(r)
	}
	return out
}

// exportLane tells what one SKU cost one project on one day.
func (w *World) exportLane(d spend.Day, i, j int, keep func(exportRow)) {
	g := w.google
	s := g.skus[i]
	h := g.hash.text(s.id).num(uint64(j)).num(uint64(d))
	if !w.opt.Plain && h.text("quiet").chance(0.1) {
		return
	}
	share := 1 / float64(j+1) // the first project is the busiest
	for _, hour := range slots() {
		hh := h.num(uint64(hour))
		dollars := s.daily * share * w.opt.Scale * vertexVolume(h, d) * (0.6 + 0.8*hh.unit()) / float64(len(slots()))
		r := exportRow{
			sku: s, project: g.ids[j], start: d.Time().Add(time.Duration(hour) * time.Hour), costType: "regular",
			currency: g.opt.Vertex.Currency, rate: g.opt.Vertex.Rate, usage: 1 + int64(dollars*1e5),
		}
		r.invoice = r.start.In(pacific()).Format("200601")
		r.gross = g.native(dollars)
		if s.credits > 0 {
			r.credits = g.native(-dollars * s.credits)
		}
		lag := g.opt.Vertex.Lag + time.Duration(hh.text("lag").unit()*float64(g.opt.Vertex.Lag)/2)
		if !w.opt.Plain && hh.text("late").chance(0.02) {
			lag += 26 * time.Hour
		}
		r.export = r.start.Add(time.Hour + lag)
		keep(r)
		if w.opt.Plain || w.opt.NoRestatement || !hh.text("corrected").chance(0.01) {
			continue
		}
		// A correction repeats the row with the sign turned round, and replaces it.
		again := r
		again.export = r.export.Add(50 * time.Hour)
		again.gross, again.credits, again.usage = r.gross.Neg(), r.credits.Neg(), -r.usage
		keep(again)
		again.gross = g.native(dollars * (0.7 + 0.6*hh.text("by").unit()))
		again.credits, again.usage = spend.Money{}, r.usage
		keep(again)
	}
}

func vertexVolume(h hash, d spend.Day) float64 {
	v := max(0.3, 1+0.002*float64(d-epoch())) * (0.85 + 0.3*h.text("noise").unit())
	switch d.Weekday() {
	case time.Saturday:
		return v * 0.4
	case time.Sunday:
		return v * 0.3
	}
	return v
}

// exportTax writes the month's tax, a row per project, on the first of the next month.
func (w *World) exportTax(last spend.Day, keep func(exportRow)) {
	g := w.google
	for _, p := range g.ids {
		s := g.skus[0]
		s.id, s.text = "SYN1-0008-0001", "Tax"
		keep(exportRow{
			sku: s, project: p, start: last.Time().Add(23 * time.Hour), export: (last + 1).Time().Add(30 * time.Hour),
			costType: "tax", currency: g.opt.Vertex.Currency, rate: g.opt.Vertex.Rate, gross: g.native(11.5 * w.opt.Scale),
			invoice: last.Time().Format("200601"),
		})
	}
}

// native turns dollars into the account's currency, at six places.
func (g *google) native(dollars float64) spend.Money {
	if r := g.opt.Vertex.Rate; r != "" && g.opt.Vertex.Currency != spend.USD {
		dollars *= spend.MustMoney(r).Float64()
	}
	return spend.MustMoney(strconv.FormatFloat(math.Round(dollars*1e6)/1e6, 'f', 6, 64))
}

// newestExport is when the table was changed last, as of time at.
func (w *World) newestExport(at time.Time) time.Time {
	newest := w.opt.Start.Time()
	for _, r := range w.export(at.Add(-8*24*time.Hour), at.Add(time.Hour), at) {
		if r.export.After(newest) {
			newest = r.export
		}
	}
	w.google.mu.Lock()
	defer w.google.mu.Unlock()
	for _, r := range w.google.appended {
		if r.export.After(newest) && !r.export.After(at) {
			newest = r.export
		}
	}
	return newest
}

// VertexCharges returns what the ledger should hold of a UTC day, as the export shows it at time
// at: native amounts by model, project, SKU, currency and rate, tax apart.
func (w *World) VertexCharges(d spend.Day, at time.Time) []spend.Charge {
	var rows []spend.Charge
	for _, r := range w.export(d.Time(), (d + 1).Time(), at) {
		if !r.sku.ai {
			continue
		}
		c := spend.Charge{
			Model: r.sku.model, Project: r.project, Item: strings.TrimSpace(r.sku.id + " " + strings.TrimSpace(r.sku.text)),
			Currency: r.currency, Tax: r.costType == "tax", Gross: r.gross, Credits: r.credits,
		}
		if r.costType == "tax" {
			c.Model = ""
		}
		if r.currency != spend.USD && r.rate != "" {
			c.Rate = spend.MustMoney(r.rate)
		}
		rows = append(rows, c)
	}
	return spend.MergeCharges(rows)
}

// VertexCost returns the billed cost of a UTC day in dollars, net of credits, a row per charge;
// tax and money without a rate are left out. Amount is exact: converted once per charge.
func (w *World) VertexCost(d spend.Day, at time.Time) []Row {
	var rows []Row
	for _, c := range w.VertexCharges(d, at) {
		gross, credits, ok := c.USD()
		if !ok || c.Tax {
			continue
		}
		amount := gross.Add(credits)
		rows = append(rows, Row{
			Provider: Vertex, Day: d, Model: c.Model, Project: c.Project, Item: c.Item, Literal: amount.String(), Amount: amount,
		})
	}
	return rows
}

// vertexNet is the account's net cost since an instant in its own currency.
func (w *World) vertexNet(since, at time.Time) spend.Money {
	var sum spend.Money
	for _, r := range w.export(since, at.Add(time.Hour), at) {
		if r.sku.ai && r.costType != "tax" {
			sum = sum.Add(r.gross).Add(r.credits)
		}
	}
	return sum
}

// selects applies the parameters of a query to a row.
func (q *tableQuery) selects(r exportRow) bool {
	return slices.Contains(q.serviceIDs, r.sku.serviceID) ||
		q.service != nil && q.service.MatchString(r.sku.service) ||
		q.text != nil && q.text.MatchString(strings.TrimSpace(r.sku.text))
}
