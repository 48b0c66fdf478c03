package ingest_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/providers"
	sim "github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
)

// The tests are the rows of the fault table of shared/reliability.md section 3,
// one each, driven through the simulator and the real clients. Rows about clocks
// and calendars have no fault to inject: TestPlan and TestClockSkew are theirs.

func TestFault_401_403_RefusedKey(t *testing.T) {
	runAll(t,
		fault{name: "401", do: sim.Status(401), want: spend.Auth, kept: 1},
		fault{name: "401 that echoes the key", do: sim.EchoKey(401), want: spend.Auth, kept: 1},
		fault{name: "403", do: sim.Status(403), want: spend.Permission, kept: 1},
		fault{name: "403 missing scopes", do: sim.MissingScopes(403), want: spend.Permission, kept: 1},
		fault{name: "401 missing scopes", do: sim.MissingScopes(401), want: spend.Permission, kept: 1},
	)
}

func TestFault_404_WrongAddress(t *testing.T) {
	runAll(t, fault{name: "404", do: sim.Status(404), want: spend.NotFound, kept: 1})
}

// TestFault_400_RefusedHistory: a month that the provider refuses stays unread and in
// sight, and the present goes on.
func TestFault_400_RefusedHistory(t *testing.T) {
	eachVendor(t, func(t *testing.T, p *plant, id spend.SourceID) {
		remove := p.world.Inject(sim.Fault{Source: id.Source, Do: sim.Status(400)})
		res, step, ok := p.runner.PullOnce(t.Context(), id, 1)
		if !ok || step.Window != win("2026-10-01", "2026-11-01") || res.Outcome() != spend.Server {
			t.Fatalf("pull of %+v: %+v", step, res)
		}
		remove()
		p.later(quarter)
		p.pull(id, spend.OK)
		p.wantTruth(id)
		st := p.status(id)
		if !st.Up || st.LastOutcome != spend.OK || !strings.Contains(st.LastError, "400") ||
			st.HistoryDone || st.CoveredFrom != day("2026-11-01") {
			t.Errorf("status %+v", st)
		}
	})
}

// TestFault_429_RetryAfter: in seconds, as a date, missing, absurd.
func TestFault_429_RetryAfter(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	for _, tt := range []struct {
		name string
		do   sim.Effect
		want time.Duration
	}{
		{"seconds", sim.RateLimited("1200"), 20 * minute},
		{"date", sim.RateLimitedUntil(10 * minute), 10 * minute},
		{"absurd", sim.RateLimited("86400"), hour},
		{"quota that no wait will heal", sim.InsufficientQuota(), 0},
	} {
		good := p.total("openai")
		p.later(quarter)
		remove := p.world.Inject(sim.Fault{Source: costs.Source, Do: tt.do})
		res := p.pull(costs, spend.RateLimited)
		if d := (res.RetryAfter() - tt.want).Abs(); d > time.Second {
			t.Errorf("%s: rest of %s, want %s", tt.name, res.RetryAfter(), tt.want)
		}
		if got := p.total("openai"); got != good {
			t.Errorf("%s: total moved from %s to %s", tt.name, good, got)
		}
		remove()
	}
	remove := p.world.Inject(sim.Fault{Source: costs.Source, Times: 1, Do: sim.RateLimited("")})
	defer remove()
	p.pull(costs, spend.OK) // missing: tried again within the walk
	p.wantTruth(costs)
	if _, pages := p.last(costs); len(pages) != 2 || pages[0].Status != 429 {
		t.Errorf("%d raw pages, want the refusal and the answer", len(pages))
	}
}

func TestFault_5xx_Reset(t *testing.T) {
	runAll(t,
		fault{name: "500", do: sim.Status(500), want: spend.Server, kept: 1},
		fault{name: "503", do: sim.Status(503), want: spend.Server, kept: 1},
		fault{name: "redirect", do: sim.Redirect(302, "http://localhost:1/"), want: spend.Server},
		fault{name: "reset", do: sim.Reset(), want: spend.Network},
	)
}

