package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// openAILimit gives a project a hard monthly spend limit, or lowers the one that
// it has. It never raises one. The way back is to raise or delete it.
type openAILimit struct {
	api     *api
	project string
	cents   int64
}

// limitAnswer is what matters of the object project.spend_limit.
type limitAnswer struct {
	Object      string `json:"object"`
	Cents       int64  `json:"threshold_amount"`
	Currency    string `json:"currency"`
	Interval    string `json:"interval"`
	Enforcement struct {
		Status string `json:"status"`
	} `json:"enforcement"`
}

// limitBody is what sets a limit; OpenAI wants all three.
type limitBody struct {
	Cents    int64  `json:"threshold_amount"`
	Currency string `json:"currency"`
	Interval string `json:"interval"`
}

func (l *openAILimit) path() string {
	return "/v1/organization/projects/" + l.project + "/spend_limit"
}

// String shows the call.
func (l *openAILimit) String() string {
	return fmt.Sprintf(`POST %s%s {"threshold_amount":%d,"currency":"USD","interval":"month"}`,
		l.api.base, l.path(), l.cents)
}

func (l *openAILimit) do(ctx context.Context) (string, error) {
	now, err := l.get(ctx)
	if err != nil {
		return "", err
	}
	if now != nil && now.Cents <= l.cents {
		return "limit is " + dollars(now.Cents) + " already", nil
	}
	var after limitAnswer
	err = l.api.call(ctx, http.MethodPost, l.path(), limitBody{l.cents, "USD", "month"}, &after)
	if err != nil {
		return "", fmt.Errorf("limiting project %s: %w", l.project, err)
	}
	if after.Cents != l.cents {
		return "", fmt.Errorf("limiting project %s: the answer does not say that it is", l.project)
	}
	return "limit is " + dollars(l.cents) + " now", nil
}

func (l *openAILimit) check(ctx context.Context) (string, error) {
	now, err := l.get(ctx)
	switch {
	case err != nil:
		return "", err
	case now == nil: // or there is no such project, which this API does not tell apart
		return "no limit, in a project that exists", l.projectExists(ctx)
	default:
		return "limit is " + dollars(now.Cents), nil
	}
}

// get reads the limit, nil for none.
func (l *openAILimit) get(ctx context.Context) (*limitAnswer, error) {
	var now limitAnswer
	err := l.api.call(ctx, http.MethodGet, l.path(), nil, &now)
	switch {
	case isStatus(err, http.StatusNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the limit of project %s: %w", l.project, err)
	case now.Object != "project.spend_limit":
		return nil, fmt.Errorf("reading the limit of project %s: the answer is about something else", l.project)
	case now.Cents == 0 && now.Enforcement.Status != "enforcing":
		return nil, nil // a limit is at least a cent: 0 may be how OpenAI spells none
	case now.Currency != "USD" || now.Interval != "month" || now.Cents < 0:
		return nil, fmt.Errorf("project %s has a limit that is not in dollars a month: it is left alone", l.project)
	}
	return &now, nil
}

func (l *openAILimit) projectExists(ctx context.Context) error {
	k := &openAIKey{api: l.api, project: l.project, id: "any"}
	if _, err := k.missing(ctx); err != nil {
		return fmt.Errorf("project %s: %w", l.project, err)
	}
	return nil
}

var dollarText = regexp.MustCompile(`^(0|[1-9][0-9]{0,11})(?:\.([0-9]{1,2}))?$`)

// parseCents turns dollars such as "1000" or "12.5" into cents, exactly.
func parseCents(usd string) (int64, error) {
	m := dollarText.FindStringSubmatch(usd)
	if m == nil {
		return 0, errors.New(`usd must be dollars with at most two decimals in quotes, such as "1000.00"`)
	}
	cents, err := strconv.ParseInt(m[1]+(m[2] + "00")[:2], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading usd: %w", err)
	}
	if cents == 0 {
		return 0, errors.New(`usd must not be 0: OpenAI's smallest limit is a cent, "0.01"`)
	}
	return cents, nil
}

// dollars writes cents as dollars.
func dollars(cents int64) string {
	s := strconv.FormatInt(cents, 10)
	if len(s) < 3 {
		s = strings.Repeat("0", 3-len(s)) + s
	}
	return s[:len(s)-2] + "." + s[len(s)-2:] + " USD"
}
