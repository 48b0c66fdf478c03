package providers_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
)

// TestFaultTable is reliability.md section 3 as far as it is this layer's: every
// fault has its class, on every source.
func TestFaultTable(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *simulator.Options) { o.Tiny = true })
	for _, tt := range []struct {
		effect simulator.Effect
		want   spend.Outcome
	}{
		{simulator.Status(400), spend.Server},
		{simulator.Status(401), spend.Auth},
		{simulator.EchoKey(401), spend.Auth},
		{simulator.MissingScopes(401), spend.Permission},
		{simulator.MissingScopes(403), spend.Permission},
		{simulator.Status(404), spend.NotFound},
		{simulator.RateLimited("600"), spend.RateLimited},
		{simulator.HTML200(), spend.Schema},
		{simulator.Error200(), spend.Schema},
		{simulator.ContentType("text/plain"), spend.Schema},
		{simulator.TruncatedJSON(), spend.Decode},
		{simulator.CloseTruncated(), spend.Decode},
		{simulator.TrailingGarbage("{}"), spend.Decode},
		{simulator.TrailingGarbage("garbage"), spend.Decode},
		{simulator.DuplicateBucket(true), spend.Schema},
		{simulator.Redirect(302, r.servers.Elsewhere+"/v1/organization/costs"), spend.Server},
		{simulator.Redirect(308, r.servers.Elsewhere+"/"), spend.Server},
	} {
		for _, source := range allSources() {
			r.refuses(source, tt.effect, tt.want)
		}
	}
	// The bodies of all sources are read by one piece of code, and these are slow.
	r.refuses(costs, simulator.HugeBody(33<<20), spend.TooLarge)
	r.refuses(report, simulator.GzipBomb(33<<20), spend.TooLarge)
	if stolen := r.servers.Stolen(); len(stolen) > 0 {
		t.Errorf("a redirect was followed, with the key %d times", len(stolen))
	}
}

// TestHealingFaults hit the second page once: another try within the walk brings
// the same result as if nothing had been.
func TestHealingFaults(t *testing.T) {
	for _, effect := range []simulator.Effect{
		simulator.Status(500), simulator.Status(502), simulator.Status(503), simulator.Status(529),
		simulator.Reset(), simulator.ShortBody(),
		simulator.RateLimited("1"), simulator.RateLimited(""), simulator.RateLimitedUntil(time.Second),
	} {
		t.Run(effect.Name(), func(t *testing.T) {
			t.Parallel() // each waits for its retries
			r := newRig(t, func(o *simulator.Options) { o.Tiny = true })
			w := r.days(10)
			for provider, source := range moneySources() {
				r.world.Inject(simulator.Fault{Source: source, Page: 2, Times: 1, Do: effect})
				r.equalsTruth(provider, w, r.good(source, w, 7))
			}
		})
	}
}

// TestHarmlessOddities change nothing about the money.
func TestHarmlessOddities(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *simulator.Options) { o.WireExtras = true })
	w := r.days(15)
	for _, effect := range []simulator.Effect{
		simulator.NewFields(), simulator.NewEnumValues(),
		simulator.DuplicateBucket(false), simulator.RepeatBucket(false),
		simulator.ClockSkew(26 * time.Hour), simulator.ContentType("application/json; charset=utf-8"),
		simulator.RenameModel("claude-opus-5-5", "a\"b\n\xff\u202e"), simulator.ManyModels(0),
	} {
		for provider, source := range moneySources() {
			undo := r.with(source, effect)
			r.equalsTruth(provider, w, r.good(source, w, 7))
			undo()
		}
	}
}

func TestCreditsKeepTheirSign(t *testing.T) {
	r := newRig(t)
	w := r.days(5)
	for provider, source := range moneySources() {
		undo := r.with(source, simulator.NegateAmounts())
		res := r.good(source, w, 31)
		undo()
		want := r.world.Total(provider, w, r.clock()).Neg()
		if got := usd(res); got.String() != want.String() {
			t.Errorf("%s: %s, want %s", source, got, want)
		}
		for _, st := range res.Statements {
			for _, c := range st.Charges {
				if c.Gross.Sign() < 0 || c.Credits.Sign() > 0 {
					t.Errorf("%s: gross %s, credits %s", source, c.Gross, c.Credits)
				}
			}
		}
	}
}

