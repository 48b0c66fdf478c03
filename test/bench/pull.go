package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aispend/aispend/internal/ingest"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/internal/store/badger"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/openai"
	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
)

// pullNow is the time of the pulled world, late in its day and month so that no
// other pull is due.
func pullNow() time.Time { return time.Date(2026, 11, 23, 23, 0, 0, 0, time.UTC) }

// largePull measures one walk over pages of several megabytes: the simulator's
// pages over loopback, through the real provider, decoder and store.
func largePull(ctx context.Context, b *bench) (err error) {
	defer b.discard(b.path("pull"), &err)
	w := spend.Window{To: spend.DayOf(pullNow()) + 1}
	w.From = w.To - spend.Day(b.sizes.pullDays)
	total, pages, err := b.capture(ctx, w)
	if err != nil {
		return err
	}
	base, stop, err := b.host(ctx, b.path("pages"))
	if err != nil {
		return err
	}
	defer stop()
	src, err := costs(base, "default")
	if err != nil {
		return err
	}
	b.note("one walk of %d pages, %s MB in all, uncompressed; the simulator runs in another process",
		pages, mega(total))
	names := []string{
		"aispend: fetch, archive, decode, apply",
		"limit: fetch + encoding/json", "limit: fetch + jsontext tokens",
	}
	fresh := 0
	var dir string
	got, err := rounds{n: b.sizes.rounds, watchHeap: true}.inTurn(
		contender{name: names[0], before: func() error {
			fresh++
			dir = b.path("pull", fmt.Sprint(fresh))
			return nil
		}, do: func() error { return pullOnce(ctx, src, dir, w) }},
		contender{name: names[1], do: func() error { return walk(ctx, base, decodeStd) }},
		contender{name: names[2], do: func() error { return walk(ctx, base, decodeTokens) }},
	)
	if err != nil {
		return err
	}
	rows := make([][]string, len(got))
	for i, f := range got {
		rows[i] = []string{
			names[i], seconds(f.cpu), number(float64(total) / 1e6 / f.cpu.Seconds()),
			number(float64(total) / 1e6 / f.wall.Seconds()),
			count(f.allocs), mega(f.allocated), mega(f.peak), times(f.cpu, got[2].cpu),
		}
	}
	b.table([]string{
		"contender", "CPU s", "MB per CPU s", "MB/s", "allocs", "MB allocated", "peak heap MB", "to limit",
	}, rows)
	return nil
}

// capture lets the simulator make the pages of a walk and saves them.
func (b *bench) capture(ctx context.Context, w spend.Window) (total, pages int, err error) {
	world := simulator.New(simulator.Options{
		Seed: 1, Now: pullNow, Start: w.From - 1, Weight: b.sizes.pullWeight,
	})
	servers, err := world.Start(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, servers.Close()) }()
	src, err := costs(servers.OpenAI, "default")
	if err != nil {
		return 0, 0, err
	}
	var bodies [][]byte
	req := providers.Request{Window: w, Buckets: providers.MaxBuckets}
	err = src.Fetch(ctx, req, func(p spend.Page) error {
		bodies = append(bodies, p.Body)
		total += len(p.Body)
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("capturing pages: %w", err)
	}
	return total, len(bodies), savePages(b.path("pages"), bodies)
}

// costs returns openai/costs of one account at a base URL.
func costs(base, account string) (providers.Source, error) {
	settings := &openai.Settings{APIKey: secret.New(simulator.DefaultOpenAIKey), BaseURL: base}
	sources, err := settings.Open(providers.Env{Account: account, NoEnvProxy: true})
	if err != nil {
		return nil, fmt.Errorf("opening the provider: %w", err)
	}
	for _, s := range sources {
		if s.Type().Kind == providers.Costs {
			return s, nil
		}
	}
	return nil, errors.New("the provider has no costs source")
}

// pullOnce lets a runner do one pull of w into an empty store.
func pullOnce(ctx context.Context, src providers.Source, dir string, w spend.Window) (err error) {
	st, err := badger.Open(ctx, badger.Options{
		Dir: dir, RawRetentionDays: rawRetention, HistoryDays: history, Now: pullNow,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	state := store.State{CoveredFrom: w.From, LastApplied: pullNow().Add(-time.Hour)}
	if err := st.SetState(ctx, src.ID(), state); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	seen := &firstPull{done: cancel}
	book := rollup.NewBook()
	err = ingest.New(ingest.Options{
		Sources: []ingest.SourceConfig{{
			Source: src, Enabled: true, Interval: 15 * time.Minute, Timeout: 5 * time.Minute,
			Lookback: time.Duration(w.Days()-1) * 24 * time.Hour,
		}},
		InitialHistory: 24 * time.Hour, Store: st, Book: book, Observer: seen,
		Now: pullNow, Rand: func() float64 { return 0 },
	}).Run(ctx)
	if err != nil {
		return fmt.Errorf("pulling: %w", err)
	}
	if _, known := book.Snapshot().Statement(src.ID(), w.From); seen.outcome != spend.OK || !known {
		return fmt.Errorf("the pull ended with outcome %q and first day known: %t", seen.outcome, known)
	}
	return nil
}

// firstPull ends a runner after its first pull.
type firstPull struct {
	outcome spend.Outcome
	done    func()
}

func (*firstPull) Register(spend.SourceID)                  {}
func (*firstPull) PageFetched(spend.SourceID)               {}
func (*firstPull) Revised(string, spend.Money, spend.Money) {}
func (*firstPull) ClockSkew(string, time.Duration)          {}
func (f *firstPull) PullEnded(_ spend.SourceID, o spend.Outcome, _ float64) {
	f.outcome = o
	f.done()
}

// walk fetches all pages as plainly as possible and hands them to decode, which
// returns the token of the next page.
func walk(ctx context.Context, base string, decode func([]byte) (next string, err error)) error {
	for next := ""; ; {
		u := base + "/v1/organization/costs"
		if next != "" {
			u += "?page=" + url.QueryEscape(next)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, http.NoBody)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			return err
		}
		if next, err = decode(body); err != nil || next == "" {
			return err
		}
	}
}

// costsPage is a page as encoding/json likes it.
type costsPage struct {
	Data []struct {
		Start   int64 `json:"start_time"`
		Results []struct {
			Amount struct {
				Value    json.RawMessage `json:"value"`
				Currency string          `json:"currency"`
			} `json:"amount"`
			LineItem *string `json:"line_item"`
			Project  *string `json:"project_id"`
		} `json:"results"`
	} `json:"data"`
	Next *string `json:"next_page"`
}

func decodeStd(body []byte) (string, error) {
	var p costsPage
	if err := json.Unmarshal(body, &p); err != nil || p.Next == nil {
		return "", err
	}
	return *p.Next, nil
}

// decodeTokens only tokenizes: nothing can be decoded for less.
func decodeTokens(body []byte) (next string, err error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body))
	for after := false; ; {
		tok, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return next, nil
		}
		if err != nil {
			return "", err
		}
		if dec.StackDepth() == 1 && tok.Kind() == '"' {
			text := tok.String()
			if after {
				next = text
			}
			after = text == "next_page"
		}
	}
}
