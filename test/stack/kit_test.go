// Package stack_test checks docker-compose.yml and runs what it starts, with the
// programs of this machine in place of the images: no container engine is needed.
//
// It is a module of its own because the library of docker compose and the parser of
// BuildKit are no business of aispend's.
package stack_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const root = "../.."

// load reads docker-compose.yml as docker compose would with these profiles.
func load(t *testing.T, profiles ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")},
		cli.WithProfiles(profiles), cli.WithWorkingDirectory(root),
		cli.WithoutEnvironmentResolution) // alertmanager.env is the user's
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// build compiles commands of the main module into one directory.
func build(t *testing.T, packages ...string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", append([]string{"build", "-o", dir + "/"}, packages...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %v: %v\n%s", packages, err, out)
	}
	return dir
}

// snippet returns the fenced block of docs/stack.md that begins with "# name".
func snippet(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "stack.md"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```[a-z]+\n(# " + regexp.QuoteMeta(name) + "\n.*?)```").FindSubmatch(text)
	if m == nil {
		t.Fatalf("docs/stack.md has no block that begins with # %s", name)
	}
	return string(m[1])
}

// place lays out the mounts of a service below dir, and returns what turns paths of
// the container into paths there. Files are copied with their paths turned as well;
// given replaces sources that are the user's own.
func place(t *testing.T, s types.ServiceConfig, dir string, given map[string]string) *strings.Replacer {
	t.Helper()
	var pairs []string
	for _, v := range s.Volumes {
		pairs = append(pairs, v.Target, dir+v.Target)
	}
	turn := strings.NewReplacer(pairs...)
	for _, v := range s.Volumes {
		target, source := dir+v.Target, v.Source
		if g := given[v.Target]; g != "" {
			source = g
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if v.Type == types.VolumeTypeVolume {
			if err := os.MkdirAll(target, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		info, err := os.Stat(source)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			if source, err = filepath.Abs(source); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(source, target); err != nil {
				t.Fatal(err)
			}
			continue
		}
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, []byte(turn.Replace(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return turn
}
