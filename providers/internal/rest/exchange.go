package rest

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/spend"
)

// keptHeaders are the answer's headers worth keeping beside a raw page: what it
// is, when the provider thinks it is, and what its support asks for.
var keptHeaders = []string{
	"Content-Type", "Content-Encoding", "Date", "Request-Id", "X-Request-Id", "Retry-After", "Retry-After-Ms",
}

// answer is one response, read to its end.
type answer struct {
	page spend.Page
	// err is nil for a 200 with a JSON body.
	err *spend.PullError
	// whole is set when page holds all that the provider sent, so that it may be kept.
	whole bool
	// retry is set for what another try can heal.
	retry bool
	key   string // the key that was sent
}

// failed is an answer that never became one.
func failed(o spend.Outcome, retry bool, format string, args ...any) answer {
	return answer{err: &spend.PullError{Outcome: o, Err: fmt.Errorf(format, args...)}, retry: retry}
}

// exchange sends one request and reads the whole answer under ctx; room is how
// many bytes the walk may still read. Error texts hold neither the key nor the query.
func (c *Client) exchange(ctx context.Context, r Request, u *url.URL, room int64) answer {
	key, err := c.cred.Get()
	if err != nil {
		return failed(spend.OutcomeOf(err, spend.Auth), false, "reading the key: %w", err)
	}
	if !validKey(key) {
		return failed(spend.Auth, false, "the key holds a character that no header may carry (a line break?)")
	}
	method, body := http.MethodGet, io.Reader(http.NoBody)
	if r.Body != nil {
		method, body = http.MethodPost, bytes.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return failed(spend.Network, false, "the request cannot be built from base_url")
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	if r.Body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set(c.cred.Header, c.cred.Prefix+key)
	resp, err := c.http.Do(req)
	if err != nil {
		a := c.transportFailure(ctx, err)
		a.key = key
		return a
	}
	defer resp.Body.Close() //nolint:errcheck // the body has been read or given up
	a := c.read(ctx, resp, room, key)
	a.key = key
	return a
}

// validKey reports whether net/http would accept the key in a header.
func validKey(key string) bool {
	return key != "" && strings.IndexFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

// read turns a response into an answer.
func (c *Client) read(ctx context.Context, resp *http.Response, room int64, key string) answer {
	good := resp.StatusCode == http.StatusOK
	limit := min(c.limits.PageBytes, room)
	if !good {
		limit = c.limits.ErrorBytes
	}
	body, err := readUpTo(resp.Body, limit+1)
	over := int64(len(body)) > limit
	if over {
		body = body[:limit]
	}
	page := spend.Page{
		URL: resp.Request.URL.String(), Status: resp.StatusCode, Header: c.keep(resp.Header, key),
		FetchedAt: c.now().UTC(),
	}
	page.Body, page.Redacted = redact(body, key, good)
	a := answer{page: page}
	switch {
	case !good:
		// Whatever of the body arrived is evidence; the status alone decides.
		a.whole = len(body) > 0
		a.err, a.retry = c.judge(resp, page.Body)
	case err != nil:
		return c.bodyFailure(ctx, err)
	case over:
		if limit < c.limits.PageBytes {
			return failed(spend.TooLarge, false, "all pages together are larger than %d MiB", c.limits.WalkBytes>>20)
		}
		return failed(spend.TooLarge, false, "the page is larger than %d MiB", limit>>20)
	default:
		a.whole = true
		a.err = requireJSON(resp.Header)
	}
	return a
}

// requireJSON refuses a 200 that does not say it is JSON: a login page of a
// proxy, or a body in an encoding that was not asked for.
func requireJSON(h http.Header) *spend.PullError {
	mt, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || mt != "application/json" {
		return &spend.PullError{Outcome: spend.Schema, Err: fmt.Errorf(
			"answered 200 with content type %s instead of application/json; is base_url or proxy_url right?",
			token(mt))}
	}
	if e := h.Get("Content-Encoding"); e != "" && e != "identity" {
		return &spend.PullError{Outcome: spend.Schema, Err: fmt.Errorf(
			"answered in content encoding %s, which was not asked for", token(e))}
	}
	return nil
}

// keep copies the headers worth keeping, bounded and without the key.
func (c *Client) keep(h http.Header, key string) map[string]string {
	kept := make(map[string]string, len(keptHeaders))
	for _, name := range keptHeaders {
		if v := h.Get(name); v != "" {
			clean, _ := redact([]byte(v), key, false)
			kept[name] = string(clean[:min(len(clean), 256)])
		}
	}
	return kept
}

// readUpTo reads at most n bytes.
func readUpTo(r io.Reader, n int64) ([]byte, error) {
	var b bytes.Buffer
	_, err := b.ReadFrom(io.LimitReader(r, n))
	return b.Bytes(), err
}

// redact blots the key that was sent out of a body, and anything that looks like
// a vendor's key out of a body that is no page (a 401 can echo a part of it).
func redact(body []byte, key string, page bool) (clean []byte, changed bool) {
	body, changed = secret.Redact(body, secret.New(key))
	if page {
		return body, changed
	}
	for at := 0; ; {
		i := bytes.Index(body[at:], []byte("sk-"))
		if i < 0 {
			return body, changed
		}
		from := at + i
		to := from
		for to < len(body) && isKeyByte(body[to]) {
			to++
		}
		at = to
		if to-from >= 12 {
			body = bytes.Join([][]byte{body[:from], body[to:]}, []byte(secret.Mask))
			at, changed = from+len(secret.Mask), true
		}
	}
}

func isKeyByte(b byte) bool {
	return b == '-' || b == '_' || b == '*' || '0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'z'
}

// bodyFailure names a body that broke off. Nothing of it is kept: half a page
// with status 200 must never look like a page.
func (c *Client) bodyFailure(ctx context.Context, err error) answer {
	var corrupt flate.CorruptInputError
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.As(err, &corrupt) {
		return failed(spend.Decode, false, "the compressed body is damaged")
	}
	return c.transportFailure(ctx, err)
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
