// Package store is the contract of aispend's persistence: the ledger (what every
// source says about every day), the archive (every raw page, for audit and
// replay), the outbox (what the hard-cap hook has to deliver) and their upkeep. The
// engine lives in store/badger; the conformance suite that any engine must pass in
// store/storetest.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/aispend/aispend/spend"
)

// Errors a caller decides on.
var (
	// ErrNotFound: no such page.
	ErrNotFound = errors.New("not found")
	// ErrPagesMissing: a pull cannot be replayed because a page has expired or is damaged.
	ErrPagesMissing = errors.New("raw pages missing")
	// ErrLowSpace: the free-space gate refuses to write.
	ErrLowSpace = errors.New("not enough free disk space")
	// ErrCorrupt: a value failed its checksum, or a key that must exist is gone.
	ErrCorrupt = errors.New("store is damaged")
	// ErrBadCursor: a cursor that this store did not hand out.
	ErrBadCursor = errors.New("bad cursor")
	// ErrAccountExists: a rename would merge two accounts that both hold charges.
	ErrAccountExists = errors.New("account already holds charges")
	// ErrMoved: the directory of an open store was removed or replaced.
	ErrMoved = errors.New("store directory is not the one that was opened")
	// ErrClosed: the store has been closed.
	ErrClosed = errors.New("store is closed")
)

// Store is everything together. All methods are safe for concurrent use.
type Store interface {
	Ledger
	Archive
	Outbox
	Upkeep
	Close() error
}

// Ledger holds the current statement of every source and day, and each source's state.
type Ledger interface {
	// Sources lists the sources the ledger knows, with their states, sorted. If the
	// ledger of some is lost, it lists the others beside an error that wraps ErrCorrupt.
	Sources(ctx context.Context) ([]SourceRecord, error)
	// Statements calls fn with every current statement of one source, ascending by
	// day; fn may keep the statement. A damaged day is reported through Damaged of
	// the returned report and skipped; the other days still arrive.
	Statements(ctx context.Context, id spend.SourceID, fn func(spend.Statement) error) (Report, error)
	// Begin opens a pull: its pages are kept whatever becomes of it.
	Begin(ctx context.Context, p Pull) (PullWriter, error)
	// Amend replaces single days (and nothing else) without a pull: recompute uses
	// it. All days change together or none does. Durable when it returns.
	Amend(ctx context.Context, id spend.SourceID, days []spend.Statement) error
	// SetState replaces a source's state and nothing else. Durable when it returns.
	SetState(ctx context.Context, id spend.SourceID, st State) error
	// Rename moves every source of a provider's account to another account name,
	// at once. ErrAccountExists if the new name already has statements.
	Rename(ctx context.Context, provider, from, to string) error
}

// PullWriter receives one walk. It is used by one goroutine, and ended by exactly
// one of Fail, Hold and Apply.
type PullWriter interface {
	// ID returns the pull's id (a ULID).
	ID() string
	// Page keeps a page. It may be buffered; it is durable when the pull has ended.
	Page(ctx context.Context, p spend.Page) error
	// Narrow makes w, which lies in the pull's window, the days that the pull is about:
	// nothing was learnt of the others. It may be empty. No page follows.
	Narrow(w spend.Window)
	// Fail ends the pull with verdict failed: pages kept, ledger untouched.
	Fail(ctx context.Context, o spend.Outcome, detail string) error
	// Hold ends the pull with verdict held, and stores the state (with its hold).
	Hold(ctx context.Context, st State) error
	// Apply ends the pull with verdict applied: in one atomic and durable step every
	// day of the pull's window is replaced by its statement in days (a day without
	// one no longer has a statement... it becomes an explicit empty day), and the state is set.
	Apply(ctx context.Context, o spend.Outcome, days []spend.Statement, st State) error
}

// Archive reads raw pages and pulls back.
type Archive interface {
	// Pulls calls fn with the pulls of a source that began at or after since,
	// newest first, until fn returns false.
	Pulls(ctx context.Context, id spend.SourceID, since time.Time, fn func(Pull) bool) error
	// PullPages calls fn with every page of the pull in order, bodies included.
	// ErrPagesMissing if one of them is not there any more, found out before fn is called.
	PullPages(ctx context.Context, p Pull, fn func(spend.Page) error) error
	// RawPages lists pages newest first, without bodies.
	RawPages(ctx context.Context, q RawQuery) (RawList, error)
	// RawPage returns one page of a provider with its body.
	RawPage(ctx context.Context, provider, id string) (RawPage, error)
}

// Outbox keeps the events of the hard-cap hook: each is one value, so that what it
// says and what has become of it change in one step.
type Outbox interface {
	// PutEvents stores events by their ids: new ones, and new versions of those that are
	// there, which keep their Day. Durable when it returns. Events beyond what fits into
	// one transaction go into several: after an error some may be stored, each of them
	// whole, and putting all of them again is right. It goes on below the reserve that
	// keeps pulls from starting (CheckSpace), as far as the engine safely can: a full
	// disk must not be what keeps a key from being revoked.
	PutEvents(ctx context.Context, events []OutboxEvent) error
	// Events calls fn with the newest version of every event, ascending by Day and ID;
	// fn may keep the event. Those that are lost do not keep the others from arriving:
	// the error comes at the end and wraps ErrCorrupt.
	Events(ctx context.Context, fn func(OutboxEvent) error) error
}

