package config

import (
	"encoding"
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/spend"
)

// View is what may be shown of a Config, shaped like the file. It is a type of its
// own that copies field by field: what is added to Config is not shown until
// somebody decides so here. Secrets are "<secret>", or show the path of their
// file; the hook shows its host. It encodes to JSON and YAML.
type View struct {
	Storage struct {
		RawRetention string `json:"raw_retention" yaml:"raw_retention"`
		History      string `json:"history" yaml:"history"`
	} `json:"storage" yaml:"storage"`
	Ingest struct {
		Interval       string `json:"interval" yaml:"interval"`
		Lookback       string `json:"lookback" yaml:"lookback"`
		InitialHistory string `json:"initial_history" yaml:"initial_history"`
		Timeout        string `json:"timeout" yaml:"timeout"`
	} `json:"ingest" yaml:"ingest"`
	Metrics struct {
		DailyWindow string `json:"daily_window" yaml:"daily_window"`
		MaxSeries   int    `json:"max_series" yaml:"max_series"`
		ByProject   bool   `json:"by_project" yaml:"by_project"`
	} `json:"metrics" yaml:"metrics"`
	Web struct {
		AdminToken     string `json:"admin_token,omitempty" yaml:"admin_token,omitempty"`
		AdminTokenFile string `json:"admin_token_file,omitempty" yaml:"admin_token_file,omitempty"`
		ReadToken      string `json:"read_token,omitempty" yaml:"read_token,omitempty"`
		ReadTokenFile  string `json:"read_token_file,omitempty" yaml:"read_token_file,omitempty"`
		MetricsOpen    bool   `json:"metrics_open" yaml:"metrics_open"`
	} `json:"web" yaml:"web"`
	// Providers are mappings, because every type has keys of its own.
	Providers       []map[string]any `json:"providers" yaml:"providers"`
	RetiredAccounts []AccountRef     `json:"retired_accounts" yaml:"retired_accounts"`
	Caps            []ViewCap        `json:"caps" yaml:"caps"`
	Alertmanager    struct {
		URLs []string `json:"urls" yaml:"urls"`
	} `json:"alertmanager" yaml:"alertmanager"`
	Links struct {
		ExternalURL  string `json:"external_url,omitempty" yaml:"external_url,omitempty"`
		DashboardURL string `json:"dashboard_url,omitempty" yaml:"dashboard_url,omitempty"`
	} `json:"links" yaml:"links"`
	HardCap struct {
		URL              string `json:"url,omitempty" yaml:"url,omitempty"`
		URLFile          string `json:"url_file,omitempty" yaml:"url_file,omitempty"`
		Secret           string `json:"secret,omitempty" yaml:"secret,omitempty"`
		SecretFile       string `json:"secret_file,omitempty" yaml:"secret_file,omitempty"`
		InboundToken     string `json:"inbound_token,omitempty" yaml:"inbound_token,omitempty"`
		InboundTokenFile string `json:"inbound_token_file,omitempty" yaml:"inbound_token_file,omitempty"`
		DryRun           bool   `json:"dry_run" yaml:"dry_run"`
	} `json:"hard_cap" yaml:"hard_cap"`
}

// ViewCap is one cap of a View; a level that is off is absent.
type ViewCap struct {
	Scope  string      `json:"scope" yaml:"scope"`
	Period string      `json:"period" yaml:"period"`
	Cost   string      `json:"cost" yaml:"cost"`
	Soft   json.Number `json:"soft_usd,omitempty" yaml:"soft_usd,omitempty"`
	Hard   json.Number `json:"hard_usd,omitempty" yaml:"hard_usd,omitempty"`
	Match  *ViewMatch  `json:"match,omitempty" yaml:"match,omitempty"`
}

// ViewMatch is the match of a named cap.
type ViewMatch struct {
	Provider string `json:"provider,omitempty" yaml:"provider,omitempty"`
	Account  string `json:"account,omitempty" yaml:"account,omitempty"`
	Project  string `json:"project,omitempty" yaml:"project,omitempty"`
	Model    string `json:"model,omitempty" yaml:"model,omitempty"`
}

