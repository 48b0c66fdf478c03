package vertex

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

func bigqueryFamily() providers.SourceType {
	return providers.SourceType{
		Name: Name + "/bigquery", Kind: providers.Costs,
		Interval: time.Hour, Lookback: 40 * 24 * time.Hour, MaxStaleness: 48 * time.Hour,
		// Google promises nothing; up to 1.6 days were seen (apis page, section 1).
		Lag: 48 * time.Hour, MaxBuckets: 1,
	}
}

// BigQuery is the source of what a billing export says.
type BigQuery struct {
	account   string
	client    *Client
	mapper    *Mapper
	log       *slog.Logger
	estimated bool
}

var _ providers.Source = (*BigQuery)(nil)

// ID names the source.
func (b *BigQuery) ID() spend.SourceID {
	return spend.SourceID{Provider: Name, Account: b.account, Source: bigqueryFamily().Name}
}

// Type returns the family's facts.
func (b *BigQuery) Type() providers.SourceType { return bigqueryFamily() }

// NewDecoder returns a decoder for one walk.
func (b *BigQuery) NewDecoder(w spend.Window) providers.Decoder {
	return &decoder{rows: NewRowDecoder(w), window: w, mapper: b.mapper}
}

// Fetch asks for the window's days, UTC. The pages of an answer do not depend on
// req.Buckets. The first one of a process also logs what a query reads.
func (b *BigQuery) Fetch(ctx context.Context, req providers.Request, emit func(spend.Page) error) error {
	return b.client.fetch(ctx, req.Window, UTC, req.Mark, emit, func(ctx context.Context, info TableInfo) {
		if !b.estimated {
			b.estimated = true
			b.estimate(ctx, info, req.Window)
		}
	})
}

// estimate logs what a query reads, and whether that is within the limit: what the
// query itself would find out, before any is billed. What keeps a dry run from an
// answer is told by the query.
func (b *BigQuery) estimate(ctx context.Context, info TableInfo, w spend.Window) {
	n, err := b.client.estimate(ctx, info, w)
	if err != nil {
		b.log.Debug("no estimate of what a query reads", "err", err)
		return
	}
	args := []any{
		"account", b.account, "table", b.client.table.String(), "window", w.String(), "bytes", n,
		"size", humanize.Bytes(uint64(n)), "max_bytes_billed", b.client.maxBytes,
	}
	if n > b.client.maxBytes {
		b.log.Warn("a query reads more than max_bytes_billed allows", args...)
	} else {
		b.log.Info("a query reads this much of the billing export", args...)
	}
}

func logger(env providers.Env) *slog.Logger {
	if env.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return env.Logger
}

// decoder makes statements of the pages of one walk.
type decoder struct {
	rows   *RowDecoder
	window spend.Window
	mapper *Mapper
}

// Page decodes one body.
func (d *decoder) Page(body []byte) error { return d.rows.Page(body) }

// Result says what the rows come to.
func (d *decoder) Result() (providers.Result, error) {
	export, err := d.rows.Export()
	if err != nil {
		return providers.Result{}, err
	}
	if export.Through.IsZero() && !export.First.IsZero() {
		return providers.Result{}, spend.Classify(spend.Schema, errors.New(
			"decoding vertex bigquery: no row has an export_time, so nothing says how far the data reaches"))
	}
	out := providers.Result{
		Through: export.Through, From: export.begins(d.window), Mark: export.Table.Mark(), Notices: export.Notices,
	}
	w := d.window
	w.From = min(max(w.From, out.From), w.To)
	out.Statements = Statements(w, d.mapper.Charge(export.Rows))
	return out, nil
}

// begins is the first day of w that the export can say something of, 0 if that is all
// of w: a day is known if anything was used on it or before it, by whatever service,
// or if the export was being written already. An export starts on the day on which it is
// enabled, or some weeks earlier, and what was spent before is not nothing.
func (e Export) begins(w spend.Window) spend.Day {
	first := w.To
	if !e.First.IsZero() {
		first = min(first, spend.DayOf(e.First))
	}
	if c := e.Table.Created; !c.IsZero() {
		first = min(first, spend.DayOf(c)+1) // of its first day it may have only a part
	}
	if first <= w.From {
		return 0
	}
	return first
}
