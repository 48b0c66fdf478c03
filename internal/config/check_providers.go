package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aispend/aispend/providers"
)

func blockKey(i int) string { return fmt.Sprintf("providers[%d]", i) }

// blockOf returns the index of the provider block that a key path lies in, or -1.
func blockOf(key string) int {
	rest, ok := strings.CutPrefix(key, "providers[")
	if !ok {
		return -1
	}
	num, _, _ := strings.Cut(rest, "]")
	i, err := strconv.Atoi(num)
	if err != nil {
		return -1
	}
	return i
}

// reason drops the path that a file error repeats.
func reason(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

func (d *decoder) checkProviders(c *Config) {
	byName := map[AccountRef]int{}
	for i, p := range c.Providers {
		key := blockKey(i)
		if !validAccount(p.Account) {
			d.errorf(key+".account", "%s is not an account name: 1 to 64 letters, digits, _ . or -", quote(p.Account))
		}
		if first, twice := byName[p.ref()]; twice {
			d.errorf(key, "is a second block for %s (the first is %s on line %d): give it another account",
				p.ref(), blockKey(first), d.places[blockKey(first)].line)
		} else {
			byName[p.ref()] = i
		}
		d.checkBlock(key, p, c)
	}
	d.checkPreviousNames(c, byName)
	d.checkCredentials(c)
	if !slices.ContainsFunc(c.Providers, func(p Provider) bool { return p.Enabled }) {
		d.warnf("providers", "no provider is enabled: nothing will be pulled")
	}
}

// ref returns the block's account as the ledger knows it.
func (p Provider) ref() AccountRef { return AccountRef{p.Type, p.Account} }

func (d *decoder) checkBlock(key string, p Provider, c *Config) {
	if d.given(key + ".interval") {
		d.span(key+".interval", p.Interval, minInterval, maxInterval)
	}
	if d.given(key + ".timeout") {
		d.span(key+".timeout", p.Timeout, minTimeout, maxTimeout)
	}
	if d.given(key + ".lookback") {
		d.reach(key+".lookback", p.Lookback, c)
	}
	if d.given(key + ".max_staleness") {
		d.span(key+".max_staleness", p.MaxStaleness, minStaleness, maxHistory)
	}
	if !p.Enabled {
		return // its key may be gone already
	}
	d.secretURL(key+".proxy_url", p.ProxyURL, proxyRule)
	d.checkCAFile(key+".ca_file", p.CAFile)
	if err := p.Settings.Validate(); err != nil {
		d.vendorFinding(key, err)
	}
}

func (d *decoder) checkCAFile(key, path string) {
	if path == "" {
		return
	}
	b, err := readRegular(path, maxFileBytes)
	if err != nil {
		d.errorf(key, "%s %v", path, err)
		return
	}
	if !x509.NewCertPool().AppendCertsFromPEM(b) {
		d.errorf(key, "%s holds no certificate: write PEM blocks that begin with -----BEGIN CERTIFICATE-----", path)
	}
}

// checkPreviousNames sees that every former name leads to one block.
func (d *decoder) checkPreviousNames(c *Config, byName map[AccountRef]int) {
	claimed := map[AccountRef]int{}
	for i, p := range c.Providers {
		for j, name := range p.PreviousNames {
			key := fmt.Sprintf("%s.previous_names[%d]", blockKey(i), j)
			ref := AccountRef{p.Type, name}
			if !validAccount(name) {
				d.errorf(key, "%s is not an account name: 1 to 64 letters, digits, _ . or -", quote(name))
				continue
			}
			if at, ok := byName[ref]; ok {
				d.errorf(key,
					"%s is configured (%s): a former name cannot be in use; remove it here, or rename that account",
					ref, blockKey(at))
			}
			if at, ok := claimed[ref]; ok {
				d.errorf(key,
					"%s is also a former name of %s: its charges can move to one account only", ref, blockKey(at))
			}
			if slices.Contains(c.RetiredAccounts, ref) {
				d.errorf(key, "%s is also in retired_accounts: its charges either move or stay, keep one of the two", ref)
			}
			claimed[ref] = i
		}
	}
}

// checkCredentials refuses to count one bill twice.
func (d *decoder) checkCredentials(c *Config) {
	digests := make([]*digest, len(c.Providers)) // nil: no key to compare
	for i, p := range c.Providers {
		if !p.Enabled {
			continue
		}
		if b, ok := p.Settings.(providers.Biller); ok {
			d.checkBill(c, i, b.Bill())
			continue
		}
		text, ok := d.secretText(p.Settings.Credential())
		if !ok {
			continue // checkSecrets has reported the file
		}
		d.checkKey(d.givenKey(blockKey(i)+".api_key"), text, d.types[p.Type])
		digests[i] = digestOf(text)
		for j, other := range c.Providers[:i] {
			if other.Type == p.Type && digests[i].equal(digests[j]) && !disjoint(p.Settings, other.Settings) {
				d.errorf(blockKey(i), "has the same key as %s (line %d), so the bill would be counted twice: "+
					"remove one of the blocks, or limit both to different projects or workspaces",
					blockKey(j), d.places[blockKey(j)].line)
			}
		}
	}
}

// checkBill refuses a second block of one bill, whatever the keys.
func (d *decoder) checkBill(c *Config, i int, bill string) {
	for j, other := range c.Providers[:i] {
		if b, ok := other.Settings.(providers.Biller); ok && other.Enabled && bill != "" && b.Bill() == bill {
			d.errorf(blockKey(i), "reads the same bill as %s (line %d), %s, so it would be counted twice: "+
				"remove one of the blocks", blockKey(j), d.places[blockKey(j)].line, bill)
		}
	}
}

// checkKey looks at a key as a person would: none of this needs to ask the provider.
// What only looks wrong is a warning, since a gateway may have keys of its own.
func (d *decoder) checkKey(key, text string, t providers.Type) {
	if len(t.WrongKeys) == 0 {
		return
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		d.errorf(key, "has white space, a line end, a byte order mark or another character in it that no key has: "+
			"write the key and nothing else, on one line")
		return
	}
	for _, start := range slices.Sorted(maps.Keys(t.WrongKeys)) {
		if strings.HasPrefix(text, start) {
			d.warnf(key, "looks like %s (%s...), which the billing API refuses: it wants %s", t.WrongKeys[start], start, t.Right)
			return
		}
	}
}

// disjoint reports whether two blocks can have no charge in common.
func disjoint(a, b providers.Settings) bool {
	fa, fb := a.Filter(), b.Filter()
	if len(fa) == 0 || len(fb) == 0 {
		return false
	}
	return !slices.ContainsFunc(fa, func(s string) bool { return slices.Contains(fb, s) })
}

func (d *decoder) checkRetired(c *Config) {
	for i, ref := range c.RetiredAccounts {
		key := fmt.Sprintf("retired_accounts[%d]", i)
		known := d.typeNames()
		switch at := slices.IndexFunc(c.Providers, func(p Provider) bool { return p.ref() == ref }); {
		case at >= 0:
			d.errorf(key, "%s is configured (%s): remove it here, or remove the block", ref, blockKey(at))
		case !slices.Contains(known, ref.Provider):
			d.errorf(key, "%s is not a provider type: write %s", quote(ref.Provider), oneOf(known))
		case slices.Index(c.RetiredAccounts, ref) < i:
			d.errorf(key, "%s is listed twice", ref)
		}
	}
}
