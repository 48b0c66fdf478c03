package simulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
)

// loose is a page in which anything may be missing or of another type.
type loose struct {
	Data *[]struct {
		Start    int64                         `json:"start_time"`
		Starting time.Time                     `json:"starting_at"`
		Results  *[]map[string]json.RawMessage `json:"results"`
		Result   *[]map[string]json.RawMessage `json:"result"`
	} `json:"data"`
	HasMore json.RawMessage `json:"has_more"`
	Next    json.RawMessage `json:"next_page"`
}

func (p loose) rows(bucket int) []map[string]json.RawMessage { return *(*p.Data)[bucket].Results }

// fetch returns a page of a source under an effect, and the same page without it.
func fetch(t *testing.T, e simulator.Effect, source string, pairs ...string) (with, without loose) {
	t.Helper()
	w := simulator.New(simulator.Options{Seed: 9, Now: at(noon), Tiny: true, Plain: true})
	today := spend.DayOf(noon)
	provider, path, q := query(source, spend.Window{From: today - 8, To: today + 1}, 3)
	get := func() (p loose) {
		rec := do(t, w, provider, path, edit(q, pairs...))
		if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil || rec.Code != http.StatusOK {
			t.Fatalf("%s: status %d, %v: %s", e.Name(), rec.Code, err, rec.Body)
		}
		return p
	}
	without = get()
	w.Inject(simulator.Fault{Do: e})
	return get(), without
}

func TestShapeFaults(t *testing.T) {
	today := spend.DayOf(noon)
	second := today - 7
	size := func(p loose) int { return len(*p.Data) }
	more := func(p loose) bool { return string(p.HasMore) == "true" }
	show := func(p loose, i int) string { return fmt.Sprint((*p.Data)[i].Start, p.rows(i)) }
	for _, c := range []struct {
		do simulator.Effect
		ok func(with, without loose) bool
	}{
		{simulator.WithoutData(), func(p, _ loose) bool { return p.Data == nil && p.HasMore != nil }},
		{simulator.WithoutResults(), func(p, _ loose) bool {
			return (*p.Data)[0].Results == nil && (*p.Data)[0].Result == nil
		}},
		{simulator.OldResultKey(), func(p, was loose) bool {
			return (*p.Data)[0].Results == nil && len(*(*p.Data)[0].Result) == len(was.rows(0))
		}},
		{simulator.DuplicateBucket(false), func(p, was loose) bool {
			return size(p) == 4 && show(p, 2) == show(p, 3)
		}},
		{simulator.DuplicateBucket(true), func(p, was loose) bool {
			return size(p) == 4 && len(p.rows(3)) == len(p.rows(2))+1
		}},
		{simulator.MissingBucket(second), func(p, was loose) bool {
			return size(p) == 2 && fmt.Sprint(p.rows(1)) == fmt.Sprint(was.rows(2))
		}},
		{simulator.DropDay(second), func(p, was loose) bool {
			return size(p) == 3 && len(p.rows(1)) == 0 && len(p.rows(0)) > 0 && len(was.rows(1)) > 0
		}},
		{simulator.EmptyBuckets(), func(p, _ loose) bool {
			return size(p) == 3 && len(p.rows(0))+len(p.rows(1))+len(p.rows(2)) == 0
		}},
		{simulator.EmptyWindow(), func(p, _ loose) bool {
			return p.Data != nil && size(p) == 0 && string(p.HasMore) == "false"
		}},
		{simulator.ShiftBuckets(time.Hour), func(p, was loose) bool {
			a, b := (*p.Data)[0], (*was.Data)[0]
			return a.Start-b.Start == 3600 || b.Start == 0 && a.Starting.Sub(b.Starting) == time.Hour
		}},
		{simulator.EarlyEnd(), func(p, was loose) bool {
			return string(p.HasMore) == "false" && string(p.Next) == "null" && string(was.HasMore) == "true"
		}},
		{simulator.HasMore(""), func(p, _ loose) bool { return p.HasMore == nil && len(p.Next) > 4 }},
		{simulator.HasMore(`"true"`), func(p, _ loose) bool { return string(p.HasMore) == `"true"` }},
		{simulator.MoreWithoutCursor("null"), func(p, _ loose) bool { return more(p) && string(p.Next) == "null" }},
		{simulator.MoreWithoutCursor(`""`), func(p, _ loose) bool { return more(p) && string(p.Next) == `""` }},
		{simulator.MoreWithoutCursor(""), func(p, _ loose) bool { return more(p) && p.Next == nil }},
		{simulator.NewFields(), func(p, was loose) bool {
			return len(p.rows(0)[0]) == len(was.rows(0)[0])+1 && p.rows(0)[0]["discount"] != nil
		}},
	} {
		for _, source := range sources {
			if with, without := fetch(t, c.do, source); !c.ok(with, without) {
				t.Errorf("%s, %s: %+v", source, c.do.Name(), with)
			}
		}
	}
}

