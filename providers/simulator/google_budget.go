package simulator

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aispend/aispend/spend"
)

// publishEvery is how often a budget tells how it stands (apis page, section 4).
const publishEvery = 30 * time.Minute

// ackDeadline is how long a delivered message is somebody's before it is delivered again.
const ackDeadline = 10 * time.Second

// mailbox is a subscription.
type mailbox struct {
	messages  []message // not acknowledged, the oldest first
	acked     []string  // ids, in the order of their acknowledgement
	published time.Time // the newest regular message is of this instant
	serial    int
	leases    int
}

type message struct {
	id, data   string
	attributes map[string]string
	published  time.Time
	ack        string    // id of the newest lease
	until      time.Time // the end of it; zero: not delivered yet
}

func newMailbox() mailbox { return mailbox{serial: 13_000_000_000_000_000} }

// Notify publishes a message on the subscription: anything, as anybody with the right may. A zero
// time means now.
func (w *World) Notify(data []byte, attributes map[string]string, published time.Time) (id string) {
	if published.IsZero() {
		published = w.Now()
	}
	w.google.mu.Lock()
	defer w.google.mu.Unlock()
	return w.google.mail.put(data, attributes, published)
}

func (m *mailbox) put(data []byte, attributes map[string]string, published time.Time) string {
	m.serial++
	id := strconv.Itoa(m.serial)
	m.messages = append(m.messages, message{
		id: id, data: base64.StdEncoding.EncodeToString(data), attributes: attributes, published: published,
	})
	return id
}

// Waiting returns the ids of messages that are not acknowledged, and Acknowledged those that are,
// each in order.
func (w *World) Waiting() []string {
	w.google.mu.Lock()
	defer w.google.mu.Unlock()
	var out []string
	for _, m := range w.google.mail.messages {
		out = append(out, m.id)
	}
	return out
}

// Acknowledged returns the ids of acknowledged messages in the order in which they were.
func (w *World) Acknowledged() []string {
	w.google.mu.Lock()
	defer w.google.mu.Unlock()
	return slices.Clone(w.google.mail.acked)
}

// Redeliver ends all leases: what is not acknowledged is delivered again at the next pull.
func (w *World) Redeliver() {
	w.google.mu.Lock()
	defer w.google.mu.Unlock()
	for i := range w.google.mail.messages {
		w.google.mail.messages[i].until = time.Time{}
	}
}

// VertexBudgetAt returns what the first budget says at time at: net cost since Pacific midnight of the
// month's first day, and the budgeted amount.
func (w *World) VertexBudgetAt(at time.Time) (since time.Time, cost, amount spend.Money) {
	local := at.In(pacific())
	since = time.Date(local.Year(), local.Month(), 1, 0, 0, 0, 0, pacific()).UTC()
	return since, w.vertexNet(since, at), w.budgetAmount()
}

// budgetAmount is a little more than a month costs.
func (w *World) budgetAmount() spend.Money {
	daily := 0.0
	for _, s := range w.google.skus {
		if s.ai {
			daily += s.daily * (1 - s.credits)
		}
	}
	projects := 0.0
	for j := range w.google.ids {
		projects += 1 / float64(j+1)
	}
	amount := w.google.native(daily * projects * w.opt.Scale * 30)
	return spend.MustMoney(strconv.FormatFloat(float64(int(amount.Float64()/10)*10+10), 'f', 0, 64))
}

