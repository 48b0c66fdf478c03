package main

import (
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
)

const (
	vertexExport = "    bigquery: {project: acme-billing, dataset: billing_export, table: gcp_billing_export_v1_01AAAA_BBBBBB_CCCCC1, " +
		"location: EU, base_url: %[1]q%[2]s}\n"
	vertexBudget = "    budget: {name: " + simulator.VertexBudget + ", subscription: " + simulator.VertexSubscription +
		", base_url: %[1]q, pubsub_base_url: %[1]q%[2]s}\n"
)

// newVertexSite is a site with a Google Cloud billing account and nothing else. The keys
// of its block may be changed later by configure.
func newVertexSite(t *testing.T, opt simulator.Options) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), world: simulator.New(opt)}
	var err error
	if s.servers, err = s.world.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.servers.Close() })
	s.write("sa.json", string(s.world.ServiceAccount(s.servers.Google)))
	s.write("admin.token", adminToken)
	return s
}

// configure writes the block: its parts with what is added to each, and the rest of the file.
func (s *site) configure(rest string, parts ...[2]string) {
	text := "ingest: {interval: 1s, timeout: 30s}\nweb: {admin_token_file: admin.token}\n" +
		"providers:\n  - type: vertex\n    interval: 1s\n    credentials_file: sa.json\n"
	for _, p := range parts {
		text += fmt.Sprintf(p[0], s.servers.Google, p[1])
	}
	s.write("aispend.yml", text+rest)
}

// pulled waits until n sources were pulled after since and the history is there.
func (d *daemon) pulled(since time.Time, n int) {
	d.t.Helper()
	d.until("vertex pulled", func(st statusReply) bool {
		for _, src := range st.Sources {
			if !src.Up || src.LastSuccess.Before(since.Add(2*time.Second)) {
				return false
			}
		}
		return st.History.Done && len(st.Sources) == n
	})
}

func (s *site) vertexTruth(w spend.Window, at time.Time) map[string]spend.Money {
	out := map[string]spend.Money{}
	for day := w.From; day < w.To; day++ {
		if rows := s.world.VertexCost(day, at); len(rows) > 0 {
			out["vertex "+day.String()] = s.world.Total(simulator.Vertex, spend.Window{From: day, To: day + 1}, at)
		}
	}
	return out
}

type modelRows struct {
	Rows []struct {
		Model string      `json:"model"`
		Cost  spend.Money `json:"cost_usd"`
	} `json:"rows"`
	Totals struct {
		Cost spend.Money `json:"cost_usd"`
	} `json:"totals"`
	Tax []struct {
		Currency string      `json:"currency"`
		Cost     spend.Money `json:"cost"`
	} `json:"tax"`
}

func (d *daemon) byModel(w spend.Window) (models map[string]spend.Money, reply modelRows) {
	d.t.Helper()
	d.get(fmt.Sprintf("/spend?groupBy=model&from=%s&to=%s", w.From, w.To-1), &reply)
	models = map[string]spend.Money{}
	for _, r := range reply.Rows {
		models[r.Model] = r.Cost
	}
	return models, reply
}

