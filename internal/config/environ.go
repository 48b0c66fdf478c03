package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Use says what aispend does with a variable of the original worker.
type Use int

// The uses of a variable.
const (
	Setting  Use = iota // it is a setting
	Secret              // it is a setting and a secret
	Receiver            // it belongs to Alertmanager's receivers, see ReadReceivers
	Unneeded            // it says nothing that aispend needs
)

// Variable is one environment variable; NAME_FILE is read too and names a file
// that holds the value.
type Variable struct {
	Name string
	Use  Use
	Key  string // the key of the file that replaces it; empty if none does
}

// prefixSMTP begins the variables of the mail receiver, misspelt ones too.
const prefixSMTP = "SMTP_"

// Variables returns the environment of the original worker, with what was added
// to it, in the order of the documentation.
func Variables() []Variable {
	vs := []Variable{
		{"ENABLE_OPENAI", Setting, "providers[].enabled"},
		{"OPENAI_API_KEY", Secret, "providers[].api_key_file"},
		{"OPENAI_ORG_ID", Setting, "providers[].organization"},
		{"OPENAI_PROJECT_ID", Setting, "providers[].project_ids"},
		{"ENABLE_ANTHROPIC", Setting, "providers[].enabled"},
		{"ANTHROPIC_API_KEY", Secret, "providers[].api_key_file"},
		{"ANTHROPIC_ORG_ID", Unneeded, ""},
		{"ENABLE_VERTEX_BILLING_API", Setting, "providers[].enabled"},
		{"ENABLE_VERTEX_BQ", Setting, "providers[].enabled"},
		{"GCP_SA_JSON", Secret, "providers[].credentials_file"},
		{"GCP_BUDGET_NAME", Setting, "providers[].budget.name"},
		{"GCP_BILLING_ACCOUNT_ID", Setting, "providers[].budget.name"},
		{"GCP_PUBSUB_SUBSCRIPTION", Setting, "providers[].budget.subscription"},
		{"GCP_BQ_PROJECT", Setting, "providers[].bigquery.project"},
		{"GCP_BQ_DATASET", Setting, "providers[].bigquery.dataset"},
		{"GCP_BQ_TABLE", Setting, "providers[].bigquery.table"},
		{"CRON_LOOKBACK_HOURS", Setting, "ingest.lookback"},
		{"ADMIN_TOKEN", Secret, "web.admin_token_file"},
		{"ALERTMANAGER_URL", Setting, "alertmanager.urls"},
		{"ON_HARDCAP_WEBHOOK", Secret, "hard_cap.url_file"},
		{"ON_HARDCAP_WEBHOOK_SECRET", Secret, "hard_cap.secret_file"},
		{"SLACK_WEBHOOK_URL", Receiver, ""},
		{"ALERT_EMAIL_WEBHOOK", Receiver, ""},
	}
	for _, name := range []string{
		"HOST", "PORT", "FROM", "TO", "USERNAME", "USER", "PASSWORD", "PASS", "HELLO", "REQUIRE_TLS", "CA",
	} {
		vs = append(vs, Variable{prefixSMTP + name, Receiver, ""})
	}
	for _, scope := range builtinScopes() {
		for _, level := range []string{"soft", "hard"} {
			name := strings.ToUpper(scope + "_" + level + "_cap")
			vs = append(vs, Variable{name, Setting, "caps[]." + level + "_usd"})
		}
	}
	return vs
}

// environment holds those variables of the process that aispend knows and that
// are set to something.
type environment struct {
	d    *decoder
	vars map[string]string // by the name that is set, NAME or NAME_FILE
}

func newEnvironment(opts Options) *environment {
	known := map[string]bool{}
	for _, v := range Variables() {
		known[v.Name], known[v.Name+"_FILE"] = true, true
	}
	e := &environment{d: newDecoder("", "", opts.Types), vars: map[string]string{}}
	for _, kv := range opts.Environ {
		name, value, _ := strings.Cut(kv, "=")
		if value != "" && (known[name] || strings.HasPrefix(name, prefixSMTP)) {
			e.vars[name] = value
		}
	}
	return e
}

