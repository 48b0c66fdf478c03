package providertest

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/spend"
)

// File returns a file under testdata of the calling package.
func File(t testing.TB, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{"testdata"}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Pages returns the files of testdata/pages.
func Pages(t testing.TB, names ...string) [][]byte {
	t.Helper()
	pages := make([][]byte, 0, len(names))
	for _, name := range names {
		pages = append(pages, File(t, "pages", name))
	}
	return pages
}

// MalformedFiles pairs the files of testdata/malformed with their outcomes. Every file
// must be named: want has "" for one that is no failure.
func MalformedFiles(t testing.TB, want map[string]spend.Outcome) []Malformed {
	t.Helper()
	var out []Malformed
	each(t, "malformed", func(name string, body []byte) {
		o, ok := want[name]
		if !ok {
			t.Errorf("testdata/malformed/%s has no expectation", name)
		}
		if o != "" {
			out = append(out, Malformed{Name: name, Body: body, Want: o})
		}
	})
	return out
}

// ErrorFiles pairs the files of testdata/errors with their statuses and headers,
// from headers.json, and with their outcomes. Every file must be named.
func ErrorFiles(t testing.TB, want map[string]spend.Outcome) []Answer {
	t.Helper()
	heads := map[string]map[string]any{}
	if err := json.Unmarshal(File(t, "errors", "headers.json"), &heads); err != nil {
		t.Fatal(err)
	}
	var out []Answer
	each(t, "errors", func(name string, body []byte) {
		if name == "headers.json" {
			return
		}
		a := Answer{Name: name, Body: body, Want: want[name], Header: map[string]string{}}
		if a.Want == "" {
			t.Errorf("testdata/errors/%s has no expectation", name)
		}
		for k, v := range heads[name] {
			switch v := v.(type) {
			case float64:
				a.Status = int(v)
			case string:
				a.Header[k] = v
			}
		}
		out = append(out, a)
	})
	return out
}

func each(t testing.TB, dir string, fn func(name string, body []byte)) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("testdata", dir))
	if err != nil || len(entries) == 0 {
		t.Fatalf("testdata/%s: %v, %d files", dir, err, len(entries))
	}
	for _, e := range entries {
		fn(e.Name(), File(t, dir, e.Name()))
	}
}

// Golden compares statements with testdata/golden/<name>.json, and writes that
// file when the test binary runs with -update.
func Golden(t *testing.T, name string, got []spend.Statement) {
	t.Helper()
	b, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, '\n')
	path := filepath.Join("testdata", "golden", name+".json")
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(File(t, "golden", name+".json")), string(b)); diff != "" {
		t.Errorf("%s differs from its golden file, run with -update if that is right (-want +got):\n%s", name, diff)
	}
}