// TestVertexLedger loads an export in euros through the real client and compares /spend with
// the simulated truth and with the cells of the raw pages, then gives a SKU a model and
// replays: the money moves, and none of it comes or goes.
func TestVertexLedger(t *testing.T) {
	t.Parallel()
	opt, clk := frozen(31)
	opt.Models = 0 // all of them
	opt.Vertex = simulator.VertexOptions{Currency: "EUR", Rate: "0.8634", PageRows: 400, Polls: 1}
	s := newVertexSite(t, opt)
	s.configure("", [2]string{vertexExport}, [2]string{vertexBudget})
	d := s.start()
	d.pulled(time.Now(), 2)
	today := spend.DayOf(clk.Now())
	w := spend.Window{From: min(today-90, today.AddMonths(-1)), To: today + 1}
	if diff := sameMoney(d.spent(w), s.vertexTruth(w, clk.Now())); diff != "" {
		t.Errorf("/spend differs from the simulated world:\n%s", diff)
	}
	before, reply := d.byModel(w)
	if len(before) < 8 || before["other"].IsZero() || len(reply.Tax) != 1 || reply.Tax[0].Currency != spend.USD {
		t.Errorf("models %v, tax %v", before, reply.Tax)
	}
	checkNativePages(t, s, d, clk.Now())
	checkUnattributed(t, d, today)
	if code := d.stop(); code != exitOK {
		t.Fatalf("exit code %d\n%s", code, d.log())
	}

	s.configure("", [2]string{vertexExport, ", models: [{sku: SYN1-0001-0008, model: provisioned-throughput}]"}, [2]string{vertexBudget})
	d = s.start()
	d.pulled(time.Now(), 2)
	status, body := d.call(http.MethodPost, "/recompute?provider=vertex")
	if status != http.StatusOK || !strings.Contains(string(body), "provisioned-throughput") {
		t.Fatalf("%d %s", status, body)
	}
	after, again := d.byModel(w)
	if _, left := after["other"]; left || !after["provisioned-throughput"].Equal(before["other"]) || !again.Totals.Cost.Equal(reply.Totals.Cost) {
		t.Errorf("after the replay: %v of %s, before: %v of %s", after, again.Totals.Cost, before, reply.Totals.Cost)
	}
	d.stop()
}

// checkNativePages adds up the cells of the raw pages by encoding/json and math/big.
func checkNativePages(t *testing.T, s *site, d *daemon, at time.Time) {
	t.Helper()
	var list struct {
		Items []struct{ ID, Pull string }
	}
	d.get("/raw/vertex?source=vertex/bigquery&limit=500", &list)
	pulls := map[string]map[string]*big.Rat{} // sums by day
	for _, item := range list.Items {
		_, body := d.call(http.MethodGet, "/raw/vertex/"+item.ID)
		var p struct {
			Rows []struct{ F []struct{ V *string } }
		}
		if err := json.Unmarshal(body, &p); err != nil {
			t.Fatal(err)
		}
		days := pulls[item.Pull]
		if days == nil {
			days = map[string]*big.Rat{}
			pulls[item.Pull] = days
		}
		for _, r := range p.Rows {
			if *r.F[0].V != "cost" || *r.F[9].V == "tax" {
				continue
			}
			day := *r.F[1].V
			if days[day] == nil {
				days[day] = new(big.Rat)
			}
			for _, at := range []int{12, 13} {
				cell, _ := new(big.Rat).SetString(*r.F[at].V)
				days[day].Add(days[day], cell)
			}
		}
	}
	got := map[string]*big.Rat{}
	for _, days := range pulls { // the clock stands still: all of them say the same of a day
		for day, sum := range days {
			got[day] = sum
		}
	}
	for day, sum := range got {
		first, err := spend.ParseDay(day)
		if err != nil {
			t.Fatal(err)
		}
		var native spend.Money
		for _, c := range s.world.VertexCharges(first, at) {
			if !c.Tax {
				native = native.Add(c.Cost())
			}
		}
		if want, _ := new(big.Rat).SetString(native.String()); want.Cmp(sum) != 0 {
			t.Errorf("%s: the pages add up to %s EUR, the world billed %s", day, sum.FloatString(9), native)
		}
	}
	if len(got) < 60 {
		t.Errorf("only %d days on the pages", len(got))
	}
}

// checkUnattributed compares the gauge with what is called other.
func checkUnattributed(t *testing.T, d *daemon, today spend.Day) {
	t.Helper()
	month, _ := d.byModel(spend.Window{From: today.MonthStart(), To: today + 1})
	_, body := d.call(http.MethodGet, "/metrics")
	want := "aispend_month_unattributed_cost_usd{provider=\"vertex\"} " + strconv.FormatFloat(month["other"].Float64(), 'g', -1, 64)
	if !strings.Contains(string(body), want+"\n") {
		t.Errorf("no %s on /metrics", want)
	}
}

