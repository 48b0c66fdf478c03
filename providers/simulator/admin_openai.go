package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/aispend/aispend/spend"
)

const openAIProjectsPath = "/v1/organization/projects/"

// endpoint returns the admin endpoint of a path, nil for none.
func (a openAIAPI) endpoint(path string) *endpoint {
	rest, ok := strings.CutPrefix(path, openAIProjectsPath)
	if !ok {
		return nil
	}
	type action = func(x *exchange) (any, *failure)
	parts := strings.Split(rest, "/")
	project := parts[0]
	switch {
	case project == "":
		return nil
	case len(parts) == 2 && parts[1] == "spend_limit":
		return &endpoint{source: "openai/spend_limit", methods: map[string]action{
			http.MethodGet:    func(*exchange) (any, *failure) { return a.getLimit(project) },
			http.MethodPost:   func(x *exchange) (any, *failure) { return a.setLimit(x, project) },
			http.MethodDelete: func(*exchange) (any, *failure) { return a.deleteLimit(project) },
		}}
	case len(parts) == 2 && parts[1] == "api_keys":
		return &endpoint{source: "openai/api_keys", methods: map[string]action{
			http.MethodGet: func(x *exchange) (any, *failure) { return a.listKeys(x, project) },
		}}
	case len(parts) == 3 && parts[1] == "api_keys" && parts[2] != "":
		return &endpoint{source: "openai/api_keys", methods: map[string]action{
			http.MethodGet:    func(*exchange) (any, *failure) { return a.getKey(project, parts[2]) },
			http.MethodDelete: func(*exchange) (any, *failure) { return a.deleteKey(project, parts[2]) },
		}}
	default:
		return nil
	}
}

// openAIKey is the object organization.project.api_key.
type openAIKey struct {
	Object             string      `json:"object"`
	RedactedValue      string      `json:"redacted_value"`
	Name               string      `json:"name"`
	CreatedAt          int64       `json:"created_at"`
	LastUsedAt         int64       `json:"last_used_at"`
	ID                 string      `json:"id"`
	Owner              openAIOwner `json:"owner"`
	OwnerProjectAccess string      `json:"owner_project_access"`
}

type openAIOwner struct {
	Type           string            `json:"type"`
	User           *openAIOwnerActor `json:"user,omitempty"`
	ServiceAccount *openAIOwnerActor `json:"service_account,omitempty"`
}

type openAIOwnerActor struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Email     string `json:"email,omitempty"`
	Role      string `json:"role"`
	CreatedAt int64  `json:"created_at"`
}

func (a openAIAPI) wireKey(k APIKey) openAIKey {
	created := a.world.FirstDay().Time().Unix()
	out := openAIKey{
		Object: "organization.project.api_key", RedactedValue: k.Hint, Name: k.Name, CreatedAt: created,
		LastUsedAt: a.world.Now().Unix(), ID: k.ID, OwnerProjectAccess: "active",
	}
	if k.ServiceAccount {
		out.Owner = openAIOwner{Type: "service_account", ServiceAccount: &openAIOwnerActor{
			ID: "svc_acct_simulated", Name: "Robot", Role: "member", CreatedAt: created,
		}}
		return out
	}
	out.Owner = openAIOwner{Type: "user", User: &openAIOwnerActor{
		ID: "user_simulated", Name: "First Last", Email: "user@example.com", Role: "owner", CreatedAt: created,
	}}
	return out
}

func (a openAIAPI) noProject(project string) *failure {
	if slices.Contains(a.world.Projects(OpenAI), project) {
		return nil
	}
	message := fmt.Sprintf("No project found with id '%s'.", project)
	return openAIError(http.StatusNotFound, message, "project_id", "")
}

// findKey finds a key of a project that is not deleted.
func (a openAIAPI) findKey(project, id string) (APIKey, *failure) {
	if fail := a.noProject(project); fail != nil {
		return APIKey{}, fail
	}
	k, ok := a.world.APIKey(id)
	if !ok || k.Provider != OpenAI || k.Project != project || k.Status == KeyDeleted {
		message := fmt.Sprintf("No API key found with id '%s'.", id)
		return APIKey{}, openAIError(http.StatusNotFound, message, "api_key_id", "")
	}
	return k, nil
}

