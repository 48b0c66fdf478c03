package badger

import (
	"encoding/binary"

	"github.com/oklog/ulid/v2"

	"github.com/aispend/aispend/spend"
)

// schemaVersion is the version of everything drawn below and of the values behind
// it. It is checked at open: a store of a newer version is refused, untouched.
const schemaVersion = 1

// The whole key picture. Every field has a fixed width and is big endian, so no
// two different tuples share a key and a prefix scan meets its keys in order.
//
//	m i                                 identity: schema version, store id
//	m c <copy>                          catalogue, two copies taken in turn: the
//	                                    commit sequence, of every source its id, its
//	                                    number and the head that counts, and how many
//	                                    events there are, with a digest of them all
//	m d                                 summary of the counters of all fetch days
//	s <num> <copy>                      head of a source, two copies taken in turn:
//	                                    its state, and of every day which slot
//	                                    counts, how long it is and its checksum
//	d <day> <num> <slot> <chunk>        a piece of one source's statement of one day
//	o <day> e <id>                      newest version of an event of the hard-cap hook
//	r <day> c                           counters of a fetch day; also the key that is
//	                                    always there, so that DropPrefix finds one
//	r <day> b <sha256> <chunk>          a piece of a body, shared within that day only
//	r <day> l <ulid> <num>              record of a pull that started on that day
//	r <day> p <ulid> <seq>              a page fetched on that day
//
//	copy, slot 1 byte (0 or 1) · chunk 2 bytes · num, day, seq 4 bytes ·
//	ulid 16 bytes · sha256 32 bytes · day with its sign bit flipped
//
// How a write becomes visible. A statement is written to the idle slot of its
// day, in as many transactions as it takes; nothing points there yet. The last
// transaction holds the new head (in its idle copy), the catalogue (in its idle
// copy) and the pull's record, and is small enough for one Badger transaction:
// that is the flip. Slots and copies are also the way back: what the previous
// head names is untouched until the commit after the next one.
//
// An event is overwritten in place: one value, one transaction, the newest wins. Its
// space and its mark in the catalogue came later than the rest. Both ways that needs no
// newer schema: a store without them has an empty outbox, and an aispend from before
// them reads, writes and expires what it knows, leaves the events alone and writes
// catalogues without a mark, which is then not asked for.
//
// Why day first: Badger gives the disk back only when whole tables fall away, and
// keys that expire together must lie together (measured.md c.4). Nothing here is
// ever deleted key by key (4.9.6 can bring deleted keys back) and nothing has a
// Badger TTL: days fall away by DropPrefix.
const (
	spaceMeta  byte = 'm'
	spaceHead  byte = 's'
	spaceDay   byte = 'd'
	spaceEvent byte = 'o'
	spaceRaw   byte = 'r'

	metaIdentity  byte = 'i'
	metaCatalogue byte = 'c'
	metaSummary   byte = 'd'

	rawCounters byte = 'c'
	rawBody     byte = 'b'
	rawPull     byte = 'l'
	rawPage     byte = 'p'

	eventVersion byte = 'e'
)

const (
	lenDayPrefix = 1 + 4
	lenDayKey    = lenDayPrefix + 4 + 1 + 2
	lenBodyKey   = lenDayPrefix + 1 + 32 + 2
	lenPageKey   = lenDayPrefix + 1 + 16 + 4
	maxEventID   = 64
)

func keyIdentity() []byte { return []byte{spaceMeta, metaIdentity} }

func keySummary() []byte { return []byte{spaceMeta, metaSummary} }

func keyCatalogue(copy byte) []byte { return []byte{spaceMeta, metaCatalogue, copy} }

func keyHead(num uint32, copy byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{spaceHead}, num)
	return append(b, copy)
}

func keyDay(day spend.Day, num uint32, slot byte, chunk uint16) []byte {
	b := make([]byte, 0, lenDayKey)
	b = appendDay(append(b, spaceDay), day)
	b = binary.BigEndian.AppendUint32(b, num)
	return binary.BigEndian.AppendUint16(append(b, slot), chunk)
}

func keyCounters(day spend.Day) []byte { return append(prefixDay(spaceRaw, day), rawCounters) }

