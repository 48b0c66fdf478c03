package badger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// pullRecord is what is stored about a walk. Pages, their fetch days and Digest
// say exactly which pages must be there for the walk to be whole.
type pullRecord struct {
	id ulid.ULID

	Num      uint32         `json:"num"`
	Source   spend.SourceID `json:"source"` // as named when the pull began
	Window   spend.Window   `json:"window"`
	Kind     string         `json:"kind"`
	Scope    string         `json:"scope,omitempty"`
	Buckets  int            `json:"buckets,omitzero"`
	Started  time.Time      `json:"started"`
	Finished time.Time      `json:"finished,omitzero"`
	Verdict  store.Verdict  `json:"verdict,omitempty"`
	Outcome  spend.Outcome  `json:"outcome,omitempty"`
	Detail   string         `json:"detail,omitempty"`
	Commit   uint64         `json:"commit,omitzero"` // that wrote the verdict
	Pages    int            `json:"pages"`
	FirstDay spend.Day      `json:"first_day,omitzero"` // fetch days of its pages
	LastDay  spend.Day      `json:"last_day,omitzero"`
	Digest   []byte         `json:"digest,omitempty"` // over all pages so far
}

// day is the fetch day under which the record lies.
func (r *pullRecord) day() spend.Day { return spend.DayOf(r.Started) }

// extend takes a page into the record's account.
func (r *pullRecord) extend(m *pageMeta) {
	r.Digest = m.chain(r.Digest)
	if r.Pages == 0 || m.day < r.FirstDay {
		r.FirstDay = m.day
	}
	if r.Pages == 0 || m.day > r.LastDay {
		r.LastDay = m.day
	}
	r.Pages++
}

// pageMeta is what is stored about a page beside its body.
type pageMeta struct {
	day  spend.Day
	pull ulid.ULID
	seq  uint32
	num  uint32

	Source    spend.SourceID    `json:"source"` // as named when it was fetched
	Window    spend.Window      `json:"window"`
	URL       string            `json:"url"`
	Status    int               `json:"status"`
	Header    map[string]string `json:"header,omitempty"`
	FetchedAt time.Time         `json:"fetched_at"`
	Redacted  bool              `json:"redacted,omitzero"`
	Sum       []byte            `json:"sha256"`
	Bytes     int               `json:"bytes"`
}

// chain continues the digest of a pull's pages.
func (m *pageMeta) chain(prev []byte) []byte {
	b := appendDay(append([]byte(nil), prev...), m.day)
	b = binary.BigEndian.AppendUint32(b, m.seq)
	b = binary.BigEndian.AppendUint64(append(b, m.Sum...), uint64(m.Bytes))
	sum := sha256.Sum256(b)
	return sum[:]
}

// encode puts the source's number in front, so that a listing can pass over
// pages of other sources without reading them.
func (m *pageMeta) encode() ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoding page %d: %w", m.seq, err)
	}
	return append(binary.BigEndian.AppendUint32(nil, m.num), b...), nil
}

func decodeMeta(k key, content []byte) (*pageMeta, error) {
	m := &pageMeta{day: k.day, pull: k.pull, seq: k.seq}
	if len(content) < 4 {
		return nil, fmt.Errorf("%w: page record of %d bytes", store.ErrCorrupt, len(content))
	}
	m.num = binary.BigEndian.Uint32(content)
	if err := json.Unmarshal(content[4:], m); err != nil {
		return nil, fmt.Errorf("%w: page record: %w", store.ErrCorrupt, err)
	}
	if len(m.Sum) != sha256.Size || m.Bytes < 0 {
		return nil, fmt.Errorf("%w: page record without a body's digest", store.ErrCorrupt)
	}
	return m, nil
}

