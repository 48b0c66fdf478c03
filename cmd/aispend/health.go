package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aispend/aispend/internal/app"
)

// healthcheck asks a running daemon whether it is ready. It follows no redirect
// and sends no token: the health routes are open.
func (c *command) healthcheck(ctx context.Context) error {
	timeout, err := time.ParseDuration(c.healthTimeout)
	if err != nil || timeout <= 0 {
		return &app.UsageError{Err: fmt.Errorf("--timeout: %q is not a positive duration such as 5s", c.healthTimeout)}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.healthURL, nil)
	if err != nil {
		return &app.UsageError{Err: fmt.Errorf("--url: %w", err)}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("asking the daemon: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", c.healthURL, resp.Status)
	}
	_, err = fmt.Fprintln(c.stdout, "ready")
	return err
}
