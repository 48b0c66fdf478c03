package simulator

import (
	"net/http"
	"strings"
)

// Fault says which requests go wrong and how. Several faults can hit one request;
// they act in the order of their injection.
type Fault struct {
	// Source limits the fault to one source ("openai/costs") or provider
	// ("openai"); empty means every request of both.
	Source string
	// Page limits it to the n-th page of a walk, counted from 1; 0 means any.
	Page int
	// Skip lets that many matching requests pass first.
	Skip int
	// Times ends it after that many hits; 0 means until removed.
	Times int
	// Do is what happens.
	Do Effect
}

// Effect is one way to go wrong. The functions of this package that return an
// Effect are the only way to make one.
type Effect struct {
	name   string
	before func(*exchange) bool         // true: it has answered
	header func(http.Header)            // sees the headers before the answer
	page   func(*page)                  // changes the page before it is spelled out
	body   func([]byte) []byte          // changes the bytes of a 200 answer
	send   func(*exchange, []byte) bool // writes the answer; true: it has
}

// Name returns the effect's name, as the request log shows it.
func (e Effect) Name() string { return e.name }

type injected struct {
	Fault
	seen, hits int
	gone       bool
}

// Inject adds a fault and returns what takes it away again. Faults change what is
// answered and never the ground truth.
func (w *World) Inject(f Fault) (remove func()) {
	in := &injected{Fault: f}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, in)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		in.gone = true
	}
}

// strike picks the effects of one request. w.mu is held.
func (w *World) strike(provider, source string, number int) (effects []Effect, names []string) {
	kept := w.faults[:0]
	for _, in := range w.faults {
		if in.gone {
			continue
		}
		kept = append(kept, in)
		if !in.matches(provider, source, number) {
			continue
		}
		in.seen++
		if in.seen <= in.Skip {
			continue
		}
		in.hits++
		in.gone = in.Times > 0 && in.hits >= in.Times
		effects = append(effects, in.Do)
		names = append(names, in.Do.name)
	}
	clear(w.faults[len(kept):])
	w.faults = kept
	return effects, names
}

func (in *injected) matches(provider, source string, number int) bool {
	if in.Page != 0 && in.Page != number {
		return false
	}
	return in.Source == "" || in.Source == source || in.Source == provider && !strings.Contains(in.Source, "/")
}
