// Package retryafter reads how long an HTTP answer asks its caller to wait: of a
// provider that is pulled, and of the hard-cap hook that is called.
package retryafter

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A wait that is asked for is held between these two: less would hammer the server,
// more would let one absurd header (86400 was seen in the wild) switch off the
// numbers, or the kill switch, for a day.
const (
	shortest = time.Second
	longest  = time.Hour
)

// Of reads the wait that an answer asks for, from Retry-After-Ms
// (milliseconds), or from Retry-After in seconds or as an HTTP date, which is
// read against now. It returns 0 if there is none or none that makes sense, else a wait
// clamped to [1s, 1h].
func Of(h http.Header, now time.Time) time.Duration {
	if d, ok := count(h.Get("Retry-After-Ms"), time.Millisecond); ok {
		return clamp(d)
	}
	v := strings.TrimSpace(h.Get("Retry-After"))
	if d, ok := count(v, time.Second); ok {
		return clamp(d)
	}
	if t, err := http.ParseTime(v); err == nil {
		return clamp(t.Sub(now))
	}
	return 0
}

// count reads a count of units. A fraction is rounded up, a number too large to
// hold counts as the largest, and a negative one is no wait.
func count(s string, unit time.Duration) (time.Duration, bool) {
	whole, fraction, _ := strings.Cut(strings.TrimSpace(s), ".")
	if whole == "" || strings.Trim(whole, "0123456789") != "" || strings.Trim(fraction, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n > int64(longest/unit) {
		return longest, true
	}
	if strings.Trim(fraction, "0") != "" {
		n++
	}
	return time.Duration(n) * unit, true
}

func clamp(d time.Duration) time.Duration {
	return min(max(d, shortest), longest)
}
