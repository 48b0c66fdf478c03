package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// anthropicKey sets an API key inactive. The way back is to set it active again.
type anthropicKey struct {
	api *api
	id  string
}

// anthropicKeyAnswer is what matters of the object api_key.
type anthropicKeyAnswer struct {
	ID     string `json:"id"`
	Status string `json:"status"` // active, inactive, archived, expired
	Hint   string `json:"partial_key_hint"`
}

func (k *anthropicKey) path() string { return "/v1/organizations/api_keys/" + k.id }

// String shows the call.
func (k *anthropicKey) String() string {
	return "POST " + k.api.base + k.path() + ` {"status":"inactive"}`
}

func (k *anthropicKey) do(ctx context.Context) (string, error) {
	now, err := k.get(ctx)
	if err != nil {
		return "", err
	}
	switch now.Status {
	case "inactive", "archived", "expired": // an archived key must not come back as an inactive one
		return "key is " + now.Status + " already", nil
	}
	var after anthropicKeyAnswer
	err = k.api.call(ctx, http.MethodPost, k.path(), map[string]string{"status": "inactive"}, &after)
	if err != nil {
		return "", fmt.Errorf("setting %s inactive: %w", k.id, err)
	}
	if after.ID != k.id || after.Status != "inactive" {
		return "", fmt.Errorf("setting %s inactive: the answer does not say that it is", k.id)
	}
	return "key is inactive now", nil
}

func (k *anthropicKey) check(ctx context.Context) (string, error) {
	now, err := k.get(ctx)
	if err != nil {
		return "", err
	}
	return "key is " + now.Status, nil
}

// get reads the key, and refuses one that looks like an admin key: the hint is all
// that the API tells about it.
func (k *anthropicKey) get(ctx context.Context) (anthropicKeyAnswer, error) {
	var now anthropicKeyAnswer
	if err := k.api.call(ctx, http.MethodGet, k.path(), nil, &now); err != nil {
		return now, fmt.Errorf("reading key %s: %w", k.id, err)
	}
	if now.ID != k.id || now.Status == "" {
		return now, fmt.Errorf("reading key %s: the answer is about something else", k.id)
	}
	own, err := k.api.key.line()
	if err != nil {
		return now, err
	}
	if strings.HasPrefix(now.Hint, "sk-ant-admin") || hints(now.Hint, own) {
		return now, fmt.Errorf("key %s is refused: %w", k.id, errAdminKey)
	}
	return now, nil
}

var errAdminKey = errors.New("it is an admin key, which this program and aispend may need themselves")

// hints reports whether a hint such as "sk-ant-api03-R2D...igAA" is about a key.
func hints(hint, key string) bool {
	head, tail, ok := strings.Cut(hint, "...")
	return ok && len(tail) >= 4 && strings.HasPrefix(key, head) && strings.HasSuffix(key, tail)
}
