package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/spend"
)

// ledgerOf writes sources as provider/account.
func ledgerOf(refs ...string) []spend.SourceID {
	var ids []spend.SourceID
	for _, r := range refs {
		provider, account, _ := strings.Cut(r, "/")
		for _, source := range []string{"/usage", "/costs"} {
			ids = append(ids, spend.SourceID{Provider: provider, Account: account, Source: provider + source})
		}
	}
	return ids
}

func TestAccountsCheckRenames(t *testing.T) {
	const acme = "providers: [{type: openai, account: acme, api_key: sk-CANARY, previous_names: [default, older]}]\n"
	tests := map[string]struct {
		text   string
		ledger []spend.SourceID
		want   []config.Rename
	}{
		"empty ledger":      {acme, nil, nil},
		"known":             {acme, ledgerOf("openai/acme"), nil},
		"disabled is known": {"providers: [{type: openai, enabled: false}]", ledgerOf("openai/default"), nil},
		"retired is known":  {"retired_accounts: [openai/default]", ledgerOf("openai/default"), nil},
		"renamed":           {acme, ledgerOf("openai/default"), []config.Rename{{Provider: "openai", From: "default", To: "acme"}}},
		"renamed long ago":  {acme, ledgerOf("openai/older"), []config.Rename{{Provider: "openai", From: "older", To: "acme"}}},
		"two providers": {
			acme + "retired_accounts: [anthropic/default]",
			ledgerOf("openai/default", "anthropic/default"),
			[]config.Rename{{Provider: "openai", From: "default", To: "acme"}},
		},
		"two blocks": {
			"providers:\n  - {type: openai, account: b, api_key: sk-1, previous_names: [a]}\n" +
				"  - {type: openai, account: d, api_key: sk-2, previous_names: [c]}",
			ledgerOf("openai/c", "openai/a"),
			[]config.Rename{{Provider: "openai", From: "a", To: "b"}, {Provider: "openai", From: "c", To: "d"}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := config.AccountsCheck(tt.ledger, parse(t, tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("renames (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAccountsCheckErrors(t *testing.T) {
	const head = "the ledger holds charges of openai/default, and the configuration names no such account: if it was renamed, " +
		"write  previous_names: [default]  into the openai block of its new name"
	const tail = "  at the top level (its charges stay in the totals, nothing is pulled)"
	const acme = "providers: [{type: openai, account: acme, api_key: sk-CANARY}]\n"
	tests := map[string]struct {
		text   string
		ledger []spend.SourceID
		want   string
	}{
		"no block": {
			"", ledgerOf("openai/default"),
			head + "; if it is gone for good, write  retired_accounts: [openai/default]" + tail,
		},
		"one heir": {
			acme, ledgerOf("openai/default"),
			head + " (account: acme); if it is gone for good, write  retired_accounts: [openai/default]" + tail,
		},
		"heir has charges of its own": {
			acme, ledgerOf("openai/default", "openai/acme"),
			head + "; if it is gone for good, write  retired_accounts: [openai/default]" + tail,
		},
		"others are retired": {
			acme + "retired_accounts: [openai/a, anthropic/b]", ledgerOf("openai/default"),
			head + " (account: acme); if it is gone for good, write  retired_accounts: [openai/a, anthropic/b, openai/default]" + tail,
		},
		"same account of another provider": {
			"providers: [{type: anthropic, api_key: sk-CANARY}]", ledgerOf("openai/default"),
			head + "; if it is gone for good, write  retired_accounts: [openai/default]" + tail,
		},
		"rename onto charges": {
			"providers: [{type: openai, account: acme, api_key: sk-CANARY, previous_names: [default]}]",
			ledgerOf("openai/default", "openai/acme"),
			"previous_names of the openai block with account acme lists default, and the ledger holds charges of both openai/acme and openai/default: " +
				"two histories cannot become one, because days that both hold would be counted twice or lost; " +
				"take default out of previous_names and keep its charges in the totals with retired_accounts: [openai/default]",
		},
		"two into one": {
			"providers: [{type: openai, account: acme, api_key: sk-CANARY, previous_names: [a, b]}]",
			ledgerOf("openai/b", "openai/a"),
			"previous_names of the openai block with account acme lists b, and the ledger holds charges of both openai/a and openai/b: " +
				"two histories cannot become one, because days that both hold would be counted twice or lost; " +
				"take b out of previous_names and keep its charges in the totals with retired_accounts: [openai/b]",
		},
		"two unknown": {
			"", ledgerOf("openai/default", "anthropic/x"),
			strings.NewReplacer("openai", "anthropic", "default", "x").Replace(
				head+"; if it is gone for good, write  retired_accounts: [openai/default]"+tail) + "\n" +
				head + "; if it is gone for good, write  retired_accounts: [openai/default]" + tail,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			renames, err := config.AccountsCheck(tt.ledger, parse(t, tt.text))
			if err == nil || renames != nil {
				t.Fatalf("renames %v, error %v", renames, err)
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAdviceWorks follows the advice of the error and loads again.
func TestAdviceWorks(t *testing.T) {
	const key = "providers: [{type: openai, account: acme, api_key: sk-CANARY"
	ledger := ledgerOf("openai/default")
	_, err := config.AccountsCheck(ledger, parse(t, key+"}]"))
	if err == nil {
		t.Fatal("no error")
	}
	parts := strings.Split(err.Error(), "  ")
	if len(parts) != 5 {
		t.Fatalf("the lines to write do not stand out: %q", parts)
	}
	renames, err := config.AccountsCheck(ledger, parse(t, key+", "+parts[1]+"}]"))
	if err != nil || len(renames) != 1 {
		t.Errorf("%q brings %v, %v", parts[1], renames, err)
	}
	renames, err = config.AccountsCheck(ledger, parse(t, key+"}]\n"+parts[3]))
	if err != nil || len(renames) != 0 {
		t.Errorf("%q brings %v, %v", parts[3], renames, err)
	}
}
