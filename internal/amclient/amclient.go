// Package amclient speaks the Alertmanager API v2: it posts the test alert and
// asks every member of the cluster how it stands. No other package imports
// Alertmanager's library.
//
// The rules own every real alert. The label set is an alert's identity and the last
// writer wins, so the daemon pushes only what no rule makes: AISpendTest.
package amclient

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"sync"
	"time"

	httptransport "github.com/go-openapi/runtime/client"
	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/client"
	"github.com/prometheus/alertmanager/api/v2/client/general"
	"github.com/prometheus/alertmanager/api/v2/models"
)

const (
	// postTimeout bounds one posted alert, the following question for the version included.
	postTimeout = 5 * time.Second
	// statusTimeout bounds the one question that a caller of Status may have to wait for.
	statusTimeout = time.Second
	// statusAge is how long an answer of Status is good for.
	statusAge = 15 * time.Second
	// maxAnswerBytes bounds an answer; the status holds the whole configuration.
	maxAnswerBytes = 4 << 20
)

// Options says whom to speak to.
type Options struct {
	// URLs are the members of the cluster: scheme, host and the path that comes
	// before /api/v2, if any.
	URLs []string
	// UserAgent is sent with every request; empty for Go's own.
	UserAgent string
	// Now may be nil, which is time.Now.
	Now func() time.Time
}

// Client speaks to every member of one Alertmanager cluster. It follows no
// redirect and uses no proxy. It is safe for concurrent use.
type Client struct {
	members []member
	now     func() time.Time

	asking sync.Mutex // held while the members are asked

	mu     sync.Mutex
	states []State
	asked  time.Time
}

// member is one Alertmanager.
type member struct {
	url string
	api *client.AlertmanagerAPI
}

// State is what one member said of itself.
type State struct {
	URL string
	// Reachable is true when it answered as an Alertmanager does.
	Reachable bool
	// Version is empty when it is not reachable or does not know its own.
	Version string
	// Cluster is ready, settling or disabled.
	Cluster string
	// Peers counts the members of the cluster that it sees, itself included.
	Peers int
	// Error says why it is not reachable; it holds no secret.
	Error string
}

// New returns a client. It asks nobody anything. The error names a URL that cannot
// be used.
func New(o Options) (*Client, error) {
	c := &Client{now: o.Now}
	if c.now == nil {
		c.now = time.Now
	}
	hc := httpClient(o.UserAgent)
	for _, text := range o.URLs {
		m, err := newMember(text, hc)
		if err != nil {
			return nil, err
		}
		c.members = append(c.members, m)
	}
	return c, nil
}

func newMember(text string, hc *http.Client) (member, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return member{}, errors.New("an Alertmanager URL needs scheme and host, such as http://localhost:9093")
	}
	// With "/" as its base path the client would ask /status, which is no route.
	base := path.Join("/", u.Path, client.DefaultBasePath)
	rt := httptransport.NewWithClient(u.Host, base, []string{u.Scheme}, hc)
	// The library turns this on when a variable DEBUG is set, and then prints every
	// request and answer to standard error.
	rt.Debug = false
	return member{url: text, api: client.New(rt, strfmt.Default)}, nil
}

func httpClient(userAgent string) *http.Client {
	return &http.Client{
		Transport: &polite{userAgent: userAgent, next: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: postTimeout}).DialContext,
			TLSHandshakeTimeout:   postTimeout,
			ResponseHeaderTimeout: postTimeout,
			MaxIdleConnsPerHost:   1,
			DisableKeepAlives:     true, // a few requests a minute, and a reload leaves nothing open
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// polite names us and bounds what we read.
type polite struct {
	userAgent string
	next      http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (p *polite) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.userAgent != "" {
		r = r.Clone(r.Context())
		r.Header.Set("User-Agent", p.userAgent)
	}
	resp, err := p.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswerBytes), resp.Body}
	return resp, nil
}

// Status returns how each member stands, in the order of the configuration. It
// asks them at most every 15 seconds, all at once, and waits at most one second;
// while another caller does so, it returns what was known before.
func (c *Client) Status(ctx context.Context) []State {
	if states, fresh := c.known(); fresh {
		return states
	}
	if !c.asking.TryLock() {
		if states, _ := c.known(); states != nil {
			return states
		}
		c.asking.Lock() // the very first question: its answer is a second away at most
	}
	defer c.asking.Unlock()
	if states, fresh := c.known(); fresh {
		return states
	}
	// The answer is for everybody who asks within its age, so one caller who goes
	// away must not spoil it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), statusTimeout)
	defer cancel()
	states := make([]State, len(c.members))
	c.each(func(i int, m member) { states[i] = m.state(ctx) })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.states, c.asked = states, c.now()
	return append([]State{}, states...)
}

func (c *Client) known() (states []State, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.states == nil {
		return nil, len(c.members) == 0
	}
	age := c.now().Sub(c.asked)
	return append([]State{}, c.states...), age >= 0 && age < statusAge
}

// each calls do for every member at once and returns when all have ended.
func (c *Client) each(do func(i int, m member)) {
	var wg sync.WaitGroup
	for i, m := range c.members {
		wg.Go(func() { do(i, m) })
	}
	wg.Wait()
}

// state asks one member how it stands.
func (m member) state(ctx context.Context) State {
	st := State{URL: m.url}
	resp, err := m.api.General.GetStatus(general.NewGetStatusParamsWithContext(ctx))
	if err == nil {
		err = checkStatus(resp.Payload)
	}
	if err != nil {
		st.Error = explain(err, statusTimeout)
		return st
	}
	st.Reachable = true
	st.Version = clean(text(resp.Payload.VersionInfo.Version), maxWord)
	st.Cluster = clean(text(resp.Payload.Cluster.Status), maxWord)
	st.Peers = len(resp.Payload.Cluster.Peers)
	return st
}

// checkStatus finds what the library lets pass: it does not validate answers, and
// any JSON object is a status without content to it.
func checkStatus(st *models.AlertmanagerStatus) error {
	if st == nil || st.VersionInfo == nil || st.Cluster == nil {
		return errNotAlertmanager
	}
	return nil
}

var errNotAlertmanager = errors.New("answers, but not as an Alertmanager does")

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
