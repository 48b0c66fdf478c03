package config_test

import (
	"testing"
	"time"

	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

func TestForSource(t *testing.T) {
	c := config.Default()
	c.Ingest = config.Ingest{Interval: 10 * time.Minute, Lookback: 5 * day, Timeout: 3 * time.Minute}
	typed := providers.SourceType{Interval: hour, Lookback: 40 * day, MaxStaleness: 6 * hour}
	block := config.Provider{Interval: 2 * time.Minute, Lookback: 2 * day, Timeout: time.Minute, MaxStaleness: 9 * hour}
	tests := map[string]struct {
		block config.Provider
		typed providers.SourceType
		want  config.SourceSettings
	}{
		"global": {
			config.Provider{},
			providers.SourceType{},
			config.SourceSettings{Interval: 10 * time.Minute, Lookback: 5 * day, Timeout: 3 * time.Minute, MaxStaleness: 48 * hour},
		},
		"type before global": {
			config.Provider{},
			typed,
			config.SourceSettings{Interval: hour, Lookback: 40 * day, Timeout: 3 * time.Minute, MaxStaleness: 6 * hour},
		},
		"block before type": {
			block, typed,
			config.SourceSettings{Interval: 2 * time.Minute, Lookback: 2 * day, Timeout: time.Minute, MaxStaleness: 9 * hour},
		},
	}
	for name, tt := range tests {
		if got := c.ForSource(tt.block, tt.typed); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestHistoryStart(t *testing.T) {
	tests := []struct {
		today   spend.Day
		history time.Duration
		want    spend.Day
	}{
		{spend.Date(2026, 11, 23), 90 * day, spend.Date(2026, 8, 25)},
		{spend.Date(2026, 11, 23), day, spend.Date(2026, 10, 1)},
		{spend.Date(2026, 8, 31), 60 * day, spend.Date(2026, 7, 1)},
		{spend.Date(2026, 8, 31), 62 * day, spend.Date(2026, 6, 30)},
		{spend.Date(2026, 1, 1), 7 * day, spend.Date(2025, 12, 1)},
	}
	for _, tt := range tests {
		if got := (config.Ingest{InitialHistory: tt.history}).HistoryStart(tt.today); got != tt.want {
			t.Errorf("%v back from %v: %v, want %v", tt.history, tt.today, got, tt.want)
		}
	}
}

// TestShortestHistoryHoldsTwoMonths says why storage.history starts at 62d.
func TestShortestHistoryHoldsTwoMonths(t *testing.T) {
	for d := spend.Date(2023, 1, 1); d < spend.Date(2033, 1, 1); d++ {
		if back := int(d - d.AddMonths(-1)); back >= 62 {
			t.Fatalf("the previous month of %v starts %d days back", d, back)
		}
	}
}

func TestCheckWebConfig(t *testing.T) {
	const users = "tls_server_config: {cert_file: a, key_file: b}\nbasic_auth_users:\n  alice: $2y$10$CANARY\n"
	bearer := "providers: [{type: openai, api_key: sk-CANARY}]\nweb: {read_token: CANARY}\n"
	inbound := "hard_cap: {inbound_token: CANARY}\n"
	tests := map[string]struct{ web, text, want string }{
		"users and no token":     {users, "", ""},
		"token and no users":     {"basic_auth_users: {}\n", bearer, ""},
		"token and tls":          {"tls_server_config: {cert_file: a, key_file: b}\n", bearer, ""},
		"empty file":             {"", bearer, ""},
		"users and read token":   {users, bearer, "web.read_token"},
		"users and hook's token": {users, inbound, "hard_cap.inbound_token"},
		"users and admin token":  {users, "web: {admin_token_file: secrets/tokens}", "web.admin_token"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := write(t, "web.yml", tt.web)
			err := config.CheckWebConfig(path, parse(t, tt.text))
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			want := path + ":2: basic_auth_users: cannot be combined with " + tt.want + ": basic authentication refuses every " +
				"bearer token; remove the users, or remove all tokens from the configuration"
			if err == nil || err.Error() != want {
				t.Errorf("error = %v\nwant    %s", err, want)
			}
		})
	}
	if err := config.CheckWebConfig("", parse(t, bearer)); err != nil {
		t.Error(err)
	}
	if err := config.CheckWebConfig("/nowhere/web.yml", parse(t, bearer)); err == nil {
		t.Error("a missing file is fine")
	}
	if err := config.CheckWebConfig(write(t, "web.yml", "a: [\n"), parse(t, bearer)); err == nil {
		t.Error("a broken file is fine")
	}
}

// TestWebConfigGuards knows what keeps strangers out, and that TLS alone does not.
func TestWebConfigGuards(t *testing.T) {
	for _, tt := range []struct {
		text string
		want bool
	}{
		{"", false},
		{"tls_server_config: {cert_file: a, key_file: b}\n", false},
		{"tls_server_config: {client_auth_type: RequestClientCert}\n", false},
		{"tls_server_config: {client_auth_type: RequireAndVerifyClientCert}\n", true},
		{"basic_auth_users: {}\n", false},
		{"basic_auth_users: {anna: x}\n", true},
		{"a: [\n", false},
	} {
		if got := config.WebConfigGuards(write(t, "web.yml", tt.text)); got != tt.want {
			t.Errorf("%q guards: %t, want %t", tt.text, got, tt.want)
		}
	}
	if config.WebConfigGuards("") {
		t.Error("no file guards")
	}
}
