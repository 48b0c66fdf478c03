package vertex_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/spend"
)

// exportRow is a row of the billing export as the fixtures give it.
type exportRow struct {
	Account string `json:"billing_account_id"`
	Service struct{ ID, Description string }
	SKU     struct{ ID, Description string }
	Start   string `json:"usage_start_time"`
	Export  string `json:"export_time"`
	Project *struct{ ID string }
	Cost    json.Number
	Credits []struct{ Amount json.Number }
	Money   string       `json:"currency"`
	Rate    *json.Number `json:"currency_conversion_rate"`
	Usage   struct{ Amount json.Number }
	Invoice struct{ Month string }
	Type    *string `json:"cost_type"`
}

func exportRows(t testing.TB) (rows []exportRow) {
	t.Helper()
	b, err := os.ReadFile("testdata/export/rows.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	sc := bufio.NewScanner(bytes.NewReader(b))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var r exportRow
		if err := json.Unmarshal(sc.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	return rows
}

func moment(t testing.TB, s string) time.Time {
	t.Helper()
	for _, layout := range []string{"2006-01-02 15:04:05.999999 MST", "2006-01-02 15:04:05"} {
		if at, err := time.Parse(layout, s); err == nil {
			return at.UTC()
		}
	}
	t.Fatalf("no moment: %q", s)
	return time.Time{}
}

// question is what the query asks, for the oracle.
type question struct {
	window spend.Window
	zone   string
	asOf   time.Time // rows exported later are not there yet; zero: all are
}

// answer works out what BigQuery would say: the cells of the rows in the order of
// resultColumns. It shares nothing with the query or the decoder but the names.
func answer(t testing.TB, rows []exportRow, q question) [][]*string {
	t.Helper()
	zone, err := time.LoadLocation(q.zone)
	if err != nil {
		t.Fatal(err)
	}
	type sums struct {
		key                  []*string
		gross, credit, usage *big.Rat
		n                    int
		last, first          time.Time
	}
	claude := regexp.MustCompile(`^Claude (?:[A-Z][a-z]+ )?\d`)
	groups := map[string]*sums{}
	for _, r := range rows {
		exported, start := moment(t, r.Export), moment(t, r.Start)
		if !q.asOf.IsZero() && exported.After(q.asOf) {
			continue
		}
		day, err := spend.ParseDay(start.In(zone).Format("2006-01-02"))
		if err != nil {
			t.Fatal(err)
		}
		ai := r.Service.ID == "C7E2-9256-1C43" || r.Service.ID == "AEFD-7695-64FA" ||
			claude.MatchString(r.Service.Description) || strings.HasPrefix(strings.TrimSpace(r.SKU.Description), "AI Dev Tools: ")
		key := make([]*string, 12)
		key[0] = ptr("rest")
		if wanted := ai && q.window.From <= day && day < q.window.To; wanted {
			key = []*string{
				ptr("cost"), ptr(day.String()), ptr(r.Invoice.Month), ptr(r.Account), nil, ptr(r.Service.ID),
				ptr(r.Service.Description), ptr(r.SKU.ID), ptr(strings.TrimSpace(r.SKU.Description)), ptr("regular"), ptr(r.Money), nil,
			}
			if r.Project != nil {
				key[4] = ptr(r.Project.ID)
			}
			if r.Type != nil {
				key[9] = r.Type
			}
			if r.Rate != nil {
				key[11] = ptr(r.Rate.String())
			}
		}
		id := spell(key)
		g := groups[id]
		if g == nil {
			g = &sums{key: key, gross: new(big.Rat), credit: new(big.Rat), usage: new(big.Rat)}
			groups[id] = g
		}
		g.n++
		g.gross.Add(g.gross, rat(t, r.Cost.String()))
		g.usage.Add(g.usage, rat(t, r.Usage.Amount.String()))
		for _, c := range r.Credits {
			g.credit.Add(g.credit, rat(t, c.Amount.String()))
		}
		if exported.After(g.last) {
			g.last = exported
		}
		if g.first.IsZero() || start.Before(g.first) {
			g.first = start
		}
	}
	var out [][]*string
	for _, id := range sortedKeys(groups) {
		g := groups[id]
		tail := []*string{
			ptr(plain(g.gross)), ptr(plain(g.credit)), ptr(plain(g.usage) + ".0"),
			ptr(strconv.Itoa(g.n)), ptr(strconv.FormatInt(g.last.UnixMicro(), 10)),
			ptr(strconv.FormatInt(g.first.UnixMicro(), 10)),
		}
		if *g.key[0] == "rest" {
			tail[0], tail[1], tail[2] = nil, nil, nil
		}
		if strings.Contains(*cmpOr(tail[2], ptr("")), "..") {
			t.Fatal("usage is not whole")
		}
		out = append(out, slices.Concat(g.key, tail))
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func cmpOr(a, b *string) *string {
	if a != nil {
		return a
	}
	return b
}

func ptr(s string) *string { return &s }

func spell(key []*string) string {
	var b strings.Builder
	for _, k := range key {
		if k == nil {
			b.WriteString("<null>|")
			continue
		}
		b.WriteString(strconv.Quote(*k) + "|")
	}
	return b.String()
}

func rat(t interface{ Fatalf(string, ...any) }, s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		t.Fatalf("no number: %q", s)
	}
	return r
}

// plain spells a decimal as NUMERIC is spelt.
func plain(r *big.Rat) string {
	s := r.FloatString(9)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// resultColumns are names and types of the answer, in the order of the query.
var resultColumns = [][2]string{
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

// body is one answer of BigQuery, to be bent by tests.
type body map[string]any

// result cuts an answer into pages in Google's envelope.
func result(rows [][]*string, perPage int) []body {
	var fields []map[string]string
	for _, c := range resultColumns {
		fields = append(fields, map[string]string{"name": c[0], "type": c[1], "mode": "NULLABLE"})
	}
	var pages []body
	for at := 0; at < len(rows) || at == 0; at += perPage {
		end := min(at+perPage, len(rows))
		p := body{
			"kind": "bigquery#getQueryResultsResponse", "etag": "Zm9vYmFy", "jobComplete": true, "cacheHit": false,
			"schema":              map[string]any{"fields": slices.Clone(fields)},
			"jobReference":        map[string]string{"projectId": "acme-billing", "jobId": "job_1", "location": "EU"},
			"totalRows":           strconv.Itoa(len(rows)),
			"totalBytesProcessed": "4718592",
		}
		if at == 0 {
			p["kind"] = "bigquery#queryResponse"
		}
		if end < len(rows) {
			p["pageToken"] = fmt.Sprintf("TOKEN%d", end)
		}
		var list []any
		for _, r := range rows[at:end] {
			var cells []any
			for _, v := range r {
				cells = append(cells, map[string]any{"v": v})
			}
			list = append(list, map[string]any{"f": cells})
		}
		if list != nil {
			p["rows"] = list
		}
		pages = append(pages, p)
	}
	return pages
}

func (b body) bytes() []byte {
	out, err := json.Marshal(b)
	if err != nil {
		panic(err)
	}
	return out
}

func bodies(pages []body) (out [][]byte) {
	for _, p := range pages {
		out = append(out, p.bytes())
	}
	return out
}