// Redacted returns what may be shown of the effective configuration.
func (c *Config) Redacted() View {
	var v View
	v.Storage.RawRetention = formatDuration(c.Storage.RawRetention)
	v.Storage.History = formatDuration(c.Storage.History)
	v.Ingest.Interval = formatDuration(c.Ingest.Interval)
	v.Ingest.Lookback = formatDuration(c.Ingest.Lookback)
	v.Ingest.InitialHistory = formatDuration(c.Ingest.InitialHistory)
	v.Ingest.Timeout = formatDuration(c.Ingest.Timeout)
	v.Metrics.DailyWindow = formatDuration(c.Metrics.DailyWindow)
	v.Metrics.MaxSeries = c.Metrics.MaxSeries
	v.Metrics.ByProject = c.Metrics.ByProject
	v.Web.AdminToken, v.Web.AdminTokenFile = viewSecret(c.Web.AdminToken)
	v.Web.ReadToken, v.Web.ReadTokenFile = viewSecret(c.Web.ReadToken)
	v.Web.MetricsOpen = c.Web.MetricsOpen
	v.Providers = []map[string]any{}
	for _, p := range c.Providers {
		v.Providers = append(v.Providers, c.viewProvider(p))
	}
	v.RetiredAccounts = append([]AccountRef{}, c.RetiredAccounts...)
	v.Caps = []ViewCap{}
	for _, limit := range c.Caps {
		v.Caps = append(v.Caps, viewCap(limit))
	}
	v.Alertmanager.URLs = append([]string{}, c.Alertmanager.URLs...)
	v.Links.ExternalURL, v.Links.DashboardURL = c.Links.ExternalURL, c.Links.DashboardURL
	v.HardCap.URL, v.HardCap.URLFile = viewHost(c.HardCap.URL), c.HardCap.URL.File()
	v.HardCap.Secret, v.HardCap.SecretFile = viewSecret(c.HardCap.Secret)
	v.HardCap.InboundToken, v.HardCap.InboundTokenFile = viewSecret(c.HardCap.InboundToken)
	v.HardCap.DryRun = c.HardCap.DryRun
	return v
}

// viewSecret shows that a secret is set, or where its file is.
func viewSecret(v *secret.Value) (text, file string) {
	switch {
	case !v.Set():
		return "", ""
	case v.File() != "":
		return "", v.File()
	default:
		return secret.Mask, ""
	}
}

// viewHost shows the host of a secret URL; the path holds the token.
func viewHost(v *secret.Value) string {
	if !v.Set() {
		return ""
	}
	if u := parseSecret(v); u != nil && u.Host != "" {
		return u.Host
	}
	return secret.Mask
}

func parseSecret(v *secret.Value) *url.URL {
	if !v.Set() {
		return nil
	}
	text, err := v.Get()
	if err != nil {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil
	}
	return u
}

func viewCap(c Cap) ViewCap {
	v := ViewCap{Scope: c.Scope, Period: c.Period, Cost: c.Cost}
	v.Soft, v.Hard = viewMoney(c.Soft), viewMoney(c.Hard)
	if c.Match != (Match{}) {
		v.Match = &ViewMatch{
			Provider: c.Match.Provider, Account: c.Match.Account,
			Project: c.Match.Project, Model: c.Match.Model,
		}
	}
	return v
}

func viewMoney(m spend.Money) json.Number {
	if m.IsZero() {
		return ""
	}
	return json.Number(m.String())
}

// viewProvider shows one block with its vendor's keys, and under sources the
// schedule that each source follows.
func (c *Config) viewProvider(p Provider) map[string]any {
	m := map[string]any{"type": p.Type, "account": p.Account, "enabled": p.Enabled}
	for key, d := range map[string]time.Duration{
		"interval": p.Interval, "lookback": p.Lookback, "timeout": p.Timeout, "max_staleness": p.MaxStaleness,
	} {
		if d != 0 {
			m[key] = formatDuration(d)
		}
	}
	if f := p.ProxyURL.File(); f != "" {
		m["proxy_url_file"] = f
	} else if u := parseSecret(p.ProxyURL); u != nil {
		m["proxy_url"] = (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
	}
	if p.CAFile != "" {
		m["ca_file"] = p.CAFile
	}
	if len(p.PreviousNames) > 0 {
		m["previous_names"] = p.PreviousNames
	}
	viewSettings(m, reflect.ValueOf(p.Settings).Elem())
	sources := map[string]any{}
	for _, t := range p.Sources {
		s := c.ForSource(p, t)
		sources[t.Name] = map[string]string{
			"interval": formatDuration(s.Interval), "lookback": formatDuration(s.Lookback),
			"timeout": formatDuration(s.Timeout), "max_staleness": formatDuration(s.MaxStaleness),
		}
	}
	m["sources"] = sources
	return m
}

// viewSettings shows a vendor's settings by their yaml tags, without what is unset.
func viewSettings(m map[string]any, v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case strings.Contains(opts, "inline"):
			viewSettings(m, v.Field(i))
		default:
			viewSetting(m, name, v.Field(i))
		}
	}
}

func viewSetting(m map[string]any, name string, v reflect.Value) {
	switch x := v.Interface().(type) {
	case *secret.Value:
		if text, file := viewSecret(x); file != "" {
			m[name+fileSuffix] = file
		} else if text != "" {
			m[name] = text
		}
		return
	case time.Duration:
		m[name] = formatDuration(x)
		return
	case encoding.TextMarshaler:
		m[name] = x
		return
	}
	switch {
	case v.Kind() == reflect.Struct:
		sub := map[string]any{}
		viewSettings(sub, v)
		m[name] = sub
	case v.IsZero():
	case v.Kind() == reflect.String:
		m[name] = withoutUser(v.String())
	default:
		m[name] = v.Interface()
	}
}

// withoutUser drops the user name and password of a URL.
func withoutUser(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.User == nil {
		return s
	}
	u.User = nil
	return u.String()
}
