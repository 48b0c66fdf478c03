package api_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/aispend/aispend/internal/api"
	"github.com/aispend/aispend/spend"
)

// ledger fills a kit with two providers, awkward decimals, a credit, usage
// without cost, another currency and a source that has never been pulled.
func ledger(t *testing.T) *kit {
	k := newKit(t)
	eur := charge("gpt-5", "7.25", "0")
	eur.Currency = "EUR"
	research := charge("gpt-5", "0.1234567890123456789012", "0")
	research.Project = "proj_1"
	k.put(openaiCosts, noon().Add(-time.Hour),
		spend.Statement{Day: day("2026-11-01"), Charges: []spend.Charge{
			charge("", "1", "0"), charge("gpt-5", "10.0000000000000000001", "-0.5"), eur, research,
		}},
		spend.Statement{Day: day("2026-10-31"), Charges: []spend.Charge{charge("gpt-5", "99", "0")}},
	)
	k.put(openaiUsage, noon().Add(-2*time.Hour), spend.Statement{Day: day("2026-11-02"), Usage: []spend.Usage{
		{Model: "gpt-5-mini", Input: 9007199254740993, Output: 2, CacheRead: 3, Requests: 5, HasRequests: true},
	}})
	k.put(anthropic, time.Time{}, spend.Statement{Day: day("2026-11-03"), Charges: []spend.Charge{
		charge("=HYPERLINK(\"x\")", "0.00000000000000000001", "0"),
	}})
	usage := func(account string) spend.SourceID {
		return spend.SourceID{Provider: "anthropic", Account: account, Source: "anthropic/usage_report"}
	}
	k.statuses = []spend.SourceStatus{
		{ID: openaiCosts, Enabled: true},
		{ID: usage("default"), Enabled: true},
		{ID: usage("old")},
	}
	return k
}

func TestSpendJSON(t *testing.T) {
	w := ledger(t).get("/spend?from=2026-11-01&to=2026-11-23")
	wantOK(t, w)
	want := `{"from":"2026-11-01","to":"2026-11-23","groupBy":["provider","model","day"],"rows":[` + `
{"provider":"anthropic","model":"=HYPERLINK(\"x\")","day":"2026-11-03",` +
		`"cost_usd":0.00000000000000000001,"gross_usd":0.00000000000000000001,"credits_usd":0},
{"provider":"openai","model":"gpt-5","day":"2026-11-01",` +
		`"cost_usd":9.6234567890123456790012,"gross_usd":10.1234567890123456790012,"credits_usd":-0.5},
{"provider":"openai","model":"gpt-5-mini","day":"2026-11-02",` +
		`"input_tokens":9007199254740993,"output_tokens":2,"cache_read_tokens":3,` +
		`"cache_write_tokens":0,"requests":5},
{"provider":"openai","model":"other","day":"2026-11-01","cost_usd":1,"gross_usd":1,"credits_usd":0}],
"totals":{"cost_usd":10.6234567890123456790112,"gross_usd":11.1234567890123456790112,"credits_usd":-0.5,` +
		`"input_tokens":9007199254740993,"output_tokens":2,"cache_read_tokens":3,` +
		`"cache_write_tokens":0,"requests":5},` +
		`"unconverted":[{"provider":"openai","account":"acme","source":"openai/costs",` +
		`"currency":"EUR","cost":7.25}],"tax":[],` +
		`"data_through":{"anthropic/cost_report/default":null,"anthropic/usage_report/default":null,` +
		`"openai/costs/acme":"2026-11-23T11:00:00Z","openai/usage/acme":"2026-11-23T10:00:00Z"}}
`
	if diff := cmp.Diff(want, w.Body.String()); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	if !json.Valid(w.Body.Bytes()) {
		t.Error("not JSON")
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/json; charset=utf-8" {
		t.Errorf("content type %q", ct)
	}
}

