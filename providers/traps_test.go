package providers_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/providertest"
	"github.com/aispend/aispend/providers/registry"
	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
)

// The traps of apis page section 4 that concern these vendors at this layer, by
// their numbers there, each against the simulated vendor over HTTP.

func TestTrap01_AnthropicAmountIsCents(t *testing.T) {
	r := newRig(t)
	w := r.days(40)
	r.equalsTruth(simulator.Anthropic, w, r.good(report, w, 31))
}

func TestTrap02_OpenAIValueIsDollars(t *testing.T) {
	r := newRig(t)
	w := r.days(40)
	r.equalsTruth(simulator.OpenAI, w, r.good(costs, w, 31))
}

func TestTrap03_AmountsMayBeStringsOrNumbers(t *testing.T) {
	r := newRig(t)
	w := r.days(10)
	for provider, source := range moneySources() {
		for _, e := range []simulator.Effect{simulator.AmountsAsStrings(), simulator.AmountsAsNumbers()} {
			undo := r.with(source, e)
			r.equalsTruth(provider, w, r.good(source, w, 31))
			undo()
		}
	}
}

func TestTrap04_UnreadableAmountIsNeverZero(t *testing.T) {
	r := newRig(t)
	for _, source := range moneySources() {
		for _, raw := range []string{`null`, `""`, `"abc"`, `true`, `[1]`, `"12,50"`, `"1 USD"`, ``} {
			err := r.refuses(source, simulator.Amount(raw), spend.Schema)
			if raw != "" && !strings.Contains(err.Error(), "results[0]") {
				t.Errorf("%s as %s: %v does not name the row", source, raw, err)
			}
		}
		r.refuses(source, simulator.AmountMember(`null`), spend.Schema)
		r.refuses(source, simulator.AmountMember(``), spend.Schema)
	}
}

func TestTrap05_NaNIsNoAmount(t *testing.T) {
	r := newRig(t)
	for _, source := range moneySources() {
		for _, raw := range []string{
			`"NaN"`, `"nan"`, `"Inf"`, `"Infinity"`, `"-Infinity"`, `1e400`, `"1e400"`, `"1_000"`, `"0x1p4"`,
		} {
			r.refuses(source, simulator.Amount(raw), spend.Schema)
		}
		r.refuses(source, simulator.Amount(`NaN`), spend.Decode)
	}
}

func TestTrap06_EveryPageIsRead(t *testing.T) {
	r := newRig(t)
	w := r.days(23)
	for provider, source := range moneySources() {
		res, pages, err := r.pull(source, w, 7)
		if err != nil {
			t.Fatal(err)
		}
		if len(pages) != 4 || len(res.Statements) != 23 {
			t.Errorf("%s: %d pages, %d days; want 4 and 23", source, len(pages), len(res.Statements))
		}
		r.equalsTruth(provider, w, res)
	}
}

func TestTrap07_LimitIsAtMost31(t *testing.T) {
	r := newRig(t)
	w := r.days(70)
	for _, source := range allSources() {
		res, pages, err := r.pull(source, w, 180)
		if err != nil || len(res.Statements) != 70 || len(pages) != 3 {
			t.Errorf("%s: %v, %d pages, %d days; want 3 and 70", source, err, len(pages), len(res.Statements))
		}
	}
	for _, req := range r.world.Requests() {
		if got := req.Query.Get("limit"); got != "31" {
			t.Errorf("%s was asked for %s buckets a page", req.Source, got)
		}
	}
}

