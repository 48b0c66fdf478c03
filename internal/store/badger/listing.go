package badger

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/oklog/ulid/v2"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// pageID names a page: fetch day, pull, position.
func pageID(day spend.Day, pull ulid.ULID, seq uint32) string {
	return fmt.Sprintf("%s-%s-%04d", day.Time().Format("20060102"), pull, seq)
}

// parsePageID reads what pageID wrote, in that spelling only.
func parsePageID(id string) (day spend.Day, pull ulid.ULID, seq uint32, ok bool) {
	parts := strings.Split(id, "-")
	if len(id) > 64 || len(parts) != 3 {
		return 0, pull, 0, false
	}
	t, err := time.Parse("20060102", parts[0])
	if err != nil {
		return 0, pull, 0, false
	}
	if pull, err = ulid.ParseStrict(parts[1]); err != nil {
		return 0, pull, 0, false
	}
	n, err := strconv.ParseUint(parts[2], 10, 32)
	if err != nil {
		return 0, pull, 0, false
	}
	day, seq = spend.DayOf(t), uint32(n)
	return day, pull, seq, pageID(day, pull, seq) == id
}

// A cursor is the key of the last page handed out, less its constant parts, with
// a version in front and a checksum behind it, in the URL alphabet. It names a
// place, so pages that arrive later do not move it.
const (
	cursorVersion = 1
	cursorBytes   = 1 + 4 + 16 + 4 + 4
)

func encodeCursor(day spend.Day, pull ulid.ULID, seq uint32) string {
	b := append(appendDay([]byte{cursorVersion}, day), pull[:]...)
	b = binary.BigEndian.AppendUint32(b, seq)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

func decodeCursor(c string) (day spend.Day, pull ulid.ULID, seq uint32, err error) {
	if len(c) != base64.RawURLEncoding.EncodedLen(cursorBytes) {
		return 0, pull, 0, store.ErrBadCursor
	}
	// The decoder passes over line ends, so the length of its result is checked too.
	b, err := base64.RawURLEncoding.Strict().DecodeString(c)
	if err != nil || len(b) != cursorBytes || b[0] != cursorVersion ||
		binary.BigEndian.Uint32(b[cursorBytes-4:]) != crc32.ChecksumIEEE(b[:cursorBytes-4]) {
		return 0, pull, 0, store.ErrBadCursor
	}
	copy(pull[:], b[5:])
	return dayAt(b[1:]), pull, binary.BigEndian.Uint32(b[21:]), nil
}

// RawPages lists the pages of kept fetch days: newest day first, newest pull
// first, last page first. A page whose record is damaged is an error.
func (s *Store) RawPages(ctx context.Context, q store.RawQuery) (list store.RawList, err error) {
	done, err := s.begin("raw_pages")
	if err != nil {
		return list, err
	}
	defer done(&err)
	if q.Limit < 1 {
		return list, fmt.Errorf("listing raw pages: limit of %d", q.Limit)
	}
	// One key below every page; a cursor's page itself has been handed out.
	from, pull, seq := spend.Day(math.MaxInt32), ulid.ULID{}, uint32(0)
	if q.Cursor != "" {
		if from, pull, seq, err = decodeCursor(q.Cursor); err != nil {
			return list, fmt.Errorf("listing raw pages: %w", err)
		}
	}
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	for _, day := range s.rawDays() {
		if day > from || q.To != 0 && day > q.To {
			continue
		}
		if day < q.From {
			break
		}
		start := append(prefixRaw(day, rawPage), bytes.Repeat([]byte{0xff}, 21)...)
		if day == from {
			start = keyPage(day, pull, seq)
		}
		full, err := s.listDay(ctx, txn, q, day, start, &list)
		if err != nil {
			return store.RawList{}, fmt.Errorf("listing raw pages of %s: %w", day, s.damaged(err))
		}
		if full {
			return list, nil
		}
	}
	list.Cursor = ""
	return list, nil
}

// listDay adds the day's pages below start, and reports whether the list is full
// and there is more.
func (s *Store) listDay(
	ctx context.Context, txn *badger.Txn, q store.RawQuery, day spend.Day, start []byte, list *store.RawList,
) (full bool, err error) {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefixRaw(day, rawPage), Reverse: true})
	defer it.Close()
	it.Seek(start)
	if it.Valid() && bytes.Equal(it.Item().Key(), start) {
		it.Next()
	}
	for n := 0; it.Valid(); it.Next() {
		if n++; n%256 == 0 {
			if err := ctxErr(ctx, "listing"); err != nil {
				return false, err
			}
		}
		m, err := s.readMeta(it.Item())
		if err != nil {
			return false, err
		}
		if q.Provider != "" && m.Source.Provider != q.Provider || q.Source != "" && m.Source.Source != q.Source {
			continue
		}
		if len(list.Items) == q.Limit {
			return true, nil
		}
		list.Items = append(list.Items, s.rawPage(m, nil))
		list.Cursor = encodeCursor(m.day, m.pull, m.seq)
	}
	return false, nil
}

// RawPage reads a page and verifies its body against the digest taken when it
// was received.
func (s *Store) RawPage(ctx context.Context, provider, id string) (p store.RawPage, err error) {
	done, err := s.begin("raw_page")
	if err != nil {
		return p, err
	}
	defer done(&err)
	if err := ctxErr(ctx, "reading a raw page"); err != nil {
		return p, err
	}
	day, pull, seq, ok := parsePageID(id)
	if !ok || day < s.rawCutoff(s.opt.Now()) {
		return p, fmt.Errorf("raw page %q of %s: %w", id, provider, store.ErrNotFound)
	}
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	item, err := txn.Get(keyPage(day, pull, seq))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return p, fmt.Errorf("raw page %q of %s: %w", id, provider, store.ErrNotFound)
	}
	if err != nil {
		return p, fmt.Errorf("reading raw page %s: %w", id, err)
	}
	m, err := s.readMeta(item)
	if err != nil {
		return p, fmt.Errorf("reading raw page %s: %w", id, s.damaged(err))
	}
	if m.Source.Provider != provider {
		return p, fmt.Errorf("raw page %q of %s: %w", id, provider, store.ErrNotFound)
	}
	body, err := s.readBody(txn, m.bodyKey(), m.Bytes)
	if err != nil {
		return p, fmt.Errorf("reading raw page %s: %w", id, s.damaged(err))
	}
	return s.rawPage(m, body), nil
}
