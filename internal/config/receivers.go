package config

import (
	"net"
	"net/mail"
	"net/url"
	"slices"
	"strings"

	"github.com/aispend/aispend/internal/secret"
)

// Receivers are those that Alertmanager tells of alerts, as the environment names
// them. The daemon itself has no use for them.
type Receivers struct {
	// Slack is an incoming webhook, SLACK_WEBHOOK_URL.
	Slack *secret.Value
	// EmailWebhook takes {subject, text, html} and sends a mail, ALERT_EMAIL_WEBHOOK.
	EmailWebhook *secret.Value
	// SMTP is a mail server; nil if SMTP_HOST is not set.
	SMTP *SMTP
}

// None reports whether nobody would be told.
func (r Receivers) None() bool { return !r.Slack.Set() && !r.EmailWebhook.Set() && r.SMTP == nil }

// SMTP is a mail server and what it needs to know.
type SMTP struct {
	// Smarthost is host:port. With port 465 TLS comes first, else STARTTLS.
	Smarthost string
	// From is one address, To one or several with commas.
	From, To string
	// Username is empty where no login is needed; then Password is not set.
	Username string
	Password *secret.Value
	// Hello is the name to greet with; empty for Alertmanager's own.
	Hello string
	// RequireTLS refuses a server that does not offer STARTTLS.
	RequireTLS bool
	// CA holds PEM certificates to trust instead of the system's; not set: the system's.
	CA *secret.Value
}

// smtpPort is the port for submitting mail.
const smtpPort = "587"

// ReadReceivers reads the receivers out of the environment, in the form of
// os.Environ. An error is a *LoadError that lists everything wrong; it never holds
// a secret. Secret files are looked at and not kept: whoever needs them reads them.
func ReadReceivers(environ []string) (Receivers, error) {
	e := newEnvironment(Options{Environ: environ})
	r := Receivers{
		Slack: e.secretURL("SLACK_WEBHOOK_URL"), EmailWebhook: e.secretURL("ALERT_EMAIL_WEBHOOK"), SMTP: e.smtp(),
	}
	if len(e.d.findings) > 0 {
		return Receivers{}, &LoadError{Findings: sortFindings(e.d.findings)}
	}
	return r, nil
}

// secret returns NAME or NAME_FILE as a secret, not set if neither is.
func (e *environment) secret(name string) *secret.Value {
	v, path := e.vars[name], e.vars[name+"_FILE"]
	switch {
	case v != "" && path != "":
		e.errorf(name, "excludes %s_FILE: set at most one of the two", name)
		return nil
	case path != "":
		if err := checkSecretFile(path); err != nil {
			e.errorf(name+"_FILE", "%s %v", path, err)
			return nil
		}
		return secret.FromFile(path)
	case v != "":
		return secret.New(v)
	default:
		return nil
	}
}

// secretURL is a secret that must be a URL.
func (e *environment) secretURL(name string) *secret.Value {
	v := e.secret(name)
	if !v.Set() {
		return nil
	}
	text, err := v.Get()
	if err != nil { // read a moment ago
		e.errorf(e.given(name), "cannot be read")
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		e.errorf(e.given(name), "is not a URL: write scheme and host, such as https://host/path")
		return nil
	}
	if err := httpsUnlessLoopback(u); err != nil {
		e.errorf(e.given(name), "%v", err)
		return nil
	}
	return v
}

// smtpNames are the variables of the mail server.
func smtpNames() []string {
	var names []string
	for _, v := range Variables() {
		if strings.HasPrefix(v.Name, prefixSMTP) {
			names = append(names, v.Name)
		}
	}
	return names
}

func (e *environment) smtp() *SMTP {
	known := smtpNames()
	for _, name := range e.names(Receiver) {
		base := strings.TrimSuffix(name, "_FILE")
		if strings.HasPrefix(name, prefixSMTP) && !slices.Contains(known, name) && !slices.Contains(known, base) {
			e.errorf(name, "is not known; known are %s", strings.Join(known, ", "))
		}
	}
	host := e.text("SMTP_HOST")
	if host == "" {
		for _, name := range known {
			if e.set(name) && name != "SMTP_HOST" {
				e.errorf(e.given(name), "has no effect without SMTP_HOST, the mail server")
			}
		}
		return nil
	}
	s := &SMTP{
		Smarthost: e.smarthost(host), From: e.addresses("SMTP_FROM", 1), To: e.addresses("SMTP_TO", maxRecipients),
		Username: e.either("SMTP_USERNAME", "SMTP_USER", e.text), Hello: e.text("SMTP_HELLO"),
		RequireTLS: !e.set("SMTP_REQUIRE_TLS") || e.on("SMTP_REQUIRE_TLS"), CA: e.secret("SMTP_CA"),
	}
	password := "SMTP_PASSWORD"
	if e.set("SMTP_PASS") {
		password = "SMTP_PASS"
	}
	e.either("SMTP_PASSWORD", "SMTP_PASS", func(string) string { return "" })
	s.Password = e.secret(password)
	if (s.Username != "") != s.Password.Set() {
		e.errorf("SMTP_USERNAME, SMTP_PASSWORD", "set both, or neither where no login is needed")
	}
	return s
}

// either reads one of two names for the same thing.
func (e *environment) either(name, alias string, read func(string) string) string {
	switch {
	case e.set(name) && e.set(alias):
		e.errorf(name, "is the same as %s: set one of the two", alias)
		return ""
	case e.set(alias):
		return read(alias)
	default:
		return read(name)
	}
}

func (e *environment) smarthost(host string) string {
	if h, p, err := net.SplitHostPort(host); err == nil && !strings.Contains(host, "/") {
		if e.set("SMTP_PORT") {
			e.errorf("SMTP_PORT", "is given, and a port in SMTP_HOST too: write it once")
		}
		return e.checkPort("SMTP_HOST", h, p)
	}
	port := e.text("SMTP_PORT")
	if port == "" {
		port = smtpPort
	}
	return e.checkPort("SMTP_PORT", strings.Trim(host, "[]"), port)
}

func (e *environment) checkPort(name, host, port string) string {
	if n, err := parseInt(port); err != nil || n < 1 || n > 65535 {
		e.errorf(name, "must name a port from 1 to 65535, such as %s", smtpPort)
	}
	if host == "" || strings.ContainsAny(host, "/@ ") {
		e.errorf("SMTP_HOST", "is not a host: write a name or an address without a scheme, "+
			"such as mail.example.com")
	}
	return net.JoinHostPort(host, port)
}

// maxRecipients bounds the list of recipients; a longer one wants a mailing list.
const maxRecipients = 50

// addresses reads mail addresses with commas.
func (e *environment) addresses(name string, most int) string {
	text := e.text(name)
	if text == "" {
		e.errorf(name, "is missing: SMTP_HOST is set, and a mail needs SMTP_FROM and SMTP_TO")
		return ""
	}
	list, err := mail.ParseAddressList(text)
	switch {
	case err != nil:
		e.errorf(e.given(name), "is not a mail address, or several with commas, such as spend@example.com")
	case len(list) > most:
		e.errorf(e.given(name), "names %d addresses: at most %d", len(list), most)
	}
	return text
}
