// Package anthropic reads what an Anthropic organisation is billed (the cost
// report) and what it used (the messages usage report), over plain HTTP: the
// official SDK holds neither endpoint.
package anthropic

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/internal/rest"
)

// Name is the provider's name in the configuration, in labels and in source ids.
const Name = "anthropic"

// DefaultBaseURL is the public API.
const DefaultBaseURL = "https://api.anthropic.com"

// DefaultWorkspace names the default workspace in workspace_ids: the reports
// give it no id.
const DefaultWorkspace = "default"

// apiCostReport is the one API that this version reads.
const apiCostReport = "cost_report"

// Settings are the keys of a provider block of type anthropic.
type Settings struct {
	// APIKey is an admin key ("sk-ant-admin..."). Workspace keys are refused by
	// Anthropic.
	APIKey *secret.Value `yaml:"api_key"`
	// WorkspaceIDs limits the block to these workspaces ("wrkspc_...", or
	// DefaultWorkspace); empty means all.
	WorkspaceIDs []string `yaml:"workspace_ids"`
	// BaseURL replaces the public API, as for a gateway; https, or loopback.
	BaseURL string `yaml:"base_url"`
	// API chooses between the vendor's two generations of reports.
	API string `yaml:"api"`
}

// Type returns the provider's row in the table of providers.
func Type() providers.Type {
	return providers.Type{
		Name:    Name,
		Sources: []providers.SourceType{costFamily(), usageFamily()},
		WrongKeys: map[string]string{
			"sk-ant-api": "a workspace's key", "sk-admin-": "a key of OpenAI", "sk-proj-": "a key of OpenAI",
		},
		Right: "an admin key (sk-ant-admin...)",
		NewSettings: func() providers.Settings {
			return &Settings{BaseURL: DefaultBaseURL, API: apiCostReport}
		},
	}
}

// Validate reports the first broken rule as a *providers.FieldError.
func (s *Settings) Validate() error {
	if !s.APIKey.Set() {
		return &providers.FieldError{
			Key: "api_key",
			Msg: "is missing: create an admin key and give its file in api_key_file",
		}
	}
	switch s.API {
	case apiCostReport:
	case "analytics":
		return &providers.FieldError{Key: "api", Msg: `"analytics" is not available in this version`}
	default:
		return &providers.FieldError{Key: "api", Msg: "must be cost_report"}
	}
	for i, id := range s.WorkspaceIDs {
		if id != DefaultWorkspace && (!strings.HasPrefix(id, "wrkspc_") || strings.Trim(id, idBytes) != "") {
			return &providers.FieldError{
				Key: fmt.Sprintf("workspace_ids[%d]", i),
				Msg: `must be a workspace id such as wrkspc_01AbC, or "default" for the default workspace`,
			}
		}
		if slices.Contains(s.WorkspaceIDs[:i], id) {
			return &providers.FieldError{Key: fmt.Sprintf("workspace_ids[%d]", i), Msg: "is given twice"}
		}
	}
	_, err := rest.ParseBaseURL(s.BaseURL)
	return err
}

// idBytes are the bytes of Anthropic's ids.
const idBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

// Credential returns the admin key.
func (s *Settings) Credential() *secret.Value { return s.APIKey }

// Filter returns the workspaces the block is limited to.
func (s *Settings) Filter() []string { return slices.Clone(s.WorkspaceIDs) }
