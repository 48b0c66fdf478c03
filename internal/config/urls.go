package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/aispend/aispend/internal/secret"
)

// checkURLs checks the URLs that belong to no provider block. None of the
// messages repeats a URL: it may hold a password or a token.
func (d *decoder) checkURLs(c *Config) {
	for i, u := range c.Alertmanager.URLs {
		key := fmt.Sprintf("alertmanager.urls[%d]", i)
		d.report(key, checkURL(u, "http", "https"))
		if slices.Index(c.Alertmanager.URLs, u) < i {
			d.errorf(key, "is listed twice: name each member of the cluster once")
		}
	}
	for _, l := range []struct{ key, url string }{
		{"links.external_url", c.Links.ExternalURL},
		{"links.dashboard_url", c.Links.DashboardURL},
	} {
		if l.url != "" {
			d.report(l.key, checkURL(l.url, "http", "https"))
		}
	}
	d.secretURL("hard_cap.url", c.HardCap.URL, func(u *url.URL) error {
		return httpsUnlessLoopback(u)
	})
}

func (d *decoder) report(key string, err error) {
	if err != nil {
		d.errorf(key, "%v", err)
	}
}

// secretURL checks a URL that is kept as a secret.
func (d *decoder) secretURL(key string, v *secret.Value, rule func(*url.URL) error) {
	text, ok := d.secretText(v)
	if !ok {
		return
	}
	key = d.givenKey(key)
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		d.errorf(key, "is not a URL: write scheme and host, such as https://host:port/path")
		return
	}
	d.report(key, rule(u))
}

// checkURL checks a URL that is no secret.
func checkURL(s string, schemes ...string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "":
		return fmt.Errorf("is not a URL: write scheme and host, such as %s://host:port", schemes[0])
	case u.User != nil:
		return errors.New("holds a user name or password, and this value is shown to readers: remove them")
	case !slices.Contains(schemes, u.Scheme):
		return fmt.Errorf("scheme %s: write %s", quote(u.Scheme), oneOf(schemes))
	}
	return nil
}

func httpsUnlessLoopback(u *url.URL) error {
	switch {
	case u.User != nil:
		return errors.New("holds a user name or password: put a token into the path instead")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	default:
		return errors.New("must begin with https:// (http:// only for a loopback address)")
	}
}

// HookURL returns the text of hard_cap.url, read anew and held against the same rule
// as when the configuration was loaded: a file may say something else by now. The
// error does not hold the URL.
func (h HardCap) HookURL() (string, error) {
	if !h.URL.Set() {
		return "", nil
	}
	text, err := h.URL.Get()
	if err != nil {
		return "", err
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return "", errors.New("is not a URL")
	}
	if err := httpsUnlessLoopback(u); err != nil {
		return "", err
	}
	return text, nil
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func proxyRule(u *url.URL) error {
	switch u.Scheme {
	case "http", "https", "socks5":
		return nil
	default:
		return errors.New("must begin with http://, https:// or socks5://")
	}
}
