package badger

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/oklog/ulid/v2"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// bodyIntact reports whether the day holds the body, readable to the last byte.
func (s *Store) bodyIntact(bk bodyKey, size int) bool {
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	_, err := s.readBody(txn, bk, size)
	return err == nil
}

// readBody reads a body and compares it with its name, which is its digest.
func (s *Store) readBody(txn *badger.Txn, bk bodyKey, size int) ([]byte, error) {
	if size == 0 {
		return []byte{}, nil
	}
	body, err := s.readChunks(txn, kindBody, size, func(i uint16) []byte { return keyBody(bk.day, bk.sum, i) })
	if err != nil {
		return nil, err
	}
	if sha256.Sum256(body) != bk.sum {
		return nil, fmt.Errorf("%w: body is not the one that was received", store.ErrCorrupt)
	}
	return body, nil
}

// checkBody verifies the envelopes of a body without opening them.
func (s *Store) checkBody(txn *badger.Txn, bk bodyKey, size int) error {
	for i, got := uint16(0), 0; got < size; i++ {
		key := keyBody(bk.day, bk.sum, i)
		item, err := txn.Get(key)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return errMissing
		}
		if err != nil {
			return fmt.Errorf("reading a body: %w", err)
		}
		var n int
		if err := item.Value(func(v []byte) error {
			n = contentLen(v)
			return s.sealer.check(key, kindBody, v)
		}); err != nil {
			return err
		}
		if n == 0 || got+n > size {
			return fmt.Errorf("%w: pieces of another length", store.ErrCorrupt)
		}
		got += n
	}
	return nil
}

func (m *pageMeta) bodyKey() bodyKey { return bodyKey{m.day, [sha256.Size]byte(m.Sum)} }

// readMeta opens a page's record.
func (s *Store) readMeta(item *badger.Item) (*pageMeta, error) {
	k, ok := parseKey(item.Key())
	if !ok || k.kind != rawPage {
		return nil, fmt.Errorf("%w: foreign key among the pages", store.ErrCorrupt)
	}
	var m *pageMeta
	err := item.Value(func(v []byte) error {
		content, err := s.sealer.unseal(item.Key(), kindPage, v)
		if err != nil {
			return err
		}
		m, err = decodeMeta(k, content)
		return err
	})
	return m, err
}

// page returns the page as it was handed in, with body or without.
func (m *pageMeta) page(body []byte) spend.Page {
	return spend.Page{
		Seq: int(m.seq), URL: m.URL, Status: m.Status, Header: m.Header,
		FetchedAt: m.FetchedAt, Body: body, Redacted: m.Redacted,
	}
}

// rawPage returns the page with its circumstances; its source is named as now.
func (s *Store) rawPage(m *pageMeta, body []byte) store.RawPage {
	return store.RawPage{
		ID: pageID(m.day, m.pull, m.seq), Source: s.named(m.num, m.Source), Pull: m.pull.String(),
		Window: m.Window, Bytes: m.Bytes, Page: m.page(body),
	}
}

// named returns the present name of a source number, and then if it has left the
// ledger.
func (s *Store) named(num uint32, then spend.SourceID) spend.SourceID {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if link := s.cat.byNum(num); link != nil {
		return link.ID
	}
	return then
}

// pull returns the record as the contract shows it. One without a verdict is
// open if this process has begun it, and was cut off otherwise.
func (s *Store) pull(r *pullRecord) store.Pull {
	p := store.Pull{
		ID: r.id.String(), Source: s.named(r.Num, r.Source), Window: r.Window, Kind: r.Kind,
		Scope: r.Scope, Buckets: r.Buckets, Started: r.Started, Finished: r.Finished, Verdict: r.Verdict,
		Outcome: r.Outcome, Detail: r.Detail, Pages: r.Pages, Commit: r.Commit,
	}
	if p.Verdict == store.Open {
		s.mu.RLock()
		_, live := s.live[r.id]
		s.mu.RUnlock()
		if !live {
			p.Verdict, p.Outcome, p.Detail = store.Failed, spend.Incomplete, "aispend stopped during the pull"
		}
	}
	return p
}

// Pulls lists the pulls whose record is kept. If a record is damaged or missing it
// is an error and not a shorter list: a replay must not take an older pull for
// the newest.
func (s *Store) Pulls(
	ctx context.Context, id spend.SourceID, since time.Time, fn func(store.Pull) bool,
) (err error) {
	done, err := s.begin("pulls")
	if err != nil {
		return err
	}
	defer done(&err)
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	for _, day := range s.rawDays() {
		if day < spend.DayOf(since) {
			return nil
		}
		if err := ctxErr(ctx, "listing pulls of "+id.String()); err != nil {
			return err
		}
		records, err := s.pullsOf(txn, day)
		if err != nil {
			return fmt.Errorf("listing pulls of %s on %s: %w", id, day, s.damaged(err))
		}
		for _, r := range records {
			if p := s.pull(r); p.Source == id && !p.Started.Before(since) && !fn(p) {
				return nil
			}
		}
	}
	return nil
}

