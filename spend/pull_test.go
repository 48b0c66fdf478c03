package spend_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/spend"
)

// The outcomes and their order are those of contract section 6.
func TestOutcomes(t *testing.T) {
	const contract = "ok, auth, permission, not_found, rate_limited, server, timeout, network, decode, schema, " +
		"pagination, incomplete, currency, too_large, held, store"
	var got []string
	for _, o := range spend.Outcomes() {
		got = append(got, string(o))
		if applied := o == spend.OK || o == spend.Currency; o.Applied() != applied {
			t.Errorf("%s.Applied() = %t", o, o.Applied())
		}
	}
	if strings.Join(got, ", ") != contract {
		t.Errorf("Outcomes() = %v, want %s", got, contract)
	}
	spend.Outcomes()[0] = "changed"
	if spend.Outcomes()[0] != spend.OK {
		t.Error("the list is shared with its callers")
	}
}

func TestClassify(t *testing.T) {
	if err := spend.Classify(spend.Server, nil); err != nil {
		t.Errorf("Classify(nil) = %v", err)
	}
	err := spend.Classify(spend.Timeout, context.DeadlineExceeded)
	if !errors.Is(err, context.DeadlineExceeded) || err.Error() != context.DeadlineExceeded.Error() {
		t.Errorf("Classify = %v, want the error inside", err)
	}
}

func TestOutcomeOf(t *testing.T) {
	inner := &spend.PullError{Outcome: spend.RateLimited, RetryAfter: time.Minute, Err: errors.New("429")}
	for _, tt := range []struct {
		err  error
		want spend.Outcome
	}{
		{nil, spend.OK},
		{errors.New("x"), spend.Network},
		{inner, spend.RateLimited},
		{fmt.Errorf("pulling: %w", inner), spend.RateLimited},
		{spend.Classify(spend.Incomplete, inner), spend.Incomplete}, // the outermost counts
		{errors.Join(errors.New("x"), inner), spend.RateLimited},
	} {
		if got := spend.OutcomeOf(tt.err, spend.Network); got != tt.want {
			t.Errorf("OutcomeOf(%v) = %s, want %s", tt.err, got, tt.want)
		}
	}
}
