package api_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/api"
	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

// read makes a source that has been read without a gap from the day on.
func (k *kit) read(id spend.SourceID, from string, stmts ...spend.Statement) {
	through := noon().Add(-10 * time.Minute)
	k.statuses = append(k.statuses, spend.SourceStatus{
		ID: id, Enabled: true, Up: true, LastOutcome: spend.OK, MaxStaleness: 6 * time.Hour,
		CoveredFrom: day(from), DataThrough: through,
	})
	k.book.Update(func(tx *rollup.Tx) {
		tx.ReplaceWindow(id, spend.Window{From: day(from), To: day("2026-11-24")}, through, stmts)
		tx.SetThrough(id, through)
	})
}

func exactCaps(k *kit) {
	var stmts []spend.Statement
	for d := day("2026-10-24"); d < day("2026-11-24"); d++ {
		stmts = append(stmts, spend.Statement{Day: d, Charges: []spend.Charge{
			charge("gpt-5", "20.0000000000000000000001", "-0.5"), charge("gpt-5-mini", "1", "0"),
		}})
	}
	k.read(openaiCosts, "2026-10-24", stmts...)
	k.caps = []caps.Cap{
		{Scope: "openai", Period: caps.Month, Soft: spend.MustMoney("471.5"), Hard: spend.MustMoney("600")},
		{
			Scope: "mini", Period: caps.Day, Gross: true, Match: caps.Match{Model: "*-mini"},
			Hard: spend.MustMoney("1.5"),
		},
		{Scope: "anthropic", Period: caps.Week, Hard: spend.MustMoney("9")},
		{Scope: "global", Period: caps.Week},
	}
}

func TestCaps(t *testing.T) {
	k := newKit(t)
	exactCaps(k)
	w := k.get("/caps")
	wantOK(t, w)
	const gaps = `"data_gaps":{"budget_period":0,"held":0,"never_pulled":0,"stale":0,"unconverted":0}`
	want := `{"at":"2026-11-23T12:00:00Z","caps":[` +
		`{"scope":"openai","period":"month","cost":"net",` +
		`"period_start":"2026-11-01T00:00:00Z","period_end":"2026-12-01T00:00:00Z",` +
		`"spend_usd":471.5000000000000000000023,"limits":{"soft":471.5,"hard":600},` +
		`"percent":{"soft":100,"hard":78.58},"level_reached":"soft",` +
		`"projected_spend_usd":615.0000000000000000000023,` +
		`"exhaustion":{"soft":null,"hard":"2026-11-30T06:26:21Z"},` +
		`"data_through":"2026-11-23T11:50:00Z",` + gaps + `,"top_models":[` +
		`{"model":"gpt-5","spend_usd":448.5000000000000000000023},{"model":"gpt-5-mini","spend_usd":23}],"basis":"charges"},` +
		`{"scope":"mini","period":"day","cost":"gross","match":{"model":"*-mini"},` +
		`"period_start":"2026-11-23T00:00:00Z","period_end":"2026-11-24T00:00:00Z",` +
		`"spend_usd":1,"limits":{"soft":null,"hard":1.5},"percent":{"soft":null,"hard":66.66},` +
		`"level_reached":null,"projected_spend_usd":null,"exhaustion":{"soft":null,"hard":null},` +
		`"data_through":"2026-11-23T11:50:00Z",` + gaps + `,"top_models":[{"model":"gpt-5-mini","spend_usd":1}],"basis":"charges"},` +
		`{"scope":"anthropic","period":"week","cost":"net",` +
		`"period_start":"2026-11-23T00:00:00Z","period_end":"2026-11-30T00:00:00Z",` +
		`"spend_usd":null,"limits":{"soft":null,"hard":9},"percent":{"soft":null,"hard":null},` +
		`"level_reached":null,"projected_spend_usd":null,"exhaustion":{"soft":null,"hard":null},` +
		`"data_through":null,` + gaps + `,"top_models":[],"basis":"charges"}]}` + "\n"
	if d := cmp.Diff(want, w.Body.String()); d != "" {
		t.Errorf("/caps (-want +got):\n%s", d)
	}
}

// The figures of /caps and /spend are the same digits.
func TestCapsAgreeWithSpend(t *testing.T) {
	k := newKit(t)
	exactCaps(k)
	var spent struct {
		Totals struct {
			Cost json.Number `json:"cost_usd"`
		} `json:"totals"`
	}
	var judged struct {
		Caps []struct {
			Spend json.Number `json:"spend_usd"`
		} `json:"caps"`
	}
	decode := func(target string, into any) {
		t.Helper()
		if err := json.Unmarshal(k.get(target).Body.Bytes(), into); err != nil {
			t.Fatalf("%s: %v", target, err)
		}
	}
	decode("/spend?from=2026-11-01&to=2026-11-30&provider=openai&groupBy=model", &spent)
	decode("/caps", &judged)
	if got, want := judged.Caps[0].Spend, spent.Totals.Cost; got != want || len(got) < 20 {
		t.Errorf("/caps says %s, /spend says %s", got, want)
	}
}

func TestCapsWithoutCaps(t *testing.T) {
	k := newKit(t)
	if got, want := k.get("/caps").Body.String(), `{"at":"2026-11-23T12:00:00Z","caps":[]}`+"\n"; got != want {
		t.Errorf("/caps = %s, want %s", got, want)
	}
	p := wantProblem(t, k.get("/caps?scope=openai"), http.StatusBadRequest)
	mustContain(t, p.Detail, "takes no query parameters")
}

// A cap that cannot be judged is a fault, and its cause is for the log only.
func TestCapsFail(t *testing.T) {
	k := newKit(t, func(d *api.Deps) {
		d.Caps = func() ([]caps.Status, error) { return nil, errors.New("the very cause") }
	})
	p := wantProblem(t, k.get("/caps"), http.StatusInternalServerError)
	if strings.Contains(p.Detail, "cause") {
		t.Errorf("the problem tells the cause: %s", p.Detail)
	}
	mustContain(t, k.log.String(), "judging the caps: the very cause")
}
