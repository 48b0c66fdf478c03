package hardcap

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// State is what has become of an event.
type State string

// The states of the contract.
const (
	Pending   State = "pending"   // to be sent, or sent again
	Delivered State = "delivered" // the hook answered 2xx
	Rejected  State = "rejected"  // the ledger saw no breach when the alert came; or a test
	Cancelled State = "cancelled" // before it was sent the breach or its period was over, or nothing may be sent
	Dead      State = "dead"      // given up; only an admin's retry sends it again
)

// States lists every state.
func States() []State { return []State{Pending, Delivered, Rejected, Cancelled, Dead} }

// Event is one breach and what has become of it. It is a copy: whoever receives it
// owns it, except for Body, which nobody changes.
type Event struct {
	// ID is the webhook-id; see ID.
	ID string `json:"id"`
	// Scope and Period name the cap; of a test they are what the alert said.
	Scope  string      `json:"scope"`
	Period caps.Period `json:"period"`
	// PeriodStart and PeriodEnd are the first day of the period and the first after it;
	// 0 for a test.
	PeriodStart spend.Day `json:"period_start,omitzero"`
	PeriodEnd   spend.Day `json:"period_end,omitzero"`
	// Threshold is the hard limit in USD, Total what the ledger knew to be spent when the
	// event last changed by its word, DataThrough how far its data reached then.
	Threshold   spend.Money `json:"threshold"`
	Total       spend.Money `json:"total"`
	DataThrough time.Time   `json:"data_through,omitzero"`
	// Test marks what an alert with test="true" left.
	Test  bool  `json:"test,omitempty"`
	State State `json:"state"`
	// Reason says why the state is what it is. Neither it nor LastError holds a secret
	// or a URL.
	Reason string `json:"reason,omitempty"`
	// LastError is why the newest attempt failed; empty after one that did not.
	LastError string `json:"last_error,omitempty"`
	// TriggeredAt is when the alert began, Recorded when the event was first kept,
	// Armed when it last became pending, Changed when anything last changed.
	TriggeredAt time.Time `json:"triggered_at"`
	Recorded    time.Time `json:"recorded"`
	Armed       time.Time `json:"armed,omitzero"`
	Changed     time.Time `json:"changed"`
	// Attempts counts requests since the event was last armed.
	Attempts    int       `json:"attempts"`
	LastAttempt time.Time `json:"last_attempt,omitzero"`
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	// Status is the HTTP status of the newest answer; 0 if there was none.
	Status int `json:"status,omitempty"`
	// Endpoint is a fingerprint of the URL that gave the newest answer, Gone that this
	// was 410: nothing more is sent there.
	Endpoint string `json:"endpoint,omitempty"`
	Gone     bool   `json:"gone,omitempty"`
	// Forced makes the next attempt even where an earlier answer was 410: an admin asked.
	Forced bool `json:"forced,omitempty"`
	// Body is the request's body, the same for every attempt.
	Body json.RawMessage `json:"body,omitempty"`

	day     spend.Day // of the outbox
	unknown bool      // the ledger could not tell Total when it was asked just now
}

// stored is the content of an event in the outbox.
type stored struct {
	Version int `json:"v"`
	Event
}

const storedVersion = 1

var errStored = errors.New("event is not readable")

func (e Event) encode() (store.OutboxEvent, error) {
	b, err := json.Marshal(stored{storedVersion, e})
	if err != nil {
		return store.OutboxEvent{}, fmt.Errorf("encoding hard-cap event %s: %w", e.ID, err)
	}
	return store.OutboxEvent{ID: e.ID, Day: e.day, Content: b}, nil
}

func decodeEvent(o store.OutboxEvent) (Event, error) {
	var s stored
	if err := json.Unmarshal(o.Content, &s); err != nil {
		return Event{}, fmt.Errorf("%w: %s: %w", errStored, o.ID, err)
	}
	if s.Version != storedVersion || s.ID != o.ID {
		return Event{}, fmt.Errorf("%w: %s: version %d of %s", errStored, o.ID, s.Version, s.ID)
	}
	s.day = o.Day
	return s.Event, nil
}

// ID returns the id of the event that a breach is: "hc_" and 128 bits of a hash in
// hex. Equal amounts have equal ids however they are written.
func ID(scope string, period caps.Period, start spend.Day, threshold spend.Money) string {
	return hashed("hard_cap", scope, string(period), start.String(), threshold.String())
}

// testID keeps the tests of one day and scope together.
func testID(scope string, period caps.Period, day spend.Day) string {
	return hashed("test", scope, string(period), day.String())
}

// hashed writes the length before each part, so that no two lists of parts are alike.
func hashed(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		_, _ = h.Write(n[:])
		_, _ = h.Write([]byte(p))
	}
	return "hc_" + hex.EncodeToString(h.Sum(nil)[:16])
}

// body is what the hook receives (contract section 8).
type body struct {
	Event    string   `json:"event"`
	ID       string   `json:"id"`
	Breaches []breach `json:"breaches"`
	// Totals are what each provider cost in the same period, and all of them as "global".
	Totals      map[string]spend.Money `json:"totals"`
	TriggeredAt time.Time              `json:"triggeredAt"`
}

type breach struct {
	Scope       string      `json:"scope"`
	Level       caps.Level  `json:"level"`
	Period      caps.Period `json:"period"`
	PeriodStart spend.Day   `json:"period_start"`
	Threshold   spend.Money `json:"threshold"`
	Total       spend.Money `json:"total"`
	TriggeredAt time.Time   `json:"triggeredAt"`
}

// eventName is the event of the original worker, which receivers know.
const eventName = "ai_spend_hard_cap"

func (e Event) newBody(totals map[string]spend.Money, now time.Time) (json.RawMessage, error) {
	b, err := json.Marshal(body{
		Event: eventName, ID: e.ID, Totals: totals, TriggeredAt: now.UTC().Truncate(time.Second),
		Breaches: []breach{{
			Scope: e.Scope, Level: caps.Hard, Period: e.Period, PeriodStart: e.PeriodStart,
			Threshold: e.Threshold, Total: e.Total, TriggeredAt: e.TriggeredAt.UTC(),
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the body of hard-cap event %s: %w", e.ID, err)
	}
	return b, nil
}

// ends returns the first instant at which the event has nothing to stop any more.
func (e Event) ends() time.Time { return e.PeriodEnd.Time() }

// due returns when something is to be decided about a pending event. An attempt that is
// further away than any pause was planned by a clock that has been put back since.
func (e Event) due(now time.Time) time.Time {
	next := e.NextAttempt
	if next.After(now.Add(2 * longestWait)) {
		next = now
	}
	if end := e.ends(); end.Before(next) {
		return end
	}
	return next
}
