package hardcap

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/aispend/aispend/internal/retryafter"
	"github.com/aispend/aispend/internal/signature"
)

const (
	// attemptTimeout bounds a whole attempt (Standard Webhooks: 15 to 30 s).
	attemptTimeout = 15 * time.Second
	// maxAnswer is as much of an answer's body as is read, to be thrown away.
	maxAnswer = 4 << 10
	// maxAnswerHeader bounds the headers of an answer.
	maxAnswerHeader = 16 << 10
)

// Target is where and how deliveries are sent, as of now.
type Target struct {
	// URL is the user's hook; "" is none: events are kept and nothing is sent.
	URL string
	// Keys sign; none: deliveries are not signed.
	Keys []signature.Key
	// DryRun keeps events and sends nothing.
	DryRun bool
}

// off says why nothing is sent, "" if it is.
func (t Target) off() string {
	switch {
	case t.DryRun:
		return "hard_cap.dry_run is on: nothing is sent"
	case t.URL == "":
		return "no hard_cap.url is configured: nothing is sent"
	default:
		return ""
	}
}

// fingerprint tells two URLs apart without telling them.
func (t Target) fingerprint() string {
	sum := sha256.Sum256([]byte(t.URL))
	return hex.EncodeToString(sum[:8])
}

// result is what came of one attempt.
type result struct {
	status     int
	err        error // nil: delivered; it holds no URL, no secret and nothing of the answer's body
	retryAfter time.Duration
}

func (r result) gone() bool { return r.status == http.StatusGone }

// newClient returns the client of the hook. It verifies TLS, follows no redirect, takes
// no proxy from the environment (the address check would see the proxy's), and keeps
// no connection: weeks lie between two deliveries. Nil roots are the system's.
func newClient(roots *x509.CertPool) *http.Client {
	dialer := &net.Dialer{Timeout: attemptTimeout, Control: control}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: maxAnswerHeader,
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// send makes one attempt, which ends by the deadline of ctx or after 15 s.
func (h *Hook) send(ctx context.Context, t Target, e Event, now time.Time) result {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, bytes.NewReader(e.Body))
	if err != nil {
		return result{err: errors.New("hard_cap.url is not a URL")}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", h.opts.UserAgent)
	req.Header.Set("Webhook-Id", e.ID)
	req.Header.Set("Webhook-Timestamp", signature.Timestamp(now))
	if s := signature.Sign(t.Keys, e.ID, now, e.Body); s != "" {
		req.Header.Set("Webhook-Signature", s)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return result{err: plain(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	// The answer's body says nothing that counts; reading some of it lets the hook end
	// its work in peace. After 101 the body is the connection itself, which heeds no
	// deadline of the request.
	if resp.StatusCode >= http.StatusOK {
		_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	}
	r := result{status: resp.StatusCode}
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		return r
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		r.err = fmt.Errorf("the hook answered %s: redirects are not followed, name its final URL", statusText(resp.StatusCode))
	default:
		r.err = fmt.Errorf("the hook answered %s", statusText(resp.StatusCode))
		r.retryAfter = retryafter.Of(resp.Header, now)
	}
	return r
}

// statusText is the status without the words that the server chose.
func statusText(code int) string {
	if text := http.StatusText(code); text != "" {
		return fmt.Sprintf("%d %s", code, text)
	}
	return fmt.Sprintf("status %d", code)
}

// plain says what went wrong without the URL, whose path is a secret, and without what
// a server may have put into an error's text.
func plain(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	dns, isDNS := errors.AsType[*net.DNSError](err)
	op, isOp := errors.AsType[*net.OpError](err)
	_, isCert := errors.AsType[*tls.CertificateVerificationError](err)
	_, isRecord := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case errors.Is(err, errForbidden):
		return errors.New("hard_cap.url leads to an address that is never called (link-local, a cloud's metadata " +
			"service, or no host)")
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %s", attemptTimeout)
	case errors.Is(err, context.Canceled):
		return errors.New("cut off: the daemon was stopping")
	case isDNS && dns.IsNotFound:
		return errors.New("the host of hard_cap.url is not known to DNS")
	case isDNS:
		return errors.New("DNS did not tell the address of the host of hard_cap.url")
	case isCert:
		return errors.New("the hook's TLS certificate is not trusted (SSL_CERT_FILE names other roots)")
	case isRecord, errors.Is(err, http.ErrSchemeMismatch):
		return errors.New("the hook does not speak TLS")
	case isOp && op.Op == "dial":
		return fmt.Errorf("no connection: %w", inner(op))
	case isOp:
		return fmt.Errorf("the connection broke: %w", inner(op))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the hook closed the connection without an answer")
	default:
		return errors.New("the hook's answer is not HTTP as it should be")
	}
}

// inner is the system's own error, such as "connection refused".
func inner(op *net.OpError) error {
	err := error(op)
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}
