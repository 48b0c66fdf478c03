package openai_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/openai"
	"github.com/aispend/aispend/providers/providertest"
	"github.com/aispend/aispend/spend"
)

// seed adds every page that this package has.
func seed(f *testing.F) {
	for _, dir := range []string{"pages", "malformed", "errors"} {
		entries, err := os.ReadDir(filepath.Join("testdata", dir))
		if err != nil {
			f.Fatal(err)
		}
		for _, e := range entries {
			f.Add(providertest.File(f, dir, e.Name()))
		}
	}
}

func fuzzPage(f *testing.F, source string) {
	seed(f)
	src := open(source)(f, openai.DefaultBaseURL, "sk-admin-0123456789", providers.Env{})
	f.Fuzz(func(t *testing.T, body []byte) { providertest.CheckPage(t, src, fixtureWindow(), body) })
}

func FuzzCostsPage(f *testing.F) { fuzzPage(f, "openai/costs") }

func FuzzUsagePage(f *testing.F) { fuzzPage(f, "openai/usage") }

func FuzzLineItem(f *testing.F) {
	for _, s := range []string{
		"gpt-5.5, input", "priority | gpt-5.6-sol, output, long context", "Text tokens", " | a, b", "a image, b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		model, kind, tier := openai.ParseLineItem(s)
		if model == "" && kind+tier != "" {
			t.Errorf("%q: no model but kind %q, tier %q", s, kind, tier)
		}
		if strings.ContainsAny(model, " ,|") || !strings.Contains(s, model) || !strings.Contains(s, kind) {
			t.Errorf("%q: model %q, kind %q", s, model, kind)
		}
		if label, _ := spend.CleanLabel(model); !utf8.ValidString(label) {
			t.Errorf("%q: label %q", s, label)
		}
	})
}
