package rest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aispend/aispend/providers/internal/rest"
	"github.com/aispend/aispend/spend"
)

const base = "https://api.example.com"

func TestSessionPostsAndGets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		tr := roundTrip(func(r *http.Request) (*http.Response, error) {
			b, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			asked = append(asked, r.Method+" "+r.URL.Path+"?"+r.URL.RawQuery+" "+r.Header.Get("Content-Type")+" "+string(b))
			if len(asked) == 1 {
				return reply(r, http.StatusServiceUnavailable, `{}`), nil
			}
			return reply(r, http.StatusOK, `{"n":1}`), nil
		})
		var pages []spend.Page
		s := client(t, base, tr).Begin(window(), func(p spend.Page) error { pages = append(pages, p); return nil })
		defer s.End()
		body, err := s.Ask(t.Context(), rest.Request{Path: "/queries", Body: []byte(`{"q":1}`)})
		if err != nil || string(body) != `{"n":1}` {
			t.Fatalf("%s %v", body, err)
		}
		if _, err := s.Ask(t.Context(), rest.Request{Path: "/queries/j", Params: url.Values{"a": {"b"}}}); err != nil {
			t.Fatal(err)
		}
		want := []string{
			`POST /queries? application/json {"q":1}`, `POST /queries? application/json {"q":1}`, "GET /queries/j?a=b  ",
		}
		if !slices.Equal(asked, want) {
			t.Errorf("asked %q", asked)
		}
		for i, p := range pages {
			if p.Seq != i {
				t.Errorf("answer %d has place %d", i, p.Seq)
			}
		}
		if len(pages) != 3 || pages[0].Status != 503 {
			t.Errorf("%d answers handed over", len(pages))
		}
	})
}

func TestSessionBoundsItsQuestions(t *testing.T) {
	tr := roundTrip(func(r *http.Request) (*http.Response, error) { return reply(r, 200, `{}`), nil })
	c := client(t, base, tr, func(o *rest.Options) {
		o.Limits = rest.DefaultLimits()
		o.Limits.Pages = 2
	})
	s := c.Begin(window(), func(spend.Page) error { return nil })
	defer s.End()
	if err := s.Follow(""); spend.OutcomeOf(err, spend.OK) != spend.Pagination {
		t.Errorf("an empty token: %v", err)
	}
	var err error
	for range 3 {
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Ask(t.Context(), rest.Request{Path: "/x"})
	}
	if spend.OutcomeOf(err, spend.OK) != spend.Pagination || !strings.Contains(err.Error(), "/x") {
		t.Errorf("a third question: %v", err)
	}
	s = c.Begin(window(), func(spend.Page) error { return nil })
	if err := s.Follow("T"); err != nil {
		t.Error(err)
	}
	if err := s.Follow("T"); spend.OutcomeOf(err, spend.OK) != spend.Pagination {
		t.Errorf("a token for the second time: %v", err)
	}
	if err := s.Fail(spend.Classify(spend.Schema, errors.New("odd"))); spend.OutcomeOf(err, spend.OK) != spend.Schema {
		t.Error(err)
	}
}

func TestSessionStopsAtEmit(t *testing.T) {
	tr := roundTrip(func(r *http.Request) (*http.Response, error) { return reply(r, 200, `{}`), nil })
	full := spend.Classify(spend.StoreFailed, errors.New("disk full"))
	s := client(t, base, tr).Begin(window(), func(spend.Page) error { return full })
	if _, err := s.Ask(t.Context(), rest.Request{Path: "/x"}); !errors.Is(err, full) || err.Error() != "disk full" {
		t.Errorf("%v", err)
	}
}

func TestSessionWaitsWithinItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := client(t, base, roundTrip(nil)).Begin(window(), func(spend.Page) error { return nil })
		start := time.Now()
		if err := s.Wait(t.Context(), time.Second); err != nil || time.Since(start) != time.Second {
			t.Errorf("waited %s: %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Wait(ctx, time.Minute); spend.OutcomeOf(err, spend.OK) != spend.Timeout {
			t.Errorf("%v", err)
		}
	})
}

// A vendor's own reading of an error comes first; without one the rules for all apply.
func TestJudgeOfTheVendor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status, tries := http.StatusForbidden, 0
		tr := roundTrip(func(r *http.Request) (*http.Response, error) {
			tries++
			return reply(r, status, `{"reason":"slow"}`, "Retry-After", "7"), nil
		})
		c := client(t, base, tr, func(o *rest.Options) {
			o.Judge = func(status int, body []byte) (*spend.PullError, bool) {
				if status == http.StatusForbidden && strings.Contains(string(body), "slow") {
					return &spend.PullError{Outcome: spend.RateLimited, Err: errors.New("too fast")}, true
				}
				return nil, false
			}
		})
		s := c.Begin(window(), func(spend.Page) error { return nil })
		_, err := s.Ask(t.Context(), rest.Request{Path: "/x"})
		var pe *spend.PullError
		if !errors.As(err, &pe) || pe.Outcome != spend.RateLimited || pe.RetryAfter != 7*time.Second || tries != 4 {
			t.Errorf("after %d tries: %v", tries, err)
		}
		status = http.StatusNotFound
		if _, err := s.Ask(t.Context(), rest.Request{Path: "/x"}); spend.OutcomeOf(err, spend.OK) != spend.NotFound {
			t.Error(err)
		}
	})
}

func TestKeyThatCannotBeHad(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want spend.Outcome
	}{
		{errors.New("no file"), spend.Auth},
		{spend.Classify(spend.Network, errors.New("token endpoint refused")), spend.Network},
	} {
		c := client(t, base, roundTrip(nil), func(o *rest.Options) {
			o.Credential.Get = func() (string, error) { return "", tt.err }
		})
		_, err := c.Begin(window(), func(spend.Page) error { return nil }).Ask(t.Context(), rest.Request{Path: "/x"})
		if got := spend.OutcomeOf(err, spend.OK); got != tt.want {
			t.Errorf("outcome %s, want %s: %v", got, tt.want, err)
		}
	}
}
