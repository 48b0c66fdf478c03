package rollup

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/aispend/aispend/spend"
)

// Book holds the current Snapshot. Readers take it without a lock; writers queue
// up behind each other.
type Book struct {
	mu    sync.Mutex // one Update at a time
	names *names     // of every part that a Tx makes
	snap  atomic.Pointer[Snapshot]
}

// NewBook returns an empty book at version 0.
func NewBook() *Book {
	b := &Book{names: newNames()}
	b.snap.Store(&Snapshot{names: b.names.view()})
	return b
}

// Snapshot returns the newest published state. It is never nil, never changes
// and may be kept as long as the caller likes.
func (b *Book) Snapshot() *Snapshot { return b.snap.Load() }

// Update runs fn on a copy-on-write view of the ledger and publishes the outcome
// once, when fn returns. Nothing is published if fn panics. fn must not keep the
// Tx, nor call Update of the same book.
func (b *Book) Update(fn func(*Tx)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	tx := newTx(b.snap.Load(), b.names)
	fn(tx)
	b.names = tx.names
	b.snap.Store(tx.snapshot())
}

// Tx changes the ledger inside Update. It is used by one goroutine.
type Tx struct {
	base    *Snapshot
	names   *names
	sources map[spend.SourceID]*source
	owned   map[*source]bool // copied or made by this Tx, hence free to change
}

func newTx(base *Snapshot, n *names) *Tx {
	tx := &Tx{
		base:    base,
		names:   n,
		sources: make(map[spend.SourceID]*source, len(base.sources)+1),
		owned:   map[*source]bool{},
	}
	for _, s := range base.sources {
		tx.sources[s.id] = s
	}
	return tx
}

// Replace sets the given days of a source, each whole: whatever the source said
// about them before is gone. Other days stay. Rows are copied.
func (tx *Tx) Replace(id spend.SourceID, stmts []spend.Statement) {
	s := tx.own(id)
	for _, st := range stmts {
		s.set(st.Day, newPart(st, tx.names))
	}
}

// ReplaceWindow applies a complete walk that began at readAt: every day of w
// becomes its statement, or a day known to be empty if it has none. Statements
// outside w are ignored; days outside w stay.
func (tx *Tx) ReplaceWindow(id spend.SourceID, w spend.Window, readAt time.Time, stmts []spend.Statement) {
	s := tx.own(id)
	for d := w.From; d < w.To; d++ {
		s.set(d, &part{readAt: readAt})
	}
	for _, st := range stmts {
		if w.Contains(st.Day) {
			st.ReadAt = readAt
			s.set(st.Day, newPart(st, tx.names))
		}
	}
}

// SetThrough sets how far the source's data reaches.
func (tx *Tx) SetThrough(id spend.SourceID, dataThrough time.Time) {
	tx.own(id).through = dataThrough
}

// SetRetired marks a source that is no longer pulled: its history stays in every
// sum, and the days after its last statement are no gap for ExpectedDaily.
func (tx *Tx) SetRetired(id spend.SourceID, retired bool) {
	tx.own(id).retired = retired
}

// Rename moves every source of a provider's account to another account name.
// The store refuses to merge two accounts that both hold statements; should a
// source of the new name exist here all the same, its own days win.
func (tx *Tx) Rename(provider, from, to string) {
	if from == to {
		return
	}
	for id := range tx.sources {
		if id.Provider == provider && id.Account == from {
			tx.renameSource(id, to)
		}
	}
}

func (tx *Tx) renameSource(id spend.SourceID, to string) {
	moved := tx.own(id)
	delete(tx.sources, id)
	moved.id.Account = to
	if kept, ok := tx.sources[moved.id]; ok {
		for i, d := range kept.days {
			moved.set(d, kept.parts[i])
		}
		moved.through = kept.through
		moved.retired = kept.retired
	}
	tx.sources[moved.id] = moved
}

// own returns the source, made or copied so that this Tx may change it.
func (tx *Tx) own(id spend.SourceID) *source {
	s, ok := tx.sources[id]
	switch {
	case !ok:
		s = &source{id: id}
	case tx.owned[s]:
		return s
	default:
		s = s.clone()
	}
	tx.sources[id] = s
	tx.owned[s] = true
	return s
}
