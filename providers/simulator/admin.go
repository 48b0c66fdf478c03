package simulator

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// The states of an APIKey. Anthropic knows the first four; a key that was deleted
// at OpenAI is gone for its API and kept here for tests to see.
const (
	KeyActive   = "active"
	KeyInactive = "inactive"
	KeyArchived = "archived"
	KeyExpired  = "expired"
	KeyDeleted  = "deleted"
)

// APIKey is a key that the company's programs use, as a provider's admin API
// shows it: never the key itself. A world begins with the keys that its usage
// names. What becomes of a key changes nothing in the cost and usage pages, which
// are functions of the seed and the time.
type APIKey struct {
	Provider string
	ID       string // "key_..." at OpenAI, "apikey_..." at Anthropic
	Project  string // or workspace; empty for Anthropic's default workspace
	Name     string
	Status   string
	Hint     string // redacted_value or partial_key_hint: "sk-ant-api03-R2D...igAA"
	// ServiceAccount says that the key belongs to a service account; OpenAI refuses
	// to delete such a key by itself.
	ServiceAccount bool
}

// endpoint is one path that people's tools call to read and change keys and
// limits, with what each method does. The functions are called without w.mu.
type endpoint struct {
	source  string // "openai/api_keys", for faults and the log
	methods map[string]func(x *exchange) (any, *failure)
}

// maxAdminBody bounds the bodies of requests that change something.
const maxAdminBody = 1 << 20

// APIKeys returns the keys of a provider, deleted ones included, in a stable order.
func (w *World) APIKeys(provider string) []APIKey {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []APIKey
	for _, k := range w.apiKeys {
		if k.Provider == provider {
			out = append(out, k)
		}
	}
	return out
}

// APIKey returns one key by its id; ok is false if there never was such a key.
func (w *World) APIKey(id string) (k APIKey, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.apiKeyIndex(id)
	if i < 0 {
		return APIKey{}, false
	}
	return w.apiKeys[i], true
}

// PutAPIKey adds a key, or replaces the one of the same id. An empty status means
// active.
func (w *World) PutAPIKey(k APIKey) {
	k.Status = orDefault(k.Status, KeyActive)
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := w.apiKeyIndex(k.ID); i >= 0 {
		w.apiKeys[i] = k
		return
	}
	w.apiKeys = append(w.apiKeys, k)
}

// apiKeyIndex returns where a key is, or -1. w.mu is held.
func (w *World) apiKeyIndex(id string) int {
	return slices.IndexFunc(w.apiKeys, func(k APIKey) bool { return k.ID == id })
}

// SpendLimit returns the hard monthly spend limit of an OpenAI project in cents;
// ok is false where there is none.
func (w *World) SpendLimit(project string) (cents int64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	cents, ok = w.limits[project]
	return cents, ok
}

// SetSpendLimit gives an OpenAI project a hard monthly limit in cents; a negative
// one takes it away.
func (w *World) SetSpendLimit(project string, cents int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if cents < 0 {
		delete(w.limits, project)
		return
	}
	w.limits[project] = cents
}

// firstKeys returns the keys that the vendors' usage names.
func firstKeys(vendors ...*vendor) []APIKey {
	var out []APIKey
	for _, v := range vendors {
		prefix := "sk-proj-"
		if v.name == Anthropic {
			prefix = "sk-ant-api03-"
		}
		for _, p := range v.projects {
			for i, id := range p.keys {
				if id == "" {
					continue
				}
				h := v.hash.text(id)
				out = append(out, APIKey{
					Provider: v.name, ID: id, Project: p.id, Status: KeyActive,
					Name: p.name + " " + string(rune('A'+i)),
					Hint: prefix + h.tag(3) + "..." + h.num(1).tag(4),
				})
			}
		}
	}
	return out
}

// perform answers a request to an endpoint that is not a page of buckets.
func (s *server) perform(x *exchange) ([]byte, *failure) {
	do := x.endpoint.methods[x.r.Method]
	if do == nil {
		f := s.api.methodNotAllowed(x.r)
		f.header = map[string]string{"Allow": strings.Join(x.endpoint.allowed(), ", ")}
		return nil, f
	}
	if fail := s.api.authorise(x.r); fail != nil {
		return nil, fail
	}
	answer, fail := do(x)
	if fail != nil {
		return nil, fail
	}
	return must(json.Marshal(answer)), nil
}

func (e *endpoint) allowed() []string {
	var names []string
	for name := range e.methods {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// readBody reads what a request to an endpoint carries, up to a bound.
func readBody(r *http.Request) []byte {
	b, _ := io.ReadAll(io.LimitReader(r.Body, maxAdminBody)) // a broken body is no JSON
	return b
}

// members decodes a JSON object of known members; unknown names those that are
// not. ok is false for anything that is not one JSON object, and for a body that
// is not declared to be JSON.
func (x *exchange) members(known ...string) (m map[string]json.RawMessage, unknown []string, ok bool) {
	media, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return nil, nil, false
	}
	if err := json.Unmarshal(x.body, &m); err != nil || m == nil {
		return nil, nil, false
	}
	for name := range m {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return m, unknown, true
}

// jsonString decodes a JSON string; ok is false for anything else.
func jsonString(raw json.RawMessage) (s string, ok bool) {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return "", false
	}
	s, ok = v.(string)
	return s, ok
}

// window returns the part of all that a cursor list shows: limit many after the
// one with the id after.
func window[T any](all []T, id func(T) string, after string, limit int) (part []T, more, ok bool) {
	start := 0
	if after != "" {
		start = slices.IndexFunc(all, func(v T) bool { return id(v) == after }) + 1
		if start == 0 {
			return nil, false, false
		}
	}
	end := min(len(all), start+limit)
	return all[start:end], end < len(all), true
}
