package ingest_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/ingest"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/internal/store/badger"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/anthropic"
	"github.com/aispend/aispend/providers/openai"
	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
)

// plant is the daemon's heart over the real clients and the simulated providers:
// the source under fault and a witness that must not notice.
type plant struct {
	t       *testing.T
	clock   atomic.Int64
	world   *simulator.World
	store   *badger.Store
	book    *rollup.Book
	seen    *tally
	runner  *ingest.Runner
	keyFile string
	window  spend.Window
}

var (
	costs   = spend.SourceID{Provider: "openai", Account: "default", Source: "openai/costs"}
	report  = spend.SourceID{Provider: "anthropic", Account: "default", Source: "anthropic/cost_report"}
	targets = []spend.SourceID{costs, report}
)

func (p *plant) now() time.Time { return time.Unix(0, p.clock.Load()).UTC() }

// patience is the timeout of walks that are meant to end by themselves: more than
// any machine under load takes, since these tests run on a real clock.
const patience = 5 * time.Minute

// newPlant starts a plant whose sources have been pulled once.
func newPlant(t *testing.T) *plant {
	t.Helper()
	p := &plant{t: t, seen: &tally{}, book: rollup.NewBook(), window: win("2026-11-01", "2026-11-24")}
	p.clock.Store(at("2026-11-23T10:00:00Z").UnixNano())
	p.world = simulator.New(simulator.Options{Seed: 7, Now: p.now, Tiny: true, Runaway: day("2026-11-20")})
	servers, err := p.world.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if p.store, err = openStore(t.TempDir(), p.now, func(string) (uint64, error) { return 1 << 40, nil }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.store.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
		_ = servers.Close() // hanging requests end with an error
	})
	p.keyFile = filepath.Join(t.TempDir(), "key")
	p.writeKey(p.world.Key("openai"))
	o := openai.Type().NewSettings().(*openai.Settings)
	o.APIKey, o.BaseURL = secret.FromFile(p.keyFile), servers.OpenAI
	a := anthropic.Type().NewSettings().(*anthropic.Settings)
	a.APIKey, a.BaseURL = secret.New(p.world.Key("anthropic")), servers.Anthropic
	opts := ingest.Options{Store: p.store, Book: p.book, Observer: p.seen, Now: p.now}
	for _, s := range []providers.Settings{o, a} {
		sources, err := s.Open(providers.Env{Account: "default", UserAgent: "test", Now: p.now, NoEnvProxy: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, src := range sources {
			opts.Sources = append(opts.Sources, ingest.SourceConfig{Source: src, Timeout: patience, Enabled: true})
		}
	}
	p.runner = ingest.New(opts)
	p.pull(costs, spend.OK)
	p.pull(report, spend.OK)
	p.wantTruth(costs)
	p.wantTruth(report)
	return p
}

func (p *plant) writeKey(key string) {
	p.t.Helper()
	if err := os.WriteFile(p.keyFile, []byte(key+"\n"), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// pull pulls the present of a source and checks what that is counted as.
func (p *plant) pull(id spend.SourceID, want spend.Outcome) ingest.Pulled {
	p.t.Helper()
	p.seen.outcomes()
	res, _, _ := p.runner.PullOnce(context.Background(), id, 0)
	got := p.seen.outcomes()
	if len(got) != 1 || got[want] != 1 {
		p.t.Fatalf("pull of %s is counted as %v (%v), want one %s", id, got, res.Err(), want)
	}
	return res
}

// later lets the providers' bills change.
func (p *plant) later(d time.Duration) { p.clock.Add(int64(d)) }

func (p *plant) total(provider string) string {
	p.t.Helper()
	res, err := p.book.Snapshot().Query(rollup.Query{
		Window: p.window, GroupBy: []rollup.Dim{rollup.ByProvider}, Provider: provider,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return res.Totals.Cost.String()
}

// wantTruth compares the rollup with what the provider would bill right now.
func (p *plant) wantTruth(id spend.SourceID) {
	p.t.Helper()
	if got, want := p.total(id.Provider), p.world.Total(id.Provider, p.window, p.now()).String(); got != want {
		p.t.Errorf("total of %s is %s, the provider's truth is %s", id.Provider, got, want)
	}
}

func (p *plant) status(id spend.SourceID) spend.SourceStatus {
	for _, st := range p.runner.Statuses() {
		if st.ID == id {
			return st
		}
	}
	p.t.Fatalf("no status of %s", id)
	return spend.SourceStatus{}
}

// last returns the newest pull record of a source and its raw pages.
func (p *plant) last(id spend.SourceID) (store.Pull, []spend.Page) {
	p.t.Helper()
	var rec store.Pull
	if err := p.store.Pulls(context.Background(), id, time.Time{}, func(r store.Pull) bool { rec = r; return false }); err != nil {
		p.t.Fatal(err)
	}
	var pages []spend.Page
	err := p.store.PullPages(context.Background(), rec, func(pg spend.Page) error {
		pages = append(pages, pg)
		return nil
	})
	if err != nil {
		p.t.Fatalf("pages of pull %s: %v", rec.ID, err)
	}
	return rec, pages
}

func other(id spend.SourceID) spend.SourceID {
	if id == costs {
		return report
	}
	return costs
}

// fault is one row of the table: what the provider does, what it is counted as.
type fault struct {
	name string
	do   simulator.Effect
	want spend.Outcome
	page int // which page is hit; 0: each
	// limit is the timeout of the walk under the fault; 0: patience.
	limit time.Duration
	kept  int // raw pages of the failed pull, at least; those with a body
	text  string
}

// run injects a fault into one source and proves that it stays one bad thing: the
// last good numbers stay, the witness goes on, the answer is kept, the outcome is
// counted once, no key is in any text, and the next good walk heals everything.
func (p *plant) run(id spend.SourceID, f fault) {
	p.t.Helper()
	before, good := p.status(id), p.total(id.Provider)
	p.later(quarter)
	remove := p.world.Inject(simulator.Fault{Source: id.Source, Page: f.page, Do: f.do})
	if f.limit > 0 {
		p.runner.SetTimeout(id, f.limit)
	}
	p.pull(id, f.want)
	p.runner.SetTimeout(id, patience)
	if got := p.total(id.Provider); got != good {
		p.t.Errorf("%s: total moved from %s to %s", f.name, good, got)
	}
	st := p.status(id)
	if st.Up || st.LastOutcome != f.want || !st.LastSuccess.Equal(before.LastSuccess) || !st.DataThrough.Equal(before.DataThrough) {
		p.t.Errorf("%s: status %+v, before %+v", f.name, st, before)
	}
	if !strings.Contains(st.LastError, f.text) || st.LastError == "" {
		p.t.Errorf("%s: error %q does not say %q", f.name, st.LastError, f.text)
	}
	rec, pages := p.last(id)
	if rec.Verdict != store.Failed || rec.Outcome != f.want || len(pages) < f.kept {
		p.t.Errorf("%s: record %+v with %d raw pages, want verdict failed with %d", f.name, rec, len(pages), f.kept)
	}
	for _, text := range []string{st.LastError, rec.Detail, bodies(pages)} {
		if strings.Contains(text, p.world.Key(id.Provider)) {
			p.t.Errorf("%s: the key is in %.200q", f.name, text)
		}
	}
	p.pull(other(id), spend.OK)
	p.wantTruth(other(id))
	remove()
	p.pull(id, spend.OK)
	p.wantTruth(id)
}

func bodies(pages []spend.Page) string {
	var b strings.Builder
	for _, p := range pages {
		b.Write(p.Body)
	}
	return b.String()
}

// runAll runs the rows of one line of the table against both vendors.
func runAll(t *testing.T, faults ...fault) {
	eachVendor(t, func(_ *testing.T, p *plant, id spend.SourceID) {
		for _, f := range faults {
			p.run(id, f)
		}
	})
}

// eachVendor runs a test against both vendors side by side, each on a plant of its own.
func eachVendor(t *testing.T, test func(t *testing.T, p *plant, id spend.SourceID)) {
	t.Parallel()
	for _, id := range targets {
		t.Run(id.Provider, func(t *testing.T) {
			t.Parallel()
			test(t, newPlant(t), id)
		})
	}
}
