package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// testsOf returns the test files about one alert of a rule file, by name, without
// what they say about other alerts.
func testsOf(dir, file, alert string) (map[string][]byte, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "tests", "*.yml"))
	if err != nil {
		return nil, fmt.Errorf("looking for tests: %w", err)
	}
	out := map[string][]byte{}
	for _, path := range paths {
		content, err := os.ReadFile(path) //nolint:gosec // the tests of this repository
		if err != nil {
			return nil, fmt.Errorf("reading a test: %w", err)
		}
		doc, err := parse(path, content)
		if err != nil {
			return nil, err
		}
		if !about(doc.Content[0], file) || !trim(doc.Content[0], alert) {
			continue
		}
		if out[filepath.Base(path)], err = yaml.Marshal(doc); err != nil {
			return nil, fmt.Errorf("writing the tests of %s: %w", alert, err)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s of %s has no test", alert, file)
	}
	return out, nil
}

// about reports whether a test is about a rule file and nothing else.
func about(test *yaml.Node, file string) bool {
	files := value(test, "rule_files").Content
	return len(files) == 1 && files[0].Value == "../"+file
}

// trim removes what a test file says about other alerts, and reports whether
// anything is left.
func trim(test *yaml.Node, alert string) bool {
	groups := value(test, "tests")
	var kept []*yaml.Node
	for _, group := range groups.Content {
		exprs := filter(value(group, "promql_expr_test"), "expr", func(expr string) bool {
			return strings.Contains(expr, `alertname="`+alert+`"`)
		})
		texts := filter(value(group, "alert_rule_test"), "alertname", func(name string) bool {
			return name == alert
		})
		if exprs+texts > 0 {
			kept = append(kept, group)
		}
	}
	groups.Content = kept
	return len(kept) > 0
}

// filter keeps the cases of a list that have a value under a key, and counts them.
func filter(list *yaml.Node, key string, keep func(string) bool) int {
	if list == nil {
		return 0
	}
	var kept []*yaml.Node
	for _, c := range list.Content {
		if keep(value(c, key).Value) {
			kept = append(kept, c)
		}
	}
	list.Content = kept
	return len(kept)
}
