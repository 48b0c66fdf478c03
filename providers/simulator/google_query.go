package simulator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aispend/aispend/spend"
)

// resultColumns are those of the one query that the simulator can answer, the daemon's own, in its
// order. A query for others is refused, so that the two cannot drift apart.
func resultColumns() [][2]string {
	return [][2]string{
		{"kind", "STRING"},
		{"usage_day", "DATE"},
		{"invoice_month", "STRING"},
		{"billing_account_id", "STRING"},
		{"project_id", "STRING"},
		{"service_id", "STRING"},
		{"service", "STRING"},
		{"sku_id", "STRING"},
		{"sku", "STRING"},
		{"cost_type", "STRING"},
		{"currency", "STRING"},
		{"fx", "FLOAT"},
		{"gross", "NUMERIC"},
		{"credits", "NUMERIC"},
		{"usage_amount", "FLOAT"},
		{"row_count", "INTEGER"},
		{"last_export_us", "INTEGER"},
		{"first_usage_us", "INTEGER"},
	}
}

// tableQuery is a jobs.query request, understood.
type tableQuery struct {
	from, to      spend.Day
	zone          *time.Location
	serviceIDs    []string
	service, text *regexp.Regexp // nil: match nothing
	limit         int64          // bytes
	rows          int            // of a page
	dryRun        bool
	cache         bool
	key           string // equal questions have equal ones
}

// job is a query that was answered.
type job struct {
	id    string
	rows  [][]*string
	size  int // rows of a page
	polls int // answers yet to come that say that it runs
	bytes int64
	hit   bool
}

type queryRequest struct {
	Query          string
	UseLegacySQL   *bool `json:"useLegacySql"`
	ParameterMode  string
	MaxResults     int
	MaxBytesBilled string `json:"maximumBytesBilled"`
	UseQueryCache  bool
	DryRun         bool
	Location       string
	Parameters     []struct {
		Name  string
		Type  struct{ Type string } `json:"parameterType"`
		Value struct {
			Value       *string
			ArrayValues []struct{ Value string }
		} `json:"parameterValue"`
	} `json:"queryParameters"`
}

// understand reads a request, and refuses what BigQuery refuses, or what is another
// question than the daemon's.
func (w *World) understand(body []byte) (*tableQuery, *failure) {
	var in queryRequest
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, googleFailure(http.StatusBadRequest, "parseError", "Invalid JSON payload received.")
	}
	invalid := func(text string) (*tableQuery, *failure) {
		return nil, googleFailure(http.StatusBadRequest, "invalidQuery", text)
	}
	table := "`" + VertexProject + "." + VertexDataset + "." + VertexTable + "`"
	switch {
	case in.UseLegacySQL == nil || *in.UseLegacySQL:
		return invalid("Encountered \" \"WITH\" \"WITH \"\" at line 2, column 1. Was expecting: <EOF>")
	case in.Location != "" && in.Location != VertexLocation:
		return nil, googleFailure(http.StatusNotFound, "notFound",
			"Not found: Dataset "+VertexProject+":"+VertexDataset+" was not found in location "+in.Location)
	case !strings.Contains(in.Query, table):
		return nil, googleFailure(http.StatusNotFound, "notFound", "Not found: Table was not found in location "+VertexLocation)
	case in.ParameterMode != "NAMED":
		return invalid("Query parameter 'from_day' not found")
	}
	if want, got := selectList(in.Query); !slices.Equal(want, got) {
		return invalid(fmt.Sprintf("the simulator answers one query only: it selects %s, this one %s", want, got))
	}
	q := &tableQuery{dryRun: in.DryRun, cache: in.UseQueryCache, rows: in.MaxResults, zone: time.UTC, key: in.Query}
	q.limit, _ = strconv.ParseInt(in.MaxBytesBilled, 10, 64) // 0: none
	for _, p := range in.Parameters {
		value := ""
		if p.Value.Value != nil {
			value = *p.Value.Value
		}
		q.key += "\x00" + p.Name + "=" + value
		var err error
		switch p.Name {
		case "from_day":
			q.from, err = spend.ParseDay(value)
		case "to_day":
			q.to, err = spend.ParseDay(value)
		case "tz":
			if q.zone = pacific(); value == "UTC" {
				q.zone = time.UTC
			}
		case "service_ids":
			for _, v := range p.Value.ArrayValues {
				q.serviceIDs = append(q.serviceIDs, v.Value)
				q.key += "," + v.Value
			}
		case "service_pattern":
			q.service, err = pattern(value)
		case "sku_pattern":
			q.text, err = pattern(value)
		}
		if err != nil {
			return invalid("Invalid value of parameter " + p.Name)
		}
	}
	if q.from == 0 || q.to == 0 {
		return invalid("Query parameter 'from_day' not found")
	}
	return q, nil
}

