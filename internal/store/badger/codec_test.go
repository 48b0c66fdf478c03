package badger

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/oklog/ulid/v2"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// bytes is the inverse of parseKey.
func (k key) bytes() []byte {
	switch {
	case k.space == spaceMeta && k.kind == metaIdentity:
		return keyIdentity()
	case k.space == spaceMeta && k.kind == metaSummary:
		return keySummary()
	case k.space == spaceMeta:
		return keyCatalogue(k.copy)
	case k.space == spaceHead:
		return keyHead(k.num, k.copy)
	case k.space == spaceDay:
		return keyDay(k.day, k.num, k.copy, k.chunk)
	case k.space == spaceEvent:
		return keyEvent(k.day, k.event)
	case k.kind == rawCounters:
		return keyCounters(k.day)
	case k.kind == rawBody:
		return keyBody(k.day, k.sum, k.chunk)
	case k.kind == rawPull:
		return keyPull(k.day, k.pull, k.num)
	default:
		return keyPage(k.day, k.pull, k.seq)
	}
}

func randomKey(r *rand.Rand) key {
	shapes := []key{
		{space: spaceMeta, kind: metaIdentity},
		{space: spaceMeta, kind: metaSummary},
		{space: spaceMeta, kind: metaCatalogue, copy: byte(r.IntN(2))},
		{space: spaceHead, num: r.Uint32(), copy: byte(r.IntN(2))},
		{space: spaceDay, day: spend.Day(r.Uint32()), num: r.Uint32(), copy: byte(r.IntN(2)), chunk: uint16(r.Uint32())},
		{space: spaceEvent, kind: eventVersion, day: spend.Day(r.Uint32()), event: randomEventID(r)},
		{space: spaceRaw, kind: rawCounters, day: spend.Day(r.Uint32())},
		{space: spaceRaw, kind: rawBody, day: spend.Day(r.Uint32()), chunk: uint16(r.Uint32())},
		{space: spaceRaw, kind: rawPull, day: spend.Day(r.Uint32()), num: r.Uint32()},
		{space: spaceRaw, kind: rawPage, day: spend.Day(r.Uint32()), seq: r.Uint32()},
	}
	k := shapes[r.IntN(len(shapes))]
	switch k.kind {
	case rawBody:
		for i := range k.sum {
			k.sum[i] = byte(r.Uint32())
		}
	case rawPull, rawPage:
		for i := range k.pull {
			k.pull[i] = byte(r.Uint32())
		}
	}
	return k
}

func randomEventID(r *rand.Rand) string {
	b := make([]byte, 1+r.IntN(maxEventID))
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz0123456789_"[r.IntN(37)]
	}
	return string(b)
}

func TestKeysRoundTripAndNeverCollide(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	seen := make(map[string]key)
	for range 5000 {
		k := randomKey(r)
		b := k.bytes()
		got, ok := parseKey(b)
		if !ok || got != k {
			t.Fatalf("%x was %+v and is parsed as %+v, %v", b, k, got, ok)
		}
		if was, ok := seen[string(b)]; ok && was != k {
			t.Fatalf("%+v and %+v share the key %x", was, k, b)
		}
		seen[string(b)] = k
		for _, wrong := range [][]byte{b[:len(b)-1], append(slices.Clone(b), 0)} {
			if k.space == spaceEvent && len(wrong) == len(b)-1 && len(k.event) > 1 {
				continue // which is another event's
			}
			if got, ok := parseKey(wrong); ok {
				t.Fatalf("%x is parsed as %+v", wrong, got)
			}
		}
	}
}

func TestDayKeysSortByDay(t *testing.T) {
	days := []spend.Day{math.MinInt32, -20000, -1, 0, 1, 20780, math.MaxInt32}
	for i := 1; i < len(days); i++ {
		a, b := prefixDay(spaceRaw, days[i-1]), prefixDay(spaceRaw, days[i])
		if bytes.Compare(a, b) >= 0 || dayAt(b[1:]) != days[i] {
			t.Errorf("day %d does not come after day %d", days[i], days[i-1])
		}
	}
}

func FuzzParseKey(f *testing.F) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 20 {
		f.Add(randomKey(r).bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, ok := parseKey(b); ok && !bytes.Equal(k.bytes(), b) {
			t.Fatalf("%x is parsed as %+v, which is %x", b, k, k.bytes())
		}
	})
}

func testSealer(t testing.TB) *sealer {
	t.Helper()
	s, err := newSealer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.dec.Close)
	return s
}

