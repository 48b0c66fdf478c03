package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// mutant is a rule with one mistake in it.
type mutant struct {
	file, alert string
	what        string
	expr        string // with the mistake
	content     []byte // a rule file with this alert and no other
}

// mutants returns every mutant of a rule file.
func mutants(file string, content []byte) ([]mutant, error) {
	var out []mutant
	alerts, err := alertsOf(file, content)
	if err != nil {
		return nil, err
	}
	for _, alert := range alerts {
		doc, err := only(file, content, alert)
		if err != nil {
			return nil, err
		}
		for _, rule := range rulesOf(doc) {
			made, err := ruleNode{file: file, alert: alert, doc: doc, node: rule}.mutants()
			if err != nil {
				return nil, err
			}
			out = append(out, made...)
		}
	}
	return out, nil
}

// alertsOf returns the names of the alerts, each once, in their order.
func alertsOf(file string, content []byte) ([]string, error) {
	doc, err := parse(file, content)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, rule := range rulesOf(doc) {
		if name := value(rule, "alert").Value; !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out, nil
}

// only returns a rule file with the rules of one alert, which is quicker to judge.
// Annotations stay: the tests know them too, and their anchors are resolved.
func only(file string, content []byte, alert string) (*yaml.Node, error) {
	doc, err := parse(file, content)
	if err != nil {
		return nil, err
	}
	for _, group := range value(doc.Content[0], "groups").Content {
		list := value(group, "rules")
		list.Content = slices.DeleteFunc(list.Content, func(rule *yaml.Node) bool {
			return value(rule, "alert").Value != alert
		})
	}
	return doc, nil
}

func parse(file string, content []byte) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(content, &doc); err != nil {
		return nil, fmt.Errorf("parsing %s: %w", file, err)
	}
	resolve(&doc)
	return &doc, nil
}

// resolve replaces every alias by what it stands for.
func resolve(n *yaml.Node) {
	for i, c := range n.Content {
		if c.Kind == yaml.AliasNode {
			copied := *c.Alias
			n.Content[i] = &copied
		}
		n.Content[i].Anchor = ""
		resolve(n.Content[i])
	}
}

func rulesOf(doc *yaml.Node) []*yaml.Node {
	var out []*yaml.Node
	for _, group := range value(doc.Content[0], "groups").Content {
		out = append(out, value(group, "rules").Content...)
	}
	return out
}

// value returns the value of a key of a mapping, or nil.
func value(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// ruleNode is a rule in its file, to be changed and put right again.
type ruleNode struct {
	file, alert string
	doc, node   *yaml.Node
}

func (r ruleNode) mutants() ([]mutant, error) {
	var out []mutant
	keep := func(what string) error {
		content, err := yaml.Marshal(r.doc)
		if err != nil {
			return fmt.Errorf("writing a mutant of %s: %w", r.alert, err)
		}
		expr := value(r.node, "expr").Value
		out = append(out, mutant{file: r.file, alert: r.alert, what: what, expr: expr, content: content})
		return nil
	}
	return out, firstError(r.mistakes(keep), r.waits(keep))
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// mistakes puts each mistake into the expression.
func (r ruleNode) mistakes(keep func(what string) error) error {
	expr := value(r.node, "expr")
	right := expr.Value
	defer func() { expr.Value = right }()
	for _, c := range changes(right) {
		expr.Value = c.expr
		if err := keep(c.what); err != nil {
			return err
		}
	}
	return nil
}

// waits drops, doubles and halves the for of the rule.
func (r ruleNode) waits(keep func(what string) error) error {
	wait := value(r.node, "for")
	if wait == nil {
		return nil
	}
	right := wait.Value
	defer func() { wait.Value = right }()
	d, err := model.ParseDuration(right)
	if err != nil {
		return fmt.Errorf("reading for of %s: %w", r.alert, err)
	}
	half := time.Duration(d / 2).Truncate(time.Second)
	for _, m := range []struct {
		what string
		to   model.Duration
	}{{"drop", 0}, {"double", 2 * d}, {"halve", model.Duration(half)}} {
		wait.Value = m.to.String()
		if err := keep(m.what + " for " + right); err != nil {
			return err
		}
	}
	return nil
}