// publish puts the regular notifications that are due. g.mu is not held.
func (w *World) publish() {
	now := w.Now()
	w.google.mu.Lock()
	from := w.google.mail.published
	w.google.mu.Unlock()
	due := now.Truncate(publishEvery)
	if from.IsZero() {
		from = due.Add(-4 * publishEvery)
	}
	from = later(from, due.Add(-48*publishEvery)) // nobody waits for the rest
	for t := from.Add(publishEvery); !t.After(due); t = t.Add(publishEvery) {
		data := w.notification(t)
		w.google.mu.Lock()
		if t.After(w.google.mail.published) {
			w.google.mail.published = t
			w.google.mail.put(data, w.budgetAttributes(), t)
		}
		w.google.mu.Unlock()
	}
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func (w *World) budgetAttributes() map[string]string {
	return map[string]string{
		"billingAccountId": VertexBillingAccount, "budgetId": VertexBudget[strings.LastIndexByte(VertexBudget, '/')+1:],
		"schemaVersion": "1.0",
	}
}

// notification is the message of one instant.
func (w *World) notification(at time.Time) []byte {
	since, cost, amount := w.VertexBudgetAt(at)
	out := map[string]any{
		"budgetDisplayName": "AI monthly", "costAmount": json.Number(cost.String()), "costIntervalStart": since.Format(time.RFC3339),
		"budgetAmount": json.Number(amount.String()), "budgetAmountType": "SPECIFIED_AMOUNT", "currencyCode": w.opt.Vertex.Currency,
	}
	for _, ratio := range []string{"0.5", "0.9", "1.0"} {
		if r := spend.MustMoney(ratio); cost.Cmp(scaled(amount, r)) >= 0 {
			out["alertThresholdExceeded"] = json.Number(ratio)
		}
	}
	return must(json.Marshal(out))
}

// scaled is amount times a ratio of at most two places.
func scaled(amount, ratio spend.Money) spend.Money {
	var sum spend.Money
	for range int(ratio.Shift(2).Float64()) {
		sum = sum.Add(amount)
	}
	return sum.Shift(-2)
}

// pull delivers what nobody holds.
func (a googleAPI) pull(x *exchange) (any, *failure) {
	var in struct{ MaxMessages int }
	if err := json.Unmarshal(x.body, &in); err != nil || in.MaxMessages < 1 {
		return nil, googleFailure(http.StatusBadRequest, "", "You have passed a non-positive max messages.")
	}
	a.world.publish()
	now, g := a.world.Now(), a.world.google
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []any
	for i := range g.mail.messages {
		m := &g.mail.messages[i]
		if len(out) == in.MaxMessages || m.until.After(now) {
			continue
		}
		g.mail.leases++
		m.ack, m.until = fmt.Sprintf("ACK-%s-%d", m.id, g.mail.leases), now.Add(ackDeadline)
		out = append(out, map[string]any{"ackId": m.ack, "message": map[string]any{
			"data": m.data, "attributes": m.attributes, "messageId": m.id, "publishTime": m.published.UTC().Format(time.RFC3339Nano),
		}})
	}
	if out == nil {
		return map[string]any{}, nil
	}
	return map[string]any{"receivedMessages": out}, nil
}

// acknowledge ends messages; an id that was superseded is ignored, as Pub/Sub may.
func (a googleAPI) acknowledge(x *exchange) (any, *failure) {
	var in struct{ AckIDs []string }
	if err := json.Unmarshal(x.body, &in); err != nil || len(in.AckIDs) == 0 {
		return nil, googleFailure(http.StatusBadRequest, "", "No ack ids specified.")
	}
	g := a.world.google
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mail.messages = slices.DeleteFunc(g.mail.messages, func(m message) bool {
		gone := m.ack != "" && slices.Contains(in.AckIDs, m.ack)
		if gone {
			g.mail.acked = append(g.mail.acked, m.id)
		}
		return gone
	})
	return map[string]any{}, nil
}

// budgets answers budgets.get and budgets.list.
func (a googleAPI) budgets(x *exchange) (any, *failure) {
	w := a.world
	money := func(m spend.Money) map[string]any {
		whole, _, _ := strings.Cut(m.String(), ".")
		return map[string]any{"specifiedAmount": map[string]any{"currencyCode": w.opt.Vertex.Currency, "units": whole}}
	}
	rule := func(percent float64, basis string) map[string]any {
		return map[string]any{"thresholdPercent": percent, "spendBasis": basis}
	}
	monthly := map[string]any{
		"name": VertexBudget, "displayName": "AI monthly", "amount": money(w.budgetAmount()), "etag": `"c2f1a9d0b7e64f52"`,
		"budgetFilter":      map[string]any{"creditTypesTreatment": "INCLUDE_ALL_CREDITS", "calendarPeriod": "MONTH"},
		"thresholdRules":    []any{rule(0.5, "CURRENT_SPEND"), rule(0.9, "CURRENT_SPEND"), rule(1, "CURRENT_SPEND"), rule(1, "FORECASTED_SPEND")},
		"notificationsRule": map[string]any{"pubsubTopic": "projects/" + VertexProject + "/topics/ai-budget", "schemaVersion": "1.0"},
	}
	capped := map[string]any{
		"name": VertexSpendCap, "displayName": "Gemini API hard cap", "amount": money(spend.MustMoney("300")), "etag": `"aa"`,
		"budgetFilter":   map[string]any{"creditTypesTreatment": "EXCLUDE_ALL_CREDITS", "calendarPeriod": "MONTH"},
		"thresholdRules": []any{rule(0.5, "CURRENT_SPEND"), rule(0.8, "CURRENT_SPEND"), rule(1, "CURRENT_SPEND")},
		"spendCap":       map[string]any{"inputState": "CONFIGURED", "outputState": "CONFIGURED", "reconciling": false},
	}
	switch strings.TrimPrefix(x.r.URL.Path, "/v1/") {
	case VertexBudget:
		return monthly, nil
	case VertexSpendCap:
		return capped, nil
	case "billingAccounts/" + VertexBillingAccount + "/budgets":
		if x.query.Get("pageToken") == "" {
			return map[string]any{"budgets": []any{monthly}, "nextPageToken": "CAISBWJ1ZGdldDI"}, nil
		}
		return map[string]any{"budgets": []any{capped}}, nil
	}
	return nil, googleFailure(http.StatusNotFound, "", "Requested entity was not found.")
}
