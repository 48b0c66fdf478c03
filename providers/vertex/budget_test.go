package vertex_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/vertex"
	"github.com/aispend/aispend/spend"
)

func canned(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// latest is expected_latest_state.json.
type latest struct {
	States []struct {
		BudgetID, CostIntervalStart, CostAmount, BudgetAmount, Currency, PublishTime string

		AlertThresholdExceeded *json.Number
	}
	Undecodable       int
	WithoutAttributes int `json:"without_attributes"`
	UnknownSchema     int `json:"unknown_schema_version"`
}

func wantLatest(t testing.TB) (want []string, notices map[string]int) {
	t.Helper()
	var l latest
	if err := json.Unmarshal(canned(t, "pubsub/expected_latest_state.json"), &l); err != nil {
		t.Fatal(err)
	}
	for _, s := range l.States {
		threshold := "none"
		if s.AlertThresholdExceeded != nil {
			threshold = spend.MustMoney(s.AlertThresholdExceeded.String()).String()
		}
		want = append(want, fmt.Sprint(s.BudgetID, " ", s.CostIntervalStart, " ", spend.MustMoney(s.CostAmount), " of ",
			spend.MustMoney(s.BudgetAmount), " ", s.Currency, " ", s.PublishTime, " ", threshold))
	}
	slices.Sort(want)
	return want, map[string]int{
		vertex.NoticeUndecodable: l.Undecodable, vertex.NoticeNoAttributes: l.WithoutAttributes,
		vertex.NoticeSchemaVersion: l.UnknownSchema,
	}
}

func spellBudgets(budgets []spend.Budget) (out []string) {
	for _, b := range budgets {
		for _, n := range b.Notices {
			threshold := "none"
			if n.AlertThreshold != nil {
				threshold = n.AlertThreshold.String()
			}
			out = append(out, fmt.Sprint(b.ID, " ", n.IntervalStart.Format(time.RFC3339), " ", n.Spend, " of ", n.Limit, " ",
				n.Currency, " ", n.PublishedAt.Format(time.RFC3339Nano), " ", threshold))
		}
	}
	slices.Sort(out)
	return out
}

// messages are those of both pulls, each as it was received.
func messages(t testing.TB) (out []json.RawMessage) {
	t.Helper()
	for _, name := range []string{"pubsub/pull_response_1.json", "pubsub/pull_response_2.json"} {
		var p struct{ ReceivedMessages []json.RawMessage }
		if err := json.Unmarshal(canned(t, name), &p); err != nil {
			t.Fatal(err)
		}
		out = append(out, p.ReceivedMessages...)
	}
	return out
}

func pullOf(messages []json.RawMessage) []byte {
	b, err := json.Marshal(map[string]any{"receivedMessages": messages})
	if err != nil {
		panic(err)
	}
	return b
}

// In any order, with any repetition and over any number of pulls and of walks the state
// is the expected one.
func TestNotificationsEndInTheLatestState(t *testing.T) {
	want, notices := wantLatest(t)
	all := messages(t)
	rapid.Check(t, func(rt *rapid.T) {
		given := rapid.Permutation(all).Draw(rt, "order")
		given = append(given, rapid.SliceOfN(rapid.SampledFrom(all), 0, 8).Draw(rt, "again")...)
		var known []spend.Budget
		total := map[string]int{}
		one := rapid.Bool().Draw(rt, "one walk")
		d := vertex.NewBudgetDecoder()
		take := func() {
			res, err := d.Result()
			if err != nil {
				rt.Fatal(err)
			}
			known = spend.MergeBudgets(known, res.Budgets)
			for name, n := range res.Notices {
				total[name] += n
			}
			d = vertex.NewBudgetDecoder()
		}
		for len(given) > 0 {
			n := rapid.IntRange(1, len(given)).Draw(rt, "pull")
			if err := d.Page(pullOf(given[:n])); err != nil {
				rt.Fatal(err)
			}
			given = given[n:]
			if !one {
				take()
			}
		}
		take()
		if diff := cmp.Diff(want, spellBudgets(known)); diff != "" {
			rt.Fatalf("state (-want +got):\n%s", diff)
		}
		if one && !cmp.Equal(notices, total) {
			rt.Fatalf("notices %v, want %v", total, notices)
		}
	})
}

func TestBudgetSettings(t *testing.T) {
	settings := func(name string) spend.Budget {
		t.Helper()
		d := vertex.NewBudgetDecoder()
		if err := d.Page(canned(t, "budgets/"+name)); err != nil {
			t.Fatal(err)
		}
		res, err := d.Result()
		if err != nil || len(res.Budgets) != 1 || !res.Through.IsZero() || len(res.Budgets[0].Notices) != 0 {
			t.Fatalf("%+v %v", res, err)
		}
		return res.Budgets[0]
	}
	b := settings("get_budget_specified.json")
	var rules []string
	for _, r := range b.Settings.Thresholds {
		rules = append(rules, fmt.Sprint(r.Ratio, " ", r.Forecast))
	}
	if b.BillingAccount != "01AAAA-BBBBBB-CCCCC1" || b.ID != "de72f49d-0000-4945-a127-4d6ce8def0bb" ||
		b.Settings.Limit.String() != "2500.5" || b.Settings.Currency != "USD" || b.Settings.Period != "MONTH" ||
		b.Settings.Credits != "INCLUDE_ALL_CREDITS" || b.Settings.SpendCap != "" || b.DisplayName() != "AI monthly" ||
		!slices.Equal(rules, []string{"0.5 false", "0.9 false", "1 false", "1 true"}) {
		t.Errorf("%+v %+v %v", b, b.Settings, rules)
	}
	if b = settings("get_budget_last_period.json"); b.Settings.Limit != nil || len(b.Settings.Thresholds) != 1 {
		t.Errorf("%+v", b.Settings)
	}
	if b = settings("get_budget_spend_cap_enforced.json"); b.Settings.SpendCap != "ENFORCED" || b.Settings.Limit.String() != "300" {
		t.Errorf("%+v", b.Settings)
	}
}

func TestBudgetAnswersAreReadStrictly(t *testing.T) {
	message := func(data, attributes, rest string) string {
		return `{"receivedMessages":[{"ackId":"a","message":{"data":"` + data + `","attributes":` + attributes +
			`,"messageId":"1","publishTime":"2026-11-20T10:01:00Z"` + rest + `}}]}`
	}
	const ok = `{"billingAccountId":"A","budgetId":"b","schemaVersion":"1.0"}`
	notice := func(change string) string {
		text := `{"budgetDisplayName":"x","costAmount":1.5,"costIntervalStart":"2026-11-01T07:00:00Z","budgetAmount":10,"currencyCode":"USD"}`
		if change != "" {
			from, to, _ := strings.Cut(change, "=>")
			if !strings.Contains(text, from) {
				t.Fatal(change)
			}
			text = strings.Replace(text, from, to, 1)
		}
		return base64Text(text)
	}
	for _, tt := range []struct {
		name, body string
		outcome    spend.Outcome
		notice     string
	}{
		{"a good one", message(notice(""), ok, ""), spend.OK, ""},
		{"empty", "{}", spend.OK, ""},
		{"no object", "[]", spend.Decode, ""},
		{"cut off", `{"receivedMessages":[`, spend.Decode, ""},
		{"html", "<html>", spend.Decode, ""},
		{"an error with 200", `{"error":{"code":403}}`, spend.Schema, ""},
		{"messages that are none", `{"receivedMessages":{}}`, spend.Schema, ""},
		{"no ackId", `{"receivedMessages":[{"message":{}}]}`, spend.Schema, ""},
		{"a budget without a proper name", `{"name":"projects/x/billingAccounts/y/budgets/z"}`, spend.Schema, ""},
		{"a budget whose amount is none", `{"name":"billingAccounts/a/budgets/b","amount":{"specifiedAmount":{"currencyCode":"USD","units":"1e3"}}}`, spend.Schema, ""},
		{"a rule without a percentage", `{"name":"billingAccounts/a/budgets/b","thresholdRules":[{"spendBasis":"CURRENT_SPEND"}]}`, spend.Schema, ""},
		{"no base64", message("%%%", ok, ""), spend.OK, vertex.NoticeUndecodable},
		{"no JSON", message(base64Text("hello"), ok, ""), spend.OK, vertex.NoticeUndecodable},
		{"no data", `{"receivedMessages":[{"ackId":"a","message":{"messageId":"1"}}]}`, spend.OK, vertex.NoticeUndecodable},
		{"no attributes", message(notice(""), "{}", ""), spend.OK, vertex.NoticeNoAttributes},
		{"another version", message(notice(""), strings.Replace(ok, "1.0", "1.1", 1), ""), spend.OK, vertex.NoticeSchemaVersion},
		{"cost as a string", message(notice(`1.5=>"1.5"`), ok, ""), spend.OK, vertex.NoticeMalformed},
		{"no cost", message(notice(`"costAmount":1.5,=>`), ok, ""), spend.OK, vertex.NoticeMalformed},
		{"cost null", message(notice(`1.5=>null`), ok, ""), spend.OK, vertex.NoticeMalformed},
		{"no limit", message(notice(`"budgetAmount":10,=>`), ok, ""), spend.OK, vertex.NoticeMalformed},
		{"no currency", message(notice(`USD=>usd`), ok, ""), spend.OK, vertex.NoticeMalformed},
		{"no interval", message(notice(`2026-11-01T07:00:00Z=>yesterday`), ok, ""), spend.OK, vertex.NoticeMalformed},
		{"an interval of another age", message(notice(`2026-11-01=>1026-11-01`), ok, ""), spend.OK, vertex.NoticeMalformed},
		{"a threshold that is none", message(notice(`"currencyCode"=>"alertThresholdExceeded":"50%","currencyCode"`), ok, ""), spend.OK, vertex.NoticeMalformed},
		{"spent less than nothing", message(notice(`1.5=>-1.5`), ok, ""), spend.OK, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := vertex.NewBudgetDecoder()
			err := d.Page([]byte(tt.body))
			if got := spend.OutcomeOf(err, "no class"); got != tt.outcome {
				t.Fatalf("outcome %s, want %s: %v", got, tt.outcome, err)
			}
			res, err := d.Result()
			if err != nil {
				t.Fatal(err)
			}
			if want := map[string]int{tt.notice: 1}; tt.notice != "" && !cmp.Equal(want, res.Notices) || tt.notice == "" && len(res.Notices) > 0 {
				t.Errorf("notices %v", res.Notices)
			}
			good := tt.name == "a good one" || tt.name == "spent less than nothing"
			if good != (len(res.Budgets) == 1) || good == res.Through.IsZero() {
				t.Errorf("%+v", res)
			}
		})
	}
}

