package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aispend/aispend/spend"
)

// Bounds of a query string. They are far above any honest use.
const (
	maxQueryBytes = 8 << 10
	maxValueBytes = 512
	maxRangeDays  = 3660
)

// The days that may be asked for; outside them lies only a typing mistake.
const (
	firstYear = 2000
	lastYear  = 2199
)

// params are the query parameters of one request, already checked: only names
// that the route knows, each once, none empty, no control characters.
type params struct{ q url.Values }

// paramRules names the parameters of a route: plain ones, flags, which may come
// without a value, and lists, which may come several times.
type paramRules struct{ names, flags, lists []string }

func (p paramRules) all() []string { return slices.Concat(p.names, p.flags, p.lists) }

// readParams checks the query string of r against the rules of its route.
func readParams(r *http.Request, rules paramRules) (params, error) {
	if len(r.URL.RawQuery) > maxQueryBytes {
		return params{}, problemf(http.StatusBadRequest, "the query string is longer than %d bytes", maxQueryBytes)
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return params{}, problemf(http.StatusBadRequest,
			"the query string is not well-formed; separate parameters with & and percent-encode their values")
	}
	for _, name := range sortedKeys(q) {
		if err := checkParam(name, q[name], rules); err != nil {
			return params{}, err
		}
	}
	return params{q}, nil
}

func checkParam(name string, values []string, rules paramRules) error {
	known := rules.all()
	switch {
	case len(known) == 0:
		return badParam(shorten(name), "this route takes no query parameters")
	case !slices.Contains(known, name):
		return badParam(shorten(name), "unknown query parameter; known here: %s", strings.Join(known, ", "))
	case len(values) > 1 && !slices.Contains(rules.lists, name):
		return badParam(name, "%s is given %d times; give it once", name, len(values))
	}
	for _, v := range values {
		if err := checkValue(name, v, slices.Contains(rules.flags, name)); err != nil {
			return err
		}
	}
	return nil
}

func checkValue(name, v string, flag bool) error {
	switch {
	case v == "" && !flag:
		return badParam(name, "%s is empty; leave it out or give it a value", name)
	case len(v) > maxValueBytes:
		return badParam(name, "%s is longer than %d bytes", name, maxValueBytes)
	case !utf8.ValidString(v) || strings.ContainsFunc(v, unicode.IsControl):
		return badParam(name, "%s must be UTF-8 text without control characters", name)
	}
	return nil
}

// shorten keeps an unknown name that is echoed to the caller within reason.
func shorten(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if r := []rune(s); len(r) > 64 {
		return string(r[:64])
	}
	return s
}

func noParams(r *http.Request) error {
	_, err := readParams(r, paramRules{})
	return err
}

func (p params) get(name string) string { return p.q.Get(name) }

func (p params) has(name string) bool { return p.q.Has(name) }

// oneOf returns the value of name, which must be one of allowed, or fallback.
func (p params) oneOf(name, fallback string, allowed ...string) (string, error) {
	if !p.has(name) {
		return fallback, nil
	}
	v := p.get(name)
	if !slices.Contains(allowed, v) {
		return "", badParam(name, "%s is %q; allowed: %s", name, v, strings.Join(allowed, ", "))
	}
	return v, nil
}

// flag reads a boolean; a bare name means true.
func (p params) flag(name string) (bool, error) {
	if !p.has(name) {
		return false, nil
	}
	switch v := p.get(name); v {
	case "", "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	default:
		return false, badParam(name, "%s is %q; allowed: true, false", name, v)
	}
}

// day reads a day, or 0 if name is not given.
func (p params) day(name string) (spend.Day, error) {
	if !p.has(name) {
		return 0, nil
	}
	d, err := spend.ParseDay(p.get(name))
	if err != nil {
		return 0, badParam(name, "%s: %v, a UTC day", name, err)
	}
	if y := d.Time().Year(); y < firstYear || y > lastYear {
		return 0, badParam(name, "%s is %s; the year must be %d to %d", name, d, firstYear, lastYear)
	}
	return d, nil
}

// days reads from and to, both inclusive; each is 0 if it is not given.
func (p params) days() (from, to spend.Day, err error) {
	if from, err = p.day("from"); err != nil {
		return 0, 0, err
	}
	to, err = p.day("to")
	return from, to, err
}

// span turns two inclusive days into a window.
func span(from, to spend.Day) (spend.Window, error) {
	if from > to {
		return spend.Window{}, badParam("from", "from (%s) is after to (%s)", from, to)
	}
	w := spend.Window{From: from, To: to + 1}
	if w.Days() > maxRangeDays {
		return spend.Window{}, badParam("from", "%s to %s is %d days; at most %d can be asked for at once",
			from, to, w.Days(), maxRangeDays)
	}
	return w, nil
}

// providerSet is the closed set of providers and their sources.
type providerSet map[string][]string

func newProviderSet(m map[string][]string) providerSet {
	out := providerSet{}
	for name, sources := range m {
		out[name] = slices.Sorted(slices.Values(sources))
	}
	return out
}

func (ps providerSet) names() []string { return sortedKeys(ps) }

// param reads an optional provider parameter.
func (ps providerSet) param(p params) (string, error) {
	return p.oneOf("provider", "", ps.names()...)
}

// path checks a provider that is part of the path.
func (ps providerSet) path(name string) error {
	if _, ok := ps[name]; !ok {
		return problemf(http.StatusNotFound, "no such provider; known: %s", strings.Join(ps.names(), ", "))
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
