package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

const (
	// stopTimeout bounds the whole teardown, below the 30 s after which Kubernetes
	// kills: a stop that hangs longer is a bug that must not keep anybody waiting.
	stopTimeout = 25 * time.Second
	// drainTimeout is how long requests may go on after the listeners have closed;
	// then they are cancelled, which is what ends a recompute of many minutes.
	drainTimeout = 5 * time.Second
	// cancelTimeout is how long cancelled requests have to answer.
	cancelTimeout = 5 * time.Second
)

// teardown is a stack of named steps, each registered the moment the thing it
// undoes exists. It is used by one goroutine.
type teardown struct {
	log   *slog.Logger
	steps []teardownStep
}

type teardownStep struct {
	name string
	run  func(context.Context) error
}

func (t *teardown) push(name string, run func(context.Context) error) {
	t.steps = append(t.steps, teardownStep{name, run})
}

// run undoes everything, newest first, under one deadline. A step that fails is
// logged by name and never stops the rest.
func (t *teardown) run() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var errs []error
	for len(t.steps) > 0 {
		last := len(t.steps) - 1
		s := t.steps[last]
		t.steps = t.steps[:last]
		t.log.Debug("stopping", "step", s.name)
		if err := s.run(ctx); err != nil {
			t.log.Error("stop step went wrong", "step", s.name, "err", err)
			errs = append(errs, fmt.Errorf("stopping %s: %w", s.name, err))
		}
	}
	return errors.Join(errs...)
}
