package anthropic_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/anthropic"
	"github.com/aispend/aispend/providers/providertest"
)

func fuzzPage(f *testing.F, source string) {
	for _, dir := range []string{"pages", "malformed", "errors"} {
		entries, err := os.ReadDir(filepath.Join("testdata", dir))
		if err != nil {
			f.Fatal(err)
		}
		for _, e := range entries {
			f.Add(providertest.File(f, dir, e.Name()))
		}
	}
	src := open(source)(f, anthropic.DefaultBaseURL, "sk-ant-admin-0123456789", providers.Env{})
	f.Fuzz(func(t *testing.T, body []byte) { providertest.CheckPage(t, src, fixtureWindow(), body) })
}

func FuzzCostPage(f *testing.F) { fuzzPage(f, "anthropic/cost_report") }

func FuzzUsagePage(f *testing.F) { fuzzPage(f, "anthropic/usage_report") }
