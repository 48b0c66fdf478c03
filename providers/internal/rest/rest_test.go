package rest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/internal/rest"
	"github.com/aispend/aispend/spend"
)

const key = "key-0123456789-abcdef"

// window is what the tests ask for.
func window() spend.Window {
	return spend.Window{From: spend.Date(2026, 11, 1), To: spend.Date(2026, 11, 24)}
}

// roundTrip is an http.RoundTripper made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// reply makes a response of a status, a body and headers given in pairs.
func reply(r *http.Request, status int, body string, header ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{
		StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)),
		ContentLength: int64(len(body)), Request: r,
	}
}

// client returns a client of a transport, or of a server where the transport is nil.
func client(t *testing.T, base string, tr http.RoundTripper, change ...func(*rest.Options)) *rest.Client {
	t.Helper()
	o := rest.Options{
		Provider: "vendor", BaseURL: base, Transport: tr,
		Credential: rest.Credential{
			Get: func() (string, error) { return key, nil }, Header: "Authorization", Prefix: "Bearer ",
		},
		Help: map[spend.Outcome]string{spend.Auth: "make a new key"},
		Env:  providers.Env{NoEnvProxy: true},
	}
	for _, fn := range change {
		fn(&o)
	}
	c, err := rest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// next reads {"next": "token"}.
func next(body []byte) (string, bool, error) {
	var p struct{ Next *string }
	if err := json.Unmarshal(body, &p); err != nil {
		return "", false, spend.Classify(spend.Decode, errors.New("not JSON"))
	}
	if p.Next == nil {
		return "", false, nil
	}
	return *p.Next, true, nil
}

// walk walks and returns what reached emit.
func walk(ctx context.Context, c *rest.Client) ([]spend.Page, error) {
	var pages []spend.Page
	err := c.Walk(ctx, rest.Query{
		Path: "/v1/things", Params: url.Values{"secret_param": {"a b"}}, Cursor: "page", Window: window(),
		Next: next,
	}, func(p spend.Page) error {
		pages = append(pages, p)
		return nil
	})
	return pages, err
}

func TestRetries(t *testing.T) {
	const quota = `{"error": {"type": "insufficient_quota", "code": "insufficient_quota", "message": "m"}}`
	tests := map[string]struct {
		answers  []func(*http.Request) (*http.Response, error) // the last one repeats
		deadline time.Duration
		want     spend.Outcome
		after    time.Duration // RetryAfter of the error
		tries    int
		min, max time.Duration // how long the walk took
	}{
		"a 500 heals": {
			answers: answers(status(500, ""), status(200, `{}`)),
			want:    spend.OK, tries: 2, min: 250 * time.Millisecond, max: 750 * time.Millisecond,
		},
		"a 500 stays": {
			answers: answers(status(500, "")),
			want:    spend.Server, tries: 4, min: 1750 * time.Millisecond, max: 5250 * time.Millisecond,
		},
		"529 is retried": {
			answers: answers(status(529, ""), status(200, `{}`)), want: spend.OK, tries: 2, max: time.Second,
		},
		"501 is not":     {answers: answers(status(501, "")), want: spend.Server, tries: 1},
		"400 is not":     {answers: answers(status(400, "")), want: spend.Server, tries: 1},
		"401 is not":     {answers: answers(status(401, "")), want: spend.Auth, tries: 1},
		"403 is not":     {answers: answers(status(403, "")), want: spend.Permission, tries: 1},
		"404 is not":     {answers: answers(status(404, "")), want: spend.NotFound, tries: 1},
		"204 is no page": {answers: answers(status(204, "")), want: spend.Server, tries: 1},
		"206 is no page": {answers: answers(status(206, `{}`)), want: spend.Server, tries: 1},
		"quota is not":   {answers: answers(status(429, quota)), want: spend.RateLimited, tries: 1},
		"a reset is retried": {
			answers: answers(broken, status(200, `{}`)), want: spend.OK, tries: 2, max: time.Second,
		},
		"resets stay": {
			answers: answers(broken), want: spend.Network, tries: 4,
			min: 1750 * time.Millisecond, max: 5250 * time.Millisecond,
		},
		"Retry-After in seconds": {
			answers: answers(status(429, "", "Retry-After", "20"), status(200, `{}`)),
			want:    spend.OK, tries: 2, min: 20 * time.Second, max: 22 * time.Second,
		},
		"Retry-After as a date": {
			answers: answers(dated(90*time.Second), status(200, `{}`)),
			want:    spend.OK, tries: 2, min: 89 * time.Second, max: 100 * time.Second,
		},
		"Retry-After-Ms": {
			answers: answers(status(503, "", "Retry-After-Ms", "5000"), status(200, `{}`)),
			want:    spend.OK, tries: 2, min: 5 * time.Second, max: 5500 * time.Millisecond,
		},
		"Retry-After beyond the deadline": {
			answers: answers(status(429, "", "Retry-After", "400")), deadline: 5 * time.Minute,
			want: spend.RateLimited, after: 400 * time.Second, tries: 1,
		},
		"an absurd Retry-After is held to an hour": {
			answers: answers(status(429, "", "Retry-After", "86400")), deadline: 5 * time.Minute,
			want: spend.RateLimited, after: time.Hour, tries: 1,
		},
		"no Retry-After, no room": {
			answers: answers(status(429, "")), deadline: 100 * time.Millisecond, want: spend.RateLimited, tries: 1,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				tries := 0
				c := client(t, "https://api.example.com", roundTrip(func(r *http.Request) (*http.Response, error) {
					tries++
					return tt.answers[min(tries, len(tt.answers))-1](r)
				}))
				begin := time.Now()
				_, err := walk(ctx, c)
				took := time.Since(begin)
				if o := spend.OutcomeOf(err, ""); o != tt.want || tries != tt.tries {
					t.Errorf("%v (%s) after %d tries, want %s after %d", err, o, tries, tt.want, tt.tries)
				}
				var pe *spend.PullError
				if errors.As(err, &pe) && pe.RetryAfter != tt.after {
					t.Errorf("RetryAfter is %s, want %s", pe.RetryAfter, tt.after)
				}
				if took < tt.min || took > tt.max {
					t.Errorf("took %s, want %s to %s", took, tt.min, tt.max)
				}
			})
		})
	}
}

