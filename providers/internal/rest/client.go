// Package rest holds the manners of a polite, suspicious HTTP client for the
// JSON APIs of providers: what is retried and for how long, how much is
// read, what an answer is called (its outcome), and what never leaves the
// process (keys, query strings and bodies in errors). It knows no vendor.
package rest

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

// Limits bound what one walk may read and how long its pieces may take.
type Limits struct {
	PageBytes  int64         // one body after decompression
	WalkBytes  int64         // all bodies of a walk after decompression
	ErrorBytes int64         // how much of a body that is not a page is kept
	Pages      int           // pages of a walk
	Tries      int           // requests per page
	Dial       time.Duration // connecting, TLS handshake apart
	TLS        time.Duration // TLS handshake
	Header     time.Duration // from the request to the first byte of the answer
}

// DefaultLimits returns the limits of production (reliability.md section 3).
func DefaultLimits() Limits {
	return Limits{
		PageBytes:  32 << 20,
		WalkBytes:  512 << 20,
		ErrorBytes: 64 << 10,
		Pages:      1000,
		Tries:      4,
		Dial:       10 * time.Second,
		TLS:        10 * time.Second,
		Header:     90 * time.Second,
	}
}

// Credential names a key and the header that carries it.
type Credential struct {
	// Get returns the key of this moment; it is called for every request, so that
	// a rotated key file takes effect without a restart. An error counts as
	// spend.Auth, unless it is a *spend.PullError.
	Get func() (string, error)
	// Header is the header's name and Prefix what stands before the key in it.
	Header, Prefix string
}

// Options describe one vendor's API to New.
type Options struct {
	Provider   string // "openai"; the first word of every error
	BaseURL    string // https, or http on a loopback address
	Credential Credential
	Header     http.Header // sent with every request
	// Help says what a person should do about an outcome, appended to errors.
	Help map[spend.Outcome]string
	Env  providers.Env
	// Judge reads an answer that is not 200 where the vendor's own words say more than
	// its status, and says whether another try can help. A nil error leaves the answer
	// to the rules for all vendors. Its texts must not quote the body.
	Judge func(status int, body []byte) (err *spend.PullError, retry bool)
	// Limits of zero mean DefaultLimits.
	Limits Limits
	// Transport replaces the network in tests.
	Transport http.RoundTripper
}

// Client asks one vendor API for JSON. It is safe for concurrent use. It starts
// no goroutine and holds no idle connection between walks.
type Client struct {
	provider string
	base     *url.URL
	cred     Credential
	header   http.Header
	help     map[spend.Outcome]string
	judgeOwn func(status int, body []byte) (*spend.PullError, bool)
	limits   Limits
	http     *http.Client
	log      *slog.Logger
	now      func() time.Time
}

// New returns a client. It does no I/O except reading Env.CAFile. An error is a
// *providers.FieldError that names the configuration key at fault.
func New(o Options) (*Client, error) {
	base, err := ParseBaseURL(o.BaseURL)
	if err != nil {
		return nil, err
	}
	c := &Client{
		provider: o.Provider, base: base, cred: o.Credential, header: o.Header.Clone(), help: o.Help,
		judgeOwn: o.Judge, limits: o.Limits, log: o.Env.Logger, now: o.Env.Now,
	}
	if c.limits == (Limits{}) {
		c.limits = DefaultLimits()
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.header == nil {
		c.header = http.Header{}
	}
	c.header.Set("Accept", "application/json")
	c.header.Set("User-Agent", o.Env.UserAgent)
	if o.Env.UserAgent == "" {
		c.header.Set("User-Agent", "aispend/unknown (+https://github.com/aispend/aispend)")
	}
	transport := o.Transport
	if transport == nil {
		if transport, err = newTransport(o.Env, c.limits); err != nil {
			return nil, err
		}
	}
	c.http = &http.Client{
		Transport: transport,
		// A redirect would carry the key to wherever it points (measured: Go keeps
		// x-api-key across hosts), so none is ever followed.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// ParseBaseURL checks a base_url: absolute, without user, query or fragment, and
// https unless the host is loopback, since every request carries the key. The
// error is a *providers.FieldError that does not repeat the value.
func ParseBaseURL(s string) (*url.URL, error) {
	fail := func(msg string) (*url.URL, error) {
		return nil, &providers.FieldError{Key: "base_url", Msg: msg}
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return fail("must be an absolute URL such as https://api.example.com")
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return fail("must hold no user, password, query or fragment")
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && isLoopback(u.Hostname()):
	default:
		return fail("must begin with https:// (http:// is allowed for a loopback address only)")
	}
	return u, nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// NewTransport returns the network as the block's settings want it (proxy, roots), with
// the default limits, for calls that are no pages, such as those for a token. Errors
// are those of New.
func NewTransport(env providers.Env) (*http.Transport, error) {
	return newTransport(env, DefaultLimits())
}

func newTransport(env providers.Env, l Limits) (*http.Transport, error) {
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: l.Dial}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    l.TLS,
		ResponseHeaderTimeout:  l.Header,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           4,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
	switch {
	case env.ProxyURL != "":
		u, err := url.Parse(env.ProxyURL)
		if err != nil || u.Host == "" {
			return nil, &providers.FieldError{
				Key: "proxy_url", Msg: "must be a URL such as http://proxy.example.com:3128",
			}
		}
		t.Proxy = http.ProxyURL(u)
	case env.NoEnvProxy:
		t.Proxy = nil
	}
	if env.CAFile != "" {
		pool, err := readCAFile(env.CAFile)
		if err != nil {
			return nil, &providers.FieldError{Key: "ca_file", Msg: err.Error()}
		}
		t.TLSClientConfig.RootCAs = pool
	}
	return t, nil
}

// readCAFile returns the roots of a PEM file. They replace the system's, as in
// every ca_file of the Prometheus world.
func readCAFile(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no PEM certificate", path)
	}
	return pool, nil
}
