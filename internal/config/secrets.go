package config

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/internal/signature"
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
	return splitTokens(text), nil
}

func splitTokens(text string) []string {
	var tokens []string
	for line := range strings.Lines(text) {
		if t := strings.TrimSpace(line); t != "" {
			tokens = append(tokens, t)
		}
	}
	return tokens
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
		if err := checkSecretFile(s.value.File()); err != nil {
			d.errorf(s.key, "%s %v", s.value.File(), err)
			d.unfit[s.value] = true
			continue
		}
		if mode, open := openToOthers(s.value.File()); open {
			d.warnf(s.key, "%s can be read by other users of this machine (mode %04o): chmod 600 it", s.value.File(), mode)
		}
	}
}

// checkSecretFile returns what is wrong with a secret file. A path that is no
// regular file is not even opened: a pipe would block for ever.
func checkSecretFile(path string) error {
	b, err := readRegular(path, maxSecretBytes)
	switch {
	case err != nil:
		return err
	case strings.TrimSpace(string(b)) == "":
		return errors.New("is empty: write the secret into it")
	default:
		return nil
	}
}

// readRegular reads a file that the configuration names. The error reads on from
// the path and does not repeat it.
func readRegular(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot be read: %w", reason(err))
	case !info.Mode().IsRegular():
		return nil, errors.New("is not a regular file")
	case info.Size() > limit:
		return nil, fmt.Errorf("is larger than %d bytes", limit)
	}
	b, err := readFile(path, limit)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", reason(err))
	}
	return b, nil
}

// openToOthers reports whether everybody may read the file. A group may: that is how
// containers get their secrets (docs/stack.md, fsGroup), and with an access list, as
// on the credentials of systemd, the bits of the group are only its mask.
func openToOthers(path string) (fs.FileMode, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	return info.Mode().Perm(), info.Mode().Perm()&0o004 != 0
}

// secretText returns a secret that is set and whose file, if it has one, is fit to
// be read; what is not fit has been reported.
func (d *decoder) secretText(v *secret.Value) (string, bool) {
	if !v.Set() || d.unfit[v] {
		return "", false
	}
	text, err := v.Get()
	return text, err == nil
}

// givenKey returns the key of a secret that was written: itself or its twin.
func (d *decoder) givenKey(key string) string {
	if d.given(key) {
		return key
	}
	return key + fileSuffix
}

// digest stands for a secret in comparisons, whose time then depends neither on
// its content nor on its length.
type digest [sha256.Size]byte

func digestOf(text string) *digest {
	d := digest(sha256.Sum256([]byte(text)))
	return &d
}

func (d *digest) equal(o *digest) bool {
	return d != nil && o != nil && subtle.ConstantTimeCompare(d[:], o[:]) == 1
}

// checkHook checks what a signed delivery needs.
func (d *decoder) checkHook(c *Config) {
	if c.HardCap.Secret.Set() {
		d.checkSigningSecret(c.HardCap.Secret)
	} else if c.HardCap.URL.Set() {
		where := "hard_cap.secret_file"
		if d.file == "" {
			where = "ON_HARDCAP_WEBHOOK_SECRET_FILE"
		}
		d.warnf(d.givenKey("hard_cap.url"), "deliveries will not be signed: make a secret with "+
			"echo whsec_$(openssl rand -base64 32) and name its file in %s", where)
	}
	if c.HardCap.URL.Set() {
		d.checkHookIsCalled(c)
	}
}

// checkHookIsCalled warns of a hook that nothing will ever call.
func (d *decoder) checkHookIsCalled(c *Config) {
	key := d.givenKey("hard_cap.url")
	if !slices.ContainsFunc(c.Caps, func(limit Cap) bool { return !limit.Hard.IsZero() }) {
		d.warnf(key, "no cap has a hard limit: the hook is never called")
	}
	if !c.HardCap.InboundToken.Set() && !c.Web.AdminToken.Set() {
		where := "hard_cap.inbound_token_file"
		if d.file == "" {
			where = "ADMIN_TOKEN_FILE"
		}
		d.warnf(key, "Alertmanager is refused at /webhook/hard-cap, and the hook is never called, as long as no token "+
			"is set: make one with openssl rand -hex 32 and name its file in %s", where)
	}
}

func (d *decoder) checkSigningSecret(v *secret.Value) {
	text, ok := d.secretText(v)
	if !ok {
		return
	}
	if _, err := signature.ParseKeys(text); err != nil {
		d.errorf(d.givenKey("hard_cap.secret"), "is %v; make one with echo whsec_$(openssl rand -base64 32)", err)
	}
}
