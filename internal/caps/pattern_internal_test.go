package caps

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "anything", true},
		{"", "", true},
		{"gpt-5", "gpt-5", true},
		{"gpt-5", "gpt-5-mini", false},
		{"gpt-5", "GPT-5", false},
		{"gpt-5*", "gpt-5", true},
		{"gpt-5*", "gpt-5.5-2026-04-23", true},
		{"gpt-5*", "gpt-4", false},
		{"*", "", true},
		{"*-mini", "gpt-5-mini", true},
		{"*-mini", "-mini", true},
		{"*-mini", "gpt-5-mini-2026", false},
		{"gpt*mini", "gptmini", true},
		{"gpt*mini", "gpt-mini-x-mini", true},
		{"aba*aba", "aba", false}, // one aba cannot be both
		{"aba*aba", "ababa", false},
		{"aba*aba", "abaaba", true},
		{"a*b*c", "aXbXc", true},
		{"a*b*c", "abbbcc", true},
		{"a*b*c", "acb", false},
		{"a**c", "ac", true},
		{"claude-*-4-*", "claude-opus-4-7", true},
		{"gpt-5.?", "gpt-5.1", false}, // only * is special
		{"gpt-5.?", "gpt-5.?", true},
		{"[ab]*", "a", false},
		{"模*型", "模大型", true},
	} {
		if got := matches(tt.pattern, tt.name); got != tt.want {
			t.Errorf("matches(%q, %q) = %t", tt.pattern, tt.name, got)
		}
	}
}

// A pattern means what the regular expression means that reads .* for *.
func TestMatchesLikeRegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.SampledFrom([]rune("ab.*")), 0, 8, -1).Draw(t, "pattern")
		name := rapid.StringOfN(rapid.SampledFrom([]rune("ab.")), 0, 10, -1).Draw(t, "name")
		want := pattern == "" || regexp.MustCompile(
			"^"+strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*")+"$").MatchString(name)
		if got := matches(pattern, name); got != want {
			t.Fatalf("matches(%q, %q) = %t", pattern, name, got)
		}
	})
}