// Upkeep keeps the disk bounded and tells how things stand.
type Upkeep interface {
	// CheckSpace returns ErrLowSpace (wrapped, with figures and what to do) if a pull must not start.
	CheckSpace() error
	// Expire drops raw pages, history and events past their retention at now.
	Expire(ctx context.Context, now time.Time) error
	// Verify reads everything once and reports damage; slow.
	Verify(ctx context.Context) error
	// Stats is cheap: no scan.
	Stats() Stats
}

// SourceRecord is a source as the ledger knows it.
type SourceRecord struct {
	ID    spend.SourceID
	State State
	// Days is how many days have a statement; Charges and Usage how many rows of
	// each they hold.
	Days, Charges, Usage int
}

// State is where a source stands; it changes only together with the ledger.
type State struct {
	// CoveredFrom is the first day of the unbroken history read so far; 0 before the first applied pull.
	CoveredFrom spend.Day `json:"covered_from,omitzero"`
	// LastApplied is the start of the newest applied walk that reached the present.
	LastApplied time.Time `json:"last_applied,omitzero"`
	// DataThrough is how far the source's money reaches (contract section 2).
	DataThrough time.Time `json:"data_through,omitzero"`
	// PreviousMonthRead is the UTC day on which the previous month was last re-read whole.
	PreviousMonthRead spend.Day `json:"previous_month_read,omitzero"`
	// Scope is the filter (projects, workspaces) that the ledger's days were read
	// with; empty means all.
	Scope string `json:"scope,omitempty"`
	// RereadFrom is how far back the history is to be read once more, because Scope
	// changed; 0 means only as far as the first load.
	RereadFrom spend.Day `json:"reread_from,omitzero"`
	// Begins is the first day that the provider's data reaches back to, if a walk found
	// that it reaches no further; 0 if none did.
	Begins spend.Day `json:"begins,omitzero"`
	// Budgets is what a source of budgets knows, ascending by name.
	Budgets []spend.Budget `json:"budgets,omitempty"`
	// Holds are suspicious empty windows being held, by kind of window, and those of
	// lost days also by the day on which they begin.
	Holds map[string]Hold `json:"holds,omitempty"`
}

// Hold counts complete walks that found a window empty which had money.
type Hold struct {
	Window spend.Window `json:"window"`
	Count  int          `json:"count"`
	First  time.Time    `json:"first"`
	Last   time.Time    `json:"last"`
}

// OutboxEvent is one event of the hard-cap hook as it is stored. Its content belongs to
// internal/hardcap.
type OutboxEvent struct {
	// ID is unique over all days: 1 to 64 of a-z 0-9 _.
	ID string
	// Day is the UTC day on which the event was first put. It goes, as the days of the
	// ledger go, when that day is older than the history that is kept.
	Day spend.Day
	// Content is at most MaxEventBytes long.
	Content []byte
}

// MaxEventBytes bounds the content of one event.
const MaxEventBytes = 64 << 10

// Verdict is what became of a pull.
type Verdict string

// The verdicts. A pull without one was cut off by a kill and counts as failed.
const (
	Open    Verdict = ""
	Applied Verdict = "applied"
	HeldUp  Verdict = "held"
	Failed  Verdict = "failed"
)

// Pull is the record of one walk.
type Pull struct {
	ID       string // ULID; set by Begin when empty
	Source   spend.SourceID
	Window   spend.Window // what was asked for; of an applied pull the days that it replaced
	Kind     string       // "current", "previous_month", "history", "backfill"
	Scope    string       // filter of the source when the pull began; empty means all
	Buckets  int
	Started  time.Time
	Finished time.Time
	Verdict  Verdict
	Outcome  spend.Outcome
	Detail   string // redacted error text of a failed pull
	Pages    int
	// Commit counts the store's commits up to the one that gave the pull its verdict;
	// 0 without one. Unlike Started it never goes backwards when a clock is set.
	Commit uint64
}

// RawQuery selects raw pages. Zero fields select everything.
type RawQuery struct {
	Provider string
	Source   string    // "openai/costs"
	From, To spend.Day // fetch days, both inclusive; 0 means open
	Limit    int       // at least 1
	Cursor   string    // from the previous RawList; empty for the first page
}

// RawList is one page of a listing; Cursor is empty at its end.
type RawList struct {
	Items  []RawPage
	Cursor string
}

// RawPage is a page with the circumstances of its pull. Page.Body is nil in listings.
type RawPage struct {
	ID     string
	Source spend.SourceID
	Pull   string
	Window spend.Window
	Bytes  int // length of the body
	Page   spend.Page
}

// Report is what reading found besides the data.
type Report struct {
	// Damaged lists days whose statement is lost; they must be pulled again.
	Damaged []spend.Day
}

// Stats are the store's figures.
type Stats struct {
	RawPages     map[string]int // by provider
	LSMBytes     int64
	VlogBytes    int64
	FreeBytes    uint64
	ReserveBytes uint64
	Corrupt      bool // damage was found since the store was opened
}
