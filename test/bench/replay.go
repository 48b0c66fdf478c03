package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/aispend/aispend/internal/ingest"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/internal/store/badger"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

const replayPull = 30 // days, and pages, of one archived pull

// replay measures a recompute of everything, where each page holds a day of its
// own, so that all of them are read, decoded and compared with the ledger.
func replay(ctx context.Context, b *bench) (err error) {
	dir := b.path("replay")
	now := time.Now()
	st, err := badger.Open(ctx, badger.Options{
		Dir: dir, RawRetentionDays: rawRetention, HistoryDays: history,
	})
	if err != nil {
		return err
	}
	defer b.discard(dir, &err)
	defer func() { err = errors.Join(err, st.Close()) }()
	a := &archive{store: st, now: now}
	for i := range b.sizes.accounts {
		if err := a.fill(ctx, i, b.sizes.accountDays); err != nil {
			return err
		}
	}
	book := rollup.NewBook()
	if _, err := ingest.LoadBook(ctx, st, book); err != nil {
		return err
	}
	src, err := costs("http://127.0.0.1:1", "default")
	if err != nil {
		return err
	}
	runner := ingest.New(ingest.Options{
		Store: st, Book: book,
		Decoders: map[string]func(spend.Window) providers.Decoder{src.Type().Name: src.NewDecoder},
	})
	b.note("%d raw pages, %s MB, of %d accounts and %d days; nothing has changed, so nothing is written",
		a.pages, mega(a.bytes), b.sizes.accounts, b.sizes.accountDays)
	names := []string{"encoding/json + big.Rat + map", "aispend recompute", "limit: read and decompress"}
	got, err := rounds{n: b.sizes.rounds}.inTurn(
		contender{name: names[0], do: func() error { return a.addUp(ctx) }},
		contender{name: names[1], do: func() error { return recompute(ctx, runner, a.pages) }},
		contender{name: names[2], do: func() error { return a.each(ctx, func(spend.Page) error { return nil }) }},
	)
	if err != nil {
		return err
	}
	rows := make([][]string, len(got))
	for i, f := range got {
		rows[i] = []string{
			names[i], seconds(f.cpu), number(float64(a.bytes) / 1e6 / f.cpu.Seconds()), count(f.allocs),
			mega(f.allocated), times(f.cpu, got[0].cpu), times(f.cpu, got[2].cpu),
		}
	}
	b.table([]string{
		"contender", "CPU s", "MB per CPU s", "allocs", "MB allocated", "to encoding/json", "to limit",
	}, rows)
	b.atMost("replay, CPU to that of reading and decompressing",
		float64(got[1].cpu)/float64(got[2].cpu), 10, "x")
	return nil
}

func recompute(ctx context.Context, r *ingest.Runner, days int) error {
	rep, err := r.Recompute(ctx, ingest.RecomputeRequest{})
	if err != nil {
		return err
	}
	if rep.Days != days || rep.Changed != 0 || len(rep.Problems) > 0 {
		return fmt.Errorf("replay of %d days, of which %d changed, instead of %d and none: %v",
			rep.Days, rep.Changed, days, rep.Problems)
	}
	return nil
}

// archive is a store of applied pulls.
type archive struct {
	store *badger.Store
	now   time.Time
	pulls []store.Pull
	pages int
	bytes int64
}

// fill writes one account: pulls of replayPull days, one page per day.
func (a *archive) fill(ctx context.Context, account, days int) error {
	src, err := costs("http://127.0.0.1:1", fmt.Sprintf("account-%02d", account))
	if err != nil {
		return err
	}
	p := newPager(uint64(account), 0)
	last := spend.DayOf(a.now)
	for from := last - spend.Day(days); from < last; from += replayPull {
		w := spend.Window{From: from, To: min(from+replayPull, last)}
		if err := a.pull(ctx, src, p, w); err != nil {
			return err
		}
	}
	return nil
}

func (a *archive) pull(ctx context.Context, src providers.Source, p *pager, w spend.Window) error {
	pull := store.Pull{Source: src.ID(), Window: w, Kind: ingest.KindHistory, Buckets: 1, Started: a.now}
	writer, err := a.store.Begin(ctx, pull)
	if err != nil {
		return err
	}
	dec := src.NewDecoder(w)
	for d := w.From; d < w.To; d++ {
		body := p.page(d, d+1 < w.To)
		if err := writer.Page(ctx, rawPage(int(d-w.From), a.now, body)); err != nil {
			return err
		}
		if err := dec.Page(body); err != nil {
			return err
		}
		a.pages++
		a.bytes += int64(len(body))
	}
	result, err := dec.Result()
	if err != nil {
		return err
	}
	state := store.State{CoveredFrom: w.From, LastApplied: a.now}
	if err := writer.Apply(ctx, spend.OK, result.Statements, state); err != nil {
		return err
	}
	pull.ID = writer.ID()
	a.pulls = append(a.pulls, pull)
	return nil
}

// rawPage is a page as a provider hands it to the store.
func rawPage(seq int, at time.Time, body []byte) spend.Page {
	return spend.Page{
		Seq: seq, Status: 200, FetchedAt: at, Body: body,
		URL:    fmt.Sprintf("https://api.openai.com/v1/organization/costs?bucket_width=1d&page=page_%d", seq),
		Header: map[string]string{"Content-Type": "application/json", "Date": at.UTC().Format(time.RFC1123)},
	}
}

// each reads every page of every pull.
func (a *archive) each(ctx context.Context, fn func(spend.Page) error) error {
	pages := 0
	for _, p := range a.pulls {
		if err := a.store.PullPages(ctx, p, func(page spend.Page) error {
			pages++
			return fn(page)
		}); err != nil {
			return err
		}
	}
	if pages != a.pages {
		return fmt.Errorf("read %d pages of %d", pages, a.pages)
	}
	return nil
}

// addUp is how one would write it in an afternoon, exact all the same.
func (a *archive) addUp(ctx context.Context) error {
	all := map[spend.SourceID]sums{}
	for _, p := range a.pulls {
		if all[p.Source] == nil {
			all[p.Source] = sums{}
		}
		if err := a.store.PullPages(ctx, p, all[p.Source].page); err != nil {
			return err
		}
	}
	return nil
}

// sums are exact sums per day, project and line item.
type sums map[sumKey]*big.Rat

type sumKey struct {
	day           int64
	project, item string
}

func (s sums) page(page spend.Page) error {
	var p costsPage
	if err := json.Unmarshal(page.Body, &p); err != nil {
		return err
	}
	for _, bucket := range p.Data {
		for _, row := range bucket.Results {
			amount, ok := new(big.Rat).SetString(strings.Trim(string(row.Amount.Value), `"`))
			if !ok {
				return fmt.Errorf("amount %s", row.Amount.Value)
			}
			k := sumKey{bucket.Start, *row.Project, *row.LineItem}
			if sum := s[k]; sum != nil {
				sum.Add(sum, amount)
			} else {
				s[k] = amount
			}
		}
	}
	return nil
}