// TestHangingBodies: no header or body may outlast the pull's deadline.
func TestHangingBodies(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *simulator.Options) { o.Tiny = true })
	for _, effect := range []simulator.Effect{simulator.Hang(), simulator.SlowLoris(50 * time.Millisecond)} {
		for _, source := range allSources() {
			undo := r.with(source, effect)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			_, pages, err := r.pullWithin(ctx, source, r.days(3))
			cancel()
			undo()
			if o := spend.OutcomeOf(err, ""); o != spend.Timeout || len(pages) > 0 {
				t.Errorf("%s, %s: %v (%s), %d pages; want timeout", source, effect.Name(), err, o, len(pages))
			}
		}
	}
}

// TestTooLargePageFitsInPieces: fewer days a page make the very same window readable.
func TestTooLargePageFitsInPieces(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *simulator.Options) { o.Tiny = true })
	w := r.days(16)
	for provider, source := range moneySources() {
		undo := r.with(source, simulator.HeavyAbove(4, 33<<20))
		for buckets, want := range map[int]spend.Outcome{5: spend.TooLarge, 4: spend.OK} {
			res, _, err := r.pull(source, w, buckets)
			if o := spend.OutcomeOf(err, ""); o != want {
				t.Errorf("%s with %d buckets: %v (%s), want %s", source, buckets, err, o, want)
			}
			if err == nil {
				r.equalsTruth(provider, w, res)
			}
		}
		undo()
	}
}

// TestNoSecretAnywhere echoes the key in every way and looks for it.
func TestNoSecretAnywhere(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.Tiny = true })
	for _, effect := range []simulator.Effect{
		simulator.EchoKey(400), simulator.EchoKey(401), simulator.EchoKey(500), simulator.Status(401),
		simulator.Header("X-Request-Id", r.world.Key(simulator.OpenAI)),
		simulator.Header("Retry-After", r.world.Key(simulator.Anthropic)),
		simulator.Rewrite(func(b []byte) []byte {
			return append(b, r.world.Key(simulator.OpenAI)+" "+r.world.Key(simulator.Anthropic)...)
		}),
		simulator.FirstField("object", `"`+r.world.Key(simulator.OpenAI)+`"`),
	} {
		for _, source := range allSources() {
			undo := r.with(source, effect)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			_, pages, err := r.pullWithin(ctx, source, r.days(2))
			cancel()
			undo()
			key := r.world.Key(strings.Split(source, "/")[0])
			tail := key[len(key)-4:] // OpenAI echoes these
			for _, p := range pages {
				all := []byte(fmt.Sprint(p.URL, p.Header))
				if bytes.Contains(p.Body, []byte(key)) || bytes.Contains(all, []byte(key)) {
					t.Errorf("%s, %s: page %d holds the key", source, effect.Name(), p.Seq)
				}
				if p.Status != 200 && bytes.Contains(p.Body, []byte("****"+tail)) {
					t.Errorf("%s, %s: page %d holds a part of the key: %s", source, effect.Name(), p.Seq, p.Body)
				}
			}
			if err != nil && strings.Contains(err.Error(), tail) {
				t.Errorf("%s, %s: %v", source, effect.Name(), err)
			}
		}
	}
}

// TestRestatedDayReplacesItself reads today twice: each result is the whole day.
func TestRestatedDayReplacesItself(t *testing.T) {
	r := newRig(t)
	day := spend.DayOf(r.clock())
	w := spend.Window{From: day, To: day + 1}
	for provider, source := range moneySources() {
		before := r.good(source, w, 31)
		r.equalsTruth(provider, w, before)
		r.setClock(r.clock().Add(5 * time.Hour))
		after := r.good(source, w, 31)
		r.equalsTruth(provider, w, after)
		if cmp.Equal(before.Statements, after.Statements) {
			t.Errorf("%s: the day did not grow, so that nothing is proven", source)
		}
		r.setClock(r.clock().Add(-5 * time.Hour))
	}
}
