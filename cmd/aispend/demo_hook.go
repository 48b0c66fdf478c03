package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// hookSink plays the user's own hard-cap hook: it says what it was sent and revokes
// nothing.
type hookSink struct {
	url, secret string
	server      *http.Server
}

// startHookSink listens on loopback until close.
func startHookSink(ctx context.Context, out io.Writer) (*hookSink, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the demo's hard-cap hook: %w", err)
	}
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	s := &hookSink{
		url: "http://" + l.Addr().String() + "/", secret: "whsec_" + base64.StdEncoding.EncodeToString(key[:]),
		server: &http.Server{
			Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { showDelivery(out, w, r) }),
			ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		},
	}
	go func() { _ = s.server.Serve(l) }()
	return s, nil
}

func (s *hookSink) close() { _ = s.server.Close() }

// showDelivery prints a delivery.
func showDelivery(out io.Writer, w http.ResponseWriter, r *http.Request) {
	var d struct {
		ID       string `json:"id"`
		Breaches []struct {
			Scope     string      `json:"scope"`
			Period    string      `json:"period"`
			Threshold json.Number `json:"threshold"`
			Total     json.Number `json:"total"`
		} `json:"breaches"`
	}
	err := json.NewDecoder(io.LimitReader(r.Body, 64<<10)).Decode(&d)
	if err == nil && len(d.Breaches) == 0 {
		err = errors.New("no breach in it")
	}
	if err != nil {
		http.Error(w, "not a hard-cap delivery", http.StatusBadRequest)
		return
	}
	for _, b := range d.Breaches {
		_, _ = fmt.Fprintf(out, "\nhard-cap hook called: %s has cost %s USD this %s, its hard cap is %s USD (%s).\n"+
			"This sink is part of the demo: nothing is revoked. A real one: docs/hard-cap/README.md\n",
			b.Scope, b.Total, b.Period, b.Threshold, d.ID)
	}
	w.WriteHeader(http.StatusNoContent)
}

// demoAlert is what Alertmanager would send of the demo's one breached hard cap.
func demoAlert() string {
	b, err := json.Marshal(map[string]any{
		"version": "4",
		"alerts": []map[string]any{{
			"status": "firing", "startsAt": time.Now().UTC().Truncate(time.Second),
			"labels": map[string]string{"level": "hard", "scope": "openai", "period": "month"},
		}},
	})
	if err != nil {
		return "{}" // strings and a time; cannot happen
	}
	return string(b)
}
