package config_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/vertex"
)

// canary is part of every secret of the tests: it must come out nowhere.
const canary = "CANARY"

// fakeSettings has the keys of a real vendor, and one of every kind that a vendor
// may use.
type fakeSettings struct {
	APIKey       *secret.Value `yaml:"api_key"`
	Organization string        `yaml:"organization"`
	ProjectIDs   []string      `yaml:"project_ids"`
	BaseURL      string        `yaml:"base_url"`
	Export       fakeExport    `yaml:"export"`
}

type fakeExport struct {
	KeyFile string        `yaml:"key_file"`
	Pause   time.Duration `yaml:"pause"`
	Rows    int           `yaml:"rows"`
	Dry     bool          `yaml:"dry"`
}

func (s *fakeSettings) Validate() error {
	switch {
	case !s.APIKey.Set():
		return &providers.FieldError{Key: "api_key", Msg: "is missing: give api_key_file"}
	case !strings.HasPrefix(s.BaseURL, "https://"):
		return &providers.FieldError{Key: "base_url", Msg: "must begin with https://"}
	case slices.Contains(s.ProjectIDs, "proj 2"):
		return &providers.FieldError{Key: "project_ids[1]", Msg: "must be a project id"}
	case s.Export.Rows == 13:
		return errors.New("rows of 13 bring bad luck")
	}
	return nil
}

func (s *fakeSettings) Credential() *secret.Value { return s.APIKey }

func (s *fakeSettings) Filter() []string { return s.ProjectIDs }

func (s *fakeSettings) Open(providers.Env) ([]providers.Source, error) { return nil, nil }

// fakeTypes stands for the provider table; vertex is the real one, since rules of caps
// depend on what it has.
func fakeTypes() map[string]providers.Type {
	types := map[string]providers.Type{}
	for _, name := range []string{"openai", "anthropic"} {
		types[name] = providers.Type{
			Name: name,
			Sources: []providers.SourceType{
				{Name: name + "/costs", MaxStaleness: 6 * time.Hour},
				{Name: name + "/usage", Kind: providers.Usage, Interval: time.Hour, Lookback: 40 * 24 * time.Hour},
			},
			NewSettings: func() providers.Settings { return &fakeSettings{BaseURL: "https://api.example.com"} },
		}
	}
	types[vertex.Name] = vertex.Type()
	return types
}

// parse loads text as a file in testdata.
func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	loaded, err := config.Parse("testdata/aispend.yml", []byte(text), fakeTypes())
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Config
}

func warnings(fs []config.Finding) []string {
	var out []string
	for _, f := range fs {
		out = append(out, f.String())
	}
	return out
}
