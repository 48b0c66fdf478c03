package vertex

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/internal/rest"
	"github.com/aispend/aispend/spend"
)

// The public APIs.
const (
	DefaultBudgetURL = "https://billingbudgets.googleapis.com"
	DefaultPubSubURL = "https://pubsub.googleapis.com"
)

// Scopes of the two APIs; neither has one that only reads (apis page, section 4).
const (
	budgetScope = "https://www.googleapis.com/auth/cloud-billing"
	pubsubScope = "https://www.googleapis.com/auth/pubsub"
)

// settingsEvery is how often the Budgets API is asked: people change budgets rarely.
const settingsEvery = time.Hour

func budgetFamily() providers.SourceType {
	return providers.SourceType{
		Name: Name + "/budget", Kind: providers.Budgets, MaxStaleness: 12 * time.Hour, MaxBuckets: 1,
	}
}

// BudgetOptions describe budgets of a billing account to NewBudgetSource.
type BudgetOptions struct {
	// Name is billingAccounts/A/budgets/B for one budget or billingAccounts/A for all;
	// empty: the Budgets API is not asked.
	Name string
	// Subscription is projects/p/subscriptions/s; empty: there are no notifications.
	Subscription           string
	BaseURL, PubSubBaseURL string
	Credentials            *secret.Value // as of ClientOptions
	Env                    providers.Env
	// Transport replaces the network in tests, that of tokens included.
	Transport http.RoundTripper
}

// ValidateBudget reports what is wrong with a budget's name or a subscription, as a
// *providers.FieldError; either may be empty.
func ValidateBudget(name, subscription string) error {
	if name != "" && !regexp.MustCompile(`^billingAccounts/[0-9A-Za-z-]{1,40}(/budgets/[0-9A-Za-z-]{1,80})?$`).MatchString(name) {
		return &providers.FieldError{
			Key: "budget.name", Msg: "must be billingAccounts/{account}/budgets/{budget}, or billingAccounts/{account} " +
				"for all its budgets",
		}
	}
	if subscription != "" && !regexp.MustCompile(
		`^projects/[a-z][a-z0-9.:-]{2,60}/subscriptions/[A-Za-z][A-Za-z0-9._~+%-]{2,254}$`).MatchString(subscription) {
		return &providers.FieldError{
			Key: "budget.subscription", Msg: "must be projects/{project}/subscriptions/{subscription}",
		}
	}
	return nil
}

// BudgetSource is the source of budgets: their settings from the Budgets API, what is
// spent of them from Pub/Sub.
type BudgetSource struct {
	o       BudgetOptions
	now     func() time.Time
	budgets *rest.Client
	pubsub  *rest.Client

	read time.Time // when the settings were read last
	acks []string  // of the messages of the newest Fetch, until they are settled
}

var (
	_ providers.Source  = (*BudgetSource)(nil)
	_ providers.Settler = (*BudgetSource)(nil)
)

// NewBudgetSource returns a source. It does no I/O except reading Env.CAFile. An error is
// a *providers.FieldError that names the configuration key at fault.
func NewBudgetSource(o BudgetOptions) (*BudgetSource, error) {
	if err := ValidateBudget(o.Name, o.Subscription); err != nil {
		return nil, err
	}
	b := &BudgetSource{o: o, now: o.Env.Now}
	if b.now == nil {
		b.now = time.Now
	}
	var err error
	if b.budgets, err = o.client("budget.base_url", o.BaseURL, budgetScope, budgetHelp()); err != nil {
		return nil, err
	}
	if b.pubsub, err = o.client("budget.pubsub_base_url", o.PubSubBaseURL, pubsubScope, pubsubHelp()); err != nil {
		return nil, err
	}
	return b, nil
}

func (o BudgetOptions) client(key, base, scope string, help map[spend.Outcome]string) (*rest.Client, error) {
	tokens, err := openTokens(ClientOptions{Credentials: o.Credentials, Env: o.Env, Transport: o.Transport}, scope)
	if err != nil {
		return nil, err
	}
	c, err := rest.New(rest.Options{
		Provider: Name, BaseURL: base, Env: o.Env, Judge: judge, Transport: o.Transport, Help: help,
		Credential: rest.Credential{Get: tokens.Get, Header: "Authorization", Prefix: "Bearer "},
	})
	var fe *providers.FieldError
	if errors.As(err, &fe) && fe.Key == "base_url" {
		return nil, &providers.FieldError{Key: key, Msg: fe.Msg}
	}
	return c, err
}

