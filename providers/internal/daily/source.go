package daily

import (
	"context"
	"errors"
	"net/url"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/internal/rest"
	"github.com/aispend/aispend/spend"
)

// Source implements providers.Source for an endpoint of daily buckets.
type Source struct {
	Account  string
	Provider string
	Family   providers.SourceType
	Client   *rest.Client
	Path     string
	// Params returns the query of a walk, complete but for the page token. It
	// depends on the request alone and never on the clock, so that every page of
	// a walk asks for the same window.
	Params func(req providers.Request) url.Values
	Decode func(w spend.Window) providers.Decoder
}

var _ providers.Source = (*Source)(nil)

// ID names the source.
func (s *Source) ID() spend.SourceID {
	return spend.SourceID{Provider: s.Provider, Account: s.Account, Source: s.Family.Name}
}

// Type returns the family's facts.
func (s *Source) Type() providers.SourceType { return s.Family }

// NewDecoder returns a decoder for one walk.
func (s *Source) NewDecoder(w spend.Window) providers.Decoder { return s.Decode(w) }

// Fetch walks the window.
func (s *Source) Fetch(ctx context.Context, req providers.Request, emit func(spend.Page) error) error {
	if req.Window.Days() == 0 {
		return spend.Classify(spend.Incomplete, errors.New("asking "+s.Provider+" for an empty window"))
	}
	req.Buckets = min(max(req.Buckets, 1), providers.MaxBuckets)
	return s.Client.Walk(ctx, rest.Query{
		Path: s.Path, Params: s.Params(req), Cursor: "page", Window: req.Window, Next: Next,
	}, emit)
}
