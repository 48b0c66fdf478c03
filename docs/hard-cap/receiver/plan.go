package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// action is one thing to be done at a provider. It must be safe to do twice, and
// it never gives anybody more than they had.
type action interface {
	// String says what is called, so that a dry run can show it.
	String() string
	// do acts and says what came of it. "Already so" is success.
	do(ctx context.Context) (outcome string, err error)
	// check asks the provider whether do could work, and changes nothing.
	check(ctx context.Context) (found string, err error)
}

// rule is one line of the plan: what to do when a scope reaches its hard cap.
type rule struct {
	Scope   string `json:"scope"`
	Period  string `json:"period"` // empty: caps of any period
	Do      string `json:"do"`
	Key     string `json:"key"`
	Project string `json:"project"`
	USD     string `json:"usd"` // a string: "1000.00"

	api    *api
	action action
}

// plan is everything that the operator allows, in the order in which it is done.
type plan struct{ rules []rule }

// matches reports whether a rule is for a breach.
func (r rule) matches(b breach) bool {
	return b.Level == "hard" && r.Scope == b.Scope && (r.Period == "" || r.Period == b.Period)
}

// parsePlan reads a plan. Everything about it is strict: a slip in this file turns
// off the wrong key.
func parsePlan(doc []byte, apis func() (openai, anthropic *api)) (plan, error) {
	var file struct {
		Actions []rule `json:"actions"`
	}
	if err := decode(doc, &file, true); err != nil {
		return plan{}, fmt.Errorf("reading the plan: %w", err)
	}
	if len(file.Actions) == 0 {
		return plan{}, errors.New("the plan has no actions")
	}
	for i := range file.Actions {
		r := &file.Actions[i]
		if slices.Contains(file.Actions[:i], *r) {
			return plan{}, fmt.Errorf("action %d of the plan is there twice", i+1)
		}
		if err := r.valid(); err != nil {
			return plan{}, fmt.Errorf("action %d of the plan: %w", i+1, err)
		}
	}
	openai, anthropic := apis()
	for i := range file.Actions {
		r := &file.Actions[i]
		r.api = openai
		switch r.Do {
		case doAnthropicKey:
			r.api = anthropic
			r.action = &anthropicKey{api: anthropic, id: r.Key}
		case doOpenAIKey:
			r.action = &openAIKey{api: openai, project: r.Project, id: r.Key}
		case doOpenAILimit:
			cents, err := parseCents(r.USD)
			if err != nil {
				return plan{}, fmt.Errorf("action %d of the plan: %w", i+1, err)
			}
			r.action = &openAILimit{api: openai, project: r.Project, cents: cents}
		}
	}
	return plan{file.Actions}, nil
}

// keysAreThere checks that there is an admin key for every provider of the plan.
func (p plan) keysAreThere() error {
	for _, r := range p.rules {
		if _, err := r.api.key.line(); err != nil {
			return err
		}
	}
	return nil
}

// What a rule may do.
const (
	doAnthropicKey = "anthropic-key-inactive"
	doOpenAIKey    = "openai-key-delete"
	doOpenAILimit  = "openai-project-spend-limit"
)

// valid checks that a rule has all that its action needs and nothing else.
func (r rule) valid() error {
	if r.Scope == "" {
		return errors.New("scope is missing")
	}
	if !slices.Contains([]string{"", "day", "week", "month"}, r.Period) {
		return errors.New("period must be day, week or month, or left out")
	}
	var key, project, usd string // the prefixes of ids, empty for what must not be given
	switch r.Do {
	case doAnthropicKey:
		key = "apikey_"
	case doOpenAIKey:
		key, project = "key_", "proj_"
	case doOpenAILimit:
		project, usd = "proj_", "1000.00"
	default:
		return fmt.Errorf("do must be %s, %s or %s", doAnthropicKey, doOpenAIKey, doOpenAILimit)
	}
	if (r.USD != "") != (usd != "") {
		return fmt.Errorf("usd is for %s, which needs it", doOpenAILimit)
	}
	return errors.Join(validID("key", r.Key, key), validID("project", r.Project, project))
}

var idChars = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// validID checks an id by how it begins. The value is not shown: somebody may have
// put a key where its id belongs.
func validID(name, id, prefix string) error {
	switch {
	case prefix == "" && id != "":
		return fmt.Errorf("%s has no place here", name)
	case prefix == "":
		return nil
	case strings.Contains(id, "sk-"):
		return fmt.Errorf("%s looks like a secret key: give its id (%s...), and change that key, "+
			"which is in a file that is no secret", name, prefix)
	case !strings.HasPrefix(id, prefix) || !idChars.MatchString(id):
		return fmt.Errorf("%s must be an id that begins with %s", name, prefix)
	}
	return nil
}