func pattern(s string) (*regexp.Regexp, error) {
	if s == "" {
		return nil, nil
	}
	return regexp.Compile(s)
}

// selectList returns the columns that the simulator knows, and those that the outermost SELECT of
// a query names.
func selectList(query string) (want, got []string) {
	for _, c := range resultColumns() {
		want = append(want, c[0])
	}
	_, list, _ := cutLast(query, "\nSELECT\n")
	list, _, _ = strings.Cut(list, "\nFROM ")
	for part := range strings.SplitSeq(list, ",") {
		words := strings.Fields(part)
		if len(words) > 0 {
			got = append(got, words[len(words)-1])
		}
	}
	return want, got
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// scanned is what the query would read: so many bytes a row of the kept partitions.
func (w *World) scanned(q *tableQuery, at time.Time) int64 {
	days := max(0, int64(spend.DayOf(at)+1-max(q.from-2, w.opt.Start)))
	return days * int64(len(w.google.skus)*len(w.google.ids)*len(slots())) * 220
}

// run answers a query as of time at.
func (w *World) run(q *tableQuery, at time.Time) [][]*string {
	type sums struct {
		gross, credits spend.Money
		usage, rows    int64
		last, first    time.Time
	}
	groups := map[string]*sums{}
	keys := map[string][]*string{}
	text := func(s string) *string { return &s }
	// Rows before the bound of the partitions are not read at all.
	for _, r := range w.export((q.from - 2).Time(), at.Add(time.Hour), at) {
		local := r.start.In(q.zone)
		day := spend.Date(local.Year(), local.Month(), local.Day())
		key := make([]*string, 12)
		key[0] = text("rest")
		if q.from <= day && day < q.to && q.selects(r) {
			key = []*string{
				text("cost"), text(day.String()), text(r.invoice), text(VertexBillingAccount), nil, text(r.sku.serviceID),
				text(r.sku.service), text(r.sku.id), text(strings.TrimSpace(r.sku.text)), text(r.costType), text(r.currency), nil,
			}
			if r.project != "" {
				key[4] = text(r.project)
			}
			if r.rate != "" {
				key[11] = text(r.rate)
			}
		}
		id := spell(key)
		g := groups[id]
		if g == nil {
			g = &sums{first: r.start, last: r.export}
			groups[id], keys[id] = g, key
		}
		g.gross, g.credits = g.gross.Add(r.gross), g.credits.Add(r.credits)
		g.usage, g.rows = g.usage+r.usage, g.rows+1
		if r.export.After(g.last) {
			g.last = r.export
		}
		if r.start.Before(g.first) {
			g.first = r.start
		}
	}
	out := make([][]*string, 0, len(groups))
	for id, g := range groups {
		tail := []*string{nil, nil, nil}
		if *keys[id][0] == "cost" {
			tail = []*string{text(numeric(g.gross)), text(numeric(g.credits)), text(strconv.FormatInt(g.usage, 10) + ".0")}
		}
		tail = append(tail, text(strconv.FormatInt(g.rows, 10)), text(strconv.FormatInt(g.last.UnixMicro(), 10)),
			text(strconv.FormatInt(g.first.UnixMicro(), 10)))
		out = append(out, append(keys[id], tail...))
	}
	slices.SortFunc(out, func(a, b []*string) int { return cmp.Compare(spell(a), spell(b)) })
	return out
}

func spell(cells []*string) string {
	var b strings.Builder
	for _, c := range cells {
		if c == nil {
			b.WriteString("~|")
			continue
		}
		b.WriteString(strconv.Quote(*c) + "|")
	}
	return b.String()
}

// numeric spells an amount as NUMERIC is spelt: at most nine places.
func numeric(m spend.Money) string {
	r, _ := new(big.Rat).SetString(m.String())
	s := r.FloatString(9)
	if strings.Contains(s, ".") {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	return s
}