func TestEnvelopeCatchesEveryChange(t *testing.T) {
	s := testSealer(t)
	k := keyHead(7, 1)
	for name, content := range map[string][]byte{
		"empty": {}, "short": []byte("abc"), "compressed": bytes.Repeat([]byte("0.25 "), 200),
	} {
		v := s.seal(k, kindHead, content)
		got, err := s.unseal(k, kindHead, v)
		if err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%s: content became %q, %v", name, got, err)
		}
		for i := range v {
			for bit := range 8 {
				bad := slices.Clone(v)
				bad[i] ^= 1 << bit
				if _, err := s.unseal(k, kindHead, bad); !errors.Is(err, store.ErrCorrupt) {
					t.Fatalf("%s: bit %d of byte %d flipped: %v", name, bit, i, err)
				}
			}
			if _, err := s.unseal(k, kindHead, v[:i]); !errors.Is(err, store.ErrCorrupt) {
				t.Fatalf("%s: cut to %d bytes: %v", name, i, err)
			}
		}
		if _, err := s.unseal(keyHead(7, 0), kindHead, v); !errors.Is(err, store.ErrCorrupt) {
			t.Fatalf("%s: under another key: %v", name, err)
		}
		if _, err := s.unseal(k, kindDay, v); !errors.Is(err, store.ErrCorrupt) {
			t.Fatalf("%s: as another kind: %v", name, err)
		}
	}
}

func FuzzUnseal(f *testing.F) {
	s := testSealer(f)
	k := keyIdentity()
	f.Add(s.seal(k, kindIdentity, []byte("x")))
	f.Add(s.seal(k, kindIdentity, bytes.Repeat([]byte("x"), 1000)))
	f.Fuzz(func(t *testing.T, v []byte) {
		content, err := s.unseal(k, kindIdentity, v)
		if err == nil && len(content) > maxContent {
			t.Fatalf("%d bytes of content", len(content))
		}
	})
}

func randomStatement(r *rand.Rand) spend.Statement {
	st := spend.Statement{Day: spend.Day(r.Uint32())}
	words := []string{"", "a", "gpt-5", "\x00\xff", strings.Repeat("x", 300)}
	word := func() string { return words[r.IntN(len(words))] }
	for range r.IntN(5) {
		st.Charges = append(st.Charges, spend.Charge{
			Model: word(), Project: word(), Item: word(), Currency: word(),
			Gross: randomMoney(r), Credits: randomMoney(r),
		})
		if c := &st.Charges[len(st.Charges)-1]; r.IntN(4) == 0 {
			c.Rate, c.Tax = randomMoney(r), r.IntN(2) == 0
		}
	}
	for range r.IntN(5) {
		st.Usage = append(st.Usage, spend.Usage{
			Model: word(), Project: word(), Input: r.Int64(), Output: -r.Int64(), CacheRead: r.Int64N(10),
			CacheWrite: math.MinInt64, Requests: r.Int64N(3), HasRequests: r.IntN(2) == 0, Uncosted: r.Int64(),
		})
	}
	return st
}

func randomMoney(r *rand.Rand) spend.Money {
	digits := []string{"0", "-1", "0.1", "0.00000000000000000000000000000000012345", "-99999999999999999999.5", "1e30"}
	return spend.MustMoney(digits[r.IntN(len(digits))])
}

func TestStatementRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 500 {
		want := randomStatement(r)
		got, err := decodeStatement(encodeStatement(want))
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("difference (-want +got):\n%s", diff)
		}
	}
}

// What needs no version 2 is written in version 1, byte for byte as ever: stores of
// older versions do not change, and what they wrote is read.
func TestStatementVersions(t *testing.T) {
	st := spend.Statement{Day: 20000, Charges: []spend.Charge{{Model: "m", Currency: spend.USD, Gross: spend.MustMoney("1.5")}}}
	const v1 = "01c0b80203016d00035553440100010102030f0000" // by the version before
	if got := hex.EncodeToString(encodeStatement(st)); got != v1 {
		t.Errorf("encoded as %s, want %s", got, v1)
	}
	for _, c := range []struct {
		name    string
		bend    func(c *spend.Charge)
		version byte
	}{
		{"dollars", func(*spend.Charge) {}, statementVersion},
		{"euro without a rate", func(c *spend.Charge) { c.Currency = "EUR" }, statementVersion},
		{"euro", func(c *spend.Charge) { c.Currency, c.Rate = "EUR", spend.MustMoney("0.9") }, statementRates},
		{"tax", func(c *spend.Charge) { c.Tax = true }, statementRates},
	} {
		t.Run(c.name, func(t *testing.T) {
			st.Charges = []spend.Charge{st.Charges[0]}
			c.bend(&st.Charges[0])
			b := encodeStatement(st)
			if b[0] != c.version {
				t.Errorf("version %d, want %d", b[0], c.version)
			}
			got, err := decodeStatement(b)
			if diff := gocmp.Diff(st, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
				t.Errorf("%v, difference (-want +got):\n%s", err, diff)
			}
		})
	}
}