// TestVertexFollowsTheExport: rows that are appended later change the days that they are
// about, whatever day that is; an unchanged table is not asked again; a broken answer changes
// nothing.
func TestVertexFollowsTheExport(t *testing.T) {
	t.Parallel()
	opt, clk := frozen(37)
	opt.Tiny = true
	s := newVertexSite(t, opt)
	s.configure("", [2]string{vertexExport})
	d := s.start()
	d.pulled(time.Now(), 1)
	today := spend.DayOf(clk.Now())
	w := spend.Window{From: today - 60, To: today + 1}
	queries := func() (n int) {
		for _, r := range s.world.Requests() {
			if r.Method == http.MethodPost && strings.HasSuffix(r.Path, "/queries") {
				n++
			}
		}
		return n
	}
	asked := queries()
	d.pulled(time.Now(), 1)
	if n := queries(); n != asked {
		t.Errorf("an unchanged table was queried %d times", n-asked)
	}
	for i, fault := range []simulator.Effect{
		simulator.LoseRow(), simulator.Status(503), simulator.GoogleError(404, "notFound", "Not found: Table"),
		simulator.RewriteJSON("no column", func(m map[string]any) { delete(m, "schema") }),
	} {
		good := d.spent(w)
		remove := s.world.Inject(simulator.Fault{Source: "vertex/bigquery", Do: fault})
		clk.advance(time.Minute)
		s.world.AppendExport(simulator.AppendedRow{
			Start: (today - spend.Day(3*i+1)).Time().Add(5 * time.Hour), SKU: "Gemini 3 Pro Text Input - Predictions", SKUID: "SYN1-0001-0001",
			Model: "gemini-3-pro", Project: "late-" + strconv.Itoa(i), Gross: spend.MustMoney("-1.234567"), Credits: spend.MustMoney("0.5"),
		})
		d.until("a pull that fails", func(st statusReply) bool { return !st.Sources[0].Up })
		if diff := sameMoney(d.spent(w), good); diff != "" {
			t.Fatalf("%s changed the ledger:\n%s", fault.Name(), diff)
		}
		remove()
		d.stop()
		d = s.start() // it begins anew instead of waiting out the backoff
		d.until("the appended row", func(statusReply) bool { return sameMoney(d.spent(w), s.vertexTruth(w, clk.Now())) == "" })
	}
	d.stop()
}

