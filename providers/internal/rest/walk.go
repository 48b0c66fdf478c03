package rest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/aispend/aispend/spend"
)

// Query is one walk: the same question asked page by page. Everything but the
// page token is fixed for the whole walk, since tokens are bound to the exact
// query (apis page, fact 4).
type Query struct {
	Path   string // "/v1/organization/costs", joined to the base URL
	Params url.Values
	// Cursor is the parameter that carries the page token.
	Cursor string
	// Window is named in errors; the parameters already say it to the provider.
	Window spend.Window
	// Next reads a page's own word on what follows: the next page's token, and
	// whether there is one. Its errors are *spend.PullError.
	Next func(body []byte) (token string, more bool, err error)
}

// Walk asks page by page until the provider says that there is no further one,
// and hands every answer to emit as it arrives: pages, and error answers before
// what became of them is decided. Only a body that broke off or is too large is
// not handed over. It returns nil only for a walk that ended properly, and a
// *spend.PullError otherwise; an error of emit ends the walk and comes back unchanged if it has a class.
func (c *Client) Walk(ctx context.Context, q Query, emit func(spend.Page) error) error {
	// The next walk is minutes away and no provider keeps a connection that long.
	defer c.http.CloseIdleConnections()
	w := &walk{c: c, q: q, emit: emit, room: c.limits.WalkBytes, seen: map[string]bool{}}
	cursor := ""
	for w.pages = 1; ; w.pages++ {
		body, err := w.page(ctx, w.request(cursor))
		if w.refused != nil {
			return w.refused
		}
		if err != nil {
			return w.explain(err)
		}
		next, more, err := q.Next(body)
		if err != nil {
			return w.explain(err)
		}
		if !more {
			return nil
		}
		if err := w.check(next); err != nil {
			return w.explain(err)
		}
		cursor = next
	}
}

// walk is the state of one Walk.
type walk struct {
	c     *Client
	q     Query
	emit  func(spend.Page) error
	pages int // the page being asked for, from 1
	seq   int // answers handed over
	room  int64
	seen  map[string]bool // page tokens followed so far
	// refused is what emit returned; it is no fault of the provider's and is not dressed up as one.
	refused error
}

// check refuses a token that would make the walk end early, or never.
func (w *walk) check(next string) error {
	switch {
	case next == "":
		return spend.Classify(spend.Pagination, errors.New("it says that more follows but gives no page token"))
	case w.seen[next]:
		return spend.Classify(spend.Pagination, errors.New("it gives a page token for the second time"))
	case w.pages >= w.c.limits.Pages:
		return w.tooManyPages()
	}
	w.seen[next] = true
	return nil
}

func (w *walk) tooManyPages() error {
	return spend.Classify(spend.Pagination, fmt.Errorf("more than %d pages", w.c.limits.Pages))
}

// page fetches one page, trying again what is worth it within ctx.
func (w *walk) page(ctx context.Context, r Request) ([]byte, error) {
	u := w.c.base.JoinPath(r.Path)
	u.RawQuery = r.Params.Encode()
	waits := backoff.NewExponentialBackOff()
	waits.Multiplier = 2
	waits.MaxInterval = 30 * time.Second
	rotated := false
	for try := 1; ; try++ {
		a := w.c.exchange(ctx, r, u, w.room)
		if a.whole {
			if w.hand(&a.page); w.refused != nil {
				return nil, w.refused
			}
		}
		if a.err == nil {
			return a.page.Body, nil
		}
		if a.err.Outcome == spend.Auth && !rotated && w.c.rotated(a.key) {
			rotated = true
			continue
		}
		if !a.retry || try >= w.c.limits.Tries {
			return nil, a.err
		}
		d := wait(a.err.RetryAfter, waits)
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
			return nil, a.err
		}
		w.c.log.DebugContext(ctx, "asking a provider again", "provider", w.c.provider, "path", r.Path,
			"page", w.pages, "try", try, "wait", d, "err", a.err)
		if pause(ctx, d) != nil {
			return nil, w.c.transportFailure(ctx, ctx.Err()).err
		}
	}
}

// wait is how long to wait before the next try: what the provider asked for and
// up to a tenth more, so that many daemons do not come back at one instant, or the next backoff.
func wait(asked time.Duration, b *backoff.ExponentialBackOff) time.Duration {
	next := b.NextBackOff()
	if asked == 0 {
		return next
	}
	return asked + min(next, asked/10)
}

// rotated reports whether the key has changed since sent was used: a 401 during
// a rotation is worth one more try with the new one.
func (c *Client) rotated(sent string) bool {
	key, err := c.cred.Get()
	return err == nil && sent != "" && key != sent
}

// hand gives an answer to emit and charges it to the walk.
func (w *walk) hand(p *spend.Page) {
	p.Seq = w.seq
	w.seq++
	w.room = max(0, w.room-int64(len(p.Body)))
	err := w.emit(*p)
	var pe *spend.PullError
	if err != nil && !errors.As(err, &pe) {
		err = spend.Classify(spend.Incomplete, fmt.Errorf("handing over page %d: %w", w.pages, err))
	}
	w.refused = err
}

// request asks for the page behind a token.
func (w *walk) request(cursor string) Request {
	params := make(url.Values, len(w.q.Params)+1)
	for k, v := range w.q.Params {
		params[k] = v
	}
	if cursor != "" {
		params.Set(w.q.Cursor, cursor)
	}
	return Request{Path: w.q.Path, Params: params}
}

// explain puts before an error what was asked, and after it what to do.
func (w *walk) explain(err error) error {
	o := spend.OutcomeOf(err, spend.Incomplete)
	help := ""
	if h := w.c.help[o]; h != "" {
		help = "; " + h
	}
	out := &spend.PullError{
		Outcome: o,
		Err: fmt.Errorf("asking %s for %s, page %d of %s: %w%s",
			w.c.provider, w.q.Path, w.pages, w.q.Window, err, help),
	}
	var pe *spend.PullError
	if errors.As(err, &pe) {
		out.RetryAfter = pe.RetryAfter
	}
	return out
}