// TestFault_SlowLoris_Hang: the timeout bounds the whole exchange, also a body that
// never stops coming.
func TestFault_SlowLoris_Hang(t *testing.T) {
	const quick = 250 * time.Millisecond
	runAll(t,
		fault{name: "slow loris", do: sim.SlowLoris(50 * time.Millisecond), want: spend.Timeout, limit: quick, text: "timeout"},
		fault{name: "hang", do: sim.Hang(), want: spend.Timeout, limit: quick},
	)
}

func TestFault_TruncatedBody(t *testing.T) {
	runAll(t,
		fault{name: "half a document", do: sim.TruncatedJSON(), want: spend.Decode, kept: 1},
		fault{name: "connection closed half-way", do: sim.CloseTruncated(), want: spend.Decode, kept: 1},
		fault{name: "less than promised", do: sim.ShortBody(), want: spend.Network},
	)
}

func TestFault_TrailingGarbage(t *testing.T) {
	runAll(t,
		fault{name: "second document", do: sim.TrailingGarbage(`{"data":[]}`), want: spend.Decode, kept: 1},
		fault{name: "garbage", do: sim.TrailingGarbage("<!-- proxy -->"), want: spend.Decode, kept: 1},
	)
}

func TestFault_NotTheDocument(t *testing.T) {
	runAll(t,
		fault{name: "HTML with 200", do: sim.HTML200(), want: spend.Schema, kept: 1},
		fault{name: "error object with 200", do: sim.Error200(), want: spend.Schema, kept: 1},
		fault{name: "wrong content type", do: sim.ContentType("text/plain"), want: spend.Schema, kept: 1},
		fault{name: "no data", do: sim.WithoutData(), want: spend.Schema, kept: 1},
		fault{name: "no results", do: sim.WithoutResults(), want: spend.Schema, kept: 1},
		fault{name: "the old name of results", do: sim.OldResultKey(), want: spend.Schema, kept: 1},
	)
}

// TestFault_HugeBody_GzipBomb: the size is bounded after decompression. Here half
// the buckets bring a page of normal size; TestHalving has those that never do.
func TestFault_HugeBody_GzipBomb(t *testing.T) {
	t.Parallel()
	for _, do := range []sim.Effect{sim.HugeBody(33 << 20), sim.GzipBomb(33 << 20)} {
		t.Run(do.Name(), func(t *testing.T) {
			t.Parallel()
			p := newPlant(t)
			p.later(quarter)
			p.world.Inject(sim.Fault{Source: costs.Source, Times: 1, Do: do})
			p.pull(costs, spend.OK)
			p.wantTruth(costs)
			var outcomes []spend.Outcome
			err := p.store.Pulls(t.Context(), costs, p.now(), func(rec store.Pull) bool {
				outcomes = append(outcomes, rec.Outcome)
				return true
			})
			if err != nil || !slices.Equal(outcomes, []spend.Outcome{spend.OK, spend.TooLarge}) {
				t.Errorf("walks %v, %v, want one too large and then a good one", outcomes, err)
			}
		})
	}
}

// TestFault_PageTooLargeIsHalved: 31 buckets do not fit, 15 do.
func TestFault_PageTooLargeIsHalved(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.later(quarter)
	defer p.world.Inject(sim.Fault{Source: costs.Source, Do: sim.HeavyAbove(15, 33<<20)})()
	p.pull(costs, spend.OK)
	p.wantTruth(costs)
	if rec, pages := p.last(costs); rec.Buckets != 15 || len(pages) != 2 {
		t.Errorf("record %+v with %d pages, want two of up to 15 buckets", rec, len(pages))
	}
}

