package vertex

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/aispend/aispend/providers/internal/rest"
	"github.com/aispend/aispend/spend"
)

// Limits of a walk over notifications. A budget has some 50 a day, and Pub/Sub keeps
// them for a week: what is left after so many is taken by the next walk.
const (
	maxPulls    = 200
	maxMessages = 100 // of one pull
	// pullPatience is how long a pull is waited for: Pub/Sub holds back its answer while it has
	// no message, and that it has none is what no answer means then.
	pullPatience = 10 * time.Second
	// maxAckIDs and maxAckBytes bound one acknowledgement; Pub/Sub takes 512 KiB.
	maxAckIDs   = 1000
	maxAckBytes = 400 << 10
)

// pull takes messages until there are none. What it takes is leased: messages that are not
// acknowledged are delivered again, to whoever asks.
func (b *BudgetSource) pull(ctx context.Context, w spend.Window, emit func(spend.Page) error) error {
	request, err := json.Marshal(map[string]int{"maxMessages": maxMessages})
	if err != nil {
		return spend.Classify(spend.Schema, err)
	}
	s := b.pubsub.Begin(w, emit)
	defer s.End()
	for range maxPulls {
		pctx, cancel := context.WithTimeout(ctx, pullPatience)
		body, err := s.Ask(pctx, rest.Request{Path: "/v1/" + b.o.Subscription + ":pull", Body: request})
		waited := errors.Is(pctx.Err(), context.DeadlineExceeded) && ctx.Err() == nil
		cancel()
		if o := spend.OutcomeOf(err, spend.OK); waited && (o == spend.Timeout || o == spend.Network || o == spend.Incomplete) {
			return nil
		}
		if err != nil {
			return err
		}
		a, err := readBudgetAnswer(body)
		if err != nil {
			return dress(s, err)
		}
		if len(a.Messages) == 0 {
			return nil
		}
		for _, m := range a.Messages {
			b.acks = append(b.acks, m.AckID)
		}
	}
	return nil
}

// Settle acknowledges the messages of the newest Fetch: it is called when what they
// say is durable. After an error those that are left stay to be settled.
func (b *BudgetSource) Settle(ctx context.Context) error {
	if len(b.acks) == 0 {
		return nil
	}
	s := b.pubsub.Begin(spend.Window{}, func(spend.Page) error { return nil })
	defer s.End()
	for len(b.acks) > 0 {
		n, size := 0, 0
		for n < len(b.acks) && n < maxAckIDs && (n == 0 || size+len(b.acks[n])+8 <= maxAckBytes) {
			size += len(b.acks[n]) + 8
			n++
		}
		body, err := json.Marshal(map[string][]string{"ackIds": b.acks[:n]})
		if err != nil {
			return spend.Classify(spend.Schema, err)
		}
		if _, err := s.Ask(ctx, rest.Request{Path: "/v1/" + b.o.Subscription + ":acknowledge", Body: body}); err != nil {
			return err
		}
		b.acks = b.acks[n:]
	}
	b.acks = nil
	return nil
}