func FuzzDecodeStatement(f *testing.F) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 10 {
		f.Add(encodeStatement(randomStatement(r)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := decodeStatement(b)
		if err != nil {
			if !errors.Is(err, errStatement) {
				t.Fatalf("error without its class: %v", err)
			}
			return
		}
		again, err := decodeStatement(encodeStatement(st))
		if diff := gocmp.Diff(st, again, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("decoded twice: %v\n%s", err, diff)
		}
	})
}

func testHead() *head {
	now := time.Date(2026, 11, 23, 12, 0, 0, 1, time.UTC)
	h := &head{
		num: 3, seq: 99, prev: digest{1, 2},
		id:    spend.SourceID{Provider: "openai", Account: "a", Source: "openai/costs"},
		state: store.State{DataThrough: now, CoveredFrom: 5, Holds: map[string]store.Hold{"x": {Count: 1}}},
	}
	for i, at := range []int64{noTime, now.UnixNano(), noTime, math.MaxInt64, 0} {
		h.days = append(h.days, dayEntry{
			day: spend.Day(i*i*1000 - 7), slot: byte(i & 1), size: i * 1e6, sum: digest{byte(i)}, readAt: at,
			charges: i, usage: 2 * i,
		})
	}
	return h
}

func TestHeadRoundTrip(t *testing.T) {
	want := testHead()
	b, err := want.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeHead(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(head{}, dayEntry{})); diff != "" {
		t.Fatalf("difference (-want +got):\n%s", diff)
	}
	for i := range b {
		if _, err := decodeHead(b[:i]); err == nil {
			t.Fatalf("a head cut to %d of %d bytes is accepted", i, len(b))
		}
	}
}

func FuzzDecodeHead(f *testing.F) {
	b, err := testHead().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHead(b)
		if err != nil {
			return
		}
		if !slices.IsSortedFunc(h.days, func(a, b dayEntry) int { return cmp.Compare(a.day, b.day) }) {
			t.Fatal("days out of order are accepted")
		}
	})
}

func FuzzCursorAndPageID(f *testing.F) {
	id := ulid.MustParse("01ARZ3NDEKTSV4RRFFQ69G5FAV")
	f.Add(encodeCursor(20780, id, 3))
	f.Add(pageID(20780, id, 3))
	f.Fuzz(func(t *testing.T, s string) {
		if day, pull, seq, err := decodeCursor(s); err == nil && encodeCursor(day, pull, seq) != s {
			t.Fatalf("cursor %q has two spellings", s)
		}
		if day, pull, seq, ok := parsePageID(s); ok && pageID(day, pull, seq) != s {
			t.Fatalf("page id %q has two spellings", s)
		}
	})
}

func testSummary() map[spend.Day]dayCounters {
	return map[spend.Day]dayCounters{
		math.MinInt32: {Pulls: 1, Pages: map[string]int{}},
		-1:            {Pages: map[string]int{"anthropic": 3}},
		20780:         {Pulls: 300, Pages: map[string]int{"openai": 70000, "anthropic": 1}},
		math.MaxInt32: {Pulls: math.MaxInt32, Pages: map[string]int{"": 1}},
	}
}

func TestSummaryRoundTrip(t *testing.T) {
	for _, want := range []map[spend.Day]dayCounters{{}, testSummary()} {
		b := encodeSummary(99, want)
		seq, got, err := decodeSummary(b)
		if err != nil || seq != 99 {
			t.Fatalf("sequence %d, %v", seq, err)
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("difference (-want +got):\n%s", diff)
		}
		for i := range b {
			if _, _, err := decodeSummary(b[:i]); !errors.Is(err, errSummary) {
				t.Fatalf("a summary cut to %d of %d bytes: %v", i, len(b), err)
			}
		}
		if _, _, err := decodeSummary(append(b, 0)); !errors.Is(err, errSummary) {
			t.Fatalf("a byte too many: %v", err)
		}
	}
}

func FuzzDecodeSummary(f *testing.F) {
	f.Add(encodeSummary(7, testSummary()))
	f.Fuzz(func(t *testing.T, b []byte) {
		seq, days, err := decodeSummary(b)
		if err != nil {
			if !errors.Is(err, errSummary) {
				t.Fatalf("error without its class: %v", err)
			}
			return
		}
		if len(days) > len(b) {
			t.Fatalf("%d days from %d bytes", len(days), len(b))
		}
		seqAgain, again, err := decodeSummary(encodeSummary(seq, days))
		if diff := gocmp.Diff(days, again); err != nil || seq != seqAgain || diff != "" {
			t.Fatalf("decoded twice: %d and %d, %v\n%s", seq, seqAgain, err, diff)
		}
	})
}
