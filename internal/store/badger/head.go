package badger

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// digest is the first half of a SHA-256: enough to tell contents apart, half the
// space in a head of hundreds of days.
type digest [16]byte

func digestOf(b []byte) digest {
	sum := sha256.Sum256(b)
	return digest(sum[:16])
}

// xor joins digests of a set, in which each is once, in whatever order.
func (d digest) xor(other digest) digest {
	for i := range d {
		d[i] ^= other[i]
	}
	return d
}

// head is everything the ledger knows about one source except the rows
// themselves. A head is immutable once published: a change makes a new one.
type head struct {
	num   uint32
	id    spend.SourceID
	seq   uint64 // commit that wrote it
	prev  digest // of the head before it: the chain
	state store.State
	days  []dayEntry // ascending by day, each day once
}

// dayEntry says where the statement of a day lies and what it must be.
type dayEntry struct {
	day            spend.Day
	slot           byte
	size           int // of the encoded statement; 0: known to be empty, nothing is stored
	sum            digest
	readAt         int64 // Unix nanoseconds; noTime if unknown
	charges, usage int   // rows
}

const noTime = math.MinInt64

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return noTime
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == noTime {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// find returns the entry of a day.
func (h *head) find(day spend.Day) (dayEntry, bool) {
	byDay := func(e dayEntry, d spend.Day) int { return cmp.Compare(e.day, d) }
	i, ok := slices.BinarySearchFunc(h.days, day, byDay)
	if !ok {
		return dayEntry{}, false
	}
	return h.days[i], true
}

// with returns a copy of h in which the given entries, ascending by day, replace
// or join the others.
func (h *head) with(entries []dayEntry) *head {
	n := *h
	n.days = make([]dayEntry, 0, len(h.days)+len(entries))
	old := h.days
	for _, e := range entries {
		for len(old) > 0 && old[0].day < e.day {
			n.days, old = append(n.days, old[0]), old[1:]
		}
		if len(old) > 0 && old[0].day == e.day {
			old = old[1:]
		}
		n.days = append(n.days, e)
	}
	n.days = append(n.days, old...)
	return &n
}

// rows counts the rows of money and of usage of all days.
func (h *head) rows() (charges, usage int) {
	for _, e := range h.days {
		charges += e.charges
		usage += e.usage
	}
	return charges, usage
}

// cloneState copies what callers and heads must not share.
func cloneState(st store.State) store.State {
	st.Holds, st.Budgets = maps.Clone(st.Holds), slices.Clone(st.Budgets)
	return st
}

// headInfo is the part of a head that is stored as JSON: it grows with the
// contract and is read by people in trouble.
type headInfo struct {
	Num   uint32         `json:"num"`
	ID    spend.SourceID `json:"id"`
	Seq   uint64         `json:"seq"`
	Prev  []byte         `json:"prev"`
	State store.State    `json:"state"`
}

const headVersion = 1

var errHead = errors.New("malformed head")

// encode returns version, length and text of headInfo, number of days, and per
// day: days since the one before, slot, size, digest, reading time less that of
// the day before, charge rows, usage rows.
func (h *head) encode() ([]byte, error) {
	info, err := json.Marshal(headInfo{h.num, h.id, h.seq, h.prev[:], h.state})
	if err != nil {
		return nil, fmt.Errorf("encoding the head of %s: %w", h.id, err)
	}
	b := binary.AppendUvarint([]byte{headVersion}, uint64(len(info)))
	b = append(b, info...)
	b = binary.AppendUvarint(b, uint64(len(h.days)))
	var day, readAt int64
	for _, e := range h.days {
		b = binary.AppendVarint(b, int64(e.day)-day)
		b = binary.AppendUvarint(append(b, e.slot), uint64(e.size))
		b = append(b, e.sum[:]...)
		b = binary.AppendVarint(b, e.readAt-readAt) // wraps round and back for noTime
		b = binary.AppendUvarint(b, uint64(e.charges))
		b = binary.AppendUvarint(b, uint64(e.usage))
		day, readAt = int64(e.day), e.readAt
	}
	return b, nil
}

// decodeHead reads what encode wrote; anything else is an error, never a panic.
func decodeHead(b []byte) (*head, error) {
	if len(b) == 0 || b[0] != headVersion {
		return nil, fmt.Errorf("%w: unknown version", errHead)
	}
	d := stmtDecoder{b: b[1:]}
	var info headInfo
	if err := json.Unmarshal(d.bytes(), &info); err != nil {
		return nil, fmt.Errorf("%w: %w", errHead, err)
	}
	if len(info.Prev) != len(digest{}) {
		return nil, fmt.Errorf("%w: chain digest of %d bytes", errHead, len(info.Prev))
	}
	h := &head{num: info.Num, id: info.ID, seq: info.Seq, prev: digest(info.Prev), state: info.State}
	h.days = make([]dayEntry, d.count(21))
	var day, readAt int64
	for i := range h.days {
		e := dayEntry{day: spend.Day(day + d.int()), slot: d.flags(), size: int(d.uint() & math.MaxInt32)}
		e.sum = d.digest()
		e.readAt = readAt + d.int()
		e.charges, e.usage = int(d.uint()&math.MaxInt32), int(d.uint()&math.MaxInt32)
		if d.err == nil && (e.slot > 1 || i > 0 && e.day <= h.days[i-1].day) {
			d.fail("days out of order")
		}
		h.days[i], day, readAt = e, int64(e.day), e.readAt
	}
	if d.err != nil {
		return nil, fmt.Errorf("%w: %w", errHead, d.err)
	}
	return h, nil
}

func (d *stmtDecoder) digest() (v digest) {
	if len(d.b) < len(v) {
		d.fail("digest beyond the end")
		return v
	}
	copy(v[:], d.b)
	d.b = d.b[len(v):]
	return v
}

// catalogue is the commit record: which head of every source counts. It is
// written with every commit, so it also says how many commits there were.
type catalogue struct {
	Seq     uint64       `json:"seq"`
	Next    uint32       `json:"next"` // number the next new source gets
	Sources []sourceLink `json:"sources"`
	Outbox  *outboxMark  `json:"outbox,omitempty"` // immutable
}

// sourceLink binds a source to its number and to the one head that counts.
type sourceLink struct {
	Num  uint32         `json:"num"`
	ID   spend.SourceID `json:"id"`
	Copy byte           `json:"copy"`
	Seq  uint64         `json:"seq"`
	Sum  []byte         `json:"sum"`
}

func (c *catalogue) clone() *catalogue {
	n := *c
	n.Sources = slices.Clone(c.Sources)
	return &n
}

// byID returns the source's link, or nil.
func (c *catalogue) byID(id spend.SourceID) *sourceLink {
	for i := range c.Sources {
		if c.Sources[i].ID == id {
			return &c.Sources[i]
		}
	}
	return nil
}

// byNum returns the link of a source number, or nil.
func (c *catalogue) byNum(num uint32) *sourceLink {
	for i := range c.Sources {
		if c.Sources[i].Num == num {
			return &c.Sources[i]
		}
	}
	return nil
}

// identity is written once, when the store is made.
type identity struct {
	Schema  int       `json:"schema"`
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
}
