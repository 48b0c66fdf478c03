package ingest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/ingest"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/internal/store/badger"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

// row is one row of the scripted provider's pages.
type row struct {
	Model, Amount, Currency string
	Tokens                  int64
}

func usd(model, amount string) row { return row{Model: model, Amount: amount, Currency: spend.USD} }

// walk is one call of Fetch.
type walk struct {
	Window  spend.Window
	Buckets int
	Began   time.Time
}

// script is a provider made of a table: what it says about each day right now.
// Every day up to the present has a bucket, an empty one if the bill is silent.
type script struct {
	id  spend.SourceID
	now func() time.Time

	mu    sync.Mutex
	bill  map[spend.Day][]row
	gone  map[spend.Day]bool // days without a bucket
	walks []walk
	// before is called before each page; its error ends the walk.
	before func(ctx context.Context, w walk, page int) error
	// mangle may change a page on its way.
	mangle func(p *spend.Page)
	// decode is called with each decoded body.
	decode func()
	// notices come with each result.
	notices map[string]int
	// twice sends every page two times.
	twice bool
}

func newScript(id spend.SourceID, now func() time.Time) *script {
	return &script{id: id, now: now, bill: map[spend.Day][]row{}, gone: map[spend.Day]bool{}}
}

func (s *script) ID() spend.SourceID { return s.id }

func (s *script) Type() providers.SourceType { return providers.SourceType{Name: s.id.Source} }

// set changes the script under its lock.
func (s *script) set(f func(*script)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *script) seen() []walk {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.walks)
}

type bucket struct {
	Day  spend.Day
	Rows []row
}

type body struct {
	Buckets []bucket
	More    bool
}

func (s *script) Fetch(ctx context.Context, req providers.Request, emit func(spend.Page) error) error {
	w := walk{req.Window, req.Buckets, s.now()}
	s.mu.Lock()
	s.walks = append(s.walks, w)
	before, mangle, copies := s.before, s.mangle, 1
	if s.twice {
		copies = 2
	}
	s.mu.Unlock()
	seq := 0
	for page, from := 0, req.Window.From; from < req.Window.To; page++ {
		if before != nil {
			if err := before(ctx, w, page); err != nil {
				return err
			}
		}
		to := min(from+spend.Day(req.Buckets), req.Window.To)
		b, err := json.Marshal(s.page(spend.Window{From: from, To: to}, to < req.Window.To))
		if err != nil {
			return err
		}
		p := spend.Page{
			Seq: seq, URL: "http://script/" + req.Window.String(), Status: 200, Body: b, FetchedAt: s.now(),
			Header: map[string]string{"Content-Type": "application/json"},
		}
		if mangle != nil {
			mangle(&p)
		}
		for range copies {
			if err := emit(p); err != nil {
				return fmt.Errorf("wrapped by the vendor: %w", err)
			}
			seq++
			p.Seq = seq
		}
		from = to
	}
	return nil
}

func (s *script) page(w spend.Window, more bool) body {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := body{More: more, Buckets: []bucket{}}
	for d := w.From; d < w.To && d <= spend.DayOf(s.now()); d++ {
		if !s.gone[d] {
			b.Buckets = append(b.Buckets, bucket{d, s.bill[d]})
		}
	}
	return b
}

func (s *script) NewDecoder(w spend.Window) providers.Decoder {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &scriptDecoder{decode: s.decode, notices: s.notices, window: w, days: map[spend.Day]spend.Statement{}}
}

type scriptDecoder struct {
	window spend.Window
	days   map[spend.Day]spend.Statement
	last   bool
	decode func()

	notices map[string]int
}

func (d *scriptDecoder) Page(b []byte) error {
	if d.decode != nil {
		d.decode()
	}
	var p body
	if err := json.Unmarshal(b, &p); err != nil {
		return spend.Classify(spend.Decode, err)
	}
	if p.Buckets == nil {
		return spend.Classify(spend.Schema, errors.New("no buckets"))
	}
	for _, bk := range p.Buckets {
		d.days[bk.Day] = statement(bk.Day, bk.Rows)
	}
	d.last = d.last || !p.More
	return nil
}

func (d *scriptDecoder) Result() (providers.Result, error) {
	if !d.last {
		return providers.Result{}, spend.Classify(spend.Incomplete, errors.New("no last page"))
	}
	r := providers.Result{Notices: d.notices}
	for _, day := range slices.Sorted(maps.Keys(d.days)) {
		if d.window.Contains(day) {
			r.Statements = append(r.Statements, d.days[day])
		}
	}
	return r, nil
}

