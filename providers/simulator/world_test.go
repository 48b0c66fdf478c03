package simulator_test

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
)

var sources = []string{"openai/costs", "openai/usage", "anthropic/cost_report", "anthropic/usage_report"}

func TestPagesDependOnSeedDayAndTimeOnly(t *testing.T) {
	today := spend.DayOf(noon)
	type ask struct {
		source string
		win    spend.Window
	}
	var asks []ask
	for _, s := range sources {
		for i := range spend.Day(6) {
			asks = append(asks, ask{s, spend.Window{From: today - 30 + 5*i, To: today - 25 + 5*i}})
		}
	}
	get := func(w *simulator.World, a ask) string {
		provider, path, q := query(a.source, a.win, 5)
		rec := do(t, w, provider, path, q)
		if rec.Code != http.StatusOK {
			t.Fatalf("%s %s: status %d", a.source, a.win, rec.Code)
		}
		return rec.Body.String()
	}
	first, second := map[ask]string{}, map[ask]string{}
	one := simulator.New(simulator.Options{Seed: 11, Now: at(noon)})
	for _, a := range asks {
		first[a] = get(one, a)
	}
	rand.Shuffle(len(asks), func(i, j int) { asks[i], asks[j] = asks[j], asks[i] })
	two := simulator.New(simulator.Options{Seed: 11, Now: at(noon)})
	for _, a := range append(slices.Clone(asks), asks...) {
		second[a] = get(two, a)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("another order of requests gave other pages:\n%s", diff)
	}
	other := simulator.New(simulator.Options{Seed: 12, Now: at(noon)})
	same := 0
	for _, a := range asks {
		if get(other, a) == first[a] {
			same++
		}
	}
	if same != 0 {
		t.Errorf("%d of %d pages are the same with another seed", same, len(asks))
	}
}

func TestHistoryDoesNotDependOnWhenTheWorldWasMade(t *testing.T) {
	early := simulator.New(simulator.Options{Seed: 3, Now: at(noon), NoRunaway: true})
	late := simulator.New(simulator.Options{Seed: 3, Now: at(noon.AddDate(0, 1, 3)), NoRunaway: true})
	d := spend.DayOf(noon) - 20
	want, got := early.Charges(simulator.OpenAI, d, noon), late.Charges(simulator.OpenAI, d, noon)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the same day differs:\n%s", diff)
	}
}

func TestTodayGrowsStepByStep(t *testing.T) {
	day := spend.DayOf(noon)
	for _, step := range []time.Duration{time.Hour, 10 * time.Minute} {
		w := simulator.New(simulator.Options{Seed: 5, Now: at(noon), Step: step, Plain: true})
		for _, provider := range []string{simulator.OpenAI, simulator.Anthropic} {
			total := func(after time.Duration) spend.Money {
				return w.Total(provider, spend.Window{From: day, To: day + 1}, day.Time().Add(after))
			}
			if !total(0).IsZero() || !total(-time.Hour).IsZero() {
				t.Errorf("%s has spend before the day has begun", provider)
			}
			for after := step; after <= 24*time.Hour; after += step {
				if total(after).Cmp(total(after-step)) <= 0 {
					t.Errorf("%s did not grow in the step before %s", provider, after)
				}
				if !total(after + step - 1).Equal(total(after)) {
					t.Errorf("%s moved inside the step after %s", provider, after)
				}
			}
		}
	}
}

func TestRestatementConverges(t *testing.T) {
	today := spend.DayOf(noon)
	w := simulator.New(simulator.Options{Seed: 6, Now: at(noon), NoRunaway: true})
	for _, provider := range []string{simulator.OpenAI, simulator.Anthropic} {
		ups, downs, vanished, settled := 0, 0, 0, map[int]int{}
		for d := today - 60; d < today; d++ {
			var totals []spend.Money
			var items []map[string]bool
			for age := range 12 {
				read := (d + 1).Time().Add(time.Duration(age)*24*time.Hour + time.Minute)
				totals = append(totals, w.Total(provider, spend.Window{From: d, To: d + 1}, read))
				names := map[string]bool{}
				for _, c := range w.Charges(provider, d, read) {
					names[c.Model+"|"+c.Project+"|"+c.Item] = true
				}
				items = append(items, names)
			}
			last := 0
			for age := 1; age < len(totals); age++ {
				switch totals[age].Cmp(totals[age-1]) {
				case 1:
					ups, last = ups+1, age
				case -1:
					downs, last = downs+1, age
				}
				for name := range items[age-1] {
					if !items[age][name] {
						vanished++
					}
				}
			}
			settled[last]++
		}
		if ups < 3*downs || downs == 0 || vanished == 0 {
			t.Errorf("%s: %d ups, %d downs, %d rows vanished", provider, ups, downs, vanished)
		}
		for age := range settled {
			if age > 5 || age < 3 && age != 0 { // 0: a quiet day
				t.Errorf("%s: %d days settled after %d days", provider, settled[age], age)
			}
		}
	}
}