func answers(a ...func(*http.Request) (*http.Response, error)) []func(*http.Request) (*http.Response, error) {
	return a
}

func status(code int, body string, header ...string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) { return reply(r, code, body, header...), nil }
}

func broken(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

// dated answers 429 until a moment from now, given as a date.
func dated(d time.Duration) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		return reply(r, 429, "", "Retry-After", time.Now().Add(d).UTC().Format(http.TimeFormat)), nil
	}
}

func TestCancelWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := client(t, "https://api.example.com", roundTrip(status(429, "", "Retry-After", "3000")))
		begin := time.Now()
		time.AfterFunc(time.Second, cancel)
		_, err := walk(ctx, c)
		if o := spend.OutcomeOf(err, ""); o != spend.Incomplete || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v (%s), want incomplete", err, o)
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("gave up after %s, want 1s", took)
		}
	})
}

func TestRetriedAnswersAreEmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := client(t, "https://api.example.com", roundTrip(func(r *http.Request) (*http.Response, error) {
			n++
			if n == 1 {
				return reply(r, 500, `{"error": {"message": "x"}}`), nil
			}
			return reply(r, 200, `{}`), nil
		}))
		pages, err := walk(t.Context(), c)
		if err != nil || len(pages) != 2 || pages[0].Status != 500 || pages[0].Seq != 0 || pages[1].Seq != 1 {
			t.Errorf("got %v, %+v", err, pages)
		}
	})
}

