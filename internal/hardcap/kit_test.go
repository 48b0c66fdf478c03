package hardcap_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/hardcap"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/internal/signature"
	"github.com/aispend/aispend/internal/store/badger"
	"github.com/aispend/aispend/spend"
)

// Secrets of the tests; nobody else has them.
const (
	newSecret = "whsec_bmV3IHNlY3JldCBvZiB0aGUgdGVzdHMgMzIgYnl0ZXM="
	oldSecret = "whsec_b2xkIHNlY3JldCBvZiB0aGUgdGVzdHMgMzIgYnl0ZXM="
	hookURL   = "https://hooks.example.com/url-canary-5b1e"
)

func usd(s string) spend.Money { return spend.MustMoney(s) }

func day(s string) spend.Day {
	d, err := spend.ParseDay(s)
	if err != nil {
		panic(err)
	}
	return d
}

// request is a delivery as it arrived.
type request struct {
	at     time.Time
	id     string
	header http.Header
	body   []byte
}

func (r request) decode(t *testing.T) (b struct {
	Event, ID   string
	Breaches    []map[string]any
	Totals      map[string]json.Number
	TriggeredAt time.Time
},
) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(r.body))
	d.UseNumber()
	if err := d.Decode(&b); err != nil {
		t.Fatalf("body %s: %v", r.body, err)
	}
	return b
}

// wire plays the network and the hook behind it.
type wire struct {
	now func() time.Time

	mu       sync.Mutex
	requests []request
	// answer decides what becomes of a request; nil is 204.
	answer func(n int, r *http.Request) (*http.Response, error)
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.requests = append(w.requests, request{w.now(), r.Header.Get("Webhook-Id"), r.Header.Clone(), b})
	n, answer := len(w.requests), w.answer
	w.mu.Unlock()
	if answer == nil {
		return status(http.StatusNoContent), nil
	}
	return answer(n, r)
}

func (w *wire) set(answer func(n int, r *http.Request) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = answer
}

func (w *wire) all() []request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.requests)
}

// always answers every request with one status and one header.
func always(code int, header ...string) func(int, *http.Request) (*http.Response, error) {
	return func(int, *http.Request) (*http.Response, error) { return status(code, header...), nil }
}

func refused(int, *http.Request) (*http.Response, error) { return nil, errors.New("refused canary") }

func status(code int, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(strings.NewReader("body-canary"))}
}

// rig is a Hook over a real store and a real ledger, on a clock that only the test moves.
type rig struct {
	t     *testing.T
	epoch time.Duration // from the bubble's clock to the test's
	ahead atomic.Int64  // by which the test's clock is wrong, in nanoseconds

	dir   string
	free  uint64
	store *badger.Store
	book  *rollup.Book
	eval  caps.Evaluator
	hook  *hardcap.Hook
	wire  *wire
	log   *lockedBuffer

	mu      sync.Mutex
	caps    []caps.Cap
	sources []spend.SourceStatus
	target  hardcap.Target
	broken  error // of the ledger
	hurried []string
	unread  error // of the target

	stop func()
}

var (
	openai = spend.SourceID{Provider: "openai", Account: "acme", Source: "openai/costs"}
	claude = spend.SourceID{Provider: "anthropic", Account: "acme", Source: "anthropic/cost_report"}
)

// story runs f in a bubble whose time begins at start.
func story(t *testing.T, start string, f func(t *testing.T, r *rig)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { f(t, newRig(t, start)) })
}

