package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Finding is one thing wrong, or worth a warning, with the place it was found.
type Finding struct {
	File string // as it was named to Load; empty when the environment is the source
	Line int    // from 1; 0 when the finding has no line
	Key  string // providers[0].api_key_file, or the name of an environment variable
	Msg  string // what is allowed and what to do; never a secret
}

// String returns "aispend.yml:12: ingest.interval: message", or for the
// environment "environment: CRON_LOOKBACK_HOURS: message".
func (f Finding) String() string {
	var b strings.Builder
	switch {
	case f.File == "":
		b.WriteString("environment: ")
	case f.Line > 0:
		fmt.Fprintf(&b, "%s:%d: ", f.File, f.Line)
	default:
		b.WriteString(f.File + ": ")
	}
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	b.WriteString(f.Msg)
	return b.String()
}

// LoadError is everything that is wrong with a configuration, in the order of
// the lines of the file.
type LoadError struct {
	Findings []Finding
}

// Error returns one line per finding.
func (e *LoadError) Error() string {
	lines := make([]string, len(e.Findings))
	for i, f := range e.Findings {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

func sortFindings(fs []Finding) []Finding {
	slices.SortStableFunc(fs, func(a, b Finding) int { return cmp.Compare(a.Line, b.Line) })
	return slices.Compact(fs)
}

// maxFindings is how many errors one load shows: nobody reads more, and a file
// that is something else entirely has thousands.
const maxFindings = 50

func capFindings(file string, fs []Finding) []Finding {
	if more := len(fs) - maxFindings; more > 0 {
		return append(fs[:maxFindings:maxFindings], Finding{File: file, Msg: fmt.Sprintf("and %d more errors", more)})
	}
	return fs
}

// quote shows a value of the file in a message. What is long or looks like a key
// may be a secret on the wrong line, so it is not shown.
func quote(s string) string {
	if len(s) > 32 || strings.Contains(s, "sk-") || strings.Contains(s, "whsec_") ||
		strings.Contains(s, "@") || strings.Contains(s, "://") {
		return "the value"
	}
	return fmt.Sprintf("%q", s)
}