// TestTrap08_WindowIsPinned lets the clock run past midnight during the walk:
// tokens are bound to the exact query.
func TestTrap08_WindowIsPinned(t *testing.T) {
	for _, source := range allSources() {
		r := newRig(t)
		w := r.days(30)
		var first map[string][]string
		req := providers.Request{Window: w, Buckets: 7}
		err := r.sources[source].Fetch(t.Context(), req, func(spend.Page) error {
			r.setClock(r.clock().Add(7 * time.Hour))
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", source, err)
		}
		for i, req := range r.world.Requests() {
			q := req.Query
			q.Del("page")
			if i == 0 {
				first = q
			}
			if diff := cmp.Diff(first, map[string][]string(q)); diff != "" {
				t.Errorf("%s, request %d asks for something else:\n%s", source, i, diff)
			}
		}
		if n := len(r.world.Requests()); n != 5 {
			t.Errorf("%s: %d requests, want 5", source, n)
		}
	}
}

func TestTrap09_PageTokenIsEscaped(t *testing.T) {
	r := newRig(t)
	w := r.days(20)
	for provider, source := range moneySources() {
		res, pages, err := r.pull(source, w, 7)
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		if !strings.Contains(string(pages[0].Body), "+//+") {
			t.Fatalf("%s: the token has no + in it, so that nothing is proven", source)
		}
		r.equalsTruth(provider, w, res)
	}
	for _, req := range r.world.Requests() {
		if req.Page > 1 && (strings.Contains(req.RawQuery, "+") || strings.Contains(req.Query.Get("page"), " ")) {
			t.Errorf("unescaped token in %s", req.RawQuery)
		}
	}
}

func TestTrap10_WalkThatDoesNotEndProperlyFails(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *simulator.Options) { o.Tiny = true })
	for _, source := range allSources() {
		for _, tt := range []struct {
			effect simulator.Effect
			pages  int
		}{
			{simulator.SameCursor(), 2},
			{simulator.CursorCycle(), 3},
			{simulator.MoreWithoutCursor(`null`), 1},
			{simulator.MoreWithoutCursor(`""`), 1},
			{simulator.MoreWithoutCursor(``), 1},
		} {
			r.world.ForgetRequests()
			r.refuses(source, tt.effect, spend.Pagination)
			if n := len(r.world.Requests()); n != tt.pages {
				t.Errorf("%s, %s: %d pages were asked for, want %d", source, tt.effect.Name(), n, tt.pages)
			}
		}
		r.refuses(source, simulator.HasMore(``), spend.Schema)
		r.refuses(source, simulator.HasMore(`null`), spend.Schema)
	}
	// A page kept from such a walk is no last page in a replay either.
	undo := r.with(costs, simulator.MoreWithoutCursor(`null`))
	src, req := r.sources[costs], providers.Request{Window: r.days(3), Buckets: 31}
	_ = src.Fetch(t.Context(), req, func(p spend.Page) error {
		if err := src.NewDecoder(req.Window).Page(p.Body); spend.OutcomeOf(err, "") != spend.Pagination {
			t.Errorf("decoding it: %v, want pagination", err)
		}
		return nil
	})
	undo()
	r.world.ForgetRequests()
	r.refuses(costs, simulator.EndlessCursor(), spend.Pagination)
	if n := len(r.world.Requests()); n != 1000 {
		t.Errorf("an endless walk was given up after %d pages, want 1000", n)
	}
}

// TestTrap13_RowsOfOneModelAddUp compares every charge with the ground truth: a
// model has many rows a day, by token type, tier, project and region.
func TestTrap13_RowsOfOneModelAddUp(t *testing.T) {
	r := newRig(t)
	w := r.days(9)
	for provider, source := range moneySources() {
		merged := 0
		for _, st := range r.good(source, w, 31).Statements {
			if diff := cmp.Diff(r.world.Charges(provider, st.Day, r.clock()), st.Charges, cmpEmpty()); diff != "" {
				t.Errorf("%s on %s (-billed +decoded):\n%s", source, st.Day, diff)
			}
			merged += len(r.world.Cost(provider, st.Day, r.clock())) - len(st.Charges)
		}
		if merged == 0 {
			t.Errorf("%s: no two rows shared a key, so that nothing is proven", source)
		}
	}
}

// cmpEmpty treats no rows and nil alike.
func cmpEmpty() cmp.Option {
	return cmp.FilterValues(func(a, b []spend.Charge) bool { return len(a) == 0 && len(b) == 0 },
		cmp.Comparer(func(_, _ []spend.Charge) bool { return true }))
}

func TestTrap14_MoneyWithoutModelIsKept(t *testing.T) {
	r := newRig(t)
	w := r.days(20)
	for provider, source := range moneySources() {
		var got, want spend.Money
		for _, st := range r.good(source, w, 31).Statements {
			for _, c := range st.Charges {
				if c.Model == "" {
					got = got.Add(c.Cost())
				}
			}
			for _, row := range r.world.Cost(provider, st.Day, r.clock()) {
				if row.Model == "" {
					want = want.Add(row.Amount)
				}
			}
		}
		if got.String() != want.String() || want.IsZero() {
			t.Errorf("%s: %s without a model, billed were %s", source, got, want)
		}
	}
}

func TestTrap15_IgnoredGroupingIsNoticed(t *testing.T) {
	r := newRig(t)
	for _, source := range moneySources() {
		err := r.refuses(source, simulator.IgnoreGrouping(), spend.Schema)
		if !strings.Contains(err.Error(), "grouping") {
			t.Errorf("%s: %v does not name the grouping", source, err)
		}
	}
	for _, req := range r.world.Requests() {
		if len(req.Query["group_by[]"]) != 2 || req.Query.Has("group_by") {
			t.Errorf("%s groups by %v", req.Source, req.Query)
		}
	}
}