// newRig has two sources, read up to now, and two caps: openai's month of 1000 USD and
// everybody's week of 500 USD.
func newRig(t *testing.T, start string) *rig {
	t.Helper()
	at, err := time.Parse(time.RFC3339, start)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, epoch: time.Until(at), dir: t.TempDir(), free: 1 << 40, book: rollup.NewBook(), log: &lockedBuffer{}}
	r.wire = &wire{now: r.now}
	r.caps = []caps.Cap{
		{Scope: "openai", Period: caps.Month, Soft: usd("900"), Hard: usd("1000")},
		{Scope: "global", Period: caps.Week, Hard: usd("500")},
	}
	keys, err := signature.ParseKeys(newSecret)
	if err != nil {
		t.Fatal(err)
	}
	r.target = hardcap.Target{URL: hookURL, Keys: keys}
	for _, id := range []spend.SourceID{openai, claude} {
		r.sources = append(r.sources, spend.SourceStatus{
			ID: id, Enabled: true, Interval: 15 * time.Minute, CoveredFrom: day("2026-01-01"),
		})
	}
	r.pulled(openai, claude)
	r.open()
	t.Cleanup(func() { r.shut() })
	return r
}

func (r *rig) now() time.Time { return time.Now().Add(r.epoch + time.Duration(r.ahead.Load())).UTC() }

// pass lets d go by as the hook sees it and, where nothing is due, less of it in the
// bubble: Badger's own timers make hours in there expensive.
func (r *rig) pass(d time.Duration) {
	const step = 20 * time.Second
	end := r.now().Add(d)
	for left := d; left > 0; left = end.Sub(r.now()) {
		jump := left - step
		for _, e := range r.hook.Deliveries() {
			if e.State != hardcap.Pending {
				continue
			}
			for _, due := range []time.Time{e.NextAttempt, e.PeriodEnd.Time()} {
				jump = min(jump, due.Sub(r.now())-step+time.Second)
			}
		}
		if jump > 0 {
			r.ahead.Add(int64(jump))
			r.hook.Wake()
		}
		time.Sleep(min(step, end.Sub(r.now())))
	}
}