func TestRotatedKeyIsTriedOnce(t *testing.T) {
	keys := []string{"old-key-11111111", "new-key-22222222", "newer-key-333333"}
	for _, accepted := range []string{keys[1], "none of them"} {
		var sent []string
		reads := 0
		c := client(t, "https://api.example.com", roundTrip(func(r *http.Request) (*http.Response, error) {
			k := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			sent = append(sent, k)
			if k == accepted {
				return reply(r, 200, `{}`), nil
			}
			return reply(r, 401, `{}`), nil
		}), func(o *rest.Options) {
			o.Credential.Get = func() (string, error) {
				k := keys[min(reads, 1)]
				reads++
				return k, nil
			}
		})
		_, err := walk(t.Context(), c)
		if len(sent) != 2 || sent[1] != keys[1] {
			t.Errorf("sent %q, want the old and then the new key", sent)
		}
		if (err == nil) != (accepted == keys[1]) {
			t.Errorf("%s accepted: %v", accepted, err)
		}
	}
}

func TestUnusableKey(t *testing.T) {
	for _, k := range []string{"", "two\nlines", "tab\there", "ünicode"} {
		c := client(t, "https://api.example.com", roundTrip(func(*http.Request) (*http.Response, error) {
			t.Errorf("key %q was sent", k)
			return nil, io.EOF
		}), func(o *rest.Options) { o.Credential.Get = func() (string, error) { return k, nil } })
		_, err := walk(t.Context(), c)
		if o := spend.OutcomeOf(err, ""); o != spend.Auth || k != "" && strings.Contains(err.Error(), k) {
			t.Errorf("%q: got %v (%s), want auth", k, err, o)
		}
	}
	gone := errors.New("reading secret file: no such file")
	c := client(t, "https://api.example.com", roundTrip(broken), func(o *rest.Options) {
		o.Credential.Get = func() (string, error) { return "", gone }
	})
	if _, err := walk(t.Context(), c); !errors.Is(err, gone) || spend.OutcomeOf(err, "") != spend.Auth {
		t.Errorf("got %v, want auth with the reason", err)
	}
}

func TestPageTokens(t *testing.T) {
	const token = "AAAA+w/8Q2Nh AAA=&x=1;%2B"
	t.Run("escaped", func(t *testing.T) {
		var got []string
		c := client(t, "https://api.example.com/base/", roundTrip(func(r *http.Request) (*http.Response, error) {
			got = append(got, r.URL.Query().Get("page"))
			if r.URL.Path != "/base/v1/things" || r.URL.Query().Get("secret_param") != "a b" {
				t.Errorf("asked for %s", r.URL)
			}
			if len(got) == 1 {
				return reply(r, 200, fmt.Sprintf(`{"Next": %q}`, token)), nil
			}
			return reply(r, 200, `{}`), nil
		}))
		if _, err := walk(t.Context(), c); err != nil || len(got) != 2 || got[1] != token {
			t.Errorf("%v: tokens %q", err, got)
		}
	})
	for name, tt := range map[string]struct {
		token func(n int) string
		asked int
	}{
		"same token": {func(int) string { return "a" }, 2},
		"cycle":      {func(n int) string { return strconv.Itoa(n % 5) }, 6},
		"no token":   {func(int) string { return "" }, 1},
		"endless":    {strconv.Itoa, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			c := client(t, "https://api.example.com", roundTrip(func(r *http.Request) (*http.Response, error) {
				n++
				return reply(r, 200, fmt.Sprintf(`{"Next": %q}`, tt.token(n))), nil
			}))
			pages, err := walk(t.Context(), c)
			if o := spend.OutcomeOf(err, ""); o != spend.Pagination || n != tt.asked || len(pages) != n {
				t.Errorf("%v (%s) after %d requests and %d pages, want pagination after %d",
					err, o, n, len(pages), tt.asked)
			}
		})
	}
}