// pullsOf reads the records of a fetch day, newest first, and compares their
// number with the day's counter.
func (s *Store) pullsOf(txn *badger.Txn, day spend.Day) ([]*pullRecord, error) {
	counters, err := s.readCounters(txn, day)
	if errors.Is(err, errMissing) && !s.keeps(day) {
		return nil, nil // dropped while we were reading
	}
	if err != nil {
		return nil, fmt.Errorf("counters: %w", err)
	}
	var records []*pullRecord
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefixRaw(day, rawPull)})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		r, err := s.readPull(it.Item())
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	if len(records) != counters.Pulls {
		return nil, fmt.Errorf("%w: %d pull records, %d were written",
			store.ErrCorrupt, len(records), counters.Pulls)
	}
	slices.SortStableFunc(records, func(a, b *pullRecord) int {
		return cmp.Or(b.Started.Compare(a.Started), bytes.Compare(b.id[:], a.id[:]))
	})
	return records, nil
}

// keeps reports whether a fetch day is still kept.
func (s *Store) keeps(day spend.Day) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.days[day]
	return ok
}

func (s *Store) readPull(item *badger.Item) (*pullRecord, error) {
	k, ok := parseKey(item.Key())
	if !ok || k.kind != rawPull {
		return nil, fmt.Errorf("%w: foreign key among the pulls", store.ErrCorrupt)
	}
	r := &pullRecord{}
	err := item.Value(func(v []byte) error {
		content, err := s.sealer.unseal(item.Key(), kindPull, v)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(content, r); err != nil {
			return fmt.Errorf("%w: pull record: %w", store.ErrCorrupt, err)
		}
		return nil
	})
	r.id = k.pull
	return r, err
}

// PullPages verifies that every page of the pull is there and undamaged before it
// calls fn with the first.
func (s *Store) PullPages(ctx context.Context, p store.Pull, fn func(spend.Page) error) (err error) {
	done, err := s.begin("pull_pages")
	if err != nil {
		return err
	}
	defer done(&err)
	id, err := ulid.ParseStrict(p.ID)
	if err != nil {
		return fmt.Errorf("reading pull %q: %w", p.ID, store.ErrNotFound)
	}
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	pages, err := s.wholePull(ctx, txn, spend.DayOf(p.Started), id)
	if err != nil {
		return fmt.Errorf("reading pull %s of %s: %w", p.ID, p.Source, s.damaged(err))
	}
	for _, m := range pages {
		if err := ctxErr(ctx, "reading pull "+p.ID); err != nil {
			return err
		}
		body, err := s.readBody(txn, m.bodyKey(), m.Bytes)
		if err != nil {
			return fmt.Errorf("reading page %d of pull %s: %w: %w", m.seq, p.ID, store.ErrPagesMissing, s.damaged(err))
		}
		if err := fn(m.page(body)); err != nil {
			return err
		}
	}
	return nil
}

// wholePull returns the pages that the pull's record demands, in order.
func (s *Store) wholePull(
	ctx context.Context, txn *badger.Txn, day spend.Day, id ulid.ULID,
) ([]*pageMeta, error) {
	rec, err := s.findPull(txn, day, id)
	if err != nil {
		return nil, err
	}
	cutoff := s.rawCutoff(s.opt.Now())
	if rec.day() < cutoff || rec.Pages > 0 && rec.FirstDay < cutoff {
		return nil, fmt.Errorf("%w: past their retention", store.ErrPagesMissing)
	}
	pages := make([]*pageMeta, 0, rec.Pages)
	for d := rec.FirstDay; rec.Pages > 0 && d <= rec.LastDay; d++ {
		if err := ctxErr(ctx, "reading a pull"); err != nil {
			return nil, err
		}
		if pages, err = s.appendPages(txn, pages, d, id); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(pages, func(a, b *pageMeta) int { return cmp.Compare(a.seq, b.seq) })
	var digest []byte
	for _, m := range pages {
		digest = m.chain(digest)
	}
	if len(pages) != rec.Pages || !bytes.Equal(digest, rec.Digest) {
		return nil, fmt.Errorf("%w: %d pages of %d: %w",
			store.ErrPagesMissing, len(pages), rec.Pages, store.ErrCorrupt)
	}
	for _, m := range pages {
		if err := s.checkBody(txn, m.bodyKey(), m.Bytes); err != nil {
			return nil, fmt.Errorf("%w: body of page %d: %w", store.ErrPagesMissing, m.seq, err)
		}
	}
	return pages, nil
}

func (s *Store) findPull(txn *badger.Txn, day spend.Day, id ulid.ULID) (*pullRecord, error) {
	prefix := append(prefixRaw(day, rawPull), id[:]...)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	if it.Rewind(); !it.Valid() {
		return nil, fmt.Errorf("%w: no record of the pull", store.ErrPagesMissing)
	}
	r, err := s.readPull(it.Item())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrPagesMissing, err)
	}
	return r, nil
}

func (s *Store) appendPages(
	txn *badger.Txn, pages []*pageMeta, day spend.Day, id ulid.ULID,
) ([]*pageMeta, error) {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: append(prefixRaw(day, rawPage), id[:]...)})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		m, err := s.readMeta(it.Item())
		if err != nil {
			return nil, fmt.Errorf("%w: %w", store.ErrPagesMissing, err)
		}
		pages = append(pages, m)
	}
	return pages, nil
}
