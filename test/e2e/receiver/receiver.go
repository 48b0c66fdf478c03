// Package receiver plays the user's own hard-cap hook in tests. It verifies every
// delivery with the library of the Standard Webhooks project, which shares no code
// with the daemon, remembers all of them, and can be away, fail, or keep the sender
// waiting.
package receiver

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
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/aispend/aispend/spend"
)

// Path is where the hook is; what follows the host of such a URL is a secret.
const Path = "/hooks/secret-part"

// Mode is how the receiver behaves.
type Mode int

const (
	// Accept answers 204.
	Accept Mode = iota
	// Fail answers 500.
	Fail
	// Hold reads deliveries and answers nothing until the mode is another one; then
	// their connections are cut. They do not count as accepted.
	Hold
	// AcceptLate accepts deliveries and answers nothing until the mode is another one:
	// the work is done, and the sender does not know.
	AcceptLate
	// Refuse takes no connection.
	Refuse
)

// Breach is one breach of a delivery.
type Breach struct {
	Scope       string      `json:"scope"`
	Level       string      `json:"level"`
	Period      string      `json:"period"`
	PeriodStart string      `json:"period_start"`
	Threshold   spend.Money `json:"threshold"`
	Total       spend.Money `json:"total"`
	TriggeredAt time.Time   `json:"triggeredAt"`
}

// Body is the body of a delivery (contract section 8).
type Body struct {
	Event       string                 `json:"event"`
	ID          string                 `json:"id"`
	Breaches    []Breach               `json:"breaches"`
	Totals      map[string]spend.Money `json:"totals"`
	TriggeredAt time.Time              `json:"triggeredAt"`
}

// Delivery is one request that was read and verified.
type Delivery struct {
	At       time.Time // of its arrival, by this process' clock
	ID       string    // the header webhook-id
	Sent     time.Time // the header webhook-timestamp
	Body     Body
	Accepted bool
}

// Scope is the scope of its one breach.
func (d Delivery) Scope() string { return d.Body.Breaches[0].Scope }

// Receiver is a hook on loopback. Its methods are safe for concurrent use.
type Receiver struct {
	now     func() time.Time
	address string
	secrets []string

	mu      sync.Mutex
	idle    *sync.Cond // reading has become 0
	reading int        // requests under way
	mode    Mode
	changed chan struct{} // closed at the next change of mode
	server  *http.Server  // nil while it refuses
	got     []Delivery
	bad     []string
	ids     map[string]string // by cap, start of its period and threshold; and back
}

// New starts a Receiver that accepts, with two secrets as during a rotation. The
// address is kept while it refuses. A delivery must be signed within five minutes
// of now, which is the sender's clock.
func New(address string, now func() time.Time) (*Receiver, error) {
	r := &Receiver{now: now, address: address, mode: Refuse, changed: make(chan struct{}), ids: map[string]string{}}
	r.idle = sync.NewCond(&r.mu)
	for range 2 {
		var key [32]byte
		_, _ = rand.Read(key[:]) // never fails
		r.secrets = append(r.secrets, "whsec_"+base64.StdEncoding.EncodeToString(key[:]))
	}
	return r, r.Set(Accept)
}

// URL is the hook's address.
func (r *Receiver) URL() string { return "http://" + r.address + Path }

// Secrets are what hard_cap.secret_file holds.
func (r *Receiver) Secrets() string { return strings.Join(r.secrets, "\n") + "\n" }