// statement adds the rows of one model and currency up.
func statement(d spend.Day, rows []row) spend.Statement {
	st := spend.Statement{Day: d}
	for _, r := range rows {
		if r.Tokens != 0 {
			st.Usage = append(st.Usage, spend.Usage{Model: r.Model, Input: r.Tokens})
			continue
		}
		m := spend.MustMoney(r.Amount)
		i := slices.IndexFunc(st.Charges, func(c spend.Charge) bool { return c.Model == r.Model && c.Currency == r.Currency })
		if i < 0 {
			i = len(st.Charges)
			st.Charges = append(st.Charges, spend.Charge{Model: r.Model, Currency: r.Currency})
		}
		if c := &st.Charges[i]; m.Sign() < 0 {
			c.Credits = c.Credits.Add(m)
		} else {
			c.Gross = c.Gross.Add(m)
		}
	}
	slices.SortFunc(st.Charges, func(a, b spend.Charge) int {
		return strings.Compare(a.Model+"\x00"+a.Currency, b.Model+"\x00"+b.Currency)
	})
	slices.SortFunc(st.Usage, func(a, b spend.Usage) int { return strings.Compare(a.Model, b.Model) })
	return st
}

// tally is an Observer that can be read.
type tally struct {
	mu         sync.Mutex
	registered []spend.SourceID
	ended      map[spend.Outcome]int
	pages      int
	up, down   spend.Money
	skew       time.Duration
}

func (c *tally) Register(id spend.SourceID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.registered = append(c.registered, id)
}

func (c *tally) PullEnded(_ spend.SourceID, o spend.Outcome, _ float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == nil {
		c.ended = map[spend.Outcome]int{}
	}
	c.ended[o]++
}

func (c *tally) PageFetched(spend.SourceID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pages++
}

func (c *tally) Revised(_ string, up, down spend.Money) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up, c.down = c.up.Add(up), c.down.Add(down)
}

func (c *tally) ClockSkew(_ string, ahead time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.skew = ahead
}

// revised returns how much was revised so far.
func (c *tally) revised() (up, down spend.Money) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.up, c.down
}

// ahead returns the newest clock skew.
func (c *tally) ahead() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.skew
}

// outcomes returns the counts so far and starts anew.
func (c *tally) outcomes() map[spend.Outcome]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.ended
	c.ended = nil
	return m
}

// rig is a runner over a real store with scripted providers. Its clock starts
// where the test says and goes on with the bubble's.
type rig struct {
	t      *testing.T
	offset atomic.Int64 // from the bubble's clock to ours
	dir    string
	store  *badger.Store
	book   *rollup.Book
	seen   *tally
	runner *ingest.Runner
	cfgs   []ingest.SourceConfig
	opts   ingest.Options
	log    *strings.Builder

	free atomic.Uint64 // bytes the disk of the store seems to have

	cancel context.CancelFunc
	done   chan error
}

var acme = spend.SourceID{Provider: "openai", Account: "acme", Source: "openai/costs"}

const (
	minute  = time.Minute
	hour    = time.Hour
	oneDay  = 24 * time.Hour
	quarter = 15 * time.Minute
)

// newRig opens an empty store; start is the time it is then.
func newRig(t *testing.T, start string) *rig {
	r := &rig{t: t, dir: t.TempDir(), seen: &tally{}, log: &strings.Builder{}}
	r.offset.Store(int64(time.Until(at(start))))
	r.free.Store(1 << 40)
	r.open()
	t.Cleanup(r.close)
	return r
}

func (r *rig) now() time.Time { return time.Now().Add(time.Duration(r.offset.Load())) }

// skip lets most of d pass as on a machine that was asleep: timers go on only for
// the last interval. (Badger's own timers make days in a bubble expensive.)
func (r *rig) skip(d time.Duration) {
	last := r.cfgs[0].Interval
	r.offset.Add(int64(d - last))
	time.Sleep(last)
}

// add configures one more scripted source with the defaults of the contract.
func (r *rig) add(id spend.SourceID) *script {
	s := newScript(id, r.now)
	r.cfgs = append(r.cfgs, ingest.SourceConfig{
		Source: s, Interval: quarter, Lookback: 7 * oneDay, Timeout: 5 * minute, Enabled: true,
	})
	return s
}