// TestTrap16_TodayIsAsked reads the 1st of a month on that very day: without an
// end Anthropic refuses such a walk, and on other days leaves today out.
func TestTrap16_TodayIsAsked(t *testing.T) {
	r := newRig(t)
	r.setClock(time.Date(2026, 11, 1, 9, 30, 0, 0, time.UTC))
	for provider, source := range moneySources() {
		w := r.days(1)
		res := r.good(source, w, 31)
		if len(res.Statements) != 1 || res.Statements[0].Day != spend.Date(2026, 11, 1) {
			t.Errorf("%s: %d days, want today", source, len(res.Statements))
		}
		r.equalsTruth(provider, w, res)
	}
	for _, req := range r.world.Requests() {
		if req.Provider == simulator.Anthropic && req.Query.Get("ending_at") != "2026-11-02T00:00:00Z" {
			t.Errorf("ending_at is %q, want tomorrow 00:00 UTC", req.Query.Get("ending_at"))
		}
	}
}

// TestTrap17_DaysAreUTC: a bucket that is not a UTC day has no day to be put under.
func TestTrap17_DaysAreUTC(t *testing.T) {
	r := newRig(t)
	for _, source := range allSources() {
		for _, by := range []time.Duration{time.Hour, -5 * time.Hour, 12 * time.Hour, time.Second} {
			r.refuses(source, simulator.ShiftBuckets(by), spend.Schema)
		}
	}
	// A clock in another zone shifts nothing.
	auckland := time.FixedZone("NZDT", 13*3600)
	r.setClock(time.Date(2026, 11, 24, 3, 0, 0, 0, auckland)) // still the 23rd in UTC
	for provider, source := range moneySources() {
		w := r.days(4)
		res := r.good(source, w, 31)
		if last := res.Statements[len(res.Statements)-1].Day; last != spend.Date(2026, 11, 23) {
			t.Errorf("%s: the newest day is %s", source, last)
		}
		r.equalsTruth(provider, w, res)
	}
}

func TestTrap18_UsageIsNeverMoney(t *testing.T) {
	r := newRig(t)
	w := r.days(5)
	for _, source := range allSources() {
		kind := r.sources[source].Type().Kind
		for _, st := range r.good(source, w, 31).Statements {
			if kind == providers.Costs && len(st.Usage) > 0 || kind == providers.Usage && len(st.Charges) > 0 {
				t.Errorf("%s (kind %d) says %d charges and %d usage rows", source, kind, len(st.Charges), len(st.Usage))
			}
		}
	}
}

