package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/config"
)

var update = flag.Bool("update", false, "write what the loader says into testdata/bad")

// TestBadConfigs holds the operator's messages: each file of testdata/bad breaks
// one rule and ends in the exact message that it must bring, one comment a line.
func TestBadConfigs(t *testing.T) {
	paths, err := filepath.Glob("testdata/bad/*.yml")
	if err != nil || len(paths) < 80 {
		t.Fatalf("found %d fixtures: %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yml"), func(t *testing.T) {
			text, want := splitFixture(t, path)
			got := messageOf(t, path)
			if strings.Contains(got, canary) {
				t.Errorf("the message holds a secret: %s", got)
			}
			if *update {
				writeFixture(t, path, text, got)
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

// messageOf loads a bad file; the directory is cut off to keep the messages short.
func messageOf(t *testing.T, path string) string {
	t.Helper()
	_, err := config.Load(config.Options{Path: path, Explicit: true, Types: fakeTypes()})
	if err == nil {
		t.Fatal("loaded without an error")
	}
	if _, ok := errors.AsType[*config.LoadError](err); !ok {
		t.Errorf("error is a %T", err)
	}
	return strings.ReplaceAll(err.Error(), "testdata/", "")
}

const wantPrefix = "# "

func splitFixture(t *testing.T, path string) (text, want string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var wants []string
	for line := range strings.Lines(string(b)) {
		if w, ok := strings.CutPrefix(line, wantPrefix); ok {
			wants = append(wants, strings.TrimSuffix(w, "\n"))
		} else {
			text += line
		}
	}
	return text, strings.Join(wants, "\n")
}

func writeFixture(t *testing.T, path, text, got string) {
	t.Helper()
	for line := range strings.Lines(got) {
		text += wantPrefix + strings.TrimSuffix(line, "\n") + "\n"
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