func TestWithoutRestatementADayIsFinalWhenItIsOver(t *testing.T) {
	w := simulator.New(simulator.Options{Seed: 6, Now: at(noon), NoRestatement: true})
	d := spend.DayOf(noon) - 3
	win := spend.Window{From: d, To: d + 1}
	for _, provider := range []string{simulator.OpenAI, simulator.Anthropic} {
		a, b := w.Total(provider, win, (d+1).Time()), w.Total(provider, win, noon.AddDate(1, 0, 0))
		if !a.Equal(b) {
			t.Errorf("%s: %s became %s", provider, a, b)
		}
	}
}

// TestTheWorldIsAwkward proves that the pages hold every spelling that breaks a
// careless reader.
func TestTheWorldIsAwkward(t *testing.T) {
	w := simulator.New(simulator.Options{Seed: 1, Now: at(noon)})
	today := spend.DayOf(noon)
	count := func(provider string, p string) (n int) {
		re := regexp.MustCompile(p)
		for d := today - 120; d < today; d++ {
			for _, r := range w.Cost(provider, d, noon) {
				if re.MatchString(r.Literal) {
					n++
				}
			}
		}
		return n
	}
	for _, c := range []struct {
		provider, pattern string
		least             int
	}{
		{simulator.OpenAI, `^\d+\.\d{12,}$`, 500},
		{simulator.OpenAI, `^\d+\.\d{6}$`, 500},
		{simulator.OpenAI, `^\d+\.\d{9}$`, 500},
		{simulator.OpenAI, `e-[7-9]$`, 20},
		{simulator.OpenAI, `E\+1$`, 20},
		{simulator.OpenAI, `^"\d+\.\d{9}0{7}"$`, 300},
		{simulator.OpenAI, `^"0E-6176"$`, 5},
		{simulator.OpenAI, `^0\.0$`, 5},
		{simulator.OpenAI, `^-\d`, 5},
		{simulator.Anthropic, `^"\d+\.\d{9}"$`, 500},
		{simulator.Anthropic, `^"\d+\.\d{11,}"$`, 500},
		{simulator.Anthropic, `^"\d+\.\d{2}0000"$`, 300},
		{simulator.Anthropic, `^"0"$`, 5},
		{simulator.Anthropic, `^"-\d`, 5},
	} {
		if n := count(c.provider, c.pattern); n < c.least {
			t.Errorf("%s: %d amounts match %s, want %d at least", c.provider, n, c.pattern, c.least)
		}
	}
}

func TestTheWorldIsVaried(t *testing.T) {
	w := simulator.New(simulator.Options{Seed: 1, Now: at(noon)})
	today := spend.DayOf(noon)
	for _, provider := range []string{simulator.OpenAI, simulator.Anthropic} {
		models, projects, items := map[string]bool{}, map[string]bool{}, map[string]bool{}
		quiet, twice := 0, 0
		for d := today - 120; d < today; d++ {
			rows := w.Cost(provider, d, noon)
			if len(rows) == 0 {
				quiet++
			}
			seen := map[[2]string]bool{}
			for _, r := range rows {
				models[r.Model], projects[r.Project], items[r.Item] = true, true, true
				if k := [2]string{r.Item, r.Project}; seen[k] && r.Amount.Sign() > 0 {
					twice++
				} else {
					seen[k] = true
				}
			}
		}
		if len(models) < 6 || len(projects) < 5 || quiet == 0 || quiet > 10 || !models[""] {
			t.Errorf("%s: %d models, %d projects, %d quiet days", provider, len(models), len(projects), quiet)
		}
		if twice == 0 {
			t.Errorf("%s: no item and project comes twice on a day", provider)
		}
		wanted := []string{"web search tool calls", "Vector storage", "Text tokens"}
		if provider == simulator.Anthropic {
			wanted = []string{"Web Search Usage", "Code Execution Usage", "Claude Managed Agents Session Usage"}
		}
		for _, item := range wanted {
			if !items[item] {
				t.Errorf("%s: no row %q", provider, item)
			}
		}
	}
}

func TestTheRunawayModelRunsAway(t *testing.T) {
	today := spend.DayOf(noon)
	cost := func(opt simulator.Options, d spend.Day) (sum spend.Money) {
		opt.Seed, opt.Now = 1, at(noon)
		w := simulator.New(opt)
		for _, r := range w.OpenAICost(d, d.Time().AddDate(0, 0, 9)) {
			if r.Model == "gpt-6-astra" {
				sum = sum.Add(r.Amount)
			}
		}
		return sum
	}
	before := cost(simulator.Options{}, today-8) // both are Tuesdays
	after := cost(simulator.Options{}, today-1)
	if after.Float64() < 3*before.Float64() {
		t.Errorf("%s a day became %s", before, after)
	}
	if calm := cost(simulator.Options{NoRunaway: true}, today-1); calm.Float64() > 2*before.Float64() {
		t.Errorf("%s a day became %s without a runaway", before, calm)
	}
}

