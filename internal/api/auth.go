package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// Tokens is what is accepted at one moment. Several tokens of one kind make
// rotation possible; empty ones are ignored.
type Tokens struct {
	Admin, Read, Inbound []string
	// AdminSet, ReadSet and InboundSet say that the configuration names such tokens. A kind
	// that is set but has none to offer (its file cannot be read) refuses everyone
	// instead of letting everyone in.
	AdminSet, ReadSet, InboundSet bool
	// MetricsOpen exempts /metrics from the read token.
	MetricsOpen bool
}

func (t Tokens) adminSet() bool { return t.AdminSet || usable(t.Admin) }
func (t Tokens) readSet() bool  { return t.ReadSet || usable(t.Read) }

func (t Tokens) inboundSet() bool { return t.InboundSet || usable(t.Inbound) }

func usable(tokens []string) bool {
	for _, t := range tokens {
		if t != "" {
			return true
		}
	}
	return false
}

const (
	challengeMissing = `Bearer realm="aispend"`
	challengeWrong   = `Bearer realm="aispend", error="invalid_token"`
	hintHeader       = "send it as \"Authorization: Bearer <token>\""
)

// authorize decides whether the caller of r may call a route that is for who.
func (s *Server) authorize(who Who, r *http.Request) error {
	if who == Open {
		return nil
	}
	t := s.deps.Tokens()
	switch who {
	case Admin:
		return t.allowAdmin(r)
	case Inbound:
		return t.allowInbound(r)
	}
	if !t.readSet() || who == Metrics && t.MetricsOpen {
		return nil
	}
	return t.allowRead(r)
}

func (t Tokens) allowAdmin(r *http.Request) error {
	if !t.adminSet() {
		return problemf(http.StatusForbidden, "this route needs an admin token and none is configured; "+
			"set web.admin_token_file (or ADMIN_TOKEN) and reload")
	}
	got, given := bearer(r)
	switch {
	case given && accepts(t.Admin, got):
		return nil
	case !usable(t.Admin):
		return unreadable("admin")
	case !given:
		return unauthorized(challengeMissing, "this route needs the admin token; "+hintHeader)
	case accepts(t.Read, got):
		return problemf(http.StatusForbidden, "the read token does not open this route; it needs the admin token")
	default:
		return unauthorized(challengeWrong, "the token is not an accepted admin token; it may have been rotated")
	}
}

func (t Tokens) allowInbound(r *http.Request) error {
	got, given := bearer(r)
	switch {
	case !t.inboundSet() && !t.adminSet():
		return problemf(http.StatusForbidden, "this route needs the inbound token and none is configured; "+
			"set hard_cap.inbound_token_file (or web.admin_token_file) and reload")
	case !t.inboundSet():
		return t.allowAdmin(r)
	case given && accepts(t.Inbound, got):
		return nil
	case !usable(t.Inbound):
		return unreadable("inbound")
	case !given:
		return unauthorized(challengeMissing, "this route needs the inbound token; "+hintHeader)
	case accepts(t.Admin, got), accepts(t.Read, got):
		return problemf(http.StatusForbidden, "only the inbound token opens this route: give Alertmanager "+
			"the content of hard_cap.inbound_token_file")
	default:
		return unauthorized(challengeWrong, "the token is not an accepted inbound token; it may have been rotated")
	}
}

func (t Tokens) allowRead(r *http.Request) error {
	got, given := bearer(r)
	switch {
	case given && (accepts(t.Read, got) || accepts(t.Admin, got)):
		return nil
	case !usable(t.Read):
		return unreadable("read")
	case !given:
		return unauthorized(challengeMissing, "this route needs the read token or the admin token; "+hintHeader)
	default:
		return unauthorized(challengeWrong,
			"the token is not an accepted read or admin token; it may have been rotated")
	}
}

func unauthorized(challenge, detail string) error {
	return &httpError{status: http.StatusUnauthorized, challenge: challenge, detail: detail}
}

func unreadable(kind string) error {
	return problemf(http.StatusServiceUnavailable, "the %s token is configured but cannot be read; "+
		"check on the server that its file exists and is not empty", kind)
}

// bearer returns the token of the Authorization header.
func bearer(r *http.Request) (token string, given bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	if !ok || token == "" || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return token, true
}

// accepts compares digests, so that neither the time nor the length of the
// comparison tells anything about a token, and it always compares with all. The
// presented token is never empty, so an empty entry accepts nobody.
func accepts(tokens []string, got string) bool {
	digest := sha256.Sum256([]byte(got))
	found := 0
	for _, t := range tokens {
		want := sha256.Sum256([]byte(t))
		found |= subtle.ConstantTimeCompare(want[:], digest[:])
	}
	return found == 1
}
