package providers_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/anthropic"
	"github.com/aispend/aispend/providers/openai"
	"github.com/aispend/aispend/providers/providertest"
	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The sources under test.
const (
	costs  = "openai/costs"
	used   = "openai/usage"
	report = "anthropic/cost_report"
	tokens = "anthropic/usage_report"
)

func allSources() []string { return []string{costs, used, report, tokens} }

// moneySources are the sources that bill, by provider.
func moneySources() map[string]string {
	return map[string]string{simulator.OpenAI: costs, simulator.Anthropic: report}
}

// rig is a simulated world and the real sources that read it.
type rig struct {
	t       *testing.T
	world   *simulator.World
	servers *simulator.Servers
	sources map[string]providers.Source

	mu  sync.Mutex
	now time.Time
}

// newRig starts a world at noon of 2026-11-23 and opens every source on it.
func newRig(t *testing.T, change ...func(*simulator.Options)) *rig {
	t.Helper()
	r := &rig{
		t: t, sources: map[string]providers.Source{},
		now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
	}
	opt := simulator.Options{Seed: 7, Now: r.clock, Projects: 2}
	for _, fn := range change {
		fn(&opt)
	}
	r.world = simulator.New(opt)
	servers, err := r.world.Start(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := servers.Close(); err != nil {
			t.Error(err)
		}
	})
	r.servers = servers
	r.open(servers.OpenAI, servers.Anthropic)
	return r
}

// open points the sources at these addresses.
func (r *rig) open(openAI, claude string) {
	r.t.Helper()
	env := providers.Env{Account: "acme", NoEnvProxy: true, Now: r.clock}
	o := openai.Type().NewSettings().(*openai.Settings)
	o.APIKey, o.BaseURL = secret.New(r.world.Key(simulator.OpenAI)), openAI
	a := anthropic.Type().NewSettings().(*anthropic.Settings)
	a.APIKey, a.BaseURL = secret.New(r.world.Key(simulator.Anthropic)), claude
	for _, s := range []providers.Settings{o, a} {
		if err := s.Validate(); err != nil {
			r.t.Fatal(err)
		}
		sources, err := s.Open(env)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, src := range sources {
			r.sources[src.ID().Source] = src
		}
	}
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) setClock(t time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = t
}

// days is the window of the last n days, today included, as ingest asks for it.
func (r *rig) days(n int) spend.Window {
	today := spend.DayOf(r.clock())
	return spend.Window{From: today + 1 - spend.Day(n), To: today + 1}
}

// pull pulls a window the way ingest does.
func (r *rig) pull(source string, w spend.Window, buckets int) (providers.Result, []spend.Page, error) {
	r.t.Helper()
	// Ample for a slow machine; a Retry-After of minutes does not fit before it.
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	return providertest.Pull(ctx, r.sources[source], providers.Request{Window: w, Buckets: buckets})
}

// pullWithin is pull under a context of the test's own.
func (r *rig) pullWithin(
	ctx context.Context, source string, w spend.Window,
) (providers.Result, []spend.Page, error) {
	return providertest.Pull(ctx, r.sources[source], providers.Request{Window: w, Buckets: providers.MaxBuckets})
}

// good is pull where nothing may fail.
func (r *rig) good(source string, w spend.Window, buckets int) providers.Result {
	r.t.Helper()
	res, _, err := r.pull(source, w, buckets)
	if err != nil {
		r.t.Fatalf("%s: %v", source, err)
	}
	return res
}

// with injects an effect for one source and returns what takes it away.
func (r *rig) with(source string, e simulator.Effect) func() {
	return r.world.Inject(simulator.Fault{Source: source, Do: e})
}

// refuses pulls with an effect and checks the class of the failure.
func (r *rig) refuses(source string, e simulator.Effect, want spend.Outcome) error {
	r.t.Helper()
	defer r.with(source, e)()
	_, _, err := r.pull(source, r.days(3), providers.MaxBuckets)
	if o := spend.OutcomeOf(err, ""); o != want {
		r.t.Errorf("%s, %s: %v (%s), want %s", source, e.Name(), err, o, want)
	}
	return err
}

// usd adds up the money of a result in USD.
func usd(res providers.Result) spend.Money {
	var sum spend.Money
	for _, st := range res.Statements {
		for _, c := range st.Charges {
			if c.Currency == spend.USD {
				sum = sum.Add(c.Cost())
			}
		}
	}
	return sum
}

// equalsTruth compares a costs result with the ground truth, digit for digit.
func (r *rig) equalsTruth(provider string, w spend.Window, res providers.Result) {
	r.t.Helper()
	want := r.world.Total(provider, w, r.clock())
	if got := usd(res); got.String() != want.String() || want.Sign() <= 0 {
		r.t.Errorf("%s over %s: %s, the provider billed %s", provider, w, got, want)
	}
}

// serve puts a handler in the place of both vendors.
func (r *rig) serve(h http.Handler) {
	r.t.Helper()
	r.world.Inject(simulator.Fault{Do: simulator.Respond(h)})
}