// TestFault_OneDayTooLarge: neither fewer buckets nor fewer days help, and the error
// says so.
func TestFault_OneDayTooLarge(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.run(costs, fault{
		name: "every day", do: sim.HeavyAbove(0, 33<<20), want: spend.TooLarge, text: "2026-11-23 alone is more than",
	})
	if rec, _ := p.last(costs); rec.Window != p.window || rec.Buckets != providers.MaxBuckets {
		t.Errorf("healed in the walk %+v, want the whole window at once", rec)
	}
}

func TestFault_CursorAgain(t *testing.T) {
	runAll(t,
		fault{name: "same cursor", do: sim.SameCursor(), want: spend.Pagination, kept: 2},
		fault{name: "cycle", do: sim.CursorCycle(), want: spend.Pagination, kept: 2},
	)
}

func TestFault_MoreWithoutCursor(t *testing.T) {
	runAll(t,
		fault{name: "null", do: sim.MoreWithoutCursor("null"), want: spend.Pagination, kept: 1},
		fault{name: "empty", do: sim.MoreWithoutCursor(`""`), want: spend.Pagination, kept: 1},
	)
}

func TestFault_DuplicateBucket(t *testing.T) {
	eachVendor(t, func(t *testing.T, p *plant, id spend.SourceID) {
		p.run(id, fault{name: "different content", do: sim.DuplicateBucket(true), want: spend.Schema, kept: 1})
		p.later(quarter)
		defer p.world.Inject(sim.Fault{Source: id.Source, Do: sim.DuplicateBucket(false)})()
		p.pull(id, spend.OK)
		p.wantTruth(id)
	})
}

// TestFault_OddButRight: what is unusual and allowed is applied, digit for digit.
func TestFault_OddButRight(t *testing.T) {
	eachVendor(t, func(t *testing.T, p *plant, id spend.SourceID) {
		for _, do := range []sim.Effect{
			sim.NewFields(), sim.NewEnumValues(), sim.AmountsAsStrings(), sim.AmountsAsNumbers(),
		} {
			p.later(quarter)
			remove := p.world.Inject(sim.Fault{Source: id.Source, Do: do})
			p.pull(id, spend.OK)
			p.wantTruth(id)
			remove()
		}
	})
}

func TestFault_BadAmount(t *testing.T) {
	var faults []fault
	for _, raw := range []string{"null", `""`, `"NaN"`, `"Inf"`, `"1_000"`, "1e400", "", `"abc"`} {
		faults = append(faults, fault{name: "amount " + raw, do: sim.Amount(raw), want: spend.Schema, kept: 1})
	}
	faults = append(faults, fault{name: "no amount", do: sim.AmountMember(""), want: spend.Schema, kept: 1})
	runAll(t, faults...)
}

// TestFault_NegativeAmounts: the sign is kept.
func TestFault_NegativeAmounts(t *testing.T) {
	eachVendor(t, func(t *testing.T, p *plant, id spend.SourceID) {
		good := p.total(id.Provider)
		defer p.world.Inject(sim.Fault{Source: id.Source, Do: sim.NegateAmounts()})()
		p.pull(id, spend.OK)
		if got := p.total(id.Provider); got != "-"+good {
			t.Errorf("total is %s, want -%s", got, good)
		}
	})
}

func TestFault_OtherCurrency(t *testing.T) {
	eachVendor(t, func(t *testing.T, p *plant, id spend.SourceID) {
		good := p.total(id.Provider)
		remove := p.world.Inject(sim.Fault{Source: id.Source, Do: sim.Currency(`"EUR"`)})
		p.pull(id, spend.Currency)
		un := resultOf(t, p.book, p.window).Unconverted
		if len(un) != 1 || un[0].Currency != "EUR" || un[0].Cost.IsZero() {
			t.Fatalf("unconverted %+v", un)
		}
		sum := spend.MustMoney(p.total(id.Provider)).Add(un[0].Cost)
		if sum.String() != good {
			t.Errorf("USD and EUR rows are %s together, want %s", sum, good)
		}
		remove()
		p.run(id, fault{name: "no currency", do: sim.Currency(""), want: spend.Schema, kept: 1})
	})
}

