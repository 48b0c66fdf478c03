// Package config is the operator's side of aispend: the YAML file, the
// environment of the original worker that stands in for a missing file, the
// defaults, the rules, and the view of all that may be shown. The types below
// are the manual of the file: a field says its default, what is allowed, what
// excludes what and how to make the thing it asks for.
//
// Loading has no effect but reading files: whoever loads a configuration decides
// when it takes hold. No error, warning or view ever holds a secret.
package config

import (
	"time"

	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

// Config is one complete, valid configuration. It is never served: Redacted is
// what may be shown. It is immutable after loading and safe for concurrent use.
//
// Durations are written 15m, 36h, 7d, 90d or 1w. Paths are relative to the
// directory of the configuration file. Every secret has a twin whose name ends in
// _file; at most one of the two may be given. A secret file is read anew whenever
// the secret is used, so that a rotated key needs no restart.
type Config struct {
	// Storage says how long the ledger remembers.
	Storage Storage `yaml:"storage"`
	// Ingest holds the schedule that every source follows unless its provider
	// block says otherwise.
	Ingest Ingest `yaml:"ingest"`
	// Metrics bounds what /metrics exposes.
	Metrics Metrics `yaml:"metrics"`
	// Web says who may call the HTTP API. TLS is the business of --web.config.file.
	Web Web `yaml:"web"`
	// Providers lists the bills to read. The pair of type and account is unique.
	Providers []Provider `yaml:"providers"`
	// RetiredAccounts lists accounts, written provider/account, that the ledger
	// knows and that are read no more. Their charges stay in every total. An
	// account that is configured, even if disabled, cannot be retired.
	RetiredAccounts []AccountRef `yaml:"retired_accounts"`
	// Caps are the spend limits. The pair of scope and period is unique.
	Caps []Cap `yaml:"caps"`
	// Alertmanager is who routes the alerts.
	Alertmanager Alertmanager `yaml:"alertmanager"`
	// Links are shown in alerts.
	Links Links `yaml:"links"`
	// HardCap is the hook that a breached hard cap calls.
	HardCap HardCap `yaml:"hard_cap"`
}

// Storage says how long the ledger remembers. Where it lies is --storage.path.
type Storage struct {
	// RawRetention is how long the providers' answers are kept byte for byte; they
	// are what /recompute replays. Default 90d. Whole days, 1d to 3650d.
	RawRetention time.Duration `yaml:"raw_retention"`
	// History is how long charges are kept. Default 800d. Whole days, 62d (so that
	// this month and the previous one are always complete) to 3650d, and not less
	// than metrics.daily_window, ingest.lookback and ingest.initial_history.
	History time.Duration `yaml:"history"`
}

// Ingest is the schedule of the pulls.
type Ingest struct {
	// Interval is the time between two pulls of one source. Default 15m. From 1s to 7d.
	Interval time.Duration `yaml:"interval"`
	// Lookback is how many days every pull reads again: bills of recent days are
	// revised. Default 7d. Whole days, at least 1d.
	Lookback time.Duration `yaml:"lookback"`
	// InitialHistory is how far the first load reaches back; see HistoryStart.
	// Default 90d. Whole days, at least 1d.
	InitialHistory time.Duration `yaml:"initial_history"`
	// Timeout bounds one whole pull, all pages and retries included. Default 5m.
	// From 1s to 1h.
	Timeout time.Duration `yaml:"timeout"`
}

// Metrics bounds what /metrics exposes.
type Metrics struct {
	// DailyWindow is how many days carry the day label. Default 35d. Whole days, at
	// most 400d; 0 turns the family aispend_daily_cost_usd off.
	DailyWindow time.Duration `yaml:"daily_window"`
	// MaxSeries is the budget of money series. Above it the cheapest models fold
	// into model="folded"; sums never change. Default 20000. At least 1.
	MaxSeries int `yaml:"max_series"`
	// ByProject adds aispend_project_month_cost_usd. Default false.
	ByProject bool `yaml:"by_project"`
}

// Web says who may call the HTTP API.
type Web struct {
	// AdminToken opens the routes that change or reveal something; they answer 403
	// with a hint while it is not set. Several tokens, one per line, are accepted
	// during a rotation. Make one with: openssl rand -hex 32. Twin: admin_token_file.
	// Cannot be combined with basic_auth_users in --web.config.file.
	AdminToken *secret.Value `yaml:"admin_token"`
	// ReadToken guards the read routes and, unless MetricsOpen, /metrics. Not set:
	// they are open. Several as for AdminToken, which also reads. Twin: read_token_file.
	ReadToken *secret.Value `yaml:"read_token"`
	// MetricsOpen leaves /metrics open although a read token is set. Default false.
	MetricsOpen bool `yaml:"metrics_open"`
}

// Provider is one block of providers: one organisation whose bill is read. The
// remaining keys of a block belong to its type; docs/configuration.md lists them.
type Provider struct {
	// Type is openai, anthropic or vertex. Required.
	Type string `yaml:"type"`
	// Account names the organisation in labels, the API and the ledger. Default
	// "default". 1 to 64 of A-Z a-z 0-9 _ . -, unique within the type. To rename
	// one, see PreviousNames.
	Account string `yaml:"account"`
	// Enabled false keeps the account known without pulling it. Default true.
	Enabled bool `yaml:"enabled"`
	// Interval replaces ingest.interval, and the 1h of vertex/bigquery, for this block.
	// From 1s to 7d.
	Interval time.Duration `yaml:"interval"`
	// Lookback replaces ingest.lookback, and the 40d of vertex/bigquery, for this block.
	// Whole days, at least 1d.
	Lookback time.Duration `yaml:"lookback"`
	// Timeout replaces ingest.timeout for this block. From 1s to 1h.
	Timeout time.Duration `yaml:"timeout"`
	// MaxStaleness is how old the newest billed day may be before the source counts
	// as stale. Default by source: openai 6h, anthropic 30h, vertex/bigquery 48h,
	// vertex/budget 12h. At least 1m.
	MaxStaleness time.Duration `yaml:"max_staleness"`
	// ProxyURL is the proxy for this block: http, https or socks5. Not set: the
	// proxy of the environment. A user name and password in it make it a secret,
	// so it is treated as one. Twin: proxy_url_file.
	ProxyURL *secret.Value `yaml:"proxy_url"`
	// CAFile holds PEM certificates to trust instead of the system's. Not set: the
	// system's.
	CAFile string `yaml:"ca_file"`
	// PreviousNames lists former values of Account, so that charges in the ledger
	// move to the new name. None of them may be a configured account of the type.
	PreviousNames []string `yaml:"previous_names"`

	// Settings are the vendor's own keys of the block, decoded and valid. Those of
	// a disabled block are decoded but not validated.
	Settings providers.Settings `yaml:"-"`
	// Sources are the endpoint families of the block.
	Sources []providers.SourceType `yaml:"-"`
}

// Cap is a spend limit over the sum of everything it matches. All periods are UTC.
type Cap struct {
	// Scope is openai, anthropic, vertex or global, which take no match, or any
	// other name of at most 64 bytes, which needs one. Required.
	Scope string `yaml:"scope"`
	// Period is day, week (ISO, from Monday) or month. Default month.
	Period string `yaml:"period"`
	// Cost is net (of credits) or gross. Default net.
	Cost string `yaml:"cost"`
	// Soft is the level that warns. 0 or empty: none. Not above Hard.
	Soft spend.Money `yaml:"soft_usd"`
	// Hard is the level that is critical and calls the hard-cap hook. 0 or empty: none.
	Hard spend.Money `yaml:"hard_usd"`
	// Match selects the charges of a named scope. Absent on a built-in scope.
	Match Match `yaml:"match"`
}

// Match selects charges; an empty field selects everything, at least one is given.
type Match struct {
	// Provider is a provider type.
	Provider string `yaml:"provider"`
	// Account is an account name.
	Account string `yaml:"account"`
	// Project is a project or workspace id.
	Project string `yaml:"project"`
	// Model is a model name in which * stands for any characters.
	Model string `yaml:"model"`
}

// Alertmanager is who routes the alerts.
type Alertmanager struct {
	// URLs lists every member of the cluster, http or https, without credentials.
	URLs []string `yaml:"urls"`
}

// Links are shown in alerts, through aispend_links_info.
type Links struct {
	// ExternalURL is where people reach this daemon.
	ExternalURL string `yaml:"external_url"`
	// DashboardURL is where people look at the spend.
	DashboardURL string `yaml:"dashboard_url"`
}

// HardCap is the hook that a breached hard cap calls.
type HardCap struct {
	// URL is the user's own hook, https unless on loopback. It is a secret: the view
	// shows its host only. Not set: deliveries are recorded and nothing is sent.
	// Twin: url_file.
	URL *secret.Value `yaml:"url"`
	// Secret signs deliveries as Standard Webhooks do: whsec_ and the base64 form of
	// 24 to 64 random bytes. Make one with: echo whsec_$(openssl rand -base64 32).
	// Several, one per line, all sign during a rotation. Not set: deliveries are not
	// signed. Twin: secret_file.
	Secret *secret.Value `yaml:"secret"`
	// InboundToken is what Alertmanager must present to /webhook/hard-cap. Set: the
	// only token accepted there; not set: the admin token is. Several as for
	// web.admin_token. Twin: inbound_token_file.
	InboundToken *secret.Value `yaml:"inbound_token"`
	// DryRun records deliveries and sends none. Default false.
	DryRun bool `yaml:"dry_run"`
}