// cloud is a fake of the Budgets API, of Pub/Sub and of the token endpoint.
type cloud struct {
	t testing.TB

	mu      sync.Mutex
	asked   []string
	acked   []string
	budgets []step // answers in turn, the last one stays
	pulls   []step
	acks    []step
	hang    bool // pulls without a message are held back
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Error(err)
	}
	c.mu.Lock()
	if r.URL.Path == "/token" {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"token-00000001","token_type":"Bearer","expires_in":3600}`)
		c.mu.Unlock()
		return
	}
	c.asked = append(c.asked, r.Method+" "+r.URL.RequestURI())
	var s step
	switch {
	case strings.HasSuffix(r.URL.Path, ":pull"):
		s = next(&c.pulls)
	case strings.HasSuffix(r.URL.Path, ":acknowledge"):
		if s = next(&c.acks); s.status == http.StatusOK {
			var a struct{ AckIDs []string }
			if err := json.Unmarshal(body, &a); err != nil || len(body) > 512<<10 || len(a.AckIDs) > 1000 {
				c.t.Errorf("%d ids in %d bytes, %v", len(a.AckIDs), len(body), err)
			}
			c.acked = append(c.acked, a.AckIDs...)
		}
	default:
		s = next(&c.budgets)
	}
	hang := c.hang && string(s.body) == "{}"
	c.mu.Unlock()
	if hang {
		<-r.Context().Done()
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(s.status)
	_, _ = w.Write(s.body)
}

func next(steps *[]step) step {
	if len(*steps) == 0 {
		return step{http.StatusOK, []byte("{}")}
	}
	s := (*steps)[0]
	if len(*steps) > 1 {
		*steps = (*steps)[1:]
	}
	return s
}

const (
	oneBudget    = "billingAccounts/01AAAA-BBBBBB-CCCCC1/budgets/de72f49d-0000-4945-a127-4d6ce8def0bb"
	subscription = "projects/acme-billing/subscriptions/ai-budget-sub"
)

func (c *cloud) source(t testing.TB, change ...func(*vertex.BudgetOptions)) *vertex.BudgetSource {
	t.Helper()
	srv := httptest.NewServer(c)
	t.Cleanup(srv.Close)
	o := vertex.BudgetOptions{
		Name: oneBudget, Subscription: subscription, BaseURL: srv.URL, PubSubBaseURL: srv.URL,
		Credentials: serviceAccount(srv.URL), Env: providers.Env{Account: "acme", NoEnvProxy: true},
	}
	for _, f := range change {
		f(&o)
	}
	b, err := vertex.NewBudgetSource(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func fetchBudgets(t testing.TB, b *vertex.BudgetSource) (pages []spend.Page, err error) {
	t.Helper()
	d := spend.Date(2026, 11, 24)
	err = b.Fetch(t.Context(), providers.Request{Window: spend.Window{From: d, To: d + 1}, Buckets: 1}, func(p spend.Page) error {
		if p.Seq != len(pages) {
			t.Errorf("page %d has number %d", len(pages), p.Seq)
		}
		pages = append(pages, p)
		return nil
	})
	return pages, err
}

func good(t testing.TB, name string) step { return step{http.StatusOK, canned(t, name)} }

func fail(t testing.TB, status int, name string) step { return step{status, canned(t, name)} }

// Nothing is acknowledged before Settle, all of it once afterwards, and every answer is a page.
func TestFetchThenSettle(t *testing.T) {
	empty := step{http.StatusOK, []byte("{}")}
	c := &cloud{
		t: t, budgets: []step{good(t, "budgets/get_budget_specified.json")},
		pulls: []step{good(t, "pubsub/pull_response_1.json"), good(t, "pubsub/pull_response_2.json"), empty},
	}
	b := c.source(t)
	pages, err := fetchBudgets(t, b)
	if err != nil || len(pages) != 4 || len(c.acked) != 0 {
		t.Fatalf("%d pages, %d acknowledged, %v", len(pages), len(c.acked), err)
	}
	if err := b.Settle(t.Context()); err != nil || len(c.acked) != len(messages(t)) {
		t.Errorf("%d acknowledged of %d, %v", len(c.acked), len(messages(t)), err)
	}
	if err := b.Settle(t.Context()); err != nil || len(c.acked) != len(messages(t)) {
		t.Errorf("a second Settle: %d acknowledged, %v", len(c.acked), err)
	}
	want := []string{
		"GET /v1/" + oneBudget, "POST /v1/" + subscription + ":pull", "POST /v1/" + subscription + ":pull",
		"POST /v1/" + subscription + ":pull", "POST /v1/" + subscription + ":acknowledge",
	}
	if diff := cmp.Diff(want, c.asked); diff != "" {
		t.Error(diff)
	}
	// The settings are not asked for again within the hour, and what a Fetch forgot is
	// delivered again.
	c.pulls = []step{good(t, "pubsub/pull_response_1.json"), empty}
	for range 2 {
		if _, err := fetchBudgets(t, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Settle(t.Context()); err != nil || len(c.acked) != len(messages(t)) || slices.Contains(c.asked[5:], want[0]) {
		t.Errorf("messages of a Fetch before were acknowledged: %v %v", c.asked[5:], err)
	}
}

func TestSettleInPieces(t *testing.T) {
	var all []json.RawMessage
	for i := range 2300 {
		all = append(all, json.RawMessage(fmt.Sprintf(`{"ackId":"%s-%d","message":{}}`, strings.Repeat("A", 300), i)))
	}
	c := &cloud{t: t, pulls: []step{{200, pullOf(all[:1200])}, {200, pullOf(all[1200:])}, {200, []byte("{}")}}}
	b := c.source(t, func(o *vertex.BudgetOptions) { o.Name = "" })
	if _, err := fetchBudgets(t, b); err != nil {
		t.Fatal(err)
	}
	c.acks = []step{{200, []byte("{}")}, fail(t, 403, "pubsub/error_403.json"), {200, []byte("{}")}}
	if err := b.Settle(t.Context()); spend.OutcomeOf(err, spend.OK) != spend.Permission || !strings.Contains(err.Error(), "roles/pubsub.subscriber") {
		t.Fatalf("%v", err)
	}
	if err := b.Settle(t.Context()); err != nil || len(c.acked) != len(all) {
		t.Errorf("%d acknowledged of %d, %v", len(c.acked), len(all), err)
	}
}

func TestBudgetErrorsSayWhatToDo(t *testing.T) {
	full := good(t, "pubsub/pull_response_1.json")
	for _, tt := range []struct {
		name           string
		budgets, pulls []step
		outcome        spend.Outcome
		text           string
		partial        bool
		pages          int
	}{
		{"no role on the account", []step{fail(t, 403, "budgets/error_403.json")}, []step{full, {200, []byte("{}")}}, spend.Permission, "roles/billing.viewer", true, 3},
		{"no such budget", []step{fail(t, 404, "budgets/error_404.json")}, []step{full, {200, []byte("{}")}}, spend.NotFound, "budget.name", true, 3},
		{"the budget is none", []step{{200, []byte(`{"error":{}}`)}}, nil, spend.Schema, "neither budgets nor messages", true, 2},
		{"no role on the subscription", nil, []step{fail(t, 403, "pubsub/error_403.json")}, spend.Permission, "roles/pubsub.subscriber", false, 2},
		{"no such subscription", nil, []step{fail(t, 404, "pubsub/error_404_subscription.json")}, spend.NotFound, "31 days", false, 2},
		{"half a page", nil, []step{{200, []byte(`{"receivedMessages":`)}}, spend.Decode, "no JSON object", false, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &cloud{t: t, budgets: tt.budgets, pulls: tt.pulls}
			pages, err := fetchBudgets(t, c.source(t))
			var partial *providers.PartialError
			if spend.OutcomeOf(err, spend.OK) != tt.outcome || !strings.Contains(err.Error(), tt.text) || errors.As(err, &partial) != tt.partial {
				t.Errorf("partial %v: %v", errors.As(err, &partial), err)
			}
			if len(pages) != tt.pages {
				t.Errorf("%d pages, want %d", len(pages), tt.pages)
			}
			if strings.Contains(err.Error(), "token-") {
				t.Errorf("the error holds the token: %v", err)
			}
		})
	}
}

func TestBudgetsOfAnAccount(t *testing.T) {
	c := &cloud{t: t, budgets: []step{good(t, "budgets/list_budgets_page1.json"), good(t, "budgets/list_budgets_page2_last.json")}}
	b := c.source(t, func(o *vertex.BudgetOptions) { o.Name, o.Subscription = "billingAccounts/01AAAA-BBBBBB-CCCCC1", "" })
	pages, err := fetchBudgets(t, b)
	if err != nil || len(pages) != 2 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	d := b.NewDecoder(spend.Window{})
	for _, p := range pages {
		if err := d.Page(p.Body); err != nil {
			t.Fatal(err)
		}
	}
	res, err := d.Result()
	if err != nil || len(res.Budgets) != 3 || res.Budgets[2].Settings.Currency != "JPY" || res.Budgets[2].Settings.Period != "" {
		t.Errorf("%+v %v", res, err)
	}
	want := []string{
		"GET /v1/billingAccounts/01AAAA-BBBBBB-CCCCC1/budgets?pageSize=100",
		"GET /v1/billingAccounts/01AAAA-BBBBBB-CCCCC1/budgets?pageSize=100&pageToken=CAISBWJ1ZGdldDI",
	}
	if diff := cmp.Diff(want, c.asked); diff != "" {
		t.Error(diff)
	}
	if err := b.Settle(t.Context()); err != nil || len(c.asked) != 2 {
		t.Errorf("nothing is to be acknowledged: %v %v", c.asked, err)
	}
}

// Pub/Sub may hold back the answer of a pull until there is a message.
func TestPullThatIsHeldBackIsEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{t: t, hang: true, pulls: []step{good(t, "pubsub/pull_response_1.json"), {200, []byte("{}")}}}
		b, err := vertex.NewBudgetSource(vertex.BudgetOptions{
			Subscription: subscription, BaseURL: "https://b.example.com", PubSubBaseURL: "https://p.example.com",
			Credentials: serviceAccount("https://p.example.com"), Env: providers.Env{Account: "acme"}, Transport: transport{c},
		})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		pages, err := fetchBudgets(t, b)
		if took := time.Since(began); err != nil || len(pages) != 1 || took < 5*time.Second || took > 20*time.Second {
			t.Errorf("%d pages after %s, %v", len(pages), took, err)
		}
	})
}

// transport answers without a network.
type transport struct{ h http.Handler }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	t.h.ServeHTTP(rec, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	resp := rec.Result()
	resp.Request = r
	return resp, nil
}

func TestBudgetNames(t *testing.T) {
	for _, tt := range []struct{ name, subscription, key string }{
		{oneBudget, subscription, ""},
		{"billingAccounts/01AAAA-BBBBBB-CCCCC1", "", ""},
		{"", "projects/example.com:acme/subscriptions/s.1-a", ""},
		{"01AAAA-BBBBBB-CCCCC1", "", "budget.name"},
		{"projects/x/" + oneBudget, "", "budget.name"},
		{oneBudget + "/x", "", "budget.name"},
		{"billingAccounts/../budgets/x", "", "budget.name"},
		{oneBudget, "ai-budget-sub", "budget.subscription"},
		{oneBudget, "projects/acme/topics/t", "budget.subscription"},
		{oneBudget, subscription + "/../x", "budget.subscription"},
	} {
		err := vertex.ValidateBudget(tt.name, tt.subscription)
		var fe *providers.FieldError
		if got := errors.As(err, &fe); got != (tt.key != "") || got && fe.Key != tt.key {
			t.Errorf("%q %q: %v", tt.name, tt.subscription, err)
		}
	}
}

func FuzzBudgetPage(f *testing.F) {
	for _, name := range []string{"pubsub/pull_response_1.json", "pubsub/pull_response_2.json", "budgets/get_budget_specified.json", "budgets/list_budgets_page1.json", "budgets/error_403.json"} {
		f.Add(canned(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := vertex.NewBudgetDecoder()
		err1, err2 := d.Page(b), d.Page(b)
		if (err1 == nil) != (err2 == nil) {
			t.Fatalf("%v and %v", err1, err2)
		}
		var pe *spend.PullError
		if err1 != nil && !errors.As(err1, &pe) {
			t.Fatalf("an error without a class: %v", err1)
		}
		twice, err := d.Result()
		if err != nil {
			t.Fatal(err)
		}
		once := vertex.NewBudgetDecoder()
		_ = once.Page(b)
		if res, _ := once.Result(); !cmp.Equal(res, twice) {
			t.Fatalf("a page given twice is not the page: %v", cmp.Diff(res, twice))
		}
	})
}

func base64Text(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