// Set changes the mode. Connections of the mode before are cut, except that what
// AcceptLate has kept waiting is answered. Once it refuses, no delivery is being read.
func (r *Receiver) Set(m Mode) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mode = m
	close(r.changed)
	r.changed = make(chan struct{})
	switch {
	case m == Refuse && r.server != nil:
		err := r.server.Close()
		r.server = nil
		for r.reading > 0 {
			r.idle.Wait()
		}
		return err
	case m == Refuse || r.server != nil:
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", r.address)
	if err != nil {
		return fmt.Errorf("opening the hook of the tests: %w", err)
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func(s *http.Server) { _ = s.Serve(l) }(r.server)
	return nil
}

// ServeHTTP takes one delivery.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.enter(1)
	defer r.enter(-1)
	raw, err := io.ReadAll(io.LimitReader(req.Body, 64<<10))
	if err != nil {
		return // the sender is gone
	}
	d, err := r.read(req, raw)
	if err != nil {
		r.complain(err)
		http.Error(w, "no delivery", http.StatusBadRequest)
		return
	}
	mode, changed := r.keep(d)
	switch mode {
	case Fail:
		http.Error(w, "the hook is not well", http.StatusInternalServerError)
	case Hold, Refuse:
		select {
		case <-changed:
		case <-req.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case AcceptLate:
		select {
		case <-changed:
		case <-req.Context().Done():
		}
		w.WriteHeader(http.StatusNoContent)
	case Accept:
		w.WriteHeader(http.StatusNoContent)
	}
}

func (r *Receiver) enter(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reading += n; r.reading == 0 {
		r.idle.Broadcast()
	}
}

func (r *Receiver) keep(d Delivery) (Mode, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := d.Body.Breaches[0]
	key := strings.Join([]string{b.Scope, b.Period, b.PeriodStart, b.Threshold.String()}, " ")
	for k, v := range map[string]string{key: d.ID, d.ID: key} {
		if was, known := r.ids[k]; known && was != v {
			r.bad = append(r.bad, fmt.Sprintf("hook: %q came with %q and with %q", k, was, v))
		}
		r.ids[k] = v
	}
	d.Accepted = r.mode == Accept || r.mode == AcceptLate
	r.got = append(r.got, d)
	return r.mode, r.changed
}

// read verifies a request as a careful receiver does.
func (r *Receiver) read(req *http.Request, raw []byte) (Delivery, error) {
	d := Delivery{At: time.Now(), ID: req.Header.Get(standardwebhooks.HeaderWebhookID)}
	if req.Method != http.MethodPost || req.URL.Path != Path || req.Header.Get("Content-Type") != "application/json" {
		return d, fmt.Errorf("hook: %s %s of type %q", req.Method, req.URL.Path, req.Header.Get("Content-Type"))
	}
	for i, secret := range r.secrets {
		hook, err := standardwebhooks.NewWebhook(secret)
		if err == nil {
			err = hook.VerifyIgnoringTimestamp(raw, req.Header)
		}
		if err != nil {
			return d, fmt.Errorf("hook: secret %d: %w", i, err)
		}
	}
	seconds, err := strconv.ParseInt(req.Header.Get(standardwebhooks.HeaderWebhookTimestamp), 10, 64)
	if err != nil {
		return d, fmt.Errorf("hook: webhook-timestamp: %w", err)
	}
	d.Sent = time.Unix(seconds, 0)
	if off := r.now().Sub(d.Sent); off.Abs() > 5*time.Minute {
		return d, fmt.Errorf("hook: signed %s ago", off)
	}
	if err := json.Unmarshal(raw, &d.Body); err != nil {
		return d, fmt.Errorf("hook: %w: %s", err, raw)
	}
	if d.Body.ID != d.ID || d.Body.Event != "ai_spend_hard_cap" || len(d.Body.Breaches) != 1 || d.Body.Breaches[0].Level != "hard" ||
		d.Body.Breaches[0].Total.Cmp(d.Body.Breaches[0].Threshold) < 0 {
		return d, errors.New("hook: no breach of a hard cap: " + string(raw))
	}
	return d, nil
}

func (r *Receiver) complain(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bad = append(r.bad, err.Error())
}

// Complaints is what a real hook would have refused, and ids that are not one per
// scope, period and threshold.
func (r *Receiver) Complaints() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.bad)
}

// All returns every delivery so far in the order of arrival, accepted or not.
func (r *Receiver) All() []Delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// Of returns the deliveries of a scope: all of them, and those that were accepted.
func (r *Receiver) Of(scope string) (all, accepted []Delivery) {
	for _, d := range r.All() {
		if d.Scope() != scope {
			continue
		}
		all = append(all, d)
		if d.Accepted {
			accepted = append(accepted, d)
		}
	}
	return all, accepted
}

// IDs returns the ids of deliveries, each once, in the order of arrival.
func IDs(list []Delivery) []string {
	var out []string
	for _, d := range list {
		if !slices.Contains(out, d.ID) {
			out = append(out, d.ID)
		}
	}
	return out
}
