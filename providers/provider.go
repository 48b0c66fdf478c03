// Package providers is the contract between aispend and the vendors whose bills
// it reads, and the table of those vendors. A vendor lives in a directory of its
// own and knows only package spend and providers/internal/rest; nothing else in
// the daemon knows a vendor by name.
package providers

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/spend"
)

// Kind says what a source reports.
type Kind int

// The kinds of source. Only Costs sources feed the ledger's money; Budgets sources
// report budgets, which stay apart from it.
const (
	Costs Kind = iota
	Usage
	Budgets
)

// SourceType describes one endpoint family of a provider before any account is
// configured.
type SourceType struct {
	Name         string // "openai/costs"
	Kind         Kind
	Interval     time.Duration // default poll interval; 0 means the global one
	Lookback     time.Duration // default re-read tail; 0 means the global one
	MaxStaleness time.Duration // default age of data_through that is still healthy
	// Lag is how far behind the present the provider's data normally is; 0 if it is
	// as fresh as the pulls.
	Lag time.Duration
	// MaxBuckets is the largest page in days; 0 means the package's MaxBuckets, 1 a
	// source whose pages do not depend on days.
	MaxBuckets int
}

// Type is one row of the provider table.
type Type struct {
	Name    string
	Sources []SourceType
	// NewSettings returns a pointer to the vendor's settings with their defaults
	// set. Its struct has yaml tags; the configuration decodes the vendor keys of
	// a provider block into it, strictly. A secret is a field of type
	// *secret.Value: for its key api_key the configuration also accepts the twin
	// api_key_file (at most one of the two) and sets the field from either, so the
	// vendor declares the one field only. Relative file paths arrive resolved.
	NewSettings func() Settings
	// WrongKeys names, by how they begin, credentials that people take for the right
	// one: {"sk-proj-": "a project key"}. Right is the one they want. A type that has
	// them has credentials of one word.
	WrongKeys map[string]string
	Right     string
}

// Settings is the vendor's part of one provider block of the configuration.
type Settings interface {
	// Validate reports the first rule the settings break, as a *FieldError.
	Validate() error
	// Credential returns the secret that identifies the account. Two blocks of
	// one type with equal credentials must have disjoint filters.
	Credential() *secret.Value
	// Filter returns the projects or workspaces the block is limited to; empty
	// means all of them.
	Filter() []string
	// Open returns the block's sources. It does no I/O beyond reading ca_file.
	Open(Env) ([]Source, error)
}

// Biller is implemented by settings whose bill is not named by their credential, which
// may open several of them.
type Biller interface {
	// Bill names what is billed (a table, a budget), in one spelling; empty if nothing
	// is. Two blocks of one type with the same bill would count it twice.
	Bill() string
}

// Selective is implemented by settings that do not have every source of their type.
type Selective interface {
	// Families returns the sources that Open returns.
	Families() []SourceType
}

// Budgeter is implemented by settings of a type that has a source of budgets.
type Budgeter interface {
	// Counted returns the name of the budget that the operator lets month caps count;
	// empty if none.
	Counted() string
	// Notified reports whether anything tells what is spent of the budgets.
	Notified() bool
}

// FieldError is a broken rule of one configuration key.
type FieldError struct {
	Key string // yaml key inside the block
	Msg string // what is allowed and what to do
}

// Error returns "key: message".
func (e *FieldError) Error() string { return e.Key + ": " + e.Msg }

// Env is what the daemon lends to a vendor's sources.
type Env struct {
	Account   string
	ProxyURL  string // empty: proxy from the environment
	CAFile    string // empty: the system's roots
	UserAgent string
	Logger    *slog.Logger
	Now       func() time.Time // for tests; nil means time.Now
	// NoEnvProxy ignores HTTP(S)_PROXY (the demo must reach nothing real).
	NoEnvProxy bool
}

// Source pulls one endpoint family of one account. A Source is used by one
// goroutine at a time.
type Source interface {
	ID() spend.SourceID
	Type() SourceType
	// Fetch walks req.Window and hands every response to emit, verbatim and as it
	// arrives, error answers included (their Status is not 200), before it returns
	// their error. It stops at the first error, of emit too. A nil return means that
	// the walk ended properly: the provider said that there is no further page. Errors are *spend.PullError. Fetch
	// retries what is worth retrying within ctx.
	Fetch(ctx context.Context, req Request, emit func(spend.Page) error) error
	// NewDecoder returns the pure half: pages in, statements out. Ingest and
	// recompute use the same one; it may be called while Fetch runs.
	NewDecoder(w spend.Window) Decoder
}

// Request is one walk.
type Request struct {
	Window  spend.Window
	Buckets int // days per page; at least 1, at most MaxBuckets
	// Mark is Result.Mark of the newest applied walk of this very window; empty if there
	// is none. A source may answer ErrUnchanged if the provider still says the same.
	Mark string
}

// ErrUnchanged is what Fetch returns if nothing has changed at the provider since the
// walk that Request.Mark is of: as good as a complete walk, of which every day would
// be what it was. What it emitted before is kept and not decoded.
var ErrUnchanged = errors.New("nothing has changed since the last walk")

// PartialError is what Fetch returns if the pages that it emitted are complete, yet
// something beside them failed: they are applied, and the pull counts as failed.
type PartialError struct{ Err error }

// Error returns the text of the wrapped error.
func (e *PartialError) Error() string { return e.Err.Error() }

// Unwrap returns the wrapped error, a *spend.PullError.
func (e *PartialError) Unwrap() error { return e.Err }

// Settler is implemented by sources that have to tell the provider once what Fetch
// emitted is applied and durable, such as one that acknowledges messages. A Settle that
// fails, or never happens, costs nothing but a repetition. Its errors are
// *spend.PullError.
type Settler interface {
	Settle(ctx context.Context) error
}

// MaxBuckets is the page size to start from: both OpenAI and Anthropic clamp
// daily pages to 31 buckets.
const MaxBuckets = 31

// Decoder turns the status-200 pages of one walk into statements. It is not safe
// for concurrent use. The result does not depend on the order of the pages, and a
// page given twice counts once. All errors are *spend.PullError of outcome
// decode, schema, pagination or incomplete.
type Decoder interface {
	// Page decodes one body; it keeps no reference to it.
	Page(body []byte) error
	// Result returns what the walk says, or an error of outcome incomplete if no
	// page said that it was the last.
	Result() (Result, error)
}

// Result is one complete walk, decoded.
type Result struct {
	// Statements has one entry per bucket that the provider returned inside the
	// window, ascending by day; an empty bucket is an empty statement. ReadAt is
	// not set.
	Statements []spend.Statement
	// Through is how far the data reaches, where the provider says so itself; zero means
	// that it follows from the newest statement (contract section 2).
	Through time.Time
	// From is the first day that the data reaches back to, if that lies inside the
	// window: of the days before it nothing is known. 0 means the whole window.
	From spend.Day
	// Mark is for Request.Mark; empty if the source has none.
	Mark string
	// Budgets is what a source of budgets learnt; such a source has no statements.
	Budgets []spend.Budget
	// Notices counts oddities that did no harm, by name ("unknown_field",
	// "bucket_outside_window", "label_sanitised"), for the log and a counter.
	Notices map[string]int
}
