package spend

import (
	"errors"
	"time"
)

// Outcome classes how a pull ended. The set is closed: every counter by outcome
// has all of them from the start.
type Outcome string

// The outcomes of a pull.
const (
	OK          Outcome = "ok"
	Auth        Outcome = "auth"         // 401: the key is wrong, revoked or absent
	Permission  Outcome = "permission"   // 403, or a 401 that names a missing scope
	NotFound    Outcome = "not_found"    // 404: wrong base_url, organisation or table
	RateLimited Outcome = "rate_limited" // 429
	Server      Outcome = "server"       // any other status that is not 200, a redirect included
	Timeout     Outcome = "timeout"
	Network     Outcome = "network" // no answer, or an answer that broke off
	Decode      Outcome = "decode"  // the body is not the JSON document it claims to be
	Schema      Outcome = "schema"  // JSON, but not the shape or values that the API promises
	Pagination  Outcome = "pagination"
	Incomplete  Outcome = "incomplete" // the walk stopped before its end, as at a shutdown
	Currency    Outcome = "currency"   // applied; some money is in a currency without a rate
	TooLarge    Outcome = "too_large"
	Held        Outcome = "held"
	StoreFailed Outcome = "store"
)

// Outcomes lists every outcome, in the order of the contract.
func Outcomes() []Outcome {
	return []Outcome{
		OK, Auth, Permission, NotFound, RateLimited, Server, Timeout, Network, Decode,
		Schema, Pagination, Incomplete, Currency, TooLarge, Held, StoreFailed,
	}
}

// Applied reports whether a pull with this outcome changed the ledger.
func (o Outcome) Applied() bool { return o == OK || o == Currency }

// PullError is an error with its class. Its text never holds a secret, a query
// string or a response body.
type PullError struct {
	Outcome    Outcome
	RetryAfter time.Duration // what the provider asked for, clamped; 0 if it asked for nothing
	Err        error
}

// Error returns the text of the wrapped error.
func (e *PullError) Error() string { return e.Err.Error() }

// Unwrap returns the wrapped error.
func (e *PullError) Unwrap() error { return e.Err }

// Classify wraps err with an outcome; it returns nil for nil.
func Classify(o Outcome, err error) error {
	if err == nil {
		return nil
	}
	return &PullError{Outcome: o, Err: err}
}

// OutcomeOf returns the class of err: OK for nil, the class of the outermost
// PullError, and fallback for any other error.
func OutcomeOf(err error, fallback Outcome) Outcome {
	if err == nil {
		return OK
	}
	var pe *PullError
	if errors.As(err, &pe) {
		return pe.Outcome
	}
	return fallback
}

// Page is one response of a provider, verbatim. Body holds exactly the bytes
// received (after transparent gzip decoding).
type Page struct {
	Seq       int    // position in the walk, from 0
	URL       string // with its query, without any secret
	Status    int
	Header    map[string]string // canonical names; only those worth keeping
	FetchedAt time.Time
	Body      []byte
	// Redacted is set when a secret was found in the body and blotted out: the
	// one case in which Body is not what was received.
	Redacted bool
}