func TestFault_ClockSkew(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	remove := p.world.Inject(sim.Fault{Source: costs.Source, Do: sim.ClockSkew(2 * minute)})
	p.pull(costs, spend.OK)
	if d := (p.seen.ahead() - 2*minute).Abs(); d > time.Second {
		t.Errorf("skew %s, want 2m", p.seen.ahead())
	}
	remove()
	p.run(costs, fault{name: "two days", do: sim.ClockSkew(48 * hour), want: spend.Schema, kept: 1, text: "clock"})
}

// TestFault_DayOrModelVanishes: what a later complete walk does not have is gone,
// and what is lowered on a closed day is counted.
func TestFault_DayOrModelVanishes(t *testing.T) {
	eachVendor(t, func(t *testing.T, p *plant, id spend.SourceID) {
		d := day("2026-11-12")
		money := p.world.Total(id.Provider, spend.Window{From: d, To: d + 1}, p.now())
		good := spend.MustMoney(p.total(id.Provider))
		for _, do := range []sim.Effect{sim.DropDay(d), sim.MissingBucket(d)} {
			remove := p.world.Inject(sim.Fault{Source: id.Source, Do: do})
			_, before := p.seen.revised()
			p.pull(id, spend.OK)
			_, after := p.seen.revised()
			if got, down := p.total(id.Provider), after.Sub(before); got != good.Sub(money).String() || !down.Equal(money) {
				t.Errorf("%s: total %s, revised down by %s, want %s less than %s", do.Name(), got, down, money, good)
			}
			remove()
			p.pull(id, spend.OK)
			p.wantTruth(id)
		}
		model := p.world.Models(id.Provider)[0]
		p.world.Inject(sim.Fault{Source: id.Source, Do: sim.DropModel(model)})
		p.pull(id, spend.OK)
		for d := p.window.From; d < p.window.To; d++ {
			st, _ := p.book.Snapshot().Statement(id, d)
			for _, c := range st.Charges {
				if c.Model == model {
					t.Errorf("%s: %s is still there: %+v", d, model, c)
				}
			}
		}
	})
}

// TestFault_WholeWindowVanishes: held, three walks over an hour, then followed.
func TestFault_WholeWindowVanishes(t *testing.T) {
	t.Parallel()
	for _, do := range []sim.Effect{sim.EmptyBuckets(), sim.EmptyWindow()} {
		t.Run(do.Name(), func(t *testing.T) {
			t.Parallel()
			p := newPlant(t)
			good := p.total("openai")
			p.world.Inject(sim.Fault{Source: costs.Source, Do: do})
			for range 3 {
				p.pull(costs, spend.Held)
				if got := p.total("openai"); got != good || !p.status(costs).Held {
					t.Fatalf("total %s, status %+v", got, p.status(costs))
				}
				p.later(25 * minute)
			}
			p.pull(costs, spend.OK)
			if got := p.total("openai"); got != "0" || p.status(costs).Held {
				t.Errorf("total %s, status %+v", got, p.status(costs))
			}
			p.pull(report, spend.OK)
			p.wantTruth(report)
		})
	}
}

// TestFault_ModelRenamed: whole-day replacement counts no name twice, and no
// spelling of a name does harm.
func TestFault_ModelRenamed(t *testing.T) {
	eachVendor(t, func(t *testing.T, p *plant, id spend.SourceID) {
		from := p.world.Models(id.Provider)[0]
		for _, to := range []string{"renamed-model", "evil\"\n\x7f\u200dmodel", strings.Repeat("long", 400)} {
			remove := p.world.Inject(sim.Fault{Source: id.Source, Do: sim.RenameModel(from, to)})
			p.pull(id, spend.OK)
			p.wantTruth(id)
			remove()
		}
	})
}

