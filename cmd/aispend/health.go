package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/aispend/aispend/internal/app"
)

// healthcheck asks a running daemon whether it is ready. It follows no redirect,
// uses no proxy and sends no token: the health routes are open.
func (c *command) healthcheck(ctx context.Context) error {
	timeout, err := time.ParseDuration(c.healthTimeout)
	if err != nil || timeout <= 0 {
		return &app.UsageError{Err: fmt.Errorf("--timeout: %q is not a positive duration such as 5s", c.healthTimeout)}
	}
	u, err := url.Parse(c.healthURL)
	if err != nil || !isHTTP(c.healthURL) {
		return &app.UsageError{Err: errors.New("--url is not a URL: write http or https, such as http://127.0.0.1:10099/-/ready")}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return &app.UsageError{Err: fmt.Errorf("--url: %w", err)}
	}
	resp, err := healthClient(u).Do(req)
	if err != nil {
		return fmt.Errorf("asking the daemon: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return fmt.Errorf("%s answered %s: basic_auth_users of --web.config.file guard this route too; "+
			"guard the daemon with web.read_token_file instead, which leaves it open", u.Redacted(), resp.Status)
	default:
		return fmt.Errorf("%s answered %s", u.Redacted(), resp.Status)
	}
	_, err = fmt.Fprintln(c.stdout, "ready")
	return err
}

// healthClient takes any certificate of this very machine: it is issued for the
// name that others use, and nothing secret is sent.
func healthClient(u *url.URL) *http.Client {
	own := app.Loopback(net.JoinHostPort(u.Hostname(), u.Port()))
	return &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: own}, //nolint:gosec // loopback only, see above
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
