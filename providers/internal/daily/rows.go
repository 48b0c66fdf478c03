package daily

import (
	"strings"

	"github.com/aispend/aispend/spend"
)

// Labels makes model, project and item names safe once, at decode, and keeps one
// copy of each. The zero Labels is ready to use.
type Labels struct {
	clean   map[string]string
	changed int
}

// Of returns the label of a name. An absent name (nil) is "".
func (l *Labels) Of(name []byte) string {
	if s, ok := l.clean[string(name)]; ok {
		return s
	}
	if l.clean == nil {
		l.clean = map[string]string{}
	}
	s, changed := spend.CleanLabel(string(name))
	if changed {
		l.changed++
	}
	l.clean[string(name)] = s
	return s
}

// Notices adds how many distinct names had to be changed.
func (l *Labels) Notices(n map[string]int) {
	if l.changed > 0 {
		n[NoticeSanitised] += l.changed
	}
}

// Currency reads a currency code and returns it in upper case; what is not three
// letters is an error.
func (r *Reader) Currency() string {
	code, ok := r.Text()
	if string(code) == "usd" || string(code) == spend.USD { // no allocation for the one that always comes
		return spend.USD
	}
	up := strings.ToUpper(string(code))
	if !ok || len(up) != 3 || strings.Trim(up, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		r.Fail("is not a currency code of three letters")
		return ""
	}
	return up
}

// Split turns a signed amount into gross and credits: a negative row is a credit.
func Split(m spend.Money) (gross, credits spend.Money) {
	if m.Sign() < 0 {
		return spend.Money{}, m
	}
	return m, spend.Money{}
}
