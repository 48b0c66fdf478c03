package rest

import (
	"context"
	"net/url"
	"time"

	"github.com/aispend/aispend/spend"
)

// Request is one question of a Session.
type Request struct {
	Path   string // joined to the base URL
	Params url.Values
	// Body is JSON and makes the request a POST; nil makes it a GET. It is sent again
	// where a try failed, so it must be a question that changes nothing.
	Body []byte
}

// Session is a walk whose questions differ, such as the description of a table, a
// query, the wait for it and its pages. All that holds for the pages of a Walk holds
// for its answers together: limits, retries, their order and what is handed over. It is
// used by one goroutine.
type Session struct{ w *walk }

// Begin starts a session. The window is named in errors. Every answer is handed to
// emit as it arrives.
func (c *Client) Begin(window spend.Window, emit func(spend.Page) error) *Session {
	return &Session{&walk{
		c: c, q: Query{Window: window}, emit: emit, room: c.limits.WalkBytes, seen: map[string]bool{},
	}}
}

// Ask sends one request and returns the body of its answer of status 200. Errors are
// *spend.PullError and say what was asked; an error of emit comes back as from Walk.
func (s *Session) Ask(ctx context.Context, r Request) ([]byte, error) {
	s.w.pages++
	s.w.q.Path = r.Path
	if s.w.pages > s.w.c.limits.Pages {
		return nil, s.w.explain(s.w.tooManyPages())
	}
	body, err := s.w.page(ctx, r)
	if s.w.refused != nil {
		return nil, s.w.refused
	}
	if err != nil {
		return nil, s.w.explain(err)
	}
	return body, nil
}

// Follow refuses a page token that would make the session end early, or never. token
// is of the answer to the last Ask.
func (s *Session) Follow(token string) error {
	if err := s.w.check(token); err != nil {
		return s.w.explain(err)
	}
	return nil
}

// Fail dresses an error that the caller found in the last answer like one of Ask.
func (s *Session) Fail(err error) error { return s.w.explain(err) }

// Wait is how a session waits between two questions; it returns the context's end as
// an error of Ask.
func (s *Session) Wait(ctx context.Context, d time.Duration) error {
	if err := pause(ctx, d); err != nil {
		return s.w.explain(s.w.c.transportFailure(ctx, err).err)
	}
	return nil
}

// End gives the connections back. The session asks nothing afterwards.
func (s *Session) End() { s.w.c.http.CloseIdleConnections() }