// TestVertexBudgetOnly: a cap counts the budget, and says so, and the rest of the ledger
// knows nothing of it.
func TestVertexBudgetOnly(t *testing.T) {
	t.Parallel()
	opt, clk := frozen(41)
	s := newVertexSite(t, opt)
	s.configure("caps: [{scope: vertex, hard_usd: 1}, {scope: global, period: day, hard_usd: 1}]\n",
		[2]string{vertexBudget, ", counts_as: vertex"})
	d := s.start()
	d.pulled(time.Now(), 1)
	since, cost, amount := s.world.VertexBudgetAt(clk.Now().Truncate(30 * time.Minute))
	var got struct {
		Caps []struct {
			Spend   *spend.Money   `json:"spend_usd"`
			Basis   string         `json:"basis"`
			Gaps    map[string]int `json:"data_gaps"`
			Budgets []struct {
				IntervalStart time.Time `json:"interval_start"`
			} `json:"budgets"`
		} `json:"caps"`
	}
	d.get("/caps", &got)
	counted := since.UTC().Month() == clk.Now().UTC().Month()
	c := got.Caps[0]
	switch {
	case counted && (c.Spend == nil || !c.Spend.Equal(cost) || c.Basis != "budget" || !c.Budgets[0].IntervalStart.Equal(since) || c.Gaps["budget_period"] != 0):
		t.Errorf("%+v, want %s since %s", c, cost, since)
	case !counted && (c.Spend != nil || c.Gaps["budget_period"] != 1): // the month has begun in UTC only
		t.Errorf("%+v", c)
	}
	if day := got.Caps[1]; day.Spend != nil || day.Gaps["budget_period"] != 1 {
		t.Errorf("a day of everything: %+v", day)
	}
	_, metrics := d.call(http.MethodGet, "/metrics")
	for _, line := range []string{
		"aispend_budget_spend{", "aispend_budget_limit{", fmt.Sprintf(`currency="USD",provider="vertex"} %v`, amount.Float64()),
	} {
		if !strings.Contains(string(metrics), line) {
			t.Errorf("no %s on /metrics", line)
		}
	}
	if strings.Contains(string(metrics), "aispend_month_cost_usd{") {
		t.Error("the budget became a cost")
	}
	promtool(t, metrics)
	if code := d.stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// TestKillVertex kills the daemon at random moments while notifications come and the export
// grows. What was acknowledged must be known after the restart, always.
func TestKillVertex(t *testing.T) {
	t.Parallel()
	kills := 8
	if n, err := strconv.Atoi(os.Getenv("AISPEND_KILLS")); err == nil && n > 0 {
		kills = max(1, n/4)
	}
	opt, clk := frozen(43)
	opt.Tiny = true
	s := newVertexSite(t, opt)
	s.configure("", [2]string{vertexExport}, [2]string{vertexBudget})
	rng := rand.New(rand.NewPCG(2, uint64(kills)))
	published := map[string]time.Time{} // of our own messages, by id
	for i := range kills {
		d, err := s.tryStart()
		if err != nil {
			t.Fatalf("start after %d kills: %v\n%s", i, err, d.log())
		}
		known := d.newestNotice()
		for _, id := range s.world.Acknowledged() {
			if at, ours := published[id]; ours && at.Truncate(time.Second).After(known) {
				t.Fatalf("after %d kills message %s of %s is acknowledged and forgotten: %s is the newest known", i, id, at, known)
			}
		}
		for range 3 {
			at := clk.advance(time.Second)
			id := s.world.Notify([]byte(fmt.Sprintf(`{"budgetDisplayName":"x","costAmount":%d,"costIntervalStart":%q,"budgetAmount":10,"currencyCode":"USD"}`,
				rng.IntN(1000), at.AddDate(0, 0, 1-at.Day()).Format(time.RFC3339))),
				map[string]string{"billingAccountId": "A", "budgetId": "b", "schemaVersion": "1.0"}, at)
			published[id] = at
			time.Sleep(time.Duration(rng.IntN(400)) * time.Millisecond)
		}
		s.world.Redeliver()
		d.kill()
	}
	d := s.start()
	s.world.Redeliver()
	d.pulled(time.Now(), 2)
	newest := slices.MaxFunc(mapsValues(published), time.Time.Compare)
	if known := d.newestNotice(); !known.Equal(newest.Truncate(time.Second)) || len(s.world.Waiting()) != 0 {
		t.Errorf("the newest known is of %s, want %s; %d wait", known, newest, len(s.world.Waiting()))
	}
	status, body := d.call(http.MethodPost, "/recompute?dry_run=true")
	if status != http.StatusOK || !strings.Contains(string(body), `"days_changed":0`) || !strings.Contains(string(body), `"problems":[]`) {
		t.Errorf("a replay of the archive differs from the ledger: %d %s", status, body)
	}
	if code := d.stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

func mapsValues(m map[string]time.Time) (out []time.Time) {
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

// newestNotice is when the newest notification of budget b was published, as /status tells.
func (d *daemon) newestNotice() time.Time {
	d.t.Helper()
	var st struct {
		Budgets []struct {
			Budget      string     `json:"budget"`
			PublishedAt *time.Time `json:"published_at"`
		} `json:"budgets"`
	}
	d.get("/status", &st)
	for _, b := range st.Budgets {
		if b.Budget == "b" && b.PublishedAt != nil {
			return *b.PublishedAt
		}
	}
	return time.Time{}
}
