package registry_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aispend/aispend/providers/registry"
)

// TestTable checks what the rest of the daemon takes from a row of the table.
func TestTable(t *testing.T) {
	types := registry.Types()
	if len(types) == 0 {
		t.Fatal("the table is empty")
	}
	for name, typ := range types {
		if typ.Name != name || typ.NewSettings == nil || typ.NewSettings() == typ.NewSettings() {
			t.Errorf("%s: name %q, or its settings are shared", name, typ.Name)
		}
		if len(typ.Sources) == 0 {
			t.Errorf("%s has no source", name)
		}
		for _, s := range typ.Sources {
			if !strings.HasPrefix(s.Name, name+"/") || s.MaxStaleness <= 0 {
				t.Errorf("%s: source %+v", name, s)
			}
		}
	}
	delete(types, "openai")
	if _, ok := registry.Types()["openai"]; !ok {
		t.Error("the table can be changed from outside")
	}
}

// TestEveryProviderIsDocumented holds table and docs/providers together, both ways.
func TestEveryProviderIsDocumented(t *testing.T) {
	dir := filepath.Join("..", "..", "docs", "providers")
	types := registry.Types()
	for name, typ := range types {
		page, err := os.ReadFile(filepath.Join(dir, name+".md"))
		if err != nil {
			t.Errorf("%s has no page: %v", name, err)
			continue
		}
		for _, s := range typ.Sources {
			if !strings.Contains(string(page), "`"+s.Name+"`") {
				t.Errorf("%s.md does not name %s", name, s.Name)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		t.Fatalf("docs/providers: %v, %d pages", err, len(entries))
	}
	for _, e := range entries {
		if _, ok := types[strings.TrimSuffix(e.Name(), ".md")]; !ok {
			t.Errorf("docs/providers/%s is about no provider of the table", e.Name())
		}
	}
}
