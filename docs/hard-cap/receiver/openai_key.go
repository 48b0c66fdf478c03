package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// openAIKey deletes the API key of a project. There is no way back: whoever used
// it needs a new one. Admin keys are under another path and cannot be reached.
type openAIKey struct {
	api         *api
	project, id string
}

func (k *openAIKey) list() string { return "/v1/organization/projects/" + k.project + "/api_keys" }

// String shows the call.
func (k *openAIKey) String() string { return "DELETE " + k.api.base + k.list() + "/" + k.id }

func (k *openAIKey) do(ctx context.Context) (string, error) {
	var gone struct {
		ID      string `json:"id"`
		Deleted bool   `json:"deleted"`
	}
	err := k.api.call(ctx, http.MethodDelete, k.list()+"/"+k.id, nil, &gone)
	switch {
	case isStatus(err, http.StatusNotFound):
		return k.missing(ctx)
	case isStatus(err, http.StatusBadRequest):
		return "", fmt.Errorf("deleting key %s: %w (it does so for the key of a service account)", k.id, err)
	case err != nil:
		return "", fmt.Errorf("deleting key %s: %w", k.id, err)
	case gone.ID != k.id || !gone.Deleted:
		return "", fmt.Errorf("deleting key %s: the answer does not say that it is", k.id)
	}
	return "key is deleted", nil
}

// missing tells a key that is gone from a wrong project or a wrong address, where
// everything is missing.
func (k *openAIKey) missing(ctx context.Context) (string, error) {
	var list struct {
		Object string `json:"object"`
	}
	if err := k.api.call(ctx, http.MethodGet, k.list()+"?limit=1", nil, &list); err != nil {
		return "", fmt.Errorf("key %s is not there, and listing the keys of %s: %w", k.id, k.project, err)
	}
	if list.Object != "list" {
		return "", fmt.Errorf("key %s is not there, and neither is a list of keys", k.id)
	}
	return "key is not there: deleted already, or it never was", nil
}

func (k *openAIKey) check(ctx context.Context) (string, error) {
	var now struct {
		ID    string `json:"id"`
		Owner struct {
			Type string `json:"type"`
		} `json:"owner"`
	}
	if err := k.api.call(ctx, http.MethodGet, k.list()+"/"+k.id, nil, &now); err != nil {
		return "", fmt.Errorf("reading key %s: %w", k.id, err)
	}
	if now.ID != k.id {
		return "", fmt.Errorf("reading key %s: the answer is about something else", k.id)
	}
	if now.Owner.Type == "service_account" {
		return "", fmt.Errorf("key %s: %w", k.id, errServiceAccount)
	}
	return "key is there", nil
}

var errServiceAccount = errors.New("it is a service account's: OpenAI does not delete such keys one by one")
