package rest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aispend/aispend/internal/retryafter"
	"github.com/aispend/aispend/spend"
)

// transportFailure classifies an exchange that brought no whole answer. The
// error of net/http is not wrapped: it quotes the URL with its query.
func (c *Client) transportFailure(ctx context.Context, err error) answer {
	host := c.base.Host
	switch ctxErr := ctx.Err(); {
	case errors.Is(ctxErr, context.DeadlineExceeded):
		return failed(spend.Timeout, false, "no whole answer from %s within the pull's timeout: %w", host, ctxErr)
	case ctxErr != nil:
		return failed(spend.Incomplete, false, "given up: %w", ctxErr)
	}
	var (
		dns      *net.DNSError
		op       *net.OpError
		cert     *tls.CertificateVerificationError
		hostname x509.HostnameError
		timeout  net.Error
	)
	switch {
	case errors.As(err, &dns):
		return failed(spend.Network, true, "looking up %s failed; check base_url and the resolver", host)
	case errors.As(err, &cert), errors.As(err, &hostname):
		return failed(spend.Network, false,
			"the certificate of %s is not trusted; set ca_file if a proxy replaces it", host)
	case speaksNoTLS(err):
		return failed(spend.Network, false, "%s does not speak TLS as expected; check base_url and proxy_url", host)
	case errors.As(err, &op) && op.Op == "dial" && op.Timeout():
		return failed(spend.Network, true, "no connection to %s in time", host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return failed(spend.Network, true, "connection refused by %s", host)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return failed(spend.Network, true, "connection to %s was reset", host)
	case errors.As(err, &timeout) && timeout.Timeout():
		return failed(spend.Timeout, true, "%s did not begin to answer in time", host)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return failed(spend.Network, true, "the answer of %s broke off", host)
	}
	return failed(spend.Network, true, "no answer from %s", host)
}

// speaksNoTLS reports whether the two sides could not agree on TLS at all.
func speaksNoTLS(err error) bool {
	var (
		record tls.RecordHeaderError
		op     *net.OpError
	)
	return errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch) ||
		errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error") ||
		strings.Contains(err.Error(), "tls: ") // most of crypto/tls's errors have no type
}

// judge classifies a status that is not 200, and says whether another try can help.
func (c *Client) judge(resp *http.Response, body []byte) (pe *spend.PullError, retry bool) {
	if c.judgeOwn != nil {
		if pe, retry := c.judgeOwn(resp.StatusCode, body); pe != nil {
			pe.RetryAfter = retryafter.Of(resp.Header, c.now())
			return pe, retry
		}
	}
	info := readErrorInfo(body)
	pe = &spend.PullError{Outcome: spend.Server}
	text := strconv.Itoa(resp.StatusCode)
	if label := info.label(); label != "" {
		text += " " + label
	}
	switch s := resp.StatusCode; {
	case s == http.StatusUnauthorized && info.permission():
		pe.Outcome = spend.Permission
	case s == http.StatusUnauthorized:
		pe.Outcome = spend.Auth
	case s == http.StatusForbidden:
		pe.Outcome = spend.Permission
	case s == http.StatusNotFound:
		pe.Outcome = spend.NotFound
	case s == http.StatusTooManyRequests:
		pe.Outcome = spend.RateLimited
		pe.RetryAfter = retryafter.Of(resp.Header, c.now())
		// A quota does not refill within a walk: a person has to act.
		retry = !info.quota()
	case s >= 300 && s < 400:
		text += ": a redirect was refused, since it would carry the key elsewhere; base_url is likely wrong"
	case s >= 500:
		pe.RetryAfter = retryafter.Of(resp.Header, c.now())
		retry = s != http.StatusNotImplemented
	}
	if pe.RetryAfter > 0 {
		text += ", to be asked again in " + pe.RetryAfter.String()
	}
	pe.Err = errors.New(text)
	return pe, retry
}

// errorInfo is what can be told of a vendor's error body without repeating it:
// OpenAI and Anthropic both wrap {type, message, code} in "error".
type errorInfo struct {
	Error struct {
		Type    jsontext.Value `json:"type"`
		Code    jsontext.Value `json:"code"`
		Message jsontext.Value `json:"message"`
	} `json:"error"`
}

func readErrorInfo(body []byte) (info errorInfo) {
	// Anything unreadable is simply a body that tells nothing.
	if err := json.Unmarshal(body, &info, jsontext.AllowInvalidUTF8(true)); err != nil {
		return errorInfo{}
	}
	return info
}

func text(v jsontext.Value) string {
	if v.Kind() != '"' {
		return ""
	}
	b, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		return ""
	}
	return string(b)
}

// label returns the code, or the type where there is none, if it is a plain word.
func (i errorInfo) label() string {
	for _, v := range []jsontext.Value{i.Error.Code, i.Error.Type} {
		if s := text(v); s != "" && token(s) == s {
			return s
		}
	}
	return ""
}

// permission tells a key of the wrong kind from a wrong key: some answer 401 for
// a missing scope (apis page 1.1).
func (i errorInfo) permission() bool {
	m := strings.ToLower(text(i.Error.Message))
	return text(i.Error.Code) == "missing_scope" || text(i.Error.Type) == "permission_error" ||
		strings.Contains(m, "missing scope") || strings.Contains(m, "insufficient permission")
}

func (i errorInfo) quota() bool {
	return text(i.Error.Code) == "insufficient_quota" || text(i.Error.Type) == "insufficient_quota"
}

// token returns s if it is a short plain word that may stand in an error text,
// and a placeholder otherwise. A word that could be a piece of a key is not plain.
func token(s string) string {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_./+-"
	if s == "" {
		return "none"
	}
	if len(s) > 48 || strings.Trim(s, allowed) != "" || strings.HasPrefix(s, "sk-") {
		return "unknown"
	}
	return s
}
