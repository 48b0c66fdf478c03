package ingest

import (
	"context"
	"time"

	"github.com/aispend/aispend/spend"
)

// Kick makes the present of a source due now; it reports whether it is pulled at all.
func (r *Runner) Kick(id spend.SourceID) bool {
	for _, s := range r.sources {
		if s.id == id && s.cfg.Enabled {
			s.kick()
			return true
		}
	}
	return false
}

// Pulled is what one pull came to.
type Pulled = pullResult

// Outcome is the outcome that was counted.
func (p pullResult) Outcome() spend.Outcome { return p.outcome }

// RetryAfter is what the provider asked for.
func (p pullResult) RetryAfter() time.Duration { return p.retryAfter }

// Err is what went wrong.
func (p pullResult) Err() error { return p.err }

// SetTimeout changes the timeout of a source's walks. Run must not be running.
func (r *Runner) SetTimeout(id spend.SourceID, d time.Duration) {
	for _, s := range r.sources {
		if s.id == id {
			s.cfg.Timeout = d
		}
	}
}

// SetHeavyWalk changes after how many bytes a walk that is too large is taken to be
// so as a whole. Run must not be pulling.
func (r *Runner) SetHeavyWalk(bytes int64) {
	for _, s := range r.sources {
		s.heavyWalk = bytes
	}
}

// PullOnce pulls the n-th most urgent window of a source now, as its loop would
// if it were due; ok is false if fewer are wanted. For tests whose clock does not
// follow timers: Run must not be running.
func (r *Runner) PullOnce(ctx context.Context, id spend.SourceID, n int) (p Pulled, step Step, ok bool) {
	if err := r.Prepare(ctx); err != nil {
		panic(err)
	}
	for _, s := range r.sources {
		if s.id != id {
			continue
		}
		now, st := r.opts.Now(), s.current()
		steps := Plan(now, st, s.settings(), s.missing(st, now))
		s.wanted(steps)
		if n >= len(steps) {
			return p, step, false
		}
		return s.pull(ctx, steps[n]), steps[n], true
	}
	return p, step, false
}