func keyBody(day spend.Day, sum [32]byte, chunk uint16) []byte {
	b := make([]byte, 0, lenBodyKey)
	b = append(appendDay(append(b, spaceRaw), day), rawBody)
	return binary.BigEndian.AppendUint16(append(b, sum[:]...), chunk)
}

func keyPull(day spend.Day, id ulid.ULID, num uint32) []byte {
	return binary.BigEndian.AppendUint32(append(prefixRaw(day, rawPull), id[:]...), num)
}

func keyPage(day spend.Day, id ulid.ULID, seq uint32) []byte {
	return binary.BigEndian.AppendUint32(append(prefixRaw(day, rawPage), id[:]...), seq)
}

func keyEvent(day spend.Day, id string) []byte {
	return append(append(prefixDay(spaceEvent, day), eventVersion), id...)
}

// isEventID reports whether b is 1 to 64 of a-z 0-9 _.
func isEventID(b []byte) bool {
	for _, c := range b {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return len(b) >= 1 && len(b) <= maxEventID
}

// prefixDay is the prefix of everything of one day: what retention drops.
func prefixDay(space byte, day spend.Day) []byte {
	b := make([]byte, 0, lenPageKey)
	return appendDay(append(b, space), day)
}

func prefixRaw(day spend.Day, kind byte) []byte { return append(prefixDay(spaceRaw, day), kind) }

func appendDay(b []byte, day spend.Day) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(day)^1<<31)
}

func dayAt(b []byte) spend.Day { return spend.Day(binary.BigEndian.Uint32(b) ^ 1<<31) }

// key is a key taken apart; which fields mean something depends on space and kind.
type key struct {
	space, kind byte
	copy        byte // of a catalogue or a head; the slot of a day value
	chunk       uint16
	num, seq    uint32
	day         spend.Day
	pull        ulid.ULID
	sum         [32]byte
	event       string
}

// parseKey takes a key apart. ok is false for anything that is not drawn above:
// foreign bytes are reported by whoever meets them, never a panic.
func parseKey(b []byte) (k key, ok bool) {
	if len(b) < 2 {
		return key{}, false
	}
	k.space = b[0]
	switch k.space {
	case spaceMeta:
		k.kind = b[1]
		switch {
		case k.kind == metaIdentity, k.kind == metaSummary:
			return k, len(b) == 2
		case k.kind == metaCatalogue && len(b) == 3:
			k.copy = b[2]
			return k, k.copy <= 1
		}
		return key{}, false
	case spaceHead:
		if len(b) != 6 || b[5] > 1 {
			return key{}, false
		}
		k.num, k.copy = binary.BigEndian.Uint32(b[1:]), b[5]
		return k, true
	case spaceDay:
		if len(b) != lenDayKey || b[9] > 1 {
			return key{}, false
		}
		k.day, k.num = dayAt(b[1:]), binary.BigEndian.Uint32(b[5:])
		k.copy, k.chunk = b[9], binary.BigEndian.Uint16(b[10:])
		return k, true
	case spaceEvent:
		const at = lenDayPrefix + 1
		if len(b) <= at || b[lenDayPrefix] != eventVersion || !isEventID(b[at:]) {
			return key{}, false
		}
		k.day, k.kind, k.event = dayAt(b[1:]), b[lenDayPrefix], string(b[at:])
		return k, true
	case spaceRaw:
		return parseRawKey(k, b)
	}
	return key{}, false
}

func parseRawKey(k key, b []byte) (key, bool) {
	if len(b) < 6 {
		return key{}, false
	}
	k.day, k.kind = dayAt(b[1:]), b[5]
	rest := b[6:]
	switch {
	case k.kind == rawCounters && len(rest) == 0:
		return k, true
	case k.kind == rawBody && len(b) == lenBodyKey:
		copy(k.sum[:], rest)
		k.chunk = binary.BigEndian.Uint16(rest[32:])
		return k, true
	case k.kind == rawPull && len(b) == lenPageKey:
		copy(k.pull[:], rest)
		k.num = binary.BigEndian.Uint32(rest[16:])
		return k, true
	case k.kind == rawPage && len(b) == lenPageKey:
		copy(k.pull[:], rest)
		k.seq = binary.BigEndian.Uint32(rest[16:])
		return k, true
	}
	return key{}, false
}