// names returns the set variables of one use, sorted.
func (e *environment) names(uses ...Use) []string {
	use := map[string]Use{}
	for _, v := range Variables() {
		use[v.Name], use[v.Name+"_FILE"] = v.Use, v.Use
	}
	var names []string
	for name := range e.vars {
		u, known := use[name]
		if !known {
			u = Receiver
		}
		if len(uses) == 0 || slices.Contains(uses, u) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// ignoredVariables is the one warning of a daemon that has a file and variables.
// The receivers are no business of the file: they are read from the environment
// by alertmanager-config alone.
func ignoredVariables(opts Options) (Finding, bool) {
	names := newEnvironment(opts).names(Setting, Secret, Unneeded)
	if len(names) == 0 {
		return Finding{}, false
	}
	return Finding{
		Key: strings.Join(names, ", "),
		Msg: "ignored, because " + opts.Path + " exists: move the settings into the file, or unset the variables",
	}, true
}

// fromEnvironment loads the configuration of the original worker.
func fromEnvironment(opts Options) (*Loaded, error) {
	e := newEnvironment(opts)
	root := e.tree(opts)
	c, err := e.d.config(root)
	if err != nil {
		return nil, err
	}
	e.warn()
	return &Loaded{
		Config: c, Warnings: e.d.warnings, Source: "environment", SHA256: e.digest(),
	}, nil
}

func (e *environment) digest() string {
	h := sha256.New()
	for _, name := range e.names() {
		_, _ = fmt.Fprintf(h, "%s=%d:%s\n", name, len(e.vars[name]), e.vars[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (e *environment) errorf(name, format string, args ...any) {
	e.d.findings = append(e.d.findings, Finding{Key: name, Msg: fmt.Sprintf(format, args...)})
}

// text returns the value of a variable that is no secret, from NAME or NAME_FILE.
func (e *environment) text(name string) string {
	v, path := e.vars[name], e.vars[name+"_FILE"]
	switch {
	case v != "" && path != "":
		e.errorf(name, "excludes %s_FILE: set at most one of the two", name)
	case path != "":
		b, err := readRegular(path, maxSecretBytes)
		if err != nil {
			e.errorf(name+"_FILE", "%s %v", path, err)
			return ""
		}
		v = string(b)
	}
	return strings.TrimSpace(v)
}

// on reads a switch.
func (e *environment) on(name string) bool {
	switch strings.ToLower(e.text(name)) {
	case "true", "1", "yes", "on":
		return true
	case "", "false", "0", "no", "off":
		return false
	default:
		e.errorf(name, "must be true or false")
		return false
	}
}

// set reports whether NAME or NAME_FILE is set.
func (e *environment) set(name string) bool {
	return e.vars[name] != "" || e.vars[name+"_FILE"] != ""
}

// warn says what works and should change, one warning for each kind.
func (e *environment) warn() {
	add := func(names []string, msg string) {
		if len(names) > 0 {
			e.d.warnings = append(e.d.warnings, Finding{Key: strings.Join(names, ", "), Msg: msg})
		}
	}
	inline := slices.DeleteFunc(e.names(Secret), func(n string) bool { return strings.HasSuffix(n, "_FILE") })
	if len(inline) > 0 {
		add(inline, "holds a secret that other processes may see: put it into a file and name that in "+
			strings.Join(inline, "_FILE, ")+"_FILE instead")
	}
	add(e.names(Receiver),
		"has no effect on the daemon: Alertmanager sends the messages; write its configuration with "+
			"aispend alertmanager-config, which reads them")
	add(e.names(Unneeded), "has no effect: an admin key belongs to one organisation already")
	for _, p := range []string{"OPENAI", "ANTHROPIC"} {
		if e.set(p+"_API_KEY") && !e.on("ENABLE_"+p) {
			add([]string{p + "_API_KEY"}, "has no effect: set ENABLE_"+p+"=true")
		}
	}
	if e.set("GCP_BQ_TABLE") && !e.on("ENABLE_VERTEX_BQ") {
		add([]string{"GCP_BQ_TABLE"}, "has no effect: set ENABLE_VERTEX_BQ=true")
	}
}

// tree builds the YAML that the variables stand for, so that both go through the
// same decoder and the same rules.
func (e *environment) tree(opts Options) *yaml.Node {
	root := &yaml.Node{Kind: yaml.MappingNode}
	blocks := &yaml.Node{Kind: yaml.SequenceNode}
	if b := e.openai(); b != nil {
		blocks.Content = append(blocks.Content, b)
	}
	if b := e.anthropic(); b != nil {
		blocks.Content = append(blocks.Content, b)
	}
	if b := e.vertex(); b != nil {
		blocks.Content = append(blocks.Content, b)
	}
	if len(blocks.Content) == 0 && len(e.d.findings) == 0 {
		e.errorf("ENABLE_OPENAI, ENABLE_ANTHROPIC, ENABLE_VERTEX_BQ, ENABLE_VERTEX_BILLING_API",
			"none is true and there is no file %s, so there is nothing to read: write that file "+
				"(start from docs/example.yml), or see it work without any key: aispend demo", opts.Path)
	}
	e.put(root, "providers", blocks)
	e.put(root, "caps", e.caps())
	e.lookback(root)
	e.secretIn(e.section(root, "web"), "admin_token", "ADMIN_TOKEN")
	hook := e.section(root, "hard_cap")
	e.secretIn(hook, "url", "ON_HARDCAP_WEBHOOK")
	e.secretIn(hook, "secret", "ON_HARDCAP_WEBHOOK_SECRET")
	e.listIn(e.section(root, "alertmanager"), "urls", "ALERTMANAGER_URL")
	return root
}

func (e *environment) openai() *yaml.Node {
	b := e.block("openai", "ENABLE_OPENAI", "OPENAI_API_KEY")
	if b != nil {
		e.textIn(b, "organization", "OPENAI_ORG_ID")
		e.listIn(b, "project_ids", "OPENAI_PROJECT_ID")
	}
	return b
}

func (e *environment) anthropic() *yaml.Node {
	return e.block("anthropic", "ENABLE_ANTHROPIC", "ANTHROPIC_API_KEY")
}

func (e *environment) block(provider, enable, key string) *yaml.Node {
	if !e.on(enable) {
		return nil
	}
	if !e.set(key) {
		e.errorf(enable,
			"is true and there is no key: set %s_FILE to a file that holds an admin key, or %s", key, key)
		return nil
	}
	b := e.name(&yaml.Node{Kind: yaml.MappingNode}, enable)
	e.put(b, "type", e.name(text(provider), enable))
	e.secretIn(b, "api_key", key)
	return b
}

// vertex returns the block of a billing export, of a budget, or of both.
func (e *environment) vertex() *yaml.Node {
	const export, budget = "ENABLE_VERTEX_BQ", "ENABLE_VERTEX_BILLING_API"
	first := ""
	for _, name := range []string{export, budget} {
		if e.on(name) {
			first = cmp.Or(first, name)
		}
	}
	if first == "" {
		return nil
	}
	b := e.name(&yaml.Node{Kind: yaml.MappingNode}, first)
	e.put(b, "type", e.name(text("vertex"), first))
	e.secretIn(b, "credentials", "GCP_SA_JSON")
	if e.on(export) {
		bq := e.name(e.section(b, "bigquery"), export)
		var missing []string
		for _, k := range []struct{ key, variable string }{
			{"project", "GCP_BQ_PROJECT"}, {"dataset", "GCP_BQ_DATASET"}, {"table", "GCP_BQ_TABLE"},
		} {
			if !e.set(k.variable) {
				missing = append(missing, k.variable)
			}
			e.textIn(bq, k.key, k.variable)
		}
		if len(missing) > 0 {
			e.errorf(export, "is true and the export has no name: set %s", strings.Join(missing, ", "))
			return nil
		}
	}
	if e.on(budget) && !e.budget(b) {
		return nil
	}
	return b
}

func (e *environment) budget(block *yaml.Node) bool {
	const enable, name, account = "ENABLE_VERTEX_BILLING_API", "GCP_BUDGET_NAME", "GCP_BILLING_ACCOUNT_ID"
	m := e.name(e.section(block, "budget"), enable)
	switch {
	case e.set(name):
		e.textIn(m, "name", name)
	case e.set(account):
		id := strings.TrimPrefix(e.text(account), "billingAccounts/")
		e.put(m, "name", e.name(text("billingAccounts/"+id), e.given(account)))
	case !e.set("GCP_PUBSUB_SUBSCRIPTION"):
		e.errorf(enable, "is true and nothing names a budget: set GCP_BUDGET_NAME (billingAccounts/A/budgets/B), "+
			"GCP_BILLING_ACCOUNT_ID or GCP_PUBSUB_SUBSCRIPTION")
		return false
	}
	e.textIn(m, "subscription", "GCP_PUBSUB_SUBSCRIPTION")
	if !e.set("GCP_PUBSUB_SUBSCRIPTION") {
		e.d.warnings = append(e.d.warnings, Finding{
			Key: enable, Msg: "has limits and no spend: the Budgets API does not tell what is spent; " +
				"connect the budget to a Pub/Sub topic and set GCP_PUBSUB_SUBSCRIPTION",
		})
	}
	return true
}

// caps returns one cap per scope of which a level is given; a blank one is none.
func (e *environment) caps() *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, scope := range builtinScopes() {
		limit := &yaml.Node{Kind: yaml.MappingNode}
		first := ""
		for _, level := range []string{"soft", "hard"} {
			variable := strings.ToUpper(scope + "_" + level + "_cap")
			if amount := e.text(variable); amount != "" {
				e.put(limit, level+"_usd", e.name(text(amount), e.given(variable)))
				first = cmp.Or(first, variable)
			}
		}
		if first == "" {
			continue
		}
		e.put(limit, "scope", e.name(text(scope), first))
		list.Content = append(list.Content, e.name(limit, first))
	}
	return list
}

// lookback turns CRON_LOOKBACK_HOURS into whole days, rounded up.
func (e *environment) lookback(root *yaml.Node) {
	const name = "CRON_LOOKBACK_HOURS"
	s := e.text(name)
	if s == "" {
		return
	}
	hours, err := parseInt(s)
	if err != nil || hours < 1 || hours > int64(maxHistory.Hours()) {
		e.errorf(name, "must be a whole number of hours, from 1 to %d", int64(maxHistory.Hours()))
		return
	}
	days := (hours + 23) / 24
	e.put(e.section(root, "ingest"), "lookback", e.name(text(fmt.Sprintf("%dd", days)), name))
}

func text(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

// name remembers which variable a node stands for.
func (e *environment) name(n *yaml.Node, variable string) *yaml.Node {
	e.d.vars[n] = variable
	return n
}

func (e *environment) put(m *yaml.Node, key string, value *yaml.Node) {
	m.Content = append(m.Content, text(key), value)
}

func (e *environment) section(root *yaml.Node, key string) *yaml.Node {
	s := &yaml.Node{Kind: yaml.MappingNode}
	e.put(root, key, s)
	return s
}

func (e *environment) textIn(m *yaml.Node, key, variable string) {
	if s := e.text(variable); s != "" {
		e.put(m, key, e.name(text(s), e.given(variable)))
	}
}

// listIn reads a list with commas.
func (e *environment) listIn(m *yaml.Node, key, variable string) {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for s := range strings.SplitSeq(e.text(variable), ",") {
		if s = strings.TrimSpace(s); s != "" {
			list.Content = append(list.Content, e.name(text(s), e.given(variable)))
		}
	}
	if len(list.Content) > 0 {
		e.put(m, key, e.name(list, e.given(variable)))
	}
}

// secretIn hands a secret on without reading it: NAME_FILE becomes the file twin.
func (e *environment) secretIn(m *yaml.Node, key, variable string) {
	path := e.vars[variable+"_FILE"]
	switch {
	case path != "" && e.vars[variable] != "":
		e.errorf(variable, "excludes %s_FILE: set at most one of the two", variable)
	case path != "":
		if abs, err := filepath.Abs(path); err == nil {
			path = abs
		}
		e.put(m, key+fileSuffix, e.name(text(path), variable+"_FILE"))
	case e.vars[variable] != "":
		e.put(m, key, e.name(text(e.vars[variable]), variable))
	}
}

// given returns the name that is set: NAME or NAME_FILE.
func (e *environment) given(variable string) string {
	if e.vars[variable] == "" {
		return variable + "_FILE"
	}
	return variable
}