func TestCursorFaults(t *testing.T) {
	for _, c := range []struct {
		do     simulator.Effect
		expect []int // which earlier cursor each of six pages repeats, -1 for none
	}{
		{simulator.SameCursor(), []int{-1, 0, 0, 0, 0, 0}},
		{simulator.CursorCycle(), []int{-1, -1, 0, 1, 0, 1}},
		{simulator.EndlessCursor(), []int{-1, -1, -1, -1, -1, -1}},
	} {
		for _, source := range sources {
			w := simulator.New(simulator.Options{Now: at(noon), Tiny: true})
			w.Inject(simulator.Fault{Do: c.do})
			today := spend.DayOf(noon)
			provider, path, q := query(source, spend.Window{From: today - 8, To: today + 1}, 3)
			var seen []string
			for i, want := range c.expect {
				rec := do(t, w, provider, path, q)
				var a answer
				if err := json.Unmarshal(rec.Body.Bytes(), &a); err != nil || !a.HasMore || a.Next == nil {
					t.Fatalf("%s, %s, page %d: %d %v", source, c.do.Name(), i, rec.Code, err)
				}
				got := -1
				for j, s := range seen {
					if s == *a.Next {
						got = j
						break
					}
				}
				if got != want {
					t.Errorf("%s, %s: page %d repeats cursor %d, want %d", source, c.do.Name(), i, got, want)
				}
				seen = append(seen, *a.Next)
				q.Set("page", *a.Next)
			}
		}
	}
}

func TestRepeatedBuckets(t *testing.T) {
	today := spend.DayOf(noon)
	win := spend.Window{From: today - 8, To: today + 1}
	for _, source := range sources {
		for _, different := range []bool{false, true} {
			w := simulator.New(simulator.Options{Now: at(noon), Tiny: true, Plain: true})
			plain := walk(t, w, source, win, 3)
			w.Inject(simulator.Fault{Do: simulator.RepeatBucket(different)})
			pages := walk(t, w, source, win, 3)
			if len(pages) != 3 || len(plain) != 3 {
				t.Fatalf("%s: %d and %d pages", source, len(plain), len(pages))
			}
			last, again := plain[0].Data[2], pages[1].Data[0]
			more := len(again.Results) - len(last.Results)
			same := again.Start == last.Start && again.StartingAt == last.StartingAt
			if len(pages[1].Data) != 4 || !same || (more == 1) != different {
				t.Errorf("%s: page 2 begins with %+v", source, again)
			}
		}
	}
}

func TestRowFaults(t *testing.T) {
	type row = map[string]json.RawMessage
	amount := func(r row) string {
		var a struct{ Value json.RawMessage }
		if r["amount"] != nil && r["amount"][0] == '{' && json.Unmarshal(r["amount"], &a) == nil {
			return string(a.Value)
		}
		return string(r["amount"])
	}
	currency := func(r row) string {
		var a struct{ Currency json.RawMessage }
		if r["amount"] != nil && r["amount"][0] == '{' && json.Unmarshal(r["amount"], &a) == nil {
			return string(a.Currency)
		}
		return string(r["currency"])
	}
	for _, c := range []struct {
		do   simulator.Effect
		read func(row) string
		want string
	}{
		{simulator.Amount("null"), amount, "null"},
		{simulator.Amount(`"NaN"`), amount, `"NaN"`},
		{simulator.Amount(`"1_000"`), amount, `"1_000"`},
		{simulator.Amount(`""`), amount, `""`},
		{simulator.Amount("1e400"), amount, "1e400"},
		{simulator.Amount("-5"), amount, "-5"},
		{simulator.Amount(""), amount, ""},
		{simulator.AmountMember("null"), amount, "null"},
		{simulator.AmountMember(""), func(r row) string { return fmt.Sprint(r["amount"] == nil) }, "true"},
		{simulator.Currency(`"EUR"`), currency, `"EUR"`},
		{simulator.Currency(""), currency, ""},
		{simulator.FirstField("brand_new", "7"), func(r row) string { return string(r["brand_new"]) }, "7"},
	} {
		for _, source := range both {
			with, without := fetch(t, c.do, source)
			if got := c.read(with.rows(0)[0]); got != c.want {
				t.Errorf("%s, %s: %q, want %q", source, c.do.Name(), got, c.want)
			}
			if fmt.Sprint(with.rows(0)[1:], with.rows(1)) != fmt.Sprint(without.rows(0)[1:], without.rows(1)) {
				t.Errorf("%s, %s: other rows changed", source, c.do.Name())
			}
		}
	}
	for _, source := range both {
		with, without := fetch(t, simulator.AmountsAsStrings(), source)
		numbers, _ := fetch(t, simulator.AmountsAsNumbers(), source)
		negative, _ := fetch(t, simulator.NegateAmounts(), source)
		for i, r := range without.rows(0) {
			digits := strings.Trim(amount(r), `"`)
			if amount(with.rows(0)[i]) != `"`+digits+`"` || amount(numbers.rows(0)[i]) != digits ||
				strings.Trim(amount(negative.rows(0)[i]), `"`) != "-"+digits {
				t.Errorf("%s: %s became %s, %s and %s", source, amount(r), amount(with.rows(0)[i]),
					amount(numbers.rows(0)[i]), amount(negative.rows(0)[i]))
			}
		}
	}
}

