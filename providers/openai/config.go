// Package openai reads what an OpenAI organisation is billed (the costs report)
// and what it used (the completions usage report), over plain HTTP: the official
// SDK turns amounts that it cannot read into 0 without an error (measured).
package openai

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/internal/rest"
)

// Name is the provider's name in the configuration, in labels and in source ids.
const Name = "openai"

// DefaultBaseURL is the public API.
const DefaultBaseURL = "https://api.openai.com"

// Settings are the keys of a provider block of type openai.
type Settings struct {
	// APIKey is an organisation admin key ("sk-admin-..."), best restricted to
	// the scope api.usage.read. Project keys are refused by OpenAI.
	APIKey *secret.Value `yaml:"api_key"`
	// Organization is sent as OpenAI-Organization; a key that belongs to one
	// organisation needs none.
	Organization string `yaml:"organization"`
	// ProjectIDs limits the block to these projects ("proj_..."); empty means all.
	ProjectIDs []string `yaml:"project_ids"`
	// BaseURL replaces the public API, as for a gateway; https, or loopback.
	BaseURL string `yaml:"base_url"`
}

// Type returns the provider's row in the table of providers.
func Type() providers.Type {
	return providers.Type{
		Name:        Name,
		Sources:     []providers.SourceType{costsFamily(), usageFamily()},
		NewSettings: func() providers.Settings { return &Settings{BaseURL: DefaultBaseURL} },
		WrongKeys: map[string]string{
			"sk-proj-": "a project key", "sk-svcacct-": "a service account's key", "sk-ant-": "a key of Anthropic",
		},
		Right: "an organisation admin key (sk-admin-...)",
	}
}

// Validate reports the first broken rule as a *providers.FieldError.
func (s *Settings) Validate() error {
	if !s.APIKey.Set() {
		return &providers.FieldError{
			Key: "api_key",
			Msg: "is missing: create an organisation admin key and give its file in api_key_file",
		}
	}
	if strings.Trim(s.Organization, idBytes) != "" {
		return &providers.FieldError{Key: "organization", Msg: "must be an organisation id such as org-AbC123"}
	}
	for i, id := range s.ProjectIDs {
		if id == "" || strings.Trim(id, idBytes) != "" {
			return &providers.FieldError{
				Key: fmt.Sprintf("project_ids[%d]", i), Msg: "must be a project id such as proj_AbC123",
			}
		}
		if slices.Contains(s.ProjectIDs[:i], id) {
			return &providers.FieldError{Key: fmt.Sprintf("project_ids[%d]", i), Msg: "is given twice"}
		}
	}
	_, err := rest.ParseBaseURL(s.BaseURL)
	return err
}

// idBytes are the bytes of OpenAI's ids.
const idBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

// Credential returns the admin key.
func (s *Settings) Credential() *secret.Value { return s.APIKey }

// Filter returns the projects the block is limited to.
func (s *Settings) Filter() []string { return slices.Clone(s.ProjectIDs) }
