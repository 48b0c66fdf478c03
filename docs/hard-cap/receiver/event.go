package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// eventType is the only kind of event that is acted on.
const eventType = "ai_spend_hard_cap"

// event is the body of a delivery. Amounts stay the digits that were sent: nothing
// here calculates with them, and a float would change them.
type event struct {
	Event       string                 `json:"event"`
	ID          string                 `json:"id"`
	Breaches    []breach               `json:"breaches"`
	Totals      map[string]json.Number `json:"totals"` // USD by provider, and "global"
	TriggeredAt string                 `json:"triggeredAt"`
}

// breach is one cap that is reached.
type breach struct {
	Scope       string      `json:"scope"` // "openai", "global", or the name of a cap
	Level       string      `json:"level"` // "hard" is acted on
	Period      string      `json:"period"`
	PeriodStart string      `json:"period_start"`
	Threshold   json.Number `json:"threshold"` // USD
	Total       json.Number `json:"total"`     // USD
	TriggeredAt string      `json:"triggeredAt"`
}

var eventID = regexp.MustCompile(`^hc_[0-9a-f]{32}$`)

// parseEvent reads a body. Members that it does not know are left alone, so that
// the sender may learn new ones.
func parseEvent(body []byte) (event, error) {
	var e event
	if err := decode(body, &e, false); err != nil {
		return event{}, fmt.Errorf("reading the body: %w", err)
	}
	switch {
	case e.Event != eventType:
		return event{}, fmt.Errorf("event is %.40q, not %q", e.Event, eventType)
	case !eventID.MatchString(e.ID):
		return event{}, errors.New("id is not hc_ and 32 hexadecimal digits")
	case len(e.Breaches) == 0:
		return event{}, errors.New("there are no breaches")
	}
	return e, nil
}

// decode reads one JSON document, with nothing after it and no name twice in an
// object: encoding/json would silently take the last one. strict refuses unknown
// members.
func decode(doc []byte, into any, strict bool) error {
	if err := noNameTwice(doc); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	if strict {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the JSON document")
	}
	return nil
}

// noNameTwice walks through a document. Names are compared without regard to case,
// as encoding/json does.
func noNameTwice(doc []byte) error {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	type level struct {
		names map[string]bool // nil in an array
		value bool            // the next token of an object is a value
	}
	stack := []level{{}}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		top := &stack[len(stack)-1]
		name, text := token.(string)
		delim, _ := token.(json.Delim)
		switch {
		case delim == '}' || delim == ']':
			stack = stack[:len(stack)-1]
			continue
		case top.names != nil && !top.value && text:
			folded := strings.ToLower(strings.ToUpper(name))
			if top.names[folded] {
				return fmt.Errorf("%.40q is there twice", name)
			}
			top.names[folded], top.value = true, true
			continue
		}
		top.value = false
		switch delim {
		case '{':
			stack = append(stack, level{names: map[string]bool{}})
		case '[':
			stack = append(stack, level{})
		}
	}
}