func TestReviseChangesPagesAndTruth(t *testing.T) {
	w := simulator.New(simulator.Options{Seed: 1, Now: at(noon), Tiny: true})
	d := spend.DayOf(noon) - 1
	win := spend.Window{From: d, To: d + 1}
	for _, c := range []struct{ source, literal, dollars string }{
		{"openai/costs", "12.5", "12.5"},
		{"anthropic/cost_report", `"12.5"`, "0.125"},
	} {
		provider, _, _ := strings.Cut(c.source, "/")
		before := w.Total(provider, win, noon)
		undo := w.Revise(provider, d, func(rows []simulator.Row) []simulator.Row {
			rows[0].Literal = c.literal
			return rows[:1]
		})
		var sum spend.Money
		for _, r := range walk(t, w, c.source, win, 1)[0].Data[0].Results {
			sum = sum.Add(dollars(t, r.OpenAI))
		}
		if total := w.Total(provider, win, noon); total.String() != c.dollars || !sum.Equal(total) {
			t.Errorf("%s: total %s, page %s, want %s", provider, total, sum, c.dollars)
		}
		undo()
		if total := w.Total(provider, win, noon); !total.Equal(before) {
			t.Errorf("%s: total %s after undo, was %s", provider, total, before)
		}
	}
}

func TestOptionsShapeTheWorld(t *testing.T) {
	d := spend.DayOf(noon) - 10
	rows := func(opt simulator.Options) int {
		opt.Now, opt.Seed = at(noon), 1
		return len(simulator.New(opt).OpenAICost(d, noon))
	}
	tiny, normal := rows(simulator.Options{Tiny: true}), rows(simulator.Options{})
	heavy := rows(simulator.Options{Weight: 10})
	if tiny == 0 || tiny > 10 || normal < 60 || heavy < 7*normal {
		t.Errorf("rows a day: %d tiny, %d normal, %d heavy", tiny, normal, heavy)
	}
	if n := rows(simulator.Options{Start: d + 1}); n != 0 {
		t.Errorf("%d rows before the first day", n)
	}
	w := simulator.New(simulator.Options{Now: at(noon), Models: 3, Projects: 2})
	if got := w.Models(simulator.Anthropic); len(got) != 3 {
		t.Errorf("models %v", got)
	}
	if got := w.Projects(simulator.OpenAI); len(got) != 2 {
		t.Errorf("projects %v", got)
	}
	if got := w.FirstDay(); got != spend.Date(2026, time.March, 1) {
		t.Errorf("history starts on %s", got)
	}
	double := simulator.New(simulator.Options{Now: at(noon), Scale: 2})
	win := spend.Window{From: d, To: d + 1}
	a, b := w.Total(simulator.OpenAI, win, noon).Float64(), double.Total(simulator.OpenAI, win, noon).Float64()
	if b < 1.5*a {
		t.Errorf("%v at scale 1 and %v at scale 2", a, b)
	}
}

func TestWireExtrasAreThereOnDemand(t *testing.T) {
	today := spend.DayOf(noon)
	provider, path, q := query("openai/costs", spend.Window{From: today - 1, To: today + 1}, 2)
	for _, on := range []bool{false, true} {
		w := simulator.New(simulator.Options{Now: at(noon), WireExtras: on})
		body := do(t, w, provider, path, q).Body.Bytes()
		for _, member := range []string{"start_time_iso", "end_time_iso", "project_name", "organization_id"} {
			if bytes.Contains(body, []byte(`"`+member+`"`)) != on {
				t.Errorf("extras %t: %s", on, member)
			}
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	clock := simulator.NewClock(noon)
	w := simulator.New(simulator.Options{Now: clock.Now, Tiny: true})
	today := spend.DayOf(noon)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 20 {
				source := sources[i%len(sources)]
				provider, path, q := query(source, spend.Window{From: today - 5, To: today + 1}, 3)
				do(t, w, provider, path, q)
				remove := w.Inject(simulator.Fault{Source: source, Do: simulator.RepeatBucket(true)})
				clock.Advance(time.Minute)
				w.Requests()
				w.RotateKey(provider, w.Key(provider))
				undo := w.Revise(provider, today, func(r []simulator.Row) []simulator.Row { return r })
				undo()
				remove()
			}
		})
	}
	wg.Wait()
	if n := len(w.Requests()); n != 160 {
		t.Errorf("%d requests in the log", n)
	}
}
