// Package ingest is time and truth: when to ask a provider, what to ask it for,
// and when to believe the answer. One loop per account and source plans its next
// window, walks it, keeps every page, and changes the ledger only after a walk
// that ended properly, decoded whole and passed the checks. Recompute replays
// archived pages through the same decoders and the same replacement.
//
// A day of a source is always replaced, never added to; whatever fails leaves the
// last good numbers where they are and stays the failure of one source.
package ingest

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

// Store is what ingest needs of the persistence: the ledger, the archive and the
// free-space gate.
type Store interface {
	store.Ledger
	store.Archive
	// CheckSpace returns an error that wraps store.ErrLowSpace, with figures and
	// what to do, if a pull must not start.
	CheckSpace() error
}

// Observer counts pulls for the exposition. Its methods are called by many
// goroutines and must not block.
type Observer interface {
	// Register announces a source, so that each of its series is there from the start.
	Register(id spend.SourceID)
	// PullEnded counts the final outcome of a pull and the seconds it took, all its
	// walks with fewer buckets and over parts of its window included.
	PullEnded(id spend.SourceID, outcome spend.Outcome, seconds float64)
	// PageFetched counts one response, whatever its status.
	PageFetched(id spend.SourceID)
	// Revised adds how much late revisions changed closed days, in USD, both at least 0.
	Revised(provider string, up, down spend.Money)
	// ClockSkew sets how far the provider's clock is ahead of ours.
	ClockSkew(provider string, ahead time.Duration)
}

// Instruments measures the inner parts. It is optional; its methods are called by
// many goroutines and must not block.
type Instruments interface {
	// PageDecoded adds one decoded page, its size and the time that decoding took.
	PageDecoded(source string, bytes int, seconds float64)
	// Rewalked counts a walk that was repeated with fewer buckets or days.
	Rewalked(source string)
	// Noticed adds oddities that did no harm, by name.
	Noticed(source, notice string, n int)
}

// SourceConfig is one configured source of one account.
type SourceConfig struct {
	Source       providers.Source
	Interval     time.Duration // between the starts of two pulls of the present; 0: 15m
	Lookback     time.Duration // how far back every pull reads again; rounded up to days
	Timeout      time.Duration // of one walk; 0: 5m
	MaxStaleness time.Duration // shown in the status only
	// Scope names the filter that the source reads with (its projects or workspaces),
	// in one spelling for one filter; empty means everything. A ledger that was read
	// with another scope is read again, and a replay uses no pull of another scope.
	Scope   string
	Enabled bool // a source that is not enabled is shown and never pulled
	// BudgetOnly, Counted and NoSpend are handed on in the status of a source of budgets.
	BudgetOnly bool
	Counted    string
	NoSpend    bool
	// CredentialChanged returns a fingerprint of the key, never the key itself. While
	// the key is refused it is called every few seconds, and another fingerprint
	// starts a pull at once. Nil: the key cannot change.
	CredentialChanged func() string
}

// Options are the parts of a Runner. Store and Book are required.
type Options struct {
	Sources []SourceConfig
	// InitialHistory is how far the first load reaches; it never reaches less than
	// the start of the previous month.
	InitialHistory time.Duration
	Store          Store
	// Book must hold what the ledger holds (LoadBook): days without a statement in it
	// are read again, and empty windows are judged by what it knows.
	Book     *rollup.Book
	Observer Observer // nil: nobody counts
	// Instruments is optional.
	Instruments Instruments
	// Decoders makes decoders by source name ("openai/costs") for recomputing
	// accounts that no source is configured for any more.
	Decoders map[string]func(spend.Window) providers.Decoder
	Logger   *slog.Logger     // nil: silent
	Now      func() time.Time // nil: time.Now
	// Rand returns numbers in [0,1) for jitter and is safe for concurrent use; nil:
	// math/rand/v2.
	Rand func() float64
}

func (o Options) withDefaults() Options {
	if o.Observer == nil {
		o.Observer = noObserver{}
	}
	if o.Instruments == nil {
		o.Instruments = noInstruments{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	return o
}

type noObserver struct{}

func (noObserver) Register(spend.SourceID)                          {}
func (noObserver) PullEnded(spend.SourceID, spend.Outcome, float64) {}
func (noObserver) PageFetched(spend.SourceID)                       {}
func (noObserver) Revised(string, spend.Money, spend.Money)         {}
func (noObserver) ClockSkew(string, time.Duration)                  {}

type noInstruments struct{}

func (noInstruments) PageDecoded(string, int, float64) {}
func (noInstruments) Rewalked(string)                  {}
func (noInstruments) Noticed(string, string, int)      {}
