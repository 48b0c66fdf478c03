package config_test

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/providers/registry"
)

// settingKeys returns every key path that a struct has, twins included.
func settingKeys(t reflect.Type, prefix string) []string {
	var keys []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		key := prefix + name
		switch {
		case name == "-" || !f.IsExported():
		case f.Type == reflect.TypeFor[*secret.Value]():
			keys = append(keys, key, key+"_file")
		case f.Type.Kind() == reflect.Slice && f.Type.Elem() == reflect.TypeFor[config.AccountRef]():
			keys = append(keys, key)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			keys = append(keys, settingKeys(f.Type.Elem(), key+"[].")...)
		case f.Type.Kind() == reflect.Struct && f.Type.PkgPath() != "time" && f.Type.NumField() > 0 &&
			f.Type.Field(0).Tag.Get("yaml") != "":
			keys = append(keys, settingKeys(f.Type, key+".")...)
		default:
			keys = append(keys, key)
		}
	}
	return keys
}

// allKeys are the keys of the file with those of every real provider type.
func allKeys() []string {
	keys := settingKeys(reflect.TypeFor[config.Config](), "")
	for _, typ := range registry.Types() {
		keys = append(keys, settingKeys(reflect.TypeOf(typ.NewSettings()).Elem(), "providers[].")...)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// tableKeys returns the words in back quotes of the first column of all tables
// after a heading and before the next of the same level.
func tableKeys(doc, heading string) []string {
	_, section, _ := strings.Cut(doc, "\n## "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var keys []string
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		first := strings.SplitN(line, "|", 3)[1]
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(first, -1) {
			keys = append(keys, m[1])
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func TestReferenceNamesEveryKey(t *testing.T) {
	want := allKeys()
	if len(want) < 50 {
		t.Fatalf("found %d keys only: %v", len(want), want)
	}
	if diff := cmp.Diff(want, tableKeys(read(t, "../../docs/configuration.md"), "Reference")); diff != "" {
		t.Errorf("keys (-code +docs/configuration.md):\n%s", diff)
	}
}

func TestReferenceNamesEveryVariable(t *testing.T) {
	doc := read(t, "../../docs/configuration.md")
	var want []string
	for _, v := range config.Variables() {
		want = append(want, v.Name)
		row := "| `" + v.Name + "` | "
		if v.Key != "" {
			row += "`" + v.Key + "` |"
		}
		if !strings.Contains(doc, row) {
			t.Errorf("no row begins %s", row)
		}
		if v.Key != "" && !slices.Contains(allKeys(), v.Key) {
			t.Errorf("%s stands for %s, which is no key", v.Name, v.Key)
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, tableKeys(doc, "Environment")); diff != "" {
		t.Errorf("variables (-code +docs/configuration.md):\n%s", diff)
	}
}

func TestExampleHoldsEveryKey(t *testing.T) {
	example := read(t, "../../docs/example.yml")
	words := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^[ #-]*([a-z_]+):`).FindAllStringSubmatch(example, -1) {
		words[m[1]] = true
	}
	if len(words) < 50 {
		t.Fatalf("found %d keys in the example", len(words))
	}
	known := map[string]bool{}
	for _, key := range allKeys() {
		for part := range strings.SplitSeq(strings.ReplaceAll(key, "[]", ""), ".") {
			known[part] = true
			if !words[part] {
				t.Errorf("docs/example.yml lacks %s", key)
			}
		}
	}
	for w := range words {
		// Prose in comments may look like a key; what stands alone on a line is one.
		if !known[w] && regexp.MustCompile(`(?m)^\s*`+w+`:`).MatchString(example) {
			t.Errorf("docs/example.yml has the unknown key %s", w)
		}
	}
}

// TestExampleLoads loads the example with files behind its secrets.
func TestExampleLoads(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	example := read(t, "../../docs/example.yml")
	for _, m := range regexp.MustCompile(`(?m)_file: (secrets/\S+)`).FindAllStringSubmatch(example, -1) {
		text := map[string]string{
			"secrets/hook-url":    "https://hooks.example.com/CANARY",
			"secrets/hook-secret": "whsec_Q0FOQVJZQ0FOQVJZQ0FOQVJZQ0FOQVJZ",

			"secrets/google-service-account.json": `{"type": "service_account", "private_key": "CANARY"}`,
		}[m[1]]
		if text == "" {
			text = canary + m[1]
		}
		if err := os.WriteFile(filepath.Join(dir, m[1]), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	loaded, err := config.Parse(filepath.Join(dir, "aispend.yml"), []byte(example), registry.Types())
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded.Warnings) > 0 {
		t.Errorf("warnings: %v", loaded.Warnings)
	}
	c := loaded.Config
	if d := config.Default(); c.Storage != d.Storage || c.Ingest != d.Ingest || c.Metrics != d.Metrics {
		t.Errorf("the example does not show the defaults: %+v", c)
	}
	if len(c.Providers) != 3 || len(c.Caps) != 2 {
		t.Errorf("%d providers and %d caps", len(c.Providers), len(c.Caps))
	}
}

// TestViewShowsEveryKey keeps the view as wide as the file: a key that is hidden
// must be hidden on purpose.
func TestViewShowsEveryKey(t *testing.T) {
	var want []string
	for _, key := range settingKeys(reflect.TypeFor[config.Config](), "") {
		if !strings.HasPrefix(key, "providers[].") { // a mapping in the view, see TestRedacted
			want = append(want, key)
		}
	}
	slices.Sort(want)
	got := viewKeys(reflect.TypeFor[config.View](), "")
	got = slices.DeleteFunc(got, func(k string) bool { return k == "providers" })
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-config +view):\n%s", diff)
	}
}

func viewKeys(t reflect.Type, prefix string) []string {
	var keys []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if j, _, _ := strings.Cut(f.Tag.Get("json"), ","); j != name {
			keys = append(keys, prefix+name+" is called "+j+" in JSON")
		}
		typ, at := f.Type, prefix+name
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if typ.Kind() == reflect.Slice && typ.Elem() == reflect.TypeFor[config.ViewCap]() {
			typ, at = typ.Elem(), at+"[]"
		}
		if typ.Kind() == reflect.Struct {
			keys = append(keys, viewKeys(typ, at+".")...)
		} else {
			keys = append(keys, at)
		}
	}
	return keys
}

// TestRealTypes drives the vendors' own settings through the loader and the view.
func TestRealTypes(t *testing.T) {
	types := registry.Types()
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if len(types[name].WrongKeys) == 0 {
			continue // its credentials are no key of one word; TestVertexBlock looks at them
		}
		t.Run(name, func(t *testing.T) {
			realType(t, name)
		})
	}
}

func realType(t *testing.T, name string) {
	t.Helper()
	load := func(extra string) (*config.Loaded, error) {
		return config.Parse("a.yml", []byte("providers:\n  - type: "+name+"\n"+extra), registry.Types())
	}
	if _, err := load(""); err == nil || !strings.HasPrefix(err.Error(), "a.yml:2: providers[0].api_key: ") {
		t.Errorf("without a key: %v", err)
	}
	for _, key := range []string{`"sk-CANARY x"`, `"sk-CANARY\nx"`, `"\uFEFFsk-CANARY"`, `"sk-CANARY\u00A0x"`} {
		_, err := load("    api_key: " + key + "\n")
		if err == nil || !strings.HasPrefix(err.Error(), "a.yml:3: providers[0].api_key: has white space") ||
			strings.Contains(err.Error(), canary) {
			t.Errorf("key %s: %v", key, err)
		}
	}
	for start, what := range registry.Types()[name].WrongKeys {
		loaded, err := load("    api_key: " + start + "CANARY\n")
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(warnings(loaded.Warnings), "\n")
		if !strings.Contains(got, "providers[0].api_key: looks like "+what+" ("+start+"...)") || strings.Contains(got, canary) {
			t.Errorf("a key that begins with %s: %s", start, got)
		}
	}
	_, err := load("    api_key: sk-CANARY\n    base_url: https://u:CANARY@api.example.com\n")
	if err == nil || !strings.HasPrefix(err.Error(), "a.yml:4: providers[0].base_url: ") || strings.Contains(err.Error(), canary) {
		t.Errorf("bad base_url: %v", err)
	}
	loaded, err := load("    api_key: sk-CANARY\n    base_url: http://127.0.0.1:1\n")
	if err != nil {
		t.Fatal(err)
	}
	out, err := yaml.Marshal(loaded.Config.Redacted())
	if err != nil {
		t.Fatal(err)
	}
	if s := string(out); strings.Contains(s, canary) || !strings.Contains(s, "api_key: <secret>") ||
		!strings.Contains(s, "base_url: http://127.0.0.1:1") || !strings.Contains(s, "max_staleness: ") {
		t.Errorf("view: %s", out)
	}
	for _, source := range loaded.Config.Providers[0].Sources {
		s := loaded.Config.ForSource(loaded.Config.Providers[0], source)
		want := map[string]string{"openai": "6h0m0s", "anthropic": "30h0m0s"}[name]
		if s.MaxStaleness.String() != want {
			t.Errorf("%s: max_staleness %v, docs/configuration.md says %s", source.Name, s.MaxStaleness, want)
		}
	}
}
