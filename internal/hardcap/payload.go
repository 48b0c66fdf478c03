package hardcap

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/aispend/aispend/internal/caps"
)

// ErrPayload says that a request is not an Alertmanager webhook of version 4. Its text
// tells which part is wrong and is fit for the caller.
var ErrPayload = errors.New("not an Alertmanager webhook payload of version 4")

const payloadVersion = "4"

// payload is the part of Alertmanager's webhook body that says something here; newer
// versions add fields, which are not looked at (toolchain.md section 2).
type payload struct {
	Version   *string         `json:"version"`
	Alerts    *[]payloadAlert `json:"alerts"`
	Truncated uint64          `json:"truncatedAlerts"`
}

type payloadAlert struct {
	Status   string            `json:"status"`
	Labels   map[string]string `json:"labels"`
	StartsAt time.Time         `json:"startsAt"`
}

// hint is what an alert says that may be acted on.
type hint struct {
	scope    string
	period   caps.Period
	startsAt time.Time
	test     bool
}

// hints are the hard caps that a payload says are reached, each once, in its order.
type hints struct {
	list      []hint
	ignored   int // resolved, of another level, or said twice
	truncated uint64
}

// parsePayload reads a request's body.
func parsePayload(b []byte) (hints, error) {
	if !utf8.Valid(b) {
		return hints{}, fmt.Errorf("%w: it is not UTF-8", ErrPayload)
	}
	var p payload
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&p); err != nil {
		return hints{}, fmt.Errorf("%w: %s", ErrPayload, explainJSON(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return hints{}, fmt.Errorf("%w: something follows the document", ErrPayload)
	}
	switch {
	case p.Version == nil:
		return hints{}, fmt.Errorf("%w: there is no version", ErrPayload)
	case *p.Version != payloadVersion:
		return hints{}, fmt.Errorf("%w: version is not %q", ErrPayload, payloadVersion)
	case p.Alerts == nil:
		return hints{}, fmt.Errorf("%w: there are no alerts", ErrPayload)
	}
	return collect(*p.Alerts, p.Truncated)
}

// collect keeps the firing alerts of level hard. Of two that name the same cap (two
// jobs, or a replayed one) the newer one counts: it asks for newer data.
func collect(alerts []payloadAlert, truncated uint64) (hints, error) {
	h := hints{truncated: truncated}
	type name struct {
		scope, period string
		test          bool
	}
	seen := map[name]int{}
	for i, a := range alerts {
		switch {
		case a.Status != "firing" && a.Status != "resolved":
			return hints{}, fmt.Errorf("%w: alerts[%d].status is neither firing nor resolved", ErrPayload, i)
		case len(a.Labels) == 0:
			return hints{}, fmt.Errorf("%w: alerts[%d] has no labels", ErrPayload, i)
		case a.Status == "firing" && a.StartsAt.IsZero():
			return hints{}, fmt.Errorf("%w: alerts[%d].startsAt is missing", ErrPayload, i)
		case a.Status == "firing" && !tellable(a.StartsAt):
			return hints{}, fmt.Errorf("%w: alerts[%d].startsAt is in no year from 1 to 9999", ErrPayload, i)
		case a.Status != "firing" || a.Labels["level"] != string(caps.Hard):
			h.ignored++
			continue
		}
		n := name{a.Labels["scope"], a.Labels["period"], a.Labels["test"] == "true"}
		if at, twice := seen[n]; twice {
			h.ignored++
			if h.list[at].startsAt.Before(a.StartsAt) {
				h.list[at].startsAt = a.StartsAt
			}
			continue
		}
		seen[n] = len(h.list)
		h.list = append(h.list, hint{n.scope, caps.Period(n.period), a.StartsAt, n.test})
	}
	return h, nil
}

// tellable reports whether a time can be written in UTC as RFC 3339: with an offset it
// may be read and not be written, and nothing that holds it could be shown any more.
func tellable(t time.Time) bool {
	year := t.UTC().Year()
	return year >= 1 && year <= 9999
}

// explainJSON says what is wrong without repeating the input.
func explainJSON(err error) string {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return "the field " + e.Field + " has the wrong type"
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("it is not JSON (at byte %d)", e.Offset)
	}
	if _, ok := errors.AsType[*time.ParseError](err); ok {
		return "a startsAt is not a time of RFC 3339"
	}
	return "it is not a whole JSON document"
}
