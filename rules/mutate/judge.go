package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"
)

// verdict is what became of a mutant.
type verdict int

const (
	survived verdict = iota
	caught
	invalid // no rule file any more: it proves nothing
)

// judge asks promtool whether the tests notice a mutant.
type judge struct {
	promtool string
	tests    map[string]map[string][]byte // by alert and file name
}

// newJudge reads the tests of the alerts and has every alert pass its own: a test
// that fails anyway catches nothing.
func newJudge(ctx context.Context, promtool, dir string, list []mutant) (*judge, error) {
	j := &judge{promtool: promtool, tests: map[string]map[string][]byte{}}
	for _, m := range list {
		if j.tests[m.alert] != nil {
			continue
		}
		tests, err := testsOf(dir, m.file, m.alert)
		if err != nil {
			return nil, err
		}
		j.tests[m.alert] = tests
		m.content, err = os.ReadFile(filepath.Join(dir, m.file)) //nolint:gosec // named by the caller
		if err != nil {
			return nil, fmt.Errorf("reading rules: %w", err)
		}
		v, err := j.one(ctx, m)
		if err != nil {
			return nil, err
		}
		if v != survived {
			return nil, fmt.Errorf("the tests of %s fail without any mistake in it", m.alert)
		}
	}
	return j, nil
}

// all judges the mutants, a few at a time, and returns a verdict for each.
func (j *judge) all(ctx context.Context, list []mutant, workers int) ([]verdict, error) {
	out := make([]verdict, len(list))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for i, m := range list {
		g.Go(func() (err error) {
			out[i], err = j.one(ctx, m)
			return err
		})
	}
	return out, g.Wait()
}

func (j *judge) one(ctx context.Context, m mutant) (v verdict, err error) {
	dir, err := os.MkdirTemp("", "aispend-mutant-")
	if err != nil {
		return survived, fmt.Errorf("making a directory for a mutant: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Mkdir(filepath.Join(dir, "tests"), 0o700); err != nil {
		return survived, fmt.Errorf("making a directory for tests: %w", err)
	}
	rules := filepath.Join(dir, m.file)
	if err := os.WriteFile(rules, m.content, 0o600); err != nil {
		return survived, fmt.Errorf("writing a mutant: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(j.tests[m.alert])) {
		path := filepath.Join(dir, "tests", name)
		if err := os.WriteFile(path, j.tests[m.alert][name], 0o600); err != nil {
			return survived, fmt.Errorf("writing a test: %w", err)
		}
		ok, err := j.run(ctx, "test", "rules", path)
		if err != nil {
			return survived, err
		}
		if !ok {
			return j.unlessInvalid(ctx, rules)
		}
	}
	return survived, nil
}

// unlessInvalid tells a rule that a test refused from a file that is no rule file.
func (j *judge) unlessInvalid(ctx context.Context, rules string) (verdict, error) {
	ok, err := j.run(ctx, "check", "rules", "--lint=none", rules)
	if err != nil || !ok {
		return invalid, err
	}
	return caught, nil
}

// run reports whether promtool was content. An error means that it did not run.
func (j *judge) run(ctx context.Context, args ...string) (bool, error) {
	err := exec.CommandContext(ctx, j.promtool, args...).Run() //nolint:gosec // the tool that the caller names
	if _, refused := errors.AsType[*exec.ExitError](err); refused && ctx.Err() == nil {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("running promtool: %w", err)
	}
	return true, nil
}