func TestUsageFieldFaults(t *testing.T) {
	for source, key := range map[string]string{
		"openai/usage":           "input_tokens",
		"anthropic/usage_report": "uncached_input_tokens",
	} {
		for _, raw := range []string{`"12"`, "null", "1.5", ""} {
			with, _ := fetch(t, simulator.FirstField(key, raw), source)
			all, _ := fetch(t, simulator.Field(key, raw), source)
			if got := string(with.rows(0)[0][key]); got != raw {
				t.Errorf("%s: %s is %q, want %q", source, key, got, raw)
			}
			if string(with.rows(0)[1][key]) == raw || string(all.rows(0)[1][key]) != raw {
				t.Errorf("%s: FirstField and Field differ in nothing", source)
			}
		}
	}
}

func TestModelFaults(t *testing.T) {
	t.Parallel()
	names := map[string]string{
		"openai/costs": "line_item", "anthropic/cost_report": "model", "openai/usage": "model",
	}
	for source, key := range names {
		provider, _, _ := strings.Cut(source, "/")
		model := simulator.New(simulator.Options{Now: at(noon), Tiny: true}).Models(provider)[0]
		count := func(p loose, name string) (n int) {
			for _, r := range p.rows(0) {
				if strings.Contains(string(r[key]), name) {
					n++
				}
			}
			return n
		}
		renamed, was := fetch(t, simulator.RenameModel(model, "new-name"), source)
		if count(was, model) == 0 || count(renamed, model) != 0 || count(renamed, "new-name") != count(was, model) {
			t.Errorf("%s: renamed %v", source, renamed.rows(0))
		}
		odd, _ := fetch(t, simulator.RenameModel(model, "a\"b\\c\nd\te\x00"), source)
		if count(odd, `a\"b\\c\nd\u0009e\u0000`) != count(was, model) {
			t.Errorf("%s: odd name %v", source, odd.rows(0))
		}
		gone, _ := fetch(t, simulator.DropModel(model), source)
		if count(gone, model) != 0 || len(gone.rows(0)) != len(was.rows(0))-count(was, model) {
			t.Errorf("%s: vanished model: %v", source, gone.rows(0))
		}
		many, _ := fetch(t, simulator.ManyModels(2000), source)
		distinct := map[string]bool{}
		for _, r := range many.rows(0) {
			distinct[string(r[key])] = true
		}
		if len(distinct) < 2000 || len(many.rows(0)) != len(was.rows(0))+2000 {
			t.Errorf("%s: %d models in %d rows", source, len(distinct), len(many.rows(0)))
		}
	}
}

func TestInvalidUTF8ReachesTheWire(t *testing.T) {
	w := simulator.New(simulator.Options{Now: at(noon), Tiny: true})
	w.Inject(simulator.Fault{Do: simulator.RenameModel(w.Models(simulator.OpenAI)[0], "bad\xff\xfename")})
	today := spend.DayOf(noon)
	provider, path, q := query("openai/costs", spend.Window{From: today - 1, To: today}, 1)
	body := do(t, w, provider, path, q).Body.String()
	if utf8.ValidString(body) || !strings.Contains(body, "bad\xff\xfename") {
		t.Errorf("body %q", body)
	}
}

func TestIgnoredGroupingLeavesNoDimension(t *testing.T) {
	for _, source := range both {
		with, without := fetch(t, simulator.IgnoreGrouping(), source)
		if len(with.rows(0)) != len(without.rows(0)) {
			t.Errorf("%s: %d rows", source, len(with.rows(0)))
		}
		for _, key := range []string{"line_item", "project_id", "description", "model", "token_type"} {
			if raw := with.rows(0)[0][key]; raw != nil && string(raw) != "null" {
				t.Errorf("%s: %s is %s", source, key, raw)
			}
		}
	}
}

func TestNewEnumValues(t *testing.T) {
	for source, key := range map[string]string{
		"openai/costs": "quantity_unit", "anthropic/cost_report": "cost_type",
		"anthropic/usage_report": "service_tier",
	} {
		with, without := fetch(t, simulator.NewEnumValues(), source)
		got, was := string(with.rows(0)[0][key]), string(without.rows(0)[0][key])
		if got == was || got == "null" || got == "" {
			t.Errorf("%s: %s is %s, was %s", source, key, got, was)
		}
	}
}

// TestFaultsNeverTouchTheTruth holds for every effect, as none reaches it; one
// that changes rows stands for all.
func TestFaultsNeverTouchTheTruth(t *testing.T) {
	w := simulator.New(simulator.Options{Now: at(noon), Tiny: true})
	today := spend.DayOf(noon)
	win := spend.Window{From: today - 3, To: today}
	before := w.Total(simulator.OpenAI, win, noon)
	w.Inject(simulator.Fault{Do: simulator.Amount("1000000")})
	w.Inject(simulator.Fault{Do: simulator.EmptyBuckets(), Skip: 1})
	for range 2 {
		walk(t, w, "openai/costs", win, 3)
		if got := w.Total(simulator.OpenAI, win, noon); !got.Equal(before) {
			t.Errorf("the truth became %s, was %s", got, before)
		}
	}
}
