// Package providertest is the suite that every source of every provider passes:
// its pages arrive verbatim, its failures have the right class and show no
// secret, and what it decodes is exact and does not depend on order or
// repetition. A vendor's test calls Run once per source with its own fixtures.
package providertest

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

// Canary is the key that Run gives to the source; it must come out nowhere.
const Canary = "sk-admin-canary-0123456789abcdefghijklmnop"

// Case describes one source and its fixtures.
type Case struct {
	// Open returns the source, pointed at a server and holding a key.
	Open func(t testing.TB, baseURL, key string, env providers.Env) providers.Source
	// KeyHeader is the request header in which the key must arrive.
	KeyHeader string
	Window    spend.Window
	// Pages are the bodies of one complete walk, in order; at least two. Each but
	// the last names its successor in "next_page".
	Pages [][]byte
	// Days are the golden sums of Pages: the cost in USD per day for a Costs
	// source, the tokens per day for a Usage source. An empty day has "0".
	Days map[string]string
	// Foreign is a page, the last of its walk, with money in EUR only; nil for a Usage source.
	Foreign []byte
	// Malformed are pages that must fail a pull, each with its outcome.
	Malformed []Malformed
	// Errors are the vendor's error answers.
	Errors []Answer
}

// Malformed is a page with status 200 and what it must come to.
type Malformed struct {
	Name string
	Body []byte
	Want spend.Outcome
}

// Answer is an answer that is not a page.
type Answer struct {
	Name   string
	Status int
	Header map[string]string
	Body   []byte
	Want   spend.Outcome
}

// Run checks the source of one case.
func Run(t *testing.T, c Case) {
	t.Helper()
	if len(c.Pages) < 2 {
		t.Fatal("a case needs at least two pages")
	}
	t.Run("pages reach emit verbatim", c.verbatim)
	t.Run("requests are pinned", c.pinned)
	t.Run("emit error stops the walk", c.emitError)
	t.Run("cancelled", c.cancelled)
	t.Run("timeout", c.timeout)
	t.Run("broken off", c.brokenOff)
	t.Run("redirect refused", c.redirect)
	t.Run("error answers", c.errorAnswers)
	t.Run("html with 200", c.html)
	t.Run("malformed", c.malformed)
	t.Run("golden sums", c.golden)
	t.Run("order and repetition", c.order)
	t.Run("incomplete walk", c.incomplete)
	t.Run("contradiction", c.contradiction)
	t.Run("window", c.outsideWindow)
	t.Run("foreign currency", c.foreign)
}

// Pull does what ingest does with a source: every page to the decoder as it
// arrives, the result at the end. It returns the pages too.
func Pull(
	ctx context.Context, src providers.Source, req providers.Request,
) (providers.Result, []spend.Page, error) {
	dec := src.NewDecoder(req.Window)
	var pages []spend.Page
	err := src.Fetch(ctx, req, func(p spend.Page) error {
		pages = append(pages, p)
		if p.Status != 200 {
			return nil
		}
		return dec.Page(p.Body)
	})
	if err != nil {
		return providers.Result{}, pages, err
	}
	res, err := dec.Result()
	return res, pages, err
}

// request is the walk of the case.
func (c Case) request() providers.Request {
	return providers.Request{Window: c.Window, Buckets: providers.MaxBuckets}
}

// source opens the case's source.
func (c Case) source(t *testing.T, baseURL string) providers.Source {
	t.Helper()
	env := providers.Env{Account: "acme", UserAgent: "aispend/test", NoEnvProxy: true}
	return c.Open(t, baseURL, Canary, env)
}

// decode feeds pages to a fresh decoder.
func (c Case) decode(t *testing.T, pages ...[]byte) (providers.Result, error) {
	t.Helper()
	return Decode(c.source(t, "http://127.0.0.1:1"), c.Window, pages...)
}

// Decode feeds pages to a fresh decoder of a source and returns the result.
func Decode(src providers.Source, w spend.Window, pages ...[]byte) (providers.Result, error) {
	dec := src.NewDecoder(w)
	for _, p := range pages {
		if err := dec.Page(p); err != nil {
			return providers.Result{}, err
		}
	}
	return dec.Result()
}

// Sums returns the cost in USD of each day of a result, or its tokens for a
// Usage source, as Case.Days spells them.
func Sums(kind providers.Kind, res providers.Result) map[string]string {
	days := make(map[string]string, len(res.Statements))
	for _, st := range res.Statements {
		if kind == providers.Usage {
			var n int64
			for _, u := range st.Usage {
				n += u.Tokens()
			}
			days[st.Day.String()] = fmt.Sprint(n)
			continue
		}
		var sum spend.Money
		for _, c := range st.Charges {
			if c.Currency == spend.USD {
				sum = sum.Add(c.Cost())
			}
		}
		days[st.Day.String()] = sum.String()
	}
	return days
}

// cursors maps the page token of each page but the first to its index.
func cursors(t *testing.T, pages [][]byte) map[string]int {
	t.Helper()
	next := map[string]int{"": 0}
	for i, p := range pages {
		var env struct {
			Next *string `json:"next_page"`
			More bool    `json:"has_more"`
		}
		if err := json.Unmarshal(p, &env); err != nil {
			t.Fatalf("page %d: %v", i+1, err)
		}
		if env.More && env.Next != nil {
			next[*env.Next] = i + 1
		}
	}
	if len(next) != len(pages) {
		t.Fatalf("%d pages are chained by %d different tokens", len(pages), len(next)-1)
	}
	return next
}