// Begin opens a pull. A source that the ledger does not know becomes known.
// Nothing of the pull is written before its pages fill a transaction or it ends.
func (s *Store) Begin(ctx context.Context, p store.Pull) (_ store.PullWriter, err error) {
	done, err := s.begin("begin")
	if err != nil {
		return nil, err
	}
	defer done(&err)
	if err := ctxErr(ctx, "beginning a pull of "+p.Source.String()); err != nil {
		return nil, err
	}
	if err := s.CheckSpace(); err != nil {
		return nil, err
	}
	if p.Started.IsZero() {
		p.Started = s.opt.Now()
	}
	var id ulid.ULID
	if p.ID == "" {
		id, err = ulid.New(ulid.Timestamp(p.Started), s.ulids)
	} else {
		id, err = ulid.ParseStrict(p.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("beginning a pull of %s: pull id: %w", p.Source, err)
	}
	s.wmu.Lock()
	defer s.wmu.Unlock()
	h, err := s.writable(p.Source)
	if err != nil {
		return nil, err
	}
	if h.seq == 0 {
		if err := s.commit(change{heads: []*head{h}}); err != nil {
			return nil, fmt.Errorf("registering %s: %w", p.Source, err)
		}
	}
	s.mu.Lock()
	s.live[id] = struct{}{}
	s.mu.Unlock()
	w := &pullWriter{s: s, bodies: make(map[bodyKey]struct{}), seq: -1}
	w.rec = pullRecord{
		id: id, Num: h.num, Source: p.Source, Window: p.Window, Kind: p.Kind, Scope: p.Scope,
		Buckets: p.Buckets, Started: p.Started.UTC(),
	}
	w.batch = batch{s: s, pull: &w.rec, pages: make(map[spend.Day]int)}
	return w, nil
}

// bodyKey names a body within its fetch day.
type bodyKey struct {
	day spend.Day
	sum [sha256.Size]byte
}

// pullWriter collects a pull. It belongs to one goroutine.
type pullWriter struct {
	s      *Store
	rec    pullRecord // as it is while the pull is open
	batch  batch
	bodies map[bodyKey]struct{} // of this pull, written or about to be
	seq    int                  // of the newest page
	ended  bool
}

var errEnded = errors.New("pull has already ended")

// ID returns the pull's id.
func (w *pullWriter) ID() string { return w.rec.id.String() }

// Page keeps a page, whose Seq must be above that of the page before.
func (w *pullWriter) Page(ctx context.Context, p spend.Page) (err error) {
	done, err := w.s.begin("page")
	if err != nil {
		return err
	}
	defer done(&err)
	switch {
	case w.ended:
		return errEnded
	case p.Seq <= w.seq || int64(p.Seq) > math.MaxUint32:
		return fmt.Errorf("keeping page %d of pull %s: it does not follow page %d", p.Seq, w.ID(), w.seq)
	}
	if err := ctxErr(ctx, "keeping a page of "+w.rec.Source.String()); err != nil {
		return err
	}
	if p.FetchedAt.IsZero() {
		p.FetchedAt = w.s.opt.Now()
	}
	if y := p.FetchedAt.UTC().Year(); y < 1970 || y > 9999 {
		return fmt.Errorf("keeping page %d of pull %s: fetched in the year %d", p.Seq, w.ID(), y)
	}
	sum := sha256.Sum256(p.Body)
	m := &pageMeta{
		day: spend.DayOf(p.FetchedAt), pull: w.rec.id, seq: uint32(p.Seq), num: w.rec.Num,
		Source: w.rec.Source, Window: w.rec.Window, URL: p.URL, Status: p.Status, Header: p.Header,
		FetchedAt: p.FetchedAt.UTC(), Redacted: p.Redacted, Sum: sum[:], Bytes: len(p.Body),
	}
	if err := w.keep(m, p.Body); err != nil {
		return fmt.Errorf("keeping page %d of pull %s: %w", p.Seq, w.ID(), err)
	}
	w.seq = p.Seq
	return nil
}

// keep adds the body, unless that day has it, and then the page that names it.
func (w *pullWriter) keep(m *pageMeta, body []byte) error {
	v, err := m.encode()
	if err != nil {
		return err
	}
	bk := bodyKey{m.day, [sha256.Size]byte(m.Sum)}
	_, have := w.bodies[bk]
	if !have {
		have = w.s.bodyIntact(bk, len(body))
	}
	w.s.wmu.Lock()
	defer w.s.wmu.Unlock()
	if !have {
		if err := w.s.putChunks(&w.batch, kindBody, body, func(i uint16) []byte {
			return keyBody(bk.day, bk.sum, i)
		}); err != nil {
			return err
		}
	}
	w.bodies[bk] = struct{}{}
	if err := w.batch.room(2*len(v) + lenPageKey); err != nil {
		return err
	}
	w.batch.put(keyPage(m.day, m.pull, m.seq), kindPage, v)
	w.batch.pages[m.day]++
	w.rec.extend(m)
	return nil
}

// Narrow makes w the pull's window, in the record too: whoever replays it must not take
// days that nothing was learnt of for empty ones. Pages keep the window they were asked with.
func (w *pullWriter) Narrow(days spend.Window) { w.rec.Window = days }

// Fail ends the pull and keeps what it brought for audit.
func (w *pullWriter) Fail(ctx context.Context, o spend.Outcome, detail string) error {
	end := w.rec
	end.Verdict, end.Outcome, end.Detail = store.Failed, o, detail
	return w.end(ctx, "fail", &end, func(*head, *batch) (*head, error) { return nil, nil })
}

// Hold ends the pull and stores the state with its hold.
func (w *pullWriter) Hold(ctx context.Context, st store.State) error {
	end := w.rec
	end.Verdict, end.Outcome = store.HeldUp, spend.Held
	return w.end(ctx, "hold", &end, func(h *head, _ *batch) (*head, error) { return h.inState(st), nil })
}

// Apply ends the pull and replaces its whole window. If it returns an error
// nothing has changed, and the pull can still be ended by Fail.
func (w *pullWriter) Apply(
	ctx context.Context, o spend.Outcome, days []spend.Statement, st store.State,
) error {
	end := w.rec
	end.Verdict, end.Outcome = store.Applied, o
	return w.end(ctx, "apply", &end, func(h *head, b *batch) (*head, error) {
		all, err := wholeWindow(w.rec.Window, w.rec.Started, days)
		if err != nil {
			return nil, err
		}
		entries, err := w.s.place(ctx, b, h, all)
		if err != nil {
			return nil, err
		}
		return h.with(entries).inState(st), nil
	})
}

// end makes the pull's last commit. move returns the source's new head, nil if it
// stays as it is, and may fill a batch of its own: one that is thrown away on an
// error, since a slot idle now need not be idle at the next try.
func (w *pullWriter) end(
	ctx context.Context, op string, rec *pullRecord, move func(*head, *batch) (*head, error),
) (err error) {
	done, err := w.s.begin(op)
	if err != nil {
		return err
	}
	defer done(&err)
	defer func() {
		if err != nil {
			err = fmt.Errorf("ending pull %s of %s: %w", w.ID(), w.rec.Source, err)
		}
	}()
	if w.ended {
		return errEnded
	}
	if err := ctxErr(ctx, op); err != nil {
		return err
	}
	rec.Finished = w.s.opt.Now().UTC()
	w.s.wmu.Lock()
	defer w.s.wmu.Unlock()
	c := change{end: rec}
	h, err := w.head()
	if err != nil && rec.Verdict != store.Failed {
		return err
	}
	values := &batch{s: w.s}
	if h, err = move(h, values); err != nil {
		return err
	}
	if h != nil {
		c.heads = []*head{h}
	}
	if err := w.s.commit(c, &w.batch, values); err != nil {
		return err
	}
	w.ended = true
	w.s.mu.Lock()
	delete(w.s.live, w.rec.id)
	w.s.mu.Unlock()
	return nil
}

// head finds the pull's source by number: it may have been renamed meanwhile.
func (w *pullWriter) head() (*head, error) {
	w.s.mu.RLock()
	defer w.s.mu.RUnlock()
	if h := w.s.heads[w.rec.Num]; h != nil {
		return h, nil
	}
	return nil, fmt.Errorf("%w: the source has left the ledger", store.ErrNotFound)
}
