package amconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/internal/secret"
)

// Request is what a user asks for.
type Request struct {
	Receivers config.Receivers
	// Hooks are the replicas of the daemon: base URLs, or the whole URL of the hook.
	Hooks []string
	// NoHook says that no hook is meant, which then brings no warning.
	NoHook bool
	// HookToken is what the daemons accept; of several, one per line, the first is used.
	HookToken *secret.Value
	// DeadMansSwitch is the URL of a dead man's switch.
	DeadMansSwitch *secret.Value
	SoftRepeat     time.Duration
	// TemplatesDir and SecretsDir may be relative to the working directory. An empty
	// SecretsDir means that no secret may be written.
	TemplatesDir, SecretsDir string
}

// Plan is a configuration and what has to be in place for it.
type Plan struct {
	Config []byte
	// Secrets are to be written, for nobody else to read, before Config is used.
	Secrets []SecretFile
	// Warnings are things that work and should be known.
	Warnings []string
}

// SecretFile is a secret that was given directly. It never prints its text.
type SecretFile struct {
	Path string
	text func() string
}

// NewPlan decides where each secret lives and renders the configuration. It writes
// nothing. Errors name variables and flags, and hold no secret.
func NewPlan(r Request) (Plan, error) {
	p := planner{dir: r.SecretsDir}
	s := Settings{
		SlackURLFile:          p.file(r.Receivers.Slack, "slack_webhook_url", "SLACK_WEBHOOK_URL"),
		EmailWebhookURLFile:   p.file(r.Receivers.EmailWebhook, "alert_email_webhook", "ALERT_EMAIL_WEBHOOK"),
		DeadMansSwitchURLFile: p.deadman(r.DeadMansSwitch),
		SoftRepeat:            r.SoftRepeat, TemplatesDir: p.abs(r.TemplatesDir),
	}
	if m := r.Receivers.SMTP; m != nil {
		s.SMTP = &SMTP{
			Smarthost: m.Smarthost, From: m.From, To: m.To, Hello: m.Hello, Username: m.Username,
			PasswordFile: p.file(m.Password, "smtp_password", "SMTP_PASSWORD"),
			RequireTLS:   m.RequireTLS, CAFile: p.file(m.CA, "smtp_ca.pem", "SMTP_CA"),
		}
		if !m.RequireTLS && !s.SMTP.implicitTLS() && m.Username != "" {
			p.warn("SMTP_REQUIRE_TLS is false: where the mail server offers no TLS the password is not sent, " +
				"and no mail either")
		}
	}
	if len(r.Hooks) > 0 {
		s.HookTokenFile = p.token(r.HookToken)
		for _, h := range r.Hooks {
			s.Hooks = append(s.Hooks, p.hook(h))
		}
	} else if !r.NoHook {
		p.warn("no hard-cap hook: a hard cap tells people and stops nothing; name every replica with --hook-url")
	}
	if !r.DeadMansSwitch.Set() {
		p.warn("no dead man's switch: nobody notices when Prometheus or Alertmanager is down; " +
			"see --deadman-url-file")
	}
	text, err := Render(s)
	if err = errors.Join(errors.Join(p.errs...), err); err != nil {
		return Plan{}, err
	}
	return Plan{Config: text, Secrets: p.secrets, Warnings: p.warnings}, nil
}

type planner struct {
	dir      string
	secrets  []SecretFile
	warnings []string
	errs     []error
}

func (p *planner) warn(text string) { p.warnings = append(p.warnings, text) }

func (p *planner) fail(format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf(format, args...))
}

func (p *planner) abs(path string) string {
	if path == "" {
		return ""
	}
	abs, err := filepath.Abs(path)
	if err != nil { // the working directory is gone
		p.fail("%s: %w", path, err)
	}
	return abs
}

// file returns the path of a secret's file: its own, or one that is to be written.
func (p *planner) file(v *secret.Value, name, from string) string {
	switch {
	case !v.Set():
		return ""
	case v.File() != "":
		return p.abs(v.File())
	}
	text, err := v.Get()
	if err != nil { // it is set, and inline
		p.fail("%s: %w", from, err)
		return ""
	}
	return p.write(text, name, from)
}

func (p *planner) write(text, name, from string) string {
	if p.dir == "" {
		p.fail("%s is given directly, and the configuration names secrets by file only: "+
			"name a file in %s_FILE, or a directory to write it to in --secrets-dir", from, from)
		return filepath.Join(string(filepath.Separator), name)
	}
	path := p.abs(filepath.Join(p.dir, name))
	p.secrets = append(p.secrets, SecretFile{Path: path, text: func() string { return text }})
	return path
}

// deadman returns the path of the file with the URL of a dead man's switch. The other
// files were looked at when the environment was read.
func (p *planner) deadman(v *secret.Value) string {
	const from = "--deadman-url-file"
	if v.Set() {
		text, err := v.Get()
		if err != nil {
			p.fail("%s: %w", from, err)
		} else if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			p.fail("%s: the file holds no URL: write scheme and host, such as https://host/path", from)
		}
	}
	return p.file(v, "deadman_url", from)
}

// token returns the path of a file that holds exactly one token: Alertmanager sends
// the whole file.
func (p *planner) token(v *secret.Value) string {
	const from = "the token of the hook (hard_cap.inbound_token, web.admin_token or --hook-token-file)"
	tokens, err := config.Tokens(v)
	switch {
	case err != nil:
		p.fail("%s: %w", from, err)
		return filepath.Join(string(filepath.Separator), "hook_token")
	case len(tokens) == 0:
		return "" // Render says that it is missing
	case len(tokens) == 1 && v.File() != "":
		return p.abs(v.File())
	case len(tokens) > 1:
		p.warn("the hook has several tokens: Alertmanager presents the first")
	}
	if p.dir == "" {
		p.fail("%s is given directly or holds several tokens, and the configuration names one by file only: "+
			"name a file in --hook-token-file, or a directory to write it to in --secrets-dir", from)
		return filepath.Join(string(filepath.Separator), "hook_token")
	}
	return p.write(tokens[0], "hook_token", from)
}

// hook completes the URL of a replica.
func (p *planner) hook(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return text // Render says what is wrong
	}
	u.Path = strings.TrimRight(u.Path, "/") // the daemon's paths have no final slash
	if !strings.HasSuffix(u.Path, HookPath) {
		u = u.JoinPath(HookPath)
	}
	if u.Scheme == "http" && leavesTheMachine(u.Hostname()) {
		p.warn("the hook on " + u.Host + " is called without TLS: its token can be read on the way")
	}
	return u.String()
}

// leavesTheMachine tells hosts elsewhere from this machine and from the names that
// containers of one stack have for each other.
func leavesTheMachine(host string) bool {
	ip := net.ParseIP(host)
	return strings.Contains(host, ".") && (ip == nil || !ip.IsLoopback())
}

// Write writes the secret for its owner alone. A file with another owner's reading
// rights is replaced by one without.
func (f SecretFile) Write() error {
	dir := filepath.Dir(f.Path)
	// What lies around it, such as the configuration, is for Alertmanager's user too.
	err := os.MkdirAll(filepath.Dir(dir), 0o755)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return fmt.Errorf("making the directory of secrets: %w", err)
	}
	if err := WriteFile(f.Path, []byte(f.text()+"\n"), 0o600); err != nil {
		return fmt.Errorf("writing a secret: %w", err)
	}
	return nil
}

// WriteFile replaces a file as a whole, so that whoever reads it meanwhile sees the
// old one or the new one. Errors name the path and never the content.
func WriteFile(path string, content []byte, mode fs.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".aispend-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
