package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxAnswer bounds what is read of an answer in bytes.
const maxAnswer = 1 << 20

// api calls one provider with its admin key.
type api struct {
	name   string
	base   string // "https://api.openai.com", without a slash at the end
	key    secret
	sign   func(h http.Header, key string) // puts the key where the provider wants it
	client *http.Client
	now    func() time.Time
}

// statusError is an answer other than 200. Its text has nothing of the body, which
// may echo the key.
type statusError struct {
	who        string
	code       int
	retryAfter time.Duration // 0: not told
}

func (e *statusError) Error() string { return fmt.Sprintf("%s answered %d", e.who, e.code) }

// isStatus reports whether err is an answer with a status.
func isStatus(err error, code int) bool {
	var s *statusError
	return errors.As(err, &s) && s.code == code
}

// newClient returns a client that follows no redirect: Go would take the header
// x-api-key along to wherever that leads.
func newClient(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// validBase checks the base URL of a provider: keys travel encrypted, except to
// this very machine.
func validBase(base string) error {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return errors.New("not a base URL such as https://api.openai.com")
	}
	if u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()) {
		return nil
	}
	return errors.New("must be https, or http to an address on loopback")
}

// loopback reports whether a host is an address of this machine alone.
func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// call sends a request with a JSON body, none if it is nil, and decodes the answer.
func (a *api) call(ctx context.Context, method, path string, body, into any) error {
	key, err := a.key.line()
	if err != nil {
		return err
	}
	var content io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encoding a request: %w", err)
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, content)
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", "aispend-hard-cap-receiver/1.0 (https://github.com/aispend/aispend)")
	a.sign(req.Header, key)
	resp, err := a.client.Do(req)
	if err != nil {
		return fmt.Errorf("calling %s: %w", a.name, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		wait := retryAfter(resp.Header.Get("Retry-After"), a.now())
		return &statusError{who: a.name, code: resp.StatusCode, retryAfter: wait}
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("reading the answer of %s: %w", a.name, err)
	}
	if len(answer) > maxAnswer || json.Unmarshal(answer, into) != nil {
		return fmt.Errorf("%s answered 200 with something else than the expected JSON", a.name)
	}
	return nil
}

// retryAfter reads the header: seconds or a date. It returns 0 for none, and at
// most a day.
func retryAfter(v string, now time.Time) time.Duration {
	const most = 24 * time.Hour
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, most)
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, min(t.Sub(now), most))
	}
	return 0
}