// open starts a daemon on the directory: the store, a Hook and its deliveries.
func (r *rig) open() {
	r.t.Helper()
	st, err := badger.Open(r.t.Context(), badger.Options{
		Dir: r.dir, RawRetentionDays: 90, HistoryDays: 800, Now: r.now,
		FreeBytes: func(string) (uint64, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.free, nil
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.store = st
	r.hook = hardcap.New(hardcap.Options{
		Outbox: st, Ledger: r, UserAgent: "aispend/test", Now: r.now, Rand: func() float64 { return 0.5 },
		Target: func() (hardcap.Target, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.target, r.unread
		},
		Logger: textLogger(r.log),
	})
	r.hook.SetTransport(r.wire)
	if err := r.hook.Load(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	r.stop = func() {}
}

func textLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// run starts the deliveries.
func (r *rig) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.hook.Run(ctx)
	}()
	r.stop = func() {
		cancel()
		<-done
	}
}

func (r *rig) shut() {
	r.stop()
	if err := r.store.Close(); err != nil {
		r.t.Error(err)
	}
}

// restart ends the daemon and starts it again; its first pulls are applied at once.
func (r *rig) restart() {
	r.t.Helper()
	r.shut()
	r.open()
	r.pulled(openai, claude)
	r.run()
}

// Look is the ledger's.
func (r *rig) Look() ([]caps.Status, []spend.SourceStatus, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sources := slices.Clone(r.sources)
	statuses, err := r.eval.Evaluate(r.book.Snapshot(), sources, r.caps, r.now())
	return statuses, sources, errors.Join(err, r.broken)
}

// Totals is the ledger's.
func (r *rig) Totals(w spend.Window, gross bool) (map[string]spend.Money, error) {
	res, err := r.book.Snapshot().Query(rollup.Query{Window: w, GroupBy: []rollup.Dim{rollup.ByProvider}})
	out := map[string]spend.Money{}
	for _, row := range res.Rows {
		if out[row.Provider] = row.Cost; gross {
			out[row.Provider] = row.Gross
		}
	}
	return out, err
}

// Hurry is the ledger's; it only remembers.
func (r *rig) Hurry(id spend.SourceID, since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hurried = append(r.hurried, fmt.Sprint(id.Source, " since ", since.UTC().Format(time.RFC3339)))
}

// pulled makes the newest applied pull of the sources begin now.
func (r *rig) pulled(ids ...spend.SourceID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.sources {
		if slices.Contains(ids, r.sources[i].ID) {
			r.sources[i].LastApplied, r.sources[i].DataThrough = r.now(), r.now()
		}
	}
}

// spends makes the whole bill of today this much, and the pull that says so applied.
func (r *rig) spends(id spend.SourceID, amount string) {
	today := spend.DayOf(r.now())
	st := spend.Statement{Day: today, ReadAt: r.now(), Charges: []spend.Charge{
		{Model: "m", Currency: spend.USD, Gross: usd(amount)},
	}}
	r.book.Update(func(tx *rollup.Tx) {
		for d := today.MonthStart() - 7; d < today; d++ {
			tx.Replace(id, []spend.Statement{{Day: d, ReadAt: r.now()}})
		}
		tx.Replace(id, []spend.Statement{st})
		tx.SetThrough(id, r.now())
	})
	r.pulled(id)
}

// change alters the configuration, as a reload does.
func (r *rig) change(f func(*rig)) {
	r.mu.Lock()
	f(r)
	r.mu.Unlock()
	r.hook.Wake()
}

func (r *rig) limit(i int, hard string) {
	r.change(func(r *rig) {
		r.caps = slices.Clone(r.caps)
		r.caps[i].Hard, r.caps[i].Soft = usd(hard), spend.Money{}
	})
}

// alert is an alert of a payload.
type alert map[string]any

func firing(scope, period string, at time.Time, labels ...string) alert {
	l := map[string]string{"alertname": "AISpendCapReached", "level": "hard", "scope": scope, "period": period, "job": "aispend"}
	for i := 0; i+1 < len(labels); i += 2 {
		l[labels[i]] = labels[i+1]
	}
	return alert{
		"status": "firing", "labels": l, "annotations": map[string]string{"summary": "s"},
		"startsAt": at.Format(time.RFC3339Nano), "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "f",
	}
}

func payload(alerts ...alert) []byte {
	b, err := json.Marshal(map[string]any{
		"version": "4", "status": "firing", "receiver": "r", "groupKey": "k", "truncatedAlerts": 0, "alerts": alerts,
		"groupLabels": map[string]string{}, "notification_reason": "first notification",
	})
	if err != nil {
		panic(err)
	}
	return b
}

// tell sends alerts and returns the only answer's decision.
func (r *rig) tell(alerts ...alert) (hardcap.Receipt, error) {
	return r.hook.Receive(r.t.Context(), payload(alerts...))
}

// wantDecision tells one alert and checks what came of it.
func (r *rig) wantDecision(want hardcap.Decision, a alert) hardcap.Answer {
	r.t.Helper()
	receipt, err := r.tell(a)
	if err != nil {
		r.t.Fatal(err)
	}
	if len(receipt.Answers) != 1 || receipt.Answers[0].Decision != want {
		r.t.Fatalf("receipt %+v, want %s", receipt, want)
	}
	return receipt.Answers[0]
}

// states describes the outbox, newest first.
func (r *rig) states() []string {
	var out []string
	for _, e := range r.hook.Deliveries() {
		out = append(out, fmt.Sprint(e.Scope, "/", e.Period, " ", e.Threshold, " ", e.State))
	}
	return out
}

func (r *rig) wantStates(want ...string) {
	r.t.Helper()
	if got := r.states(); !slices.Equal(got, want) {
		r.t.Errorf("outbox %q, want %q", got, want)
	}
}

func (r *rig) wantCounts(want string) {
	r.t.Helper()
	s := r.hook.Stats(nil)
	var got []string
	for _, o := range hardcap.Outcomes() {
		got = append(got, fmt.Sprint(o, " ", s.Deliveries[o]))
	}
	if text := strings.Join(got, ", "); text != want {
		r.t.Errorf("counted %s, want %s", text, want)
	}
}

// verify checks a delivery as a receiver does, with the reference library.
func verify(t *testing.T, secret string, r request) error {
	t.Helper()
	wh, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	return wh.VerifyIgnoringTimestamp(r.body, r.header)
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