func budgetHelp() map[spend.Outcome]string {
	return map[spend.Outcome]string{
		spend.Auth: "check credentials_file: it must hold the living key of a service account",
		spend.Permission: "grant the service account roles/billing.viewer on the billing account of budget.name, and " +
			"enable the Cloud Billing Budget API in its project",
		spend.NotFound: "there is no such budget: copy budget.name from the Budgets API " +
			"(billingAccounts/{account}/budgets/{budget})",
	}
}

func pubsubHelp() map[spend.Outcome]string {
	return map[spend.Outcome]string{
		spend.Auth: "check credentials_file: it must hold the living key of a service account",
		spend.Permission: "grant the service account roles/pubsub.subscriber on the subscription, and enable the " +
			"Cloud Pub/Sub API in its project",
		spend.NotFound: "there is no such subscription: make one of the topic that the budget notifies, and set it to " +
			"never expire (Pub/Sub deletes one that nobody used for 31 days)",
	}
}

// ID names the source.
func (b *BudgetSource) ID() spend.SourceID {
	return spend.SourceID{Provider: Name, Account: b.o.Env.Account, Source: budgetFamily().Name}
}

// Type returns the family's facts.
func (b *BudgetSource) Type() providers.SourceType { return budgetFamily() }

// NewDecoder returns a decoder for one walk; the window does not matter.
func (b *BudgetSource) NewDecoder(spend.Window) providers.Decoder { return NewBudgetDecoder() }

// Fetch asks for the settings, at most once an hour, and then takes the notifications
// that wait. Settings that cannot be read keep nobody from what is spent: their error
// is a *providers.PartialError then.
func (b *BudgetSource) Fetch(ctx context.Context, req providers.Request, emit func(spend.Page) error) error {
	b.acks = nil // whatever was not settled is delivered again
	seq := 0
	numbered := func(p spend.Page) error { // two sessions, one walk
		p.Seq = seq
		seq++
		return emit(p)
	}
	var settings error
	if b.o.Name != "" && b.now().Sub(b.read) >= settingsEvery {
		if settings = b.settings(ctx, req.Window, numbered); settings == nil {
			b.read = b.now()
		}
	}
	if b.o.Subscription == "" {
		return settings
	}
	if err := b.pull(ctx, req.Window, numbered); err != nil {
		return err
	}
	if settings != nil {
		return &providers.PartialError{Err: settings}
	}
	return nil
}

// settings asks for one budget, or for all of an account.
func (b *BudgetSource) settings(ctx context.Context, w spend.Window, emit func(spend.Page) error) error {
	s := b.budgets.Begin(w, emit)
	defer s.End()
	if one := regexp.MustCompile(`/budgets/`).MatchString(b.o.Name); one {
		body, err := s.Ask(ctx, rest.Request{Path: "/v1/" + b.o.Name})
		if err != nil {
			return err
		}
		return dress(s, readable(body))
	}
	params := url.Values{"pageSize": {"100"}}
	for {
		body, err := s.Ask(ctx, rest.Request{Path: "/v1/" + b.o.Name + "/budgets", Params: params})
		if err != nil {
			return err
		}
		a, err := readBudgetAnswer(body)
		if err != nil {
			return dress(s, err)
		}
		if a.NextPageToken == "" {
			return nil
		}
		if err := s.Follow(a.NextPageToken); err != nil {
			return err
		}
		params = url.Values{"pageSize": {"100"}, "pageToken": {a.NextPageToken}}
	}
}

func readable(body []byte) error {
	_, err := readBudgetAnswer(body)
	return err
}

func dress(s *rest.Session, err error) error {
	if err == nil {
		return nil
	}
	return s.Fail(spend.Classify(spend.OutcomeOf(err, spend.Schema), fmt.Errorf("reading the answer: %w", err)))
}
