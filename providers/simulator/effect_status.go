package simulator

import (
	"net/http"
	"strconv"
	"time"
)

// reply makes an effect that answers with a failure, for requests of any kind.
func reply(name string, f func(x *exchange) *failure) Effect {
	return Effect{name: name, before: func(x *exchange) bool {
		x.fail(f(x))
		return true
	}}
}

// Status answers with a status and the body the provider sends with it: 400, 401
// (with the masked key in OpenAI's), 403, 404, 429 (Retry-After 20 or 12), 500,
// 502 (an HTML page of the edge), 504 and Anthropic's 529. Others get the body of
// a 500.
func Status(code int) Effect {
	return reply("status "+strconv.Itoa(code), func(x *exchange) *failure {
		if code == http.StatusBadGateway {
			return &failure{
				status: code, ctype: "text/html",
				body: must(bodies.ReadFile("bodies/openai/502_cloudflare.html")),
			}
		}
		f := &failure{status: code}
		switch x.server.api.provider() {
		case OpenAI:
			f.body, f.header = openAIStatus(code, x)
		case Anthropic:
			f.body, f.header = anthropicStatus(code)
		default:
			f = googleOf(code)
		}
		return f
	})
}

func openAIStatus(code int, x *exchange) (body []byte, header map[string]string) {
	switch code {
	case http.StatusBadRequest:
		return stored(OpenAI, "400_stale_page_token"), nil
	case http.StatusUnauthorized:
		return incorrectKey(x.server.api.key(x.r)), nil
	case http.StatusForbidden:
		return stored(OpenAI, "403_missing_scopes"), nil
	case http.StatusNotFound:
		return x.server.api.notFound(x.r).body, nil
	case http.StatusTooManyRequests:
		return stored(OpenAI, "429_rate_limit"), map[string]string{"Retry-After": "20"}
	default:
		return stored(OpenAI, "500_server_error"), nil
	}
}

func anthropicStatus(code int) (body []byte, header map[string]string) {
	name := "500_api_error"
	switch code {
	case http.StatusBadRequest:
		name = "400_end_before_start"
	case http.StatusUnauthorized:
		name = "401_invalid_key"
	case http.StatusForbidden:
		name = "403_permission"
	case http.StatusNotFound:
		name = "404_not_found"
	case http.StatusTooManyRequests:
		name, header = "429_rate_limit", map[string]string{"Retry-After": "12"}
	case http.StatusGatewayTimeout:
		name = "504_timeout"
	case 529:
		name = "529_overloaded"
	}
	return stored(Anthropic, name), header
}

// MissingScopes answers as for a key of the wrong kind. Most reports of OpenAI
// say 403, some 401; Anthropic has only its 403 body.
func MissingScopes(code int) Effect {
	return reply("missing scopes", func(x *exchange) *failure {
		switch {
		case x.server.api.provider() == Anthropic:
			return &failure{status: code, body: stored(Anthropic, "403_permission")}
		case x.server.api.provider() == Vertex:
			return googleFailure(code, "insufficientPermissions", "Request had insufficient authentication scopes.")
		case code == http.StatusUnauthorized:
			return &failure{status: code, body: stored(OpenAI, "401_missing_scopes")}
		default:
			return &failure{status: code, body: stored(OpenAI, "403_missing_scopes")}
		}
	})
}

// EchoKey answers with a status and a body that holds the whole key: worse than
// anything reported, for the tests that no secret is kept.
func EchoKey(code int) Effect {
	return reply("echo key", func(x *exchange) *failure {
		return openAIError(code, "Incorrect API key provided: "+x.server.api.key(x.r)+".", "", "invalid_api_key")
	})
}

// RateLimited answers 429 with a Retry-After of any spelling; the empty one sends
// none.
func RateLimited(retryAfter string) Effect {
	return reply("rate limited", func(x *exchange) *failure {
		return rateLimit(x, retryAfter)
	})
}

// RateLimitedUntil answers 429 with a Retry-After that is an HTTP date, after on
// the world's clock.
func RateLimitedUntil(after time.Duration) Effect {
	return reply("rate limited", func(x *exchange) *failure {
		return rateLimit(x, x.server.world.Now().Add(after).Format(http.TimeFormat))
	})
}

func rateLimit(x *exchange, retryAfter string) *failure {
	f := googleOf(http.StatusTooManyRequests)
	if p := x.server.api.provider(); p != Vertex {
		f = &failure{status: http.StatusTooManyRequests, body: stored(p, "429_rate_limit")}
	}
	if retryAfter != "" {
		f.header = map[string]string{"Retry-After": retryAfter}
	}
	return f
}

// InsufficientQuota answers the 429 that never heals by itself: OpenAI's code
// insufficient_quota without Retry-After.
func InsufficientQuota() Effect {
	return reply("insufficient quota", func(*exchange) *failure {
		return &failure{status: http.StatusTooManyRequests, body: stored(OpenAI, "429_insufficient_quota")}
	})
}

// Redirect sends the client elsewhere; Servers.Elsewhere is a host that records
// what arrives.
func Redirect(code int, location string) Effect {
	return reply("redirect", func(*exchange) *failure {
		return &failure{status: code, header: map[string]string{"Location": location}, ctype: "text/html"}
	})
}

// HTML200 answers 200 with a page for people, as a proxy's login does.
func HTML200() Effect {
	return reply("html with 200", func(*exchange) *failure {
		body := []byte("<!doctype html>\n<html><head><title>Sign in</title></head>" +
			"<body>Please sign in.</body></html>\n")
		return &failure{status: http.StatusOK, ctype: "text/html; charset=utf-8", body: body}
	})
}

// Error200 answers 200 with the body of a 500.
func Error200() Effect {
	return reply("error with 200", func(x *exchange) *failure {
		f := &failure{status: http.StatusOK, body: stored(OpenAI, "500_server_error")}
		switch x.server.api.provider() {
		case Anthropic:
			f.body = stored(Anthropic, "500_api_error")
		case Vertex:
			f.body = googleOf(http.StatusInternalServerError).body
		}
		return f
	})
}

// ContentType sends the right body with another content type.
func ContentType(ctype string) Effect {
	return Effect{name: "content type", header: func(h http.Header) { h.Set("Content-Type", ctype) }}
}

// ClockSkew moves the Date header.
func ClockSkew(by time.Duration) Effect {
	return Effect{name: "clock skew", header: func(h http.Header) {
		if t, err := http.ParseTime(h.Get("Date")); err == nil {
			h.Set("Date", t.Add(by).Format(http.TimeFormat))
		}
	}}
}

// Header sets a header of the answer; an empty value takes it away, Go's own Date
// and Content-Type included.
func Header(name, value string) Effect {
	return Effect{name: "header " + name, header: func(h http.Header) {
		if value == "" {
			h[http.CanonicalHeaderKey(name)] = nil // also suppresses Go's own
			return
		}
		h.Set(name, value)
	}}
}

// Respond lets a handler answer in place of the provider.
func Respond(h http.Handler) Effect {
	return Effect{name: "respond", before: func(x *exchange) bool {
		h.ServeHTTP(x.w, x.r)
		return true
	}}
}

// Rewrite changes the bytes of a 200 answer.
func Rewrite(f func(body []byte) []byte) Effect { return Effect{name: "rewrite", body: f} }