func TestSpendOfNothingIsUnknownNotZero(t *testing.T) {
	w := newKit(t).get("/spend")
	want := `{"from":"2026-11-01","to":"2026-11-23","groupBy":["provider","model","day"],"rows":[],` +
		"\n" + `"totals":{},"unconverted":[],"tax":[],"data_through":{}}` + "\n"
	if diff := cmp.Diff(want, w.Body.String()); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func TestSpendCSV(t *testing.T) {
	w := ledger(t).get("/spend?from=2026-11-01&to=2026-11-23&format=csv&groupBy=day,model")
	wantOK(t, w)
	want := strings.Join([]string{
		"day,model,cost_usd,gross_usd,credits_usd,input_tokens,output_tokens,cache_read_tokens," +
			"cache_write_tokens,requests,uncosted_tokens",
		"2026-11-01,gpt-5,9.6234567890123456790012,10.1234567890123456790012,-0.5,,,,,,",
		"2026-11-01,other,1,1,0,,,,,,",
		"2026-11-02,gpt-5-mini,,,,9007199254740993,2,3,0,5,",
		`2026-11-03,"'=HYPERLINK(""x"")",0.00000000000000000001,0.00000000000000000001,0,,,,,,`,
		"",
	}, "\r\n")
	if diff := cmp.Diff(want, w.Body.String()); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{
		"Content-Type":        "text/csv; charset=utf-8; header=present",
		"Content-Disposition": `attachment; filename="aispend-2026-11-01_2026-11-23.csv"`,
		"Aispend-Unconverted": "1",
		"Cache-Control":       "no-store",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// A figure that starts with a minus is a number and stays one; a name does not.
func TestCSVFormulas(t *testing.T) {
	for _, model := range []string{
		"=1+1", "+1", "-1", "@SUM(A1)", "＝1", "\t=1", "plain", "a=b", "", "'quoted", `"`, "a,b",
	} {
		k := newKit(t)
		k.put(openaiCosts, noon(), spend.Statement{
			Day: day("2026-11-01"), Charges: []spend.Charge{charge(model, "0", "-2.5")},
		})
		w := k.get("/spend?format=csv&groupBy=model")
		rows, err := csv.NewReader(w.Body).ReadAll()
		if err != nil || len(rows) != 2 {
			t.Fatalf("%q: %v %v", model, rows, err)
		}
		want := model
		switch {
		case model == "":
			want = "other"
		case strings.ContainsAny(model[:1], "=+-@\t") || strings.HasPrefix(model, "＝"):
			want = "'" + model
		}
		if rows[1][0] != want || rows[1][1] != "-2.5" {
			t.Errorf("%q: got %q and %q, want %q and -2.5", model, rows[1][0], rows[1][1], want)
		}
	}
}

func TestSpendParameters(t *testing.T) {
	k := ledger(t)
	for _, tc := range []struct{ query, from, to, cost string }{
		{"", "2026-11-01", "2026-11-23", "10.6234567890123456790112"},
		{"to=2026-10-31", "2026-10-01", "2026-10-31", "99"},
		{"from=2026-10-31", "2026-10-31", "2026-11-23", "109.6234567890123456790112"},
		{"from=2026-11-01&to=2026-11-01", "2026-11-01", "2026-11-01", "10.6234567890123456790012"},
		{"from=2026-10-31&to=2026-10-31", "2026-10-31", "2026-10-31", "99"},
		{"provider=anthropic", "2026-11-01", "2026-11-23", "0.00000000000000000001"},
		{"model=other", "2026-11-01", "2026-11-23", "1"},
		{"model=gpt-5&project=proj_1", "2026-11-01", "2026-11-23", "0.1234567890123456789012"},
		{"account=default", "2026-11-01", "2026-11-23", "0.00000000000000000001"},
		{"account=nobody", "2026-11-01", "2026-11-23", ""},
		{"groupBy=month,source,item,account,project", "2026-11-01", "2026-11-23", "10.6234567890123456790112"},
	} {
		w := k.get("/spend?" + tc.query)
		wantOK(t, w)
		var got struct {
			From, To string
			Totals   struct {
				Cost json.Number `json:"cost_usd"`
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if got.From != tc.from || got.To != tc.to || got.Totals.Cost.String() != tc.cost {
			t.Errorf("%q: got %+v, want %+v", tc.query, got, tc)
		}
	}
}

func TestSpendGroups(t *testing.T) {
	w := ledger(t).get("/spend?groupBy=month,source,account,project,item&provider=openai&from=2026-10-01")
	wantOK(t, w)
	mustContain(t, w.Body.String(),
		`{"month":"2026-10","source":"openai/costs","account":"acme","project":"","item":"","cost_usd":99,`,
		`{"month":"2026-11","source":"openai/costs","account":"acme","project":"proj_1","item":"",`)
}

func TestBadSpendParameters(t *testing.T) {
	k := newKit(t)
	for _, tc := range []struct{ query, parameter, detail string }{
		{"group_by=model", "group_by", "groupBy"},
		{"from=2026-11-01&from=2026-11-02", "from", "2 times"},
		{"from=", "from", "empty"},
		{"from=yesterday", "from", "YYYY-MM-DD"},
		{"from=2026-02-30", "from", "YYYY-MM-DD"},
		{"from=2026-1-1", "from", "YYYY-MM-DD"},
		{"to=0001-01-01", "to", "2000"},
		{"to=9999-12-31", "to", "2199"},
		{"from=2026-11-24", "from", "after to (2026-11-23)"},
		{"from=2026-11-02&to=2026-11-01", "from", "after to"},
		{"from=2001-01-01&to=2026-11-01", "from", "at most 3660"},
		{"groupBy=model,,day", "groupBy", `""`},
		{"groupBy=model,model", "groupBy", "twice"},
		{"groupBy=Model", "groupBy", "provider, model, day, month, project, account, source, item"},
		{"provider=opnai", "provider", "anthropic, openai"},
		{"format=xml", "format", "json, csv"},
		{"model=" + strings.Repeat("x", 600), "model", "longer"},
		{"model=%ff", "model", "UTF-8"},
		{"model=a%0d%0ab", "model", "control"},
		{"model=a;b=c", "", "well-formed"},
		{"model=%zz", "", "well-formed"},
		{"model=" + strings.Repeat("x", 10_000), "", "8192"},
		{strings.Repeat("y", 100) + "=1", strings.Repeat("y", 64), "unknown"},
	} {
		p := wantProblem(t, k.get("/spend?"+tc.query), http.StatusBadRequest)
		if p.Parameter != tc.parameter || !strings.Contains(p.Detail, tc.detail) {
			t.Errorf("%.80q: parameter %q, detail %q", tc.query, p.Parameter, p.Detail)
		}
	}
}

// What was put in comes out as text, digit for digit, whatever the digits.
func TestMoneyNeverMeetsAFloat(t *testing.T) {
	amount := rapid.Custom(func(t *rapid.T) string {
		whole := rapid.StringMatching(`0|[1-9][0-9]{0,14}`).Draw(t, "whole")
		frac := rapid.StringMatching(`[0-9]{0,24}[1-9]`).Draw(t, "frac")
		return whole + "." + frac
	})
	rapid.Check(t, func(rt *rapid.T) {
		amounts := rapid.SliceOfN(amount, 1, 20).Draw(rt, "amounts")
		k := newKit(t)
		sum := new(big.Rat)
		var charges []spend.Charge
		for i, a := range amounts {
			c := charge(fmt.Sprintf("m%02d", i), a, "0")
			charges = append(charges, c)
			r, _ := new(big.Rat).SetString(a)
			sum.Add(sum, r)
		}
		k.put(openaiCosts, noon(), spend.Statement{Day: day("2026-11-01"), Charges: charges})
		body := k.get("/spend?groupBy=model").Body.String()
		for i, a := range amounts {
			mustContain(t, body, fmt.Sprintf(`{"model":"m%02d","cost_usd":%s,`, i, a))
		}
		var got struct {
			Totals struct {
				Cost json.Number `json:"cost_usd"`
			}
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			rt.Fatal(err)
		}
		total, ok := new(big.Rat).SetString(got.Totals.Cost.String())
		if !ok || total.Cmp(sum) != 0 {
			rt.Fatalf("total %s, want %s", got.Totals.Cost, sum.FloatString(30))
		}
	})
}

func FuzzSpendQuery(f *testing.F) {
	f.Add("from=2026-11-01&to=2026-11-23&groupBy=provider,day&format=csv")
	f.Add("groupBy=model,model&x=%zz;")
	f.Add("from=-001-01-01&model=%00")
	k := newKit(&testing.T{})
	f.Fuzz(func(t *testing.T, query string) {
		k.t = t
		w := k.do(http.MethodGet, "/spend", "", func(r *http.Request) { r.URL.RawQuery = query })
		if w.Code == http.StatusBadRequest {
			wantProblem(t, w, http.StatusBadRequest)
			return
		}
		wantOK(t, w)
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatalf("accepted %q: %v", query, err)
		}
		if q.Get("format") == "csv" {
			return
		}
		var got struct{ From, To spend.Day }
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.From > got.To {
			t.Fatalf("%q: %+v %v", query, got, err)
		}
	})
}

var _ api.Archive = (*pages)(nil)
