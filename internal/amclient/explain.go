package amclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/go-openapi/runtime"
	"github.com/prometheus/alertmanager/api/v2/client/alert"
)

// Lengths of foreign text, in bytes.
const (
	maxWord   = 64
	maxReason = 200
)

// explain says in a few words why a member did not do what it was asked. Bodies
// and URLs of requests stay out, for they may hold what a proxy put there; what
// Alertmanager itself says to a bad alert is kept, cut short.
func explain(err error, timeout time.Duration) string {
	if e, ok := errors.AsType[*alert.PostAlertsBadRequest](err); ok {
		return "refused the alert: " + clean(e.Payload, maxReason)
	}
	if e, ok := errors.AsType[*alert.PostAlertsInternalServerError](err); ok {
		return "failed: " + clean(e.Payload, maxReason)
	}
	if e, ok := errors.AsType[*runtime.APIError](err); ok {
		return statusText(e.Code)
	}
	if foreign(err) {
		return errNotAlertmanager.Error()
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return explainNet(u.Err, timeout) // without the method and the URL
	}
	return explainNet(err, timeout)
}

func explainNet(err error, timeout time.Duration) string {
	dns, noName := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "did not answer within " + timeout.String()
	case errors.Is(err, context.Canceled):
		return "was not waited for"
	case errors.Is(err, io.EOF):
		return "hung up without an answer"
	case noName:
		return "its name " + clean(dns.Name, maxReason) + " is not known"
	default:
		return clean(err.Error(), maxReason)
	}
}

// foreign reports whether err means that something answered 200 that Alertmanager
// would not say: all that is neither a refusal nor a failed connection.
func foreign(err error) bool {
	_, refused := errors.AsType[*runtime.APIError](err)
	_, unreached := errors.AsType[*url.Error](err)
	_, broken := errors.AsType[net.Error](err)
	return !refused && !unreached && !broken &&
		!errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled)
}

func statusText(code int) string {
	hint := ""
	switch {
	case code == http.StatusNotFound:
		hint = "; is it an Alertmanager, and does the URL hold the path of its --web.route-prefix?"
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		hint = "; it wants a login, which alertmanager.urls cannot give: let aispend in without"
	case code >= 300 && code < 400:
		hint = "; redirects are not followed, so name the place itself"
	}
	return strings.TrimSpace(fmt.Sprintf("answered %d %s", code, http.StatusText(code))) + hint
}

// clean makes foreign text fit for a log and an answer: one line, no control
// characters, not longer than limit bytes.
func clean(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.TrimSpace(s)
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "..."
	}
	return s
}
