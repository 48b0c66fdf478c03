package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aispend/aispend/spend"
)

// Rename moves the charges of one account of a provider to its new name.
type Rename struct {
	Provider string
	From     string
	To       string
}

// AccountsCheck compares the accounts that the ledger holds charges of with those
// that the configuration names, and returns the renames to perform before the
// first pull. An account that is in the ledger and not in the configuration is an
// error that names the two ways on: left alone its charges would be counted once
// more under the account's new name. A disabled block names its account. A rename
// that is done already, or whose account the ledger never knew, is no rename.
func AccountsCheck(ledger []spend.SourceID, c *Config) ([]Rename, error) {
	known := ledgerAccounts(ledger)
	configured := map[AccountRef]bool{}
	successor := map[AccountRef]Provider{}
	for _, p := range c.Providers {
		configured[p.ref()] = true
		for _, name := range p.PreviousNames {
			successor[AccountRef{p.Type, name}] = p
		}
	}
	var renames []Rename
	var errs []error
	taken := map[AccountRef]AccountRef{} // new name to the old one
	for _, ref := range known {
		if configured[ref] || slices.Contains(c.RetiredAccounts, ref) {
			continue
		}
		p, ok := successor[ref]
		if !ok {
			errs = append(errs, unknownAccount(ref, known, c))
			continue
		}
		if err := ambiguous(ref, p, known, taken); err != nil {
			errs = append(errs, err)
			continue
		}
		taken[p.ref()] = ref
		renames = append(renames, Rename{Provider: ref.Provider, From: ref.Account, To: p.Account})
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return renames, nil
}

// ledgerAccounts returns each account once, sorted.
func ledgerAccounts(ledger []spend.SourceID) []AccountRef {
	refs := make([]AccountRef, 0, len(ledger))
	for _, id := range ledger {
		refs = append(refs, AccountRef{id.Provider, id.Account})
	}
	slices.SortFunc(refs, func(a, b AccountRef) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(refs)
}

// ambiguous reports a rename that would put two histories into one account.
func ambiguous(ref AccountRef, p Provider, known []AccountRef, taken map[AccountRef]AccountRef) error {
	other, twice := taken[p.ref()]
	if !twice && !slices.Contains(known, p.ref()) {
		return nil
	}
	if !twice {
		other = p.ref()
	}
	return fmt.Errorf(
		"previous_names of the %s block with account %s lists %s, and the ledger holds charges of both %s "+
			"and %s: "+
			"two histories cannot become one, because days that both hold would be counted twice or lost; "+
			"take %s out of previous_names and keep its charges in the totals with retired_accounts: %s",
		p.Type, p.Account, ref.Account, other, ref, ref.Account, flow(ref))
}

// unknownAccount says the two ways on for charges without an account, with the
// very lines to write.
func unknownAccount(ref AccountRef, known []AccountRef, c *Config) error {
	var heirs []string
	for _, p := range c.Providers {
		if p.Type == ref.Provider && !slices.Contains(known, p.ref()) {
			heirs = append(heirs, p.Account)
		}
	}
	renamed := "write  previous_names: [" + ref.Account + "]  into the " + ref.Provider + " block of its new name"
	if len(heirs) > 0 {
		renamed += " (account: " + oneOf(heirs) + ")"
	}
	return fmt.Errorf("the ledger holds charges of %s, and the configuration names no such account: "+
		"if it was renamed, %s; if it is gone for good, write  retired_accounts: %s  at the top level "+
		"(its charges stay in the totals, nothing is pulled)",
		ref, renamed, flow(append(slices.Clone(c.RetiredAccounts), ref)...))
}

// flow writes a list the way it is written on one line of YAML.
func flow(refs ...AccountRef) string {
	words := make([]string, len(refs))
	for i, r := range refs {
		words[i] = r.String()
	}
	return "[" + strings.Join(words, ", ") + "]"
}
