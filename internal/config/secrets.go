package config

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"os"
	"strings"

	"github.com/aispend/aispend/internal/secret"
)

// maxSecretBytes bounds a secret file: the largest real one, a service account's
// JSON, has less than 4 KiB.
const maxSecretBytes = 64 << 10

// Tokens returns the tokens of v, one per line, or none if v is not set. It reads
// a secret file anew.
func Tokens(v *secret.Value) ([]string, error) {
	if !v.Set() {
		return nil, nil
	}
	text, err := v.Get()
	if err != nil {
		return nil, err
	}
	var tokens []string
	for line := range strings.Lines(text) {
		if t := strings.TrimSpace(line); t != "" {
			tokens = append(tokens, t)
		}
	}
	return tokens, nil
}

// AdminTokens returns the tokens that open the admin routes; none means that the
// routes are closed.
func (c *Config) AdminTokens() ([]string, error) { return Tokens(c.Web.AdminToken) }

// ReadTokens returns the tokens that guard the read routes; none means that the
// routes are open.
func (c *Config) ReadTokens() ([]string, error) { return Tokens(c.Web.ReadToken) }

// InboundTokens returns the tokens that Alertmanager may present to the hard-cap
// hook; none means that the admin tokens are.
func (c *Config) InboundTokens() ([]string, error) { return Tokens(c.HardCap.InboundToken) }

// checkSecrets looks at every secret file, those of disabled blocks excepted.
func (d *decoder) checkSecrets(c *Config) {
	for _, s := range d.secrets {
		if i := blockOf(s.key); i >= 0 && !c.Providers[i].Enabled {
			continue
		}
		d.checkSecretFile(s)
	}
}

func (d *decoder) checkSecretFile(s secretFile) {
	path := s.value.File()
	info, err := os.Stat(path)
	switch {
	case err != nil:
		d.errorf(s.key, "%s cannot be read: %v", path, reason(err))
		return
	case !info.Mode().IsRegular():
		d.errorf(s.key, "%s is not a regular file: name the file that holds the secret", path)
		return
	}
	b, err := readFile(path, maxSecretBytes)
	switch {
	case err != nil:
		d.errorf(s.key, "%s cannot be read: %v", path, reason(err))
	case strings.TrimSpace(string(b)) == "":
		d.errorf(s.key, "%s is empty: write the secret into it", path)
	case info.Mode().Perm()&0o044 != 0:
		d.warnf(s.key, "%s can be read by other users of this machine (mode %04o): chmod 600 it", path, info.Mode().Perm())
	}
}

// sameSecret compares two secrets in time that does not depend on their content.
func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// checkHook checks what a signed delivery needs.
func (d *decoder) checkHook(c *Config) {
	h := c.HardCap
	if d.given("hard_cap.secret") || d.given("hard_cap.secret"+fileSuffix) {
		d.checkSigningSecret(h.Secret)
		return
	}
	if h.URL.Set() {
		key := "hard_cap.url"
		if !d.given(key) {
			key += fileSuffix
		}
		d.warnf(key, "deliveries will not be signed: make a secret with "+
			"echo whsec_$(openssl rand -base64 32) and name its file in hard_cap.secret_file")
	}
}

func (d *decoder) checkSigningSecret(v *secret.Value) {
	text, err := v.Get()
	if err != nil {
		return // checkSecrets has reported the file
	}
	key := "hard_cap.secret"
	if !d.given(key) {
		key += fileSuffix
	}
	random, ok := strings.CutPrefix(text, "whsec_")
	raw, err := base64.StdEncoding.DecodeString(random)
	if !ok || err != nil || len(raw) < 24 || len(raw) > 64 {
		d.errorf(key, "is not a Standard Webhooks secret: whsec_ and the base64 form of 24 to 64 random bytes; "+
			"make one with echo whsec_$(openssl rand -base64 32)")
	}
}