func (a openAIAPI) listKeys(x *exchange, project string) (any, *failure) {
	if fail := a.noProject(project); fail != nil {
		return nil, fail
	}
	limit, err := number(x.query, "limit", 20)
	if err != nil || limit < 1 || limit > 100 {
		const message = "Invalid 'limit': must be an integer from 1 to 100."
		return nil, openAIError(http.StatusBadRequest, message, "limit", "")
	}
	var all []openAIKey
	for _, k := range a.world.APIKeys(OpenAI) {
		if k.Project == project && k.Status != KeyDeleted {
			all = append(all, a.wireKey(k))
		}
	}
	id := func(k openAIKey) string { return k.ID }
	part, more, ok := window(all, id, x.query.Get("after"), int(limit))
	if !ok {
		return nil, openAIError(http.StatusBadRequest, "Invalid 'after'.", "after", "")
	}
	out := map[string]any{"object": "list", "data": part, "has_more": more, "first_id": nil, "last_id": nil}
	if len(part) > 0 {
		out["first_id"], out["last_id"] = part[0].ID, part[len(part)-1].ID
	} else {
		out["data"] = []openAIKey{}
	}
	return out, nil
}

func (a openAIAPI) getKey(project, id string) (any, *failure) {
	k, fail := a.findKey(project, id)
	if fail != nil {
		return nil, fail
	}
	return a.wireKey(k), nil
}

func (a openAIAPI) deleteKey(project, id string) (any, *failure) {
	k, fail := a.findKey(project, id)
	if fail != nil {
		return nil, fail
	}
	if k.ServiceAccount {
		return nil, openAIError(http.StatusBadRequest,
			"This API key belongs to a service account: delete the service account instead.", "api_key_id", "")
	}
	k.Status = KeyDeleted
	a.world.PutAPIKey(k)
	return map[string]any{"object": "organization.project.api_key.deleted", "id": id, "deleted": true}, nil
}

// openAILimit is the object project.spend_limit.
type openAILimit struct {
	Object      string `json:"object"`
	Threshold   int64  `json:"threshold_amount"` // cents
	Currency    string `json:"currency"`
	Interval    string `json:"interval"`
	Enforcement struct {
		Status string `json:"status"`
	} `json:"enforcement"`
}

func (a openAIAPI) getLimit(project string) (any, *failure) {
	if fail := a.noProject(project); fail != nil {
		return nil, fail
	}
	cents, ok := a.world.SpendLimit(project)
	if !ok {
		return nil, openAIError(http.StatusNotFound, "No spend limit is configured for this project.", "", "")
	}
	out := openAILimit{Object: "project.spend_limit", Threshold: cents, Currency: "USD", Interval: "month"}
	out.Enforcement.Status = "inactive"
	limit := must(spend.ParseMoney(strconv.FormatInt(cents, 10))).Shift(-2)
	if a.monthToDate(project).Cmp(limit) >= 0 {
		out.Enforcement.Status = "enforcing"
	}
	return out, nil
}

// monthToDate adds up what a project has cost since the start of the month.
func (a openAIAPI) monthToDate(project string) spend.Money {
	now := a.world.Now()
	var sum spend.Money
	for d := spend.DayOf(now).MonthStart(); d <= spend.DayOf(now); d++ {
		for _, r := range a.world.OpenAICost(d, now) {
			if r.Project == project {
				sum = sum.Add(r.Amount)
			}
		}
	}
	return sum
}

func (a openAIAPI) setLimit(x *exchange, project string) (any, *failure) {
	m, unknown, ok := x.members("threshold_amount", "currency", "interval")
	bad := func(param, message string) (any, *failure) {
		return nil, openAIError(http.StatusBadRequest, message, param, "")
	}
	if !ok {
		return bad("", "We could not parse the JSON body of your request.")
	}
	if len(unknown) > 0 {
		return bad(unknown[0], fmt.Sprintf("Unknown parameter: '%s'.", unknown[0]))
	}
	for _, c := range []struct{ name, only string }{{"currency", "USD"}, {"interval", "month"}} {
		if s, ok := jsonString(m[c.name]); !ok || s != c.only {
			return bad(c.name, fmt.Sprintf("Invalid value for '%s': supported is '%s'.", c.name, c.only))
		}
	}
	cents, err := strconv.ParseInt(string(m["threshold_amount"]), 10, 64)
	if err != nil {
		return bad("threshold_amount", "Invalid type for 'threshold_amount': expected an integer.")
	}
	if cents < 1 {
		return bad("threshold_amount", "Invalid 'threshold_amount': expected a value >= 1.")
	}
	if fail := a.noProject(project); fail != nil {
		return nil, fail
	}
	a.world.SetSpendLimit(project, cents)
	return a.getLimit(project)
}

func (a openAIAPI) deleteLimit(project string) (any, *failure) {
	if _, fail := a.getLimit(project); fail != nil {
		return nil, fail
	}
	a.world.SetSpendLimit(project, -1)
	return json.RawMessage(`{"object": "project.spend_limit.deleted", "deleted": true}`), nil
}