// TestTrap19_OneSourceOfMoney: each provider has one source that bills, and
// nothing asks for a report of estimates.
func TestTrap19_OneSourceOfMoney(t *testing.T) {
	r := newRig(t)
	for name, typ := range registry.Types() {
		var bills []string
		for _, s := range typ.Sources {
			if s.Kind == providers.Costs {
				bills = append(bills, s.Name)
			}
		}
		want := []string{moneySources()[name]}
		if name == "vertex" { // its traps have tests of their own, in providers/vertex and the simulator
			want = []string{"vertex/bigquery"}
		}
		if !slices.Equal(bills, want) {
			t.Errorf("%s bills from %v, want %v", name, bills, want)
		}
	}
	for _, source := range allSources() {
		r.good(source, r.days(2), 31)
	}
	var paths []string
	for _, req := range r.world.Requests() {
		paths = append(paths, req.Path)
	}
	want := []string{
		"/v1/organization/costs", "/v1/organization/usage/completions",
		"/v1/organizations/cost_report", "/v1/organizations/usage_report/messages",
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}

// TestTrap20_TokenTypesNeverOverlap: OpenAI's input includes the cache,
// Anthropic's does not.
func TestTrap20_TokenTypesNeverOverlap(t *testing.T) {
	r := newRig(t)
	w := r.days(9)
	for provider, source := range map[string]string{simulator.OpenAI: used, simulator.Anthropic: tokens} {
		var cached int64
		for _, st := range r.good(source, w, 31).Statements {
			want := r.world.Usage(provider, st.Day, r.clock())
			if diff := cmp.Diff(want, st.Usage); diff != "" && len(want)+len(st.Usage) > 0 {
				t.Errorf("%s on %s (-used +decoded):\n%s", source, st.Day, diff)
			}
			for _, u := range st.Usage {
				cached += u.CacheRead
			}
		}
		if cached == 0 {
			t.Errorf("%s: nothing was cached, so that nothing is proven", source)
		}
	}
}

func TestTrap21_PriorityTierIsUncosted(t *testing.T) {
	r := newRig(t)
	w := r.days(30)
	var got, want int64
	for _, st := range r.good(tokens, w, 31).Statements {
		for _, u := range st.Usage {
			got += u.Uncosted
		}
		for _, u := range r.world.Usage(simulator.Anthropic, st.Day, r.clock()) {
			want += u.Uncosted
		}
	}
	if got != want || want == 0 {
		t.Errorf("%d tokens without cost, want %d", got, want)
	}
}

// TestTrap22_SumsAreExact adds up 1e5 rows of 1e-7, which in float64 is
// 0.009999999999994874 (measured).
func TestTrap22_SumsAreExact(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	row := `{"amount": {"value": 1e-7, "currency": "usd"}, "line_item": "m, input", "project_id": "p"}`
	w := r.days(1)
	page := fmt.Sprintf(`{"data": [{"start_time": %d, "end_time": %d, "results": [%s]}], "has_more": false}`,
		w.From.Time().Unix(), w.To.Time().Unix(), row+strings.Repeat(","+row, 99_999))
	r.serve(simulator.NewScript([]byte(page)))
	if got := usd(r.good(costs, w, 31)).String(); got != "0.01" {
		t.Errorf("100000 x 1e-7 is %s, want 0.01", got)
	}
}

func TestTrap23_CurrenciesStayApart(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.Plain = true })
	w := r.days(1)
	for provider, source := range moneySources() {
		first := r.world.Cost(provider, w.From, r.clock())[0]
		undo := r.with(source, simulator.Currency(`"Eur"`))
		res := r.good(source, w, 31)
		undo()
		var eur spend.Money
		for _, c := range res.Statements[0].Charges {
			if c.Currency == "EUR" {
				eur = eur.Add(c.Cost())
			}
		}
		if eur.String() != first.Amount.String() || eur.IsZero() {
			t.Errorf("%s: %s EUR, want %s", source, eur, first.Amount)
		}
		want := r.world.Total(provider, w, r.clock()).Sub(first.Amount)
		if got := usd(res); got.String() != want.String() {
			t.Errorf("%s: %s USD beside it, want %s", source, got, want)
		}
		for _, raw := range []string{`null`, `""`, `"dollar"`, `"U$D"`, `"€"`, `7`, ``} {
			r.refuses(source, simulator.Currency(raw), spend.Schema)
		}
	}
}

func TestTrap27_RetriesEnd(t *testing.T) {
	r := newRig(t)
	try := func(source string, e simulator.Effect, want spend.Outcome, after time.Duration) {
		t.Helper()
		r.world.ForgetRequests()
		undo := r.with(source, e)
		defer undo()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, _, err := providertest.Pull(ctx, r.sources[source], providers.Request{Window: r.days(2), Buckets: 31})
		pe, ok := err.(*spend.PullError) //nolint:errorlint // the contract says that it is one
		if !ok || pe.Outcome != want || pe.RetryAfter != after {
			t.Errorf("%s, %s: %#v, want %s after %s", source, e.Name(), err, want, after)
		}
		if n := len(r.world.Requests()); n != 1 {
			t.Errorf("%s, %s: %d requests, want 1", source, e.Name(), n)
		}
	}
	try(costs, simulator.InsufficientQuota(), spend.RateLimited, 0)
	for _, source := range allSources() {
		try(source, simulator.MissingScopes(403), spend.Permission, 0)
		try(source, simulator.Status(401), spend.Auth, 0)
		try(source, simulator.RateLimited("86400"), spend.RateLimited, time.Hour)
		try(source, simulator.RateLimited("600"), spend.RateLimited, 10*time.Minute)
		try(source, simulator.RateLimitedUntil(20*time.Minute), spend.RateLimited, 20*time.Minute)
		try(source, simulator.RateLimitedUntil(48*time.Hour), spend.RateLimited, time.Hour)
	}
}

func TestTrap28_OldNamesAreNoEmptyDay(t *testing.T) {
	r := newRig(t)
	for _, source := range allSources() {
		r.refuses(source, simulator.OldResultKey(), spend.Schema)
		r.refuses(source, simulator.WithoutResults(), spend.Schema)
		r.refuses(source, simulator.WithoutData(), spend.Schema)
	}
	// What the original worker looked for.
	for source, e := range map[string]simulator.Effect{
		costs:  simulator.AmountMember(`{"usd": 1.5}`),
		report: simulator.AmountMember(`{"cost_usd": "1.5"}`),
		used:   simulator.FirstField("input_tokens", ""),
		tokens: simulator.FirstField("uncached_input_tokens", ""),
	} {
		r.refuses(source, e, spend.Schema)
	}
}
