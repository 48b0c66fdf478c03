// Command receiver takes the hard-cap deliveries of aispend and turns off what its
// plan names: it sets an Anthropic key inactive, deletes an OpenAI project key, or
// gives an OpenAI project a spend limit. Without -apply it only says what it would
// do. It needs nothing but the standard library: copy the folder and make it yours.
// The README beside it tells the risks and the ways back.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "receiver:", err)
		os.Exit(1) //nolint:forbidigo // this is a command
	}
}

// options are the flags.
type options struct {
	listen, planFile, seenFile            string
	secretFile, openAIFile, anthropicFile string
	openAIURL, anthropicURL               string
	certFile, keyFile                     string
	apply, check, plainHTTP               bool
	callTimeout                           time.Duration
}

func parseFlags(args []string, stderr io.Writer) (o options, err error) {
	f := flag.NewFlagSet("receiver", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.listen, "listen", "127.0.0.1:8787", "address to listen on")
	f.StringVar(&o.planFile, "plan", "", "file that says what to do when which scope is reached")
	f.StringVar(&o.seenFile, "seen", "", "file that remembers which deliveries are done")
	f.BoolVar(&o.apply, "apply", false, "act; without it nothing is called")
	f.BoolVar(&o.check, "check", false, "ask the providers whether the plan can work, change nothing, and end")
	f.StringVar(&o.secretFile, "secret-file", "", "file of signing secrets, one a line (else $HARD_CAP_SECRET)")
	f.StringVar(&o.openAIFile, "openai-key-file", "", "file of OpenAI's admin key (else $OPENAI_ADMIN_KEY)")
	f.StringVar(&o.anthropicFile, "anthropic-key-file", "",
		"file of Anthropic's admin key (else $ANTHROPIC_ADMIN_KEY)")
	f.StringVar(&o.openAIURL, "openai-url", "https://api.openai.com", "base URL of OpenAI's API")
	f.StringVar(&o.anthropicURL, "anthropic-url", "https://api.anthropic.com", "base URL of Anthropic's API")
	f.StringVar(&o.certFile, "tls-cert", "", "certificate file, for https")
	f.StringVar(&o.keyFile, "tls-key", "", "private key file, for https")
	f.BoolVar(&o.plainHTTP, "plain-http", false,
		"allow http on other addresses than loopback, behind a proxy with TLS")
	f.DurationVar(&o.callTimeout, "call-timeout", 10*time.Second, "how long one call to a provider may take")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	return o, o.valid(f.NArg())
}

func (o *options) valid(extra int) error {
	host, _, err := net.SplitHostPort(o.listen)
	switch {
	case extra > 0:
		return errors.New("there are no arguments beside the flags")
	case err != nil:
		return fmt.Errorf("-listen: %w", err)
	case o.planFile == "":
		return errors.New("-plan is missing")
	case o.apply && o.seenFile == "" && !o.check:
		return errors.New("-apply needs -seen, or a repeated delivery would act again")
	case (o.certFile == "") != (o.keyFile == ""):
		return errors.New("-tls-cert and -tls-key belong together")
	case o.certFile == "" && !o.plainHTTP && !loopback(host):
		return errors.New("-listen: http off loopback; give -tls-cert and -tls-key, " +
			"or -plain-http behind a proxy with TLS")
	case o.callTimeout <= 0:
		return errors.New("-call-timeout must be more than 0")
	}
	for name, base := range map[string]string{"-openai-url": o.openAIURL, "-anthropic-url": o.anthropicURL} {
		if err := validBase(base); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// apis returns the two providers.
func (o *options) apis() (openai, anthropic *api) {
	client := newClient(o.callTimeout)
	openai = &api{
		name: "openai", base: strings.TrimRight(o.openAIURL, "/"), client: client, now: time.Now,
		key:  secret{"OpenAI's admin key", o.openAIFile, "OPENAI_ADMIN_KEY"},
		sign: func(h http.Header, key string) { h.Set("Authorization", "Bearer "+key) },
	}
	anthropic = &api{
		name: "anthropic", base: strings.TrimRight(o.anthropicURL, "/"), client: client, now: time.Now,
		key: secret{"Anthropic's admin key", o.anthropicFile, "ANTHROPIC_ADMIN_KEY"},
		sign: func(h http.Header, key string) {
			h.Set("X-Api-Key", key)
			h.Set("Anthropic-Version", "2023-06-01")
		},
	}
	return openai, anthropic
}

// run is main without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	doc, err := os.ReadFile(o.planFile)
	if err != nil {
		return fmt.Errorf("reading the plan: %w", err)
	}
	p, err := parsePlan(doc, o.apis)
	if err != nil {
		return err
	}
	if o.apply || o.check {
		if err := p.keysAreThere(); err != nil {
			return err
		}
	}
	if o.check {
		return check(ctx, p, stdout)
	}
	s, err := newServer(&o, p, slog.New(slog.NewJSONHandler(stderr, nil)))
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	s.log.Info("listening", "address", l.Addr().String(), "apply", o.apply, "actions", len(p.rules))
	return serve(ctx, l, s, o.certFile, o.keyFile)
}

func newServer(o *options, p plan, log *slog.Logger) (*server, error) {
	signing := secret{"the signing secrets", o.secretFile, "HARD_CAP_SECRET"}
	s := &server{log: log, plan: p, apply: o.apply, now: time.Now}
	s.secrets = func() ([][]byte, error) {
		text, err := signing.text()
		if err != nil {
			return nil, err
		}
		return parseSecrets(text)
	}
	if _, err := s.secrets(); err != nil {
		return nil, err
	}
	if o.seenFile == "" {
		return s, nil
	}
	var err error
	s.seen, err = openSeen(o.seenFile)
	return s, err
}

// serve takes deliveries until ctx ends, and then finishes the one at work.
func serve(ctx context.Context, l net.Listener, s *server, cert, key string) error {
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      budget + 10*time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() {
		if cert != "" {
			ended <- srv.ServeTLS(l, cert, key)
			return
		}
		ended <- srv.Serve(l)
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), budget+time.Second)
	defer cancel()
	if err := srv.Shutdown(finish); err != nil {
		return fmt.Errorf("finishing: %w", err)
	}
	return nil
}

// check asks about every action and says what it found.
func check(ctx context.Context, p plan, stdout io.Writer) error {
	bad := 0
	for _, r := range p.rules {
		found, err := r.action.check(ctx)
		if err != nil {
			found, bad = err.Error(), bad+1
		}
		if _, err := fmt.Fprintf(stdout, "%s: %s: %s\n", r.Scope, r.action, found); err != nil {
			return fmt.Errorf("saying what was found: %w", err)
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d actions would not work", bad, len(p.rules))
	}
	return nil
}
