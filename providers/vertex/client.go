package vertex

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/internal/rest"
	"github.com/aispend/aispend/spend"
)

// DefaultBigQueryURL is the public API.
const DefaultBigQueryURL = "https://bigquery.googleapis.com"

// ClientOptions describe one export to NewClient.
type ClientOptions struct {
	Table    Table
	Location string // of the dataset; empty: what tables.get says
	// MaxBytesBilled bounds every query; a query that would bill more is refused by
	// Google and costs nothing.
	MaxBytesBilled int64
	BaseURL        string
	// Credentials is the JSON of a service account or of a workload identity; not set
	// means application default credentials.
	Credentials *secret.Value
	Selector    *Selector
	Env         providers.Env
	// Transport replaces the network in tests, that of tokens included.
	Transport http.RoundTripper
}

// Client asks one billing export. It is safe for concurrent use.
type Client struct {
	table    Table
	location string
	maxBytes int64
	selector *Selector
	rest     *rest.Client
	tokens   *tokens
}

// NewClient returns a client. It does no I/O except reading Env.CAFile. An error is a
// *providers.FieldError that names the configuration key at fault.
func NewClient(o ClientOptions) (*Client, error) {
	if err := o.Table.Validate(); err != nil {
		return nil, &providers.FieldError{Key: "bigquery", Msg: err.Error()}
	}
	if o.MaxBytesBilled <= 0 {
		return nil, &providers.FieldError{Key: "bigquery.max_bytes_billed", Msg: "must be more than 0"}
	}
	if !regexp.MustCompile(`^[a-zA-Z0-9-]{0,40}$`).MatchString(o.Location) {
		return nil, &providers.FieldError{
			Key: "bigquery.location", Msg: "must be a location such as EU or europe-west4",
		}
	}
	c := &Client{table: o.Table, location: o.Location, maxBytes: o.MaxBytesBilled, selector: o.Selector}
	var err error
	if c.tokens, err = openTokens(o, scope); err != nil {
		return nil, err
	}
	c.rest, err = rest.New(rest.Options{
		Provider: Name, BaseURL: o.BaseURL, Env: o.Env, Judge: judge, Transport: o.Transport,
		Credential: rest.Credential{Get: c.tokens.Get, Header: "Authorization", Prefix: "Bearer "},
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

func openTokens(o ClientOptions, scopes ...string) (*tokens, error) {
	client := &http.Client{
		Transport: o.Transport, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if o.Transport == nil {
		t, err := rest.NewTransport(o.Env)
		if err != nil {
			return nil, err
		}
		t.DisableKeepAlives = true // a token is asked for once an hour
		client.Transport = t
	}
	return newTokens(o.Credentials, client, scopes...), nil
}

// Describe asks for the table and nothing else, which costs nothing.
func (c *Client) Describe(ctx context.Context) (TableInfo, error) {
	s := c.begin(spend.Window{}, func(spend.Page) error { return nil })
	defer s.rest.End()
	return s.describe(ctx)
}

// Estimate says how many bytes the query of a window would read, by a dry run, which
// costs nothing.
func (c *Client) Estimate(ctx context.Context, w spend.Window) (bytes int64, err error) {
	info, err := c.Describe(ctx)
	if err != nil {
		return 0, err
	}
	return c.estimate(ctx, info, w)
}

func (c *Client) estimate(ctx context.Context, info TableInfo, w spend.Window) (bytes int64, err error) {
	s := c.begin(w, func(spend.Page) error { return nil })
	defer s.rest.End()
	s.location = info.Location
	p, err := s.query(ctx, info, UTC, true)
	return p.scanned, err
}

// Fetch asks for the days of a window and hands every answer to emit, verbatim and as
// it arrives: that of tables.get, those of a job that still runs, the pages, and error
// answers. It returns nil only if the last page said that it is the last, and a
// *spend.PullError otherwise; or providers.ErrUnchanged, without a query, if mark is not
// empty and still the table's (see TableInfo.Mark).
func (c *Client) Fetch(
	ctx context.Context, w spend.Window, zone Zone, mark string, emit func(spend.Page) error,
) error {
	return c.fetch(ctx, w, zone, mark, emit, func(context.Context, TableInfo) {})
}

// fetch calls described between the description of the table and the query of it.
func (c *Client) fetch(
	ctx context.Context, w spend.Window, zone Zone, mark string, emit func(spend.Page) error,
	described func(context.Context, TableInfo),
) error {
	if w.Days() == 0 {
		return spend.Classify(spend.Incomplete, errors.New("asking vertex for an empty window"))
	}
	s := c.begin(w, emit)
	defer s.rest.End()
	info, err := s.describe(ctx)
	if err != nil {
		return err
	}
	if mark != "" && mark == info.Mark() {
		return providers.ErrUnchanged
	}
	described(ctx, info)
	p, err := s.query(ctx, info, zone, false)
	if err != nil {
		return err
	}
	return s.pages(ctx, p)
}

// session is one walk.
type session struct {
	c        *Client
	rest     *rest.Session
	window   spend.Window
	location string
	job      string // id, once known
}

func (c *Client) begin(w spend.Window, emit func(spend.Page) error) *session {
	return &session{c: c, rest: c.rest.Begin(w, emit), window: w, location: c.location}
}

// ask sends one request and explains its failure.
func (s *session) ask(ctx context.Context, at phase, r rest.Request) ([]byte, error) {
	body, err := s.rest.Ask(ctx, r)
	if spend.OutcomeOf(err, spend.OK) == spend.Auth {
		s.c.tokens.forget() // it may be the token that is bad, not the credentials
	}
	return body, s.c.explain(err, at, s.location)
}

func (s *session) path(parts ...string) string {
	return "/bigquery/v2/projects/" + s.c.table.Project + "/" + strings.Join(parts, "/")
}

// describe asks for the table, and refuses one that the query cannot be asked of.
func (s *session) describe(ctx context.Context) (TableInfo, error) {
	t := s.c.table
	body, err := s.ask(ctx, phaseTable, rest.Request{Path: s.path("datasets", t.Dataset, "tables", t.Name)})
	if err != nil {
		return TableInfo{}, err
	}
	info, err := DecodeTable(body)
	switch {
	case err != nil:
	case len(info.Missing) > 0:
		err = spend.Classify(spend.Schema, fmt.Errorf(
			"table %s is no Cloud Billing export: it lacks %s", t, strings.Join(info.Missing, ", ")))
	case s.location != "" && !strings.EqualFold(s.location, info.Location):
		err = spend.Classify(spend.NotFound, fmt.Errorf(
			"table %s lies in location %s, but bigquery.location is %s", t, info.Location, s.location))
	}
	if err != nil {
		return TableInfo{}, s.rest.Fail(err)
	}
	s.location = info.Location
	return info, nil
}

// query asks the table.
func (s *session) query(ctx context.Context, info TableInfo, zone Zone, dryRun bool) (p page, err error) {
	q := Query{Table: s.c.table, Partition: info.Partition, Window: s.window, Zone: zone, Selector: s.c.selector}
	request, err := q.Body(s.location, s.c.maxBytes, dryRun)
	if err != nil {
		return page{}, s.rest.Fail(spend.Classify(spend.Schema, err))
	}
	body, err := s.ask(ctx, phaseQuery, rest.Request{Path: s.path("queries"), Body: request})
	if err != nil {
		return page{}, err
	}
	w := wantNext
	if dryRun {
		w = wantBytes
	}
	p, err = following(body, w)
	if err != nil {
		return page{}, s.rest.Fail(err)
	}
	return p, nil
}

// firstWait and maxWait bound the waits for a job that runs; Google itself waits up to
// pollPatience before it says so.
const (
	firstWait = 250 * time.Millisecond
	maxWait   = 5 * time.Second
)

// pages waits for the job and follows its pages to the last.
func (s *session) pages(ctx context.Context, p page) error {
	wait := firstWait
	for {
		if err := s.same(p); err != nil {
			return s.rest.Fail(err)
		}
		switch {
		case p.complete && p.token == "":
			return nil
		case p.complete:
			if err := s.rest.Follow(p.token); err != nil {
				return err
			}
		default:
			if err := s.rest.Wait(ctx, wait); err != nil {
				return err
			}
			wait = min(2*wait, maxWait)
		}
		body, err := s.ask(ctx, phaseResults, s.results(p.token))
		if err != nil {
			return err
		}
		if p, err = following(body, wantNext); err != nil {
			return s.rest.Fail(err)
		}
	}
}

// same makes sure that there is a job to ask, and that it stays the same.
func (s *session) same(p page) error {
	switch {
	case p.complete && p.token == "" && s.job == "":
		return nil // all of it came at once, with or without a job
	case !regexp.MustCompile(`^[\w-]{1,1000}$`).MatchString(p.jobID):
		return spend.Classify(spend.Schema, errors.New("more follows, but the answer names no job to ask"))
	case s.job != "" && p.jobID != s.job:
		return spend.Classify(spend.Pagination, errors.New("the answer is of another job"))
	}
	s.job = p.jobID
	return nil
}

// results asks for a page, or whether the job is complete. The location is needed
// outside of the multi-regions EU and US.
func (s *session) results(token string) rest.Request {
	params := url.Values{
		"location":   {s.location},
		"maxResults": {strconv.Itoa(maxResults)},
		"timeoutMs":  {strconv.Itoa(pollPatience)},
	}
	if token != "" {
		params.Set("pageToken", token)
	}
	return rest.Request{Path: s.path("queries", s.job), Params: params}
}
