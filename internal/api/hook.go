package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/hardcap"
	"github.com/aispend/aispend/spend"
)

// Hook is the kill switch as the API needs it; *hardcap.Hook satisfies it.
type Hook interface {
	// Receive takes a payload of Alertmanager; see hardcap.Hook.Receive for its errors.
	Receive(ctx context.Context, payload []byte) (hardcap.Receipt, error)
	// Deliveries returns every event of the outbox, the newest first.
	Deliveries() []hardcap.Event
	// Retry makes an event due now: hardcap.ErrUnknown, hardcap.ErrNotRetried.
	Retry(ctx context.Context, id string) (hardcap.Event, error)
}

const (
	defaultDeliveries = 100
	maxDeliveries     = 1000
	// laterSeconds is how long Alertmanager is asked to wait while a pull runs; it has
	// a schedule of its own and does not look.
	laterSeconds = 5
)

// postHook takes Alertmanager's webhook. It answers 200 when nothing is left to be
// done, which is when everything is durable, and 503 when it cannot tell yet: that
// Alertmanager sends again at once, while it lets a 4xx rest until the next group_interval.
func (s *Server) postHook(r *http.Request, _ httprouter.Params) (answer, error) {
	if err := noParams(r); err != nil {
		return answer{}, err
	}
	body := r.Body
	return jsonAnswer(func(ctx context.Context) (hardcap.Receipt, error) {
		b, err := io.ReadAll(body)
		if err != nil {
			return hardcap.Receipt{}, unreadableHook(err)
		}
		receipt, err := s.deps.Hook.Receive(ctx, b)
		if err != nil {
			return hardcap.Receipt{}, hookProblem(err)
		}
		return receipt, nil
	}), nil
}

func unreadableHook(err error) error {
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return problemf(http.StatusRequestEntityTooLarge, "the payload is larger than %d bytes; "+
			"let Alertmanager group fewer alerts (group_by scope, period and level, as aispend alertmanager-config does)", maxBodyBytes)
	}
	return &httpError{status: http.StatusBadRequest, detail: "the body cannot be read to its end", err: err}
}

func hookProblem(err error) error {
	switch {
	case errors.Is(err, hardcap.ErrLater):
		return &httpError{
			status: http.StatusServiceUnavailable, retryAfter: laterSeconds, logged: true, detail: err.Error(),
		}
	case errors.Is(err, hardcap.ErrPayload), errors.Is(err, hardcap.ErrTruncated):
		return &httpError{status: http.StatusBadRequest, logged: true, detail: err.Error()}
	default:
		// Whatever it is, it may be over when Alertmanager asks again.
		he := *toHTTP(err)
		he.status = http.StatusServiceUnavailable
		return &he
	}
}

// deliveryReply is one event of the outbox.
type deliveryReply struct {
	ID          string        `json:"id"`
	Scope       string        `json:"scope"`
	Period      caps.Period   `json:"period"`
	PeriodStart *time.Time    `json:"period_start"`
	PeriodEnd   *time.Time    `json:"period_end"`
	Threshold   spend.Money   `json:"threshold_usd"`
	Total       spend.Money   `json:"total_usd"`
	DataThrough *time.Time    `json:"data_through"`
	State       hardcap.State `json:"state"`
	Reason      string        `json:"reason,omitempty"`
	Test        bool          `json:"test,omitempty"`
	Attempts    int           `json:"attempts"`
	LastAttempt *time.Time    `json:"last_attempt"`
	NextAttempt *time.Time    `json:"next_attempt"`
	Status      int           `json:"last_status,omitempty"`
	LastError   string        `json:"last_error,omitempty"`
	TriggeredAt time.Time     `json:"triggered_at"`
	RecordedAt  time.Time     `json:"recorded_at"`
	ChangedAt   time.Time     `json:"changed_at"`
	// Body is what is sent, byte for byte but for white space.
	Body json.RawMessage `json:"body,omitempty"`
}

type deliveriesReply struct {
	Items  []deliveryReply `json:"items"`
	Cursor string          `json:"cursor"`
}