func TestSizeLimits(t *testing.T) {
	limits := rest.DefaultLimits()
	limits.PageBytes, limits.WalkBytes, limits.ErrorBytes = 100, 250, 50
	small := func(o *rest.Options) { o.Limits = limits }
	page := func(n int, token string) string {
		body := fmt.Sprintf(`{"Next": %q, "pad": "`, token)
		return body + strings.Repeat("x", n-len(body)-2) + `"}`
	}
	t.Run("page", func(t *testing.T) {
		for n, want := range map[int]spend.Outcome{
			100: spend.Pagination, 101: spend.TooLarge, 5000: spend.TooLarge,
		} {
			c := client(t, "https://api.example.com", roundTrip(status(200, page(n, ""))), small)
			pages, err := walk(t.Context(), c)
			if o := spend.OutcomeOf(err, ""); o != want || (len(pages) == 1) != (want == spend.Pagination) ||
				want == spend.TooLarge && !strings.Contains(err.Error(), "the page is larger") {
				t.Errorf("%d bytes: %v (%s), %d pages; want %s", n, err, o, len(pages), want)
			}
		}
	})
	t.Run("walk", func(t *testing.T) {
		n := 0
		c := client(t, "https://api.example.com", roundTrip(func(r *http.Request) (*http.Response, error) {
			n++
			return reply(r, 200, page(90, strconv.Itoa(n))), nil
		}), small)
		_, err := walk(t.Context(), c)
		if spend.OutcomeOf(err, "") != spend.TooLarge || n != 3 || !strings.Contains(err.Error(), "all pages together") {
			t.Errorf("%v after %d pages, want too_large after 3", err, n)
		}
	})
	t.Run("decompressed", func(t *testing.T) {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		_, _ = w.Write(bytes.Repeat([]byte{' '}, 1<<20))
		_ = w.Close()
		if z.Len() > 2000 {
			t.Fatalf("the bomb has %d bytes", z.Len())
		}
		limits := limits
		limits.PageBytes, limits.WalkBytes = 3000, 1<<20
		srv := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(z.Bytes())
		})
		_, err := walk(t.Context(), client(t, srv.URL, nil, func(o *rest.Options) { o.Limits = limits }))
		if o := spend.OutcomeOf(err, ""); o != spend.TooLarge {
			t.Errorf("got %v (%s), want too_large", err, o)
		}
	})
	t.Run("error body", func(t *testing.T) {
		c := client(t, "https://api.example.com", roundTrip(status(400, strings.Repeat("e", 5000))), small)
		pages, err := walk(t.Context(), c)
		if o := spend.OutcomeOf(err, ""); o != spend.Server || len(pages) != 1 || len(pages[0].Body) != 50 {
			t.Errorf("%v (%s), %d pages", err, o, len(pages))
		}
	})
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

func TestErrorText(t *testing.T) {
	c := client(t, "https://api.example.com", roundTrip(status(401,
		`{"error": {"type": "authentication_error", "code": "invalid_api_key", "message": "private words"}}`)))
	_, err := walk(t.Context(), c)
	const want = "asking vendor for /v1/things, page 1 of 2026-11-01..2026-11-23: " +
		"401 invalid_api_key; make a new key"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c = client(t, "https://api.example.com", roundTrip(status(429, "not JSON", "Retry-After", "90")))
	_, err = walk(ctx, c)
	if err == nil || !strings.HasSuffix(err.Error(), ": 429, to be asked again in 1m30s") {
		t.Errorf("got %v", err)
	}
}

func TestRedaction(t *testing.T) {
	for name, tt := range map[string]struct {
		status   int
		body     string
		want     string
		redacted bool
	}{
		"key in a page":        {200, `{"a": "` + key + `"}`, `{"a": "<secret>"}`, true},
		"key in an error":      {400, `{"a": "` + key + `"}`, `{"a": "<secret>"}`, true},
		"part of another key":  {400, "bad sk-admin-****************AbCd. See", "bad <secret>. See", true},
		"key-like in a page":   {200, `{"a": "sk-admin-0123456789"}`, `{"a": "sk-admin-0123456789"}`, false},
		"short word":           {400, "task-force sk-1", "task-force sk-1", false},
		"two and the very end": {400, "sk-aaaaaaaaaaaa sk-bbbbbbbbbbbbbb", "<secret> <secret>", true},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, "https://api.example.com", roundTrip(status(tt.status, tt.body)))
			pages, _ := walk(t.Context(), c)
			if len(pages) != 1 || string(pages[0].Body) != tt.want || pages[0].Redacted != tt.redacted {
				t.Errorf("kept %+v, want %q", pages, tt.want)
			}
		})
	}
}