// TestFault_KeyRotatedAtRunTime: without a restart, from the file.
func TestFault_KeyRotatedAtRunTime(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.world.RotateKey("openai", "sk-admin-simulator-rotated-0002")
	p.later(quarter)
	p.pull(costs, spend.Auth)
	p.writeKey("sk-admin-simulator-rotated-0002")
	p.pull(costs, spend.OK)
	p.wantTruth(costs)
}

// TestFault_BreaksOffAtTheLastPage: a window of several pages is applied whole or
// not at all.
func TestFault_BreaksOffAtTheLastPage(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.world.Inject(sim.Fault{Source: costs.Source, Do: sim.HeavyAbove(7, 33<<20)}) // four pages
	p.pull(costs, spend.OK)
	for page := 1; page <= 4; page++ {
		p.run(costs, fault{name: "page", do: sim.TruncatedJSON(), want: spend.Decode, page: page, kept: page})
	}
}

// TestFault_EndsTooEarly: a last page that says so too early cannot be told from a
// short bill, so its days are believed; how far the data reaches falls back with
// them, and nobody takes the lower total for a healthy one.
func TestFault_EndsTooEarly(t *testing.T) {
	eachVendor(t, func(t *testing.T, p *plant, id spend.SourceID) {
		remove := p.world.Inject(sim.Fault{Source: id.Source, Do: sim.HeavyAbove(15, 33<<20)})
		p.pull(id, spend.OK) // from here on in two pages
		remove()
		p.later(quarter)
		remove = p.world.Inject(sim.Fault{Source: id.Source, Do: sim.EarlyEnd()})
		p.pull(id, spend.OK)
		half := p.window
		half.To = day("2026-11-16")
		if got, want := p.total(id.Provider), p.world.Total(id.Provider, half, p.now()).String(); got != want {
			t.Errorf("total %s, want what the first page says: %s", got, want)
		}
		if st := p.status(id); !st.DataThrough.Equal(half.To.Time()) {
			t.Errorf("data through %s, want %s", st.DataThrough, half.To)
		}
		remove()
		p.pull(id, spend.OK)
		p.wantTruth(id)
		if st := p.status(id); !st.DataThrough.Equal(p.now()) {
			t.Errorf("healed: data through %s", st.DataThrough)
		}
	})
}

// TestFault_ManyModels: a thousand models a day change no digit of the sum. (Ten
// thousand on the page are the collector's business.)
func TestFault_ManyModels(t *testing.T) {
	t.Parallel()
	const models = 1000
	p := newPlant(t)
	good := spend.MustMoney(p.total("anthropic"))
	defer p.world.Inject(sim.Fault{Source: report.Source, Do: sim.ManyModels(models)})()
	p.pull(report, spend.OK)
	added := spend.MustMoney("0.00001") // a thousandth of a cent
	want, days := good, 0
	for d := p.window.From; d < p.window.To; d++ {
		st, _ := p.book.Snapshot().Statement(report, d)
		if len(st.Charges) < models {
			continue // a day without any model to copy
		}
		days++
		for range models {
			want = want.Add(added)
		}
	}
	if got := p.total("anthropic"); got != want.String() || days < 20 {
		t.Errorf("total %s with %d days of many models, want %s", got, days, want)
	}
}

// TestFault_MissingModel: money without a model is kept, under no model.
func TestFault_MissingModel(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	for _, raw := range []string{"null", `""`, ""} {
		remove := p.world.Inject(sim.Fault{Source: report.Source, Do: sim.Field("model", raw)})
		p.pull(report, spend.OK)
		p.wantTruth(report)
		st, _ := p.book.Snapshot().Statement(report, day("2026-11-20"))
		for _, c := range st.Charges {
			if c.Model != "" {
				t.Errorf("model %s: %+v", raw, c)
			}
		}
		remove()
	}
}
