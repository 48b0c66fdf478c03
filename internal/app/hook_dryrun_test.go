package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/hardcap"
)

// TestDryRunNeedsNoSecret: in a dry run nothing is sent, so that a secret that cannot be
// read makes neither attempts nor the series that page for a hook that is not called.
func TestDryRunNeedsNoSecret(t *testing.T) {
	h := newUserHook(t)
	s := hookSite(t, h, ", dry_run: true")
	r := s.mustStart()
	defer r.stop()
	r.loaded()
	s.write("hook.secret", "\n")
	s.write("hook.url", "\n")
	if decision, _, _ := r.hintUntilTaken(time.Now()); decision != string(hardcap.Recorded) {
		t.Errorf("decision %s", decision)
	}
	r.until("the dry run is noted", func() bool { return r.deliveries()[0].State != "pending" || r.deliveries()[0].Attempts > 0 })
	if got := r.deliveries()[0]; got.State != "cancelled" || got.Attempts != 0 || !strings.Contains(got.Reason, "dry_run") {
		t.Errorf("delivery %+v", got)
	}
	if got := r.metric(`aispend_hard_cap_delivered{period="month",scope="openai"}`); got != "" {
		t.Errorf("aispend_hard_cap_delivered %q in a dry run", got)
	}
}
