package retryafter_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/retryafter"
)

func now() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

func TestRetryAfter(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"":                               0,
		"20":                             20 * time.Second,
		" 20 ":                           20 * time.Second,
		"0":                              time.Second,
		"1.2":                            2 * time.Second,
		"3600":                           time.Hour,
		"3601":                           time.Hour,
		"86400":                          time.Hour,
		"99999999999999999999":           time.Hour,
		"-5":                             0,
		"soon":                           0,
		"1e3":                            0,
		"0x10":                           0,
		".":                              0,
		"Mon, 23 Nov 2026 12:00:42 GMT":  42 * time.Second,
		"Mon, 23 Nov 2026 11:00:00 GMT":  time.Second,
		"Tue, 24 Nov 2026 12:00:00 GMT":  time.Hour,
		"Monday, 23-Nov-26 12:00:07 GMT": 7 * time.Second, // RFC 850, which receivers must read
		"Mon Nov 23 12:00:09 2026":       9 * time.Second, // asctime, likewise
		"2026-11-23T12:00:42Z":           0,
	} {
		if got := retryafter.Of(http.Header{"Retry-After": {in}}, now()); got != want {
			t.Errorf("Retry-After %q: %s, want %s", in, got, want)
		}
	}
	h := http.Header{"Retry-After": {"60"}, "Retry-After-Ms": {"2500"}}
	if got := retryafter.Of(h, now()); got != 2500*time.Millisecond {
		t.Errorf("milliseconds beside seconds: %s, want 2.5s", got)
	}
	if got := retryafter.Of(http.Header{"Retry-After-Ms": {"10"}}, now()); got != time.Second {
		t.Errorf("10 ms: %s, want 1s", got)
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"20", "1.5", "Mon, 23 Nov 2026 12:00:42 GMT", "", "-1", "99999999999", "12a"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, seconds, ms string) {
		d := retryafter.Of(http.Header{"Retry-After": {seconds}, "Retry-After-Ms": {ms}}, now())
		if d != 0 && (d < time.Second || d > time.Hour) {
			t.Errorf("%q, %q: %s is out of bounds", seconds, ms, d)
		}
	})
}