func (r *rig) open() {
	r.t.Helper()
	s, err := openStore(r.dir, r.now, func(string) (uint64, error) { return r.free.Load(), nil })
	if err != nil {
		r.t.Fatalf("opening the store: %v", err)
	}
	r.store, r.book = s, rollup.NewBook()
	if _, err := ingest.LoadBook(r.t.Context(), s, r.book); err != nil {
		r.t.Fatalf("loading the book: %v", err)
	}
}

func (r *rig) close() {
	if r.cancel != nil {
		r.stop()
	}
	if r.store != nil {
		if err := r.store.Close(); err != nil {
			r.t.Errorf("closing the store: %v", err)
		}
		r.store = nil
	}
}

// start builds the runner and runs it in the background.
func (r *rig) start() {
	r.t.Helper()
	o := r.opts
	o.Sources, o.Store, o.Book, o.Observer, o.Now = r.cfgs, r.store, r.book, r.seen, r.now
	if o.InitialHistory == 0 {
		o.InitialHistory = 31 * oneDay
	}
	if o.Rand == nil {
		o.Rand = func() float64 { return 0.5 } // no jitter on intervals
	}
	o.Logger = slog.New(slog.NewTextHandler(io.MultiWriter(r.log), nil))
	r.runner = ingest.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	if err := r.runner.Prepare(ctx); err != nil {
		r.t.Fatalf("preparing: %v", err)
	}
	r.cancel, r.done = cancel, make(chan error, 1)
	go func() { r.done <- r.runner.Run(ctx) }()
}

func (r *rig) stop() {
	r.cancel()
	if err := <-r.done; err != nil {
		r.t.Errorf("run: %v", err)
	}
	r.cancel = nil
}

// restart stops the daemon, closes the store, and starts both again from the disk.
func (r *rig) restart(pause time.Duration) {
	r.t.Helper()
	r.close()
	time.Sleep(pause)
	r.open()
	r.start()
}

// total sums the USD of a window as the live rollup has it.
func (r *rig) total(w spend.Window) string {
	r.t.Helper()
	return total(r.t, r.book, w)
}

func total(t *testing.T, b *rollup.Book, w spend.Window) string {
	t.Helper()
	return resultOf(t, b, w).Totals.Cost.String()
}

func resultOf(t *testing.T, b *rollup.Book, w spend.Window) rollup.Result {
	t.Helper()
	res, err := b.Snapshot().Query(rollup.Query{Window: w, GroupBy: []rollup.Dim{rollup.ByProvider}})
	if err != nil {
		t.Fatalf("query: %v", err)
	}
	return res
}

// bookWithout copies a book and leaves one day of a source out.
func bookWithout(b *rollup.Book, id spend.SourceID, missing spend.Day) *rollup.Book {
	out, snap := rollup.NewBook(), b.Snapshot()
	out.Update(func(tx *rollup.Tx) {
		for d := day("2026-01-01"); d < day("2027-01-01"); d++ {
			if st, ok := snap.Statement(id, d); ok && d != missing {
				tx.Replace(id, []spend.Statement{st})
			}
		}
	})
	return out
}

func (r *rig) wantRevised(up, down string) {
	r.t.Helper()
	gotUp, gotDown := r.seen.revised()
	if gotUp.String() != up || gotDown.String() != down {
		r.t.Errorf("revised up %s, down %s, want %s and %s", gotUp, gotDown, up, down)
	}
}

func (r *rig) wantTotal(w spend.Window, want string) {
	r.t.Helper()
	if got := r.total(w); got != want {
		r.t.Errorf("total of %s is %s, want %s", w, got, want)
	}
}

func (r *rig) status() spend.SourceStatus { return r.runner.Statuses()[0] }

// pulls returns the records of a source, oldest first.
func (r *rig) pulls(id spend.SourceID) []store.Pull {
	r.t.Helper()
	var out []store.Pull
	err := r.store.Pulls(context.Background(), id, time.Time{}, func(p store.Pull) bool {
		out = append(out, p)
		return true
	})
	if err != nil {
		r.t.Fatalf("listing pulls: %v", err)
	}
	slices.Reverse(out)
	return out
}

func refuse(o spend.Outcome) error { return spend.Classify(o, errors.New("scripted "+string(o))) }
