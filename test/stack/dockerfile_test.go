package stack_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

func TestDockerfile(t *testing.T) {
	f, err := os.Open(filepath.Join(root, "deploy", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tree, err := parser.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Warnings) > 0 {
		t.Errorf("warnings: %+v", tree.Warnings)
	}
	stages, _, err := instructions.Parse(tree.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	bases, users := map[string]string{}, map[string]string{}
	var names, builds []string
	for _, s := range stages {
		names = append(names, s.Name)
		bases[s.Name], users[s.Name] = s.BaseName, users[s.BaseName]
		if !slices.Contains(names, s.BaseName) && !regexp.MustCompile(`(:\d+\.\d+\.\d+|-debian\d+:nonroot)$`).MatchString(s.BaseName) {
			t.Errorf("stage %s: %s is not pinned", s.Name, s.BaseName)
		}
		for _, c := range s.Commands {
			switch c := c.(type) {
			case *instructions.UserCommand:
				users[s.Name] = c.User
			case *instructions.RunCommand:
				if line := strings.Join(c.CmdLine, " "); strings.Contains(line, "go build") {
					builds = append(builds, line)
				}
			case *instructions.CopyCommand:
				if c.From != "" && !slices.Contains(names, c.From) {
					t.Errorf("stage %s copies from %s, which comes later or never", s.Name, c.From)
				}
			}
		}
	}
	for _, profile := range []string{"demo", "live"} {
		for name, s := range load(t, profile).Services {
			if s.Build != nil && (users[s.Build.Target] != s.User || bases[s.Build.Target] != "runtime") {
				t.Errorf("%s: target %s runs as %q, the service as %q", name, s.Build.Target, users[s.Build.Target], s.User)
			}
		}
	}
	if last := names[len(names)-1]; last != "aispend" {
		t.Errorf("docker build makes %s when no target is named", last)
	}
	runBuilds(t, builds)
}

// runBuilds runs the build commands of the Dockerfile in a copy of the files that
// its .dockerignore lets through.
func runBuilds(t *testing.T, commands []string) {
	t.Helper()
	context, out := t.TempDir(), t.TempDir()
	copyContext(t, context)
	for _, command := range commands {
		cmd := exec.Command("sh", "-c", strings.ReplaceAll(command, "/out", out))
		cmd.Dir = context
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "VERSION=1.2.3-test")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, text)
		}
	}
	for _, name := range []string{"aispend", "relay", "slacksink"} {
		if _, err := os.Stat(filepath.Join(out, "usr", "bin", name)); err != nil {
			t.Error(err)
		}
	}
	text, err := exec.Command(filepath.Join(out, "usr", "bin", "aispend"), "version").CombinedOutput()
	if err != nil || !strings.Contains(string(text), "1.2.3-test") {
		t.Errorf("aispend version: %v\n%s", err, text)
	}
}

func copyContext(t *testing.T, to string) {
	t.Helper()
	f, err := os.Open(filepath.Join(root, "deploy", "Dockerfile.dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	patterns, err := ignorefile.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() && (name == ".git" || name == ".bin" || name == "bin") {
			return filepath.SkipDir
		}
		if skip, err := ignored.MatchesOrParentMatches(name); err != nil || skip || d.IsDir() {
			return err
		}
		if strings.Contains(name, "secret") && filepath.Ext(name) != ".go" || filepath.Ext(name) == ".key" {
			t.Errorf("%s is sent to the builder", name)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), text, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
