package simulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

const anthropicKeysPath = "/v1/organizations/api_keys"

// endpoint returns the admin endpoint of a path, nil for none.
func (a anthropicAPI) endpoint(path string) *endpoint {
	type action = func(x *exchange) (any, *failure)
	const source = "anthropic/api_keys"
	id, ok := strings.CutPrefix(path, anthropicKeysPath+"/")
	switch {
	case path == anthropicKeysPath:
		return &endpoint{source: source, methods: map[string]action{http.MethodGet: a.listKeys}}
	case !ok || id == "" || strings.Contains(id, "/"):
		return nil
	}
	return &endpoint{source: source, methods: map[string]action{
		http.MethodGet:  func(*exchange) (any, *failure) { return a.getKey(id) },
		http.MethodPost: func(x *exchange) (any, *failure) { return a.updateKey(x, id) },
	}}
}

// anthropicKey is the object api_key.
type anthropicKey struct {
	ID             string         `json:"id"`
	Type           string         `json:"type"`
	Name           string         `json:"name"`
	WorkspaceID    *string        `json:"workspace_id"`
	Scope          map[string]any `json:"scope"`
	CreatedAt      string         `json:"created_at"`
	CreatedBy      map[string]any `json:"created_by"`
	Principal      map[string]any `json:"principal"`
	ExpiresAt      *string        `json:"expires_at"`
	PartialKeyHint *string        `json:"partial_key_hint"`
	Status         string         `json:"status"`
}

func (a anthropicAPI) wireKey(k APIKey) anthropicKey {
	created := a.world.FirstDay().Time()
	out := anthropicKey{
		ID: k.ID, Type: "api_key", Name: k.Name, Status: k.Status, CreatedAt: created.Format(time.RFC3339Nano),
		Scope:     map[string]any{"type": "workspace", "workspace_id": orDefault(k.Project, "wrkspc_01default")},
		CreatedBy: map[string]any{"type": "user", "id": "user_01simulated"},
	}
	if k.Project != "" {
		out.WorkspaceID = &k.Project
	}
	if k.Hint != "" {
		out.PartialKeyHint = &k.Hint
	}
	if k.ServiceAccount {
		out.Principal = map[string]any{"type": "service_account_actor", "service_account_id": "svac_01simulated"}
	}
	if k.Status == KeyExpired {
		gone := created.AddDate(0, 1, 0).Format(time.RFC3339Nano)
		out.ExpiresAt = &gone
	}
	return out
}

func (a anthropicAPI) findKey(id string) (APIKey, *failure) {
	k, ok := a.world.APIKey(id)
	if !ok || k.Provider != Anthropic {
		return APIKey{}, a.notFound(nil)
	}
	return k, nil
}

func (a anthropicAPI) getKey(id string) (any, *failure) {
	k, fail := a.findKey(id)
	if fail != nil {
		return nil, fail
	}
	return a.wireKey(k), nil
}

// listKeys pages forward only; before_id is not imitated.
func (a anthropicAPI) listKeys(x *exchange) (any, *failure) {
	limit, err := number(x.query, "limit", 20)
	if err != nil || limit < 1 || limit > 1000 {
		return nil, anthropicInvalid("limit: Input should be an integer from 1 to 1000")
	}
	status, workspace := x.query.Get("status"), x.query.Get("workspace_id")
	if status != "" && !slices.Contains([]string{KeyActive, KeyInactive, KeyArchived, KeyExpired}, status) {
		return nil, anthropicInvalid("status: Input should be 'active', 'inactive', 'archived' or 'expired'")
	}
	var all []anthropicKey
	for _, k := range a.world.APIKeys(Anthropic) {
		if (status == "" || k.Status == status) && (workspace == "" || k.Project == workspace) {
			all = append(all, a.wireKey(k))
		}
	}
	id := func(k anthropicKey) string { return k.ID }
	part, more, ok := window(all, id, x.query.Get("after_id"), int(limit))
	if !ok {
		return nil, anthropicInvalid("after_id: no such object")
	}
	out := map[string]any{"data": part, "has_more": more, "first_id": nil, "last_id": nil}
	if len(part) > 0 {
		out["first_id"], out["last_id"] = part[0].ID, part[len(part)-1].ID
	} else {
		out["data"] = []anthropicKey{}
	}
	return out, nil
}

func (a anthropicAPI) updateKey(x *exchange, id string) (any, *failure) {
	m, unknown, ok := x.members("name", "status")
	if !ok {
		return nil, anthropicInvalid("The request body is not valid JSON.")
	}
	if len(unknown) > 0 {
		return nil, anthropicInvalid(unknown[0] + ": Extra inputs are not permitted")
	}
	k, fail := a.findKey(id)
	if fail != nil {
		return nil, fail
	}
	if raw := m["status"]; given(raw) {
		s, ok := jsonString(raw)
		if !ok || !slices.Contains([]string{KeyActive, KeyInactive, KeyArchived}, s) {
			return nil, anthropicInvalid("status: Input should be 'active', 'inactive' or 'archived'")
		}
		k.Status = s
	}
	if raw := m["name"]; given(raw) {
		s, ok := jsonString(raw)
		if !ok || s == "" || len(s) > 500 {
			return nil, anthropicInvalid("name: String should have 1 to 500 characters")
		}
		k.Name = s
	}
	a.world.PutAPIKey(k)
	return a.wireKey(k), nil
}

// given reports whether an optional member has a value: null is none.
func given(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }
