package spend_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/aispend/aispend/spend"
)

func TestCleanLabel(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"gpt-4o", "gpt-4o"},
		{`say "hi" \ there`, `say "hi" \ there`},
		{"模型 ü 🙂", "模型 ü 🙂"},
		{"\uFFFD", "\uFFFD"},
		{" gpt", "gpt~"},
		{"gpt\n4", "gpt 4~"},
		{"gpt\u2028four", "gpt four~"},
		{"gpt\u00a0four", "gpt four~"},
		{"a\x00b\x7fc", "abc~"},
		{"a\u202eb\u200dc", "abc~"},
		{"a\xffb", "a\uFFFDb~"},
		{"\n", "~"},
		{strings.Repeat("x", 128), strings.Repeat("x", 128)},
		{strings.Repeat("x", 129), strings.Repeat("x", 119) + "~"},
		{strings.Repeat("ü", 65), strings.Repeat("ü", 59) + "~"},
		{strings.Repeat("x", 118) + "  " + strings.Repeat("x", 9), strings.Repeat("x", 118) + "~"},
	} {
		got, changed := spend.CleanLabel(tt.in)
		if changed != (got != tt.in) {
			t.Errorf("CleanLabel(%q): changed = %t for %q", tt.in, changed, got)
		}
		if changed {
			got = got[:len(got)-8]
		}
		if got != tt.want {
			t.Errorf("CleanLabel(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// checkLabel states everything CleanLabel promises of one value.
func checkLabel(t interface{ Fatalf(string, ...any) }, s string) {
	got, changed := spend.CleanLabel(s)
	switch {
	case changed != (got != s):
		t.Fatalf("%q: changed = %t for %q", s, changed, got)
	case !utf8.ValidString(got):
		t.Fatalf("%q: %q is not UTF-8", s, got)
	case len(got) > spend.MaxLabelBytes:
		t.Fatalf("%q: %d bytes", s, len(got))
	case got != strings.TrimSpace(got):
		t.Fatalf("%q: %q is not trimmed", s, got)
	case (s == "") != (got == ""):
		t.Fatalf("%q became %q", s, got)
	case strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }):
		t.Fatalf("%q: %q has unprintable characters", s, got)
	}
	if again, changed := spend.CleanLabel(got); changed || again != got {
		t.Fatalf("%q: not idempotent: %q, then %q", s, got, again)
	}
}

func genLabel() *rapid.Generator[string] {
	odd := rapid.SampledFrom([]string{
		" ", "\n", "\t", "\x00", "\x7f", "\xff", "\xc3", "\u200d", "\u2028", "\u202e", "\u00a0", "\ufeff",
		"\U000e0001", "~", "a", "ü", "🙂", "~abcdefgh",
	})
	return rapid.OneOf(
		rapid.String(),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 200), func(b []byte) string { return string(b) }),
		rapid.Map(rapid.SliceOfN(odd, 0, 150), func(p []string) string { return strings.Join(p, "") }),
	)
}

func TestCleanLabelProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkLabel(t, genLabel().Draw(t, "s")) })
}

// Values that differ only in what is cut or cleaned away stay apart.
func TestCleanLabelKeepsValuesApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfNDistinct(genLabel(), 2, 20, rapid.ID[string]).Draw(t, "in")
		seen := map[string]string{}
		for _, s := range in {
			got, _ := spend.CleanLabel(s)
			if other, ok := seen[got]; ok {
				t.Fatalf("%q and %q both became %q", other, s, got)
			}
			seen[got] = s
		}
	})
}

func FuzzCleanLabel(f *testing.F) {
	for _, s := range []string{"", "gpt-4o", " x ", "a\nb", "\xff\xfe", "\u202eevil", strings.Repeat("ü", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkLabel(t, s) })
}