func newDelivery(e hardcap.Event) deliveryReply {
	out := deliveryReply{
		ID: e.ID, Scope: e.Scope, Period: e.Period, Threshold: e.Threshold, Total: e.Total, DataThrough: instant(e.DataThrough),
		State: e.State, Reason: e.Reason, Test: e.Test, Attempts: e.Attempts,
		LastAttempt: instant(e.LastAttempt), NextAttempt: instant(e.NextAttempt), Status: e.Status, LastError: e.LastError,
		TriggeredAt: e.TriggeredAt.UTC(), RecordedAt: e.Recorded.UTC(), ChangedAt: e.Changed.UTC(), Body: e.Body,
	}
	if e.PeriodStart != 0 {
		start, end := e.PeriodStart.Time(), e.PeriodEnd.Time()
		out.PeriodStart, out.PeriodEnd = &start, &end
	}
	return out
}

// instant is nil for what has not happened.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// getDeliveries lists the outbox, newest first. The cursor is the id of the last item:
// new events come before it and move nothing.
func (s *Server) getDeliveries(r *http.Request, _ httprouter.Params) (answer, error) {
	p, err := readParams(r, paramRules{names: []string{"state", "limit", "cursor"}})
	if err != nil {
		return answer{}, err
	}
	states := []string{""}
	for _, st := range hardcap.States() {
		states = append(states, string(st))
	}
	state, err := p.oneOf("state", "", states...)
	if err != nil {
		return answer{}, err
	}
	limit := defaultDeliveries
	if p.has("limit") {
		limit, err = strconv.Atoi(p.get("limit"))
		if err != nil || limit < 1 || limit > maxDeliveries {
			return answer{}, badParam("limit", "must be a number from 1 to %d", maxDeliveries)
		}
	}
	cursor := p.get("cursor")
	return jsonAnswer(func(context.Context) (deliveriesReply, error) {
		return pageOf(s.deps.Hook.Deliveries(), hardcap.State(state), limit, cursor)
	}), nil
}

func pageOf(events []hardcap.Event, state hardcap.State, limit int, cursor string) (deliveriesReply, error) {
	if cursor != "" {
		i := slices.IndexFunc(events, func(e hardcap.Event) bool { return e.ID == cursor })
		if i < 0 {
			return deliveriesReply{}, badParam("cursor", "this cursor was not handed out by this list; start again without one")
		}
		events = events[i+1:]
	}
	reply := deliveriesReply{Items: []deliveryReply{}}
	for _, e := range events {
		if state != "" && e.State != state {
			continue
		}
		if len(reply.Items) == limit {
			reply.Cursor = reply.Items[limit-1].ID
			break
		}
		reply.Items = append(reply.Items, newDelivery(e))
	}
	return reply, nil
}

func (s *Server) postRetry(r *http.Request, ps httprouter.Params) (answer, error) {
	if err := noParams(r); err != nil {
		return answer{}, err
	}
	if err := noBody(r); err != nil {
		return answer{}, err
	}
	id := ps.ByName("id")
	if id == "" || len(id) > maxIDBytes {
		return answer{}, noDelivery()
	}
	return jsonAnswer(func(ctx context.Context) (deliveryReply, error) {
		e, err := s.deps.Hook.Retry(ctx, id)
		switch {
		case errors.Is(err, hardcap.ErrUnknown):
			return deliveryReply{}, noDelivery()
		case errors.Is(err, hardcap.ErrNotRetried):
			return deliveryReply{}, problemf(http.StatusConflict, "%s", err)
		case err != nil:
			return deliveryReply{}, err
		}
		return newDelivery(e), nil
	}).with(http.StatusAccepted), nil
}

func noDelivery() error {
	return problemf(http.StatusNotFound, "no such delivery; GET /hard-cap/deliveries lists them")
}

// noHook is a hook that refuses everything, for an API without one.
type noHook struct{}

func (noHook) Receive(context.Context, []byte) (hardcap.Receipt, error) {
	return hardcap.Receipt{}, problemf(http.StatusServiceUnavailable, "there is no hard-cap hook here")
}

func (noHook) Deliveries() []hardcap.Event { return nil }

func (noHook) Retry(context.Context, string) (hardcap.Event, error) {
	return hardcap.Event{}, hardcap.ErrUnknown
}
