package config_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/aispend/aispend/internal/config"
)

// FuzzLoad: any text is an error with a message or a configuration that keeps the
// rules and can be shown.
func FuzzLoad(f *testing.F) {
	f.Add(everything)
	paths, err := filepath.Glob("testdata/bad/*.yml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Fuzz(func(t *testing.T, text string) {
		loaded, err := config.Parse("testdata/fuzz.yml", []byte(text), fakeTypes())
		if err != nil {
			if err.Error() == "" || loaded != nil {
				t.Errorf("error %q with %v", err, loaded)
			}
			return
		}
		holdsRules(t, loaded.Config)
		if _, err := json.Marshal(loaded.Config.Redacted()); err != nil {
			t.Error(err)
		}
		if _, err := yaml.Marshal(loaded.Config.Redacted()); err != nil {
			t.Error(err)
		}
	})
}

// holdsRules checks what the rest of the daemon relies on.
func holdsRules(t *testing.T, c *config.Config) {
	t.Helper()
	if c.Storage.History < 62*day || c.Storage.History < c.Metrics.DailyWindow || c.Metrics.MaxSeries < 1 ||
		c.Ingest.InitialHistory%day != 0 || c.Ingest.InitialHistory < day {
		t.Errorf("%+v", c)
	}
	seen := map[string]bool{}
	for _, p := range c.Providers {
		if id := p.Type + "/" + p.Account; seen[id] || p.Settings == nil {
			t.Errorf("block %s: %+v", id, p)
		} else {
			seen[id] = true
		}
		for _, source := range p.Sources {
			s := c.ForSource(p, source)
			if s.Interval <= 0 || s.Timeout <= 0 || s.Lookback < day || s.Lookback%day != 0 || s.MaxStaleness <= 0 {
				t.Errorf("%s: %+v", source.Name, s)
			}
		}
	}
	for _, limit := range c.Caps {
		if limit.Soft.Sign() < 0 || limit.Hard.Sign() < 0 ||
			(!limit.Soft.IsZero() && !limit.Hard.IsZero() && limit.Soft.Cmp(limit.Hard) > 0) {
			t.Errorf("cap %+v", limit)
		}
	}
}
