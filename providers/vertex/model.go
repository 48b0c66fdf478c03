package vertex

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"unicode"

	"github.com/aispend/aispend/spend"
)

// Rule names the model of the SKUs that its pattern matches.
type Rule struct {
	// Pattern is an RE2 expression on the normalised text (see Normalise).
	Pattern string
	// Model is a template in the manner of regexp.Expand ("gemini-$1-$2"). A group
	// that did not take part leaves nothing, not even its dash; blanks become dashes.
	Model string
}

// Mapping says which model a SKU bills. All of it is data that settings can
// replace. The override by SKU id is asked first, then the rules in their order,
// and what none of them knows is spend.OtherModel: money is never dropped.
type Mapping struct {
	Override map[string]string // sku.id -> model
	Rules    []Rule
}

// Pieces of the default rules.
const (
	// version is a major and an optional minor number: "3", "3.1" and, since Google
	// spells both, "4 6". Longer numbers are dates and sizes.
	version = `(\d{1,2})(?:[. ](\d{1,2}))?`
	// attribute is a word that tells what of a model is billed, so it ends the name.
	attribute = `(?:claude|input|output|batch|cached?|caching|prompt|completion|` +
		`text|image|audio|video|tokens?|global|regional)`
	gemini   = `gemini ` + version + ` (pro|flash|ultra|nano)\b(?: (lite|8b)\b)?`
	modality = `(?:text|image|audio|video)\b`
	garden   = `cloud vertex ai model garden model as a service `
	tail     = `(?: (?:batch|flex|priority|cached?|cache (?:read|write|hit)|prompt|text|image|audio|video))*` +
		` (?:input|output) tokens?\b`
)

// DefaultRules returns the rules for the shapes of names of apis page, section 2.
// A name carries its version, so versions that do not exist yet are mapped too.
func DefaultRules() []Rule {
	return []Rule{
		// "opus 4 6", "sonnet 4.5", "opus 5" | "2.1 input tokens" | "3 5 sonnet", "3 haiku". One
		// expression, so that the first mention decides: the service's name comes first.
		{
			`\bclaude (?:([a-z]+) ` + version + `\b|` + version + ` ` + attribute + `\b|` + version + ` ([a-z]+))`,
			"claude-$1-$2-$3-$4-$5-$6-$7-$8",
		},
		{`\bgemini embedding (\d+)\b`, "gemini-embedding-$1"},
		{`\btext (multilingual )?embedding (\d{3})\b`, "text-$1-embedding-$2"},
		// Image is the model where another modality follows it ("flash image image output")
		// or where it ends the name after "for"; else it is the modality.
		{
			`\b` + gemini + `(?: native)? image (?:(?:short |long )?(?:input |output ))?` + modality,
			"gemini-$1.$2-$3-$4-image",
		},
		{`\bfor ` + gemini + `(?: native)? image\b`, "gemini-$1.$2-$3-$4-image"},
		{`\b` + gemini, "gemini-$1.$2-$3-$4"},
		{`\bgrounding\b.*\bgemini\b`, "gemini-grounding"},
		{`^(veo|imagen|lyria|chirp)\b(?: (\d{1,2}(?:\.\d{1,2})?)\b)?(?: (fast|lite|ultra)\b)?`, "$1-$2-$3"},
		// Nobody's name: a meter of Google's own that ends like a partner model's.
		{`^(?:generate ?content|embed ?content|vertex ai|number of)\b.*`, spend.OtherModel},
		{`^(?:` + garden + `)?(?:batch|cached?|text|image|audio|video|input|output)` + tail, spend.OtherModel},
		{`^` + garden + `(.+?)` + tail, "$1"},
		{`^(.+?)` + tail + `$`, "$1"},
	}
}

// Mapper is a compiled Mapping. It is immutable and safe for concurrent use.
type Mapper struct {
	override map[string]string
	rules    []compiledRule
}

type compiledRule struct {
	re    *regexp.Regexp
	model string
}

// NewMapper compiles a mapping. A pattern that is no RE2 expression is an error, as
// is an override without a model or a SKU id.
func NewMapper(m Mapping) (*Mapper, error) {
	out := &Mapper{override: maps.Clone(m.Override)}
	for id, model := range m.Override {
		if id == "" || cleanModel(model) == "" {
			return nil, fmt.Errorf("compiling the models of SKUs: an override of SKU id %q names no model", id)
		}
	}
	for i, r := range m.Rules {
		re, err := regexp.Compile(r.Pattern)
		if err != nil {
			return nil, fmt.Errorf("compiling the models of SKUs, rule %d: %w", i, err)
		}
		out.rules = append(out.rules, compiledRule{re, r.Model})
	}
	return out, nil
}

// Model returns the model that a SKU bills, safe to be a label and never empty:
// spend.OtherModel where nothing is known.
func (m *Mapper) Model(k SKU) string {
	if model, ok := m.override[k.ID]; ok {
		return cleanModel(model)
	}
	text := Normalise(k)
	for _, r := range m.rules {
		at := r.re.FindStringSubmatchIndex(text)
		if at == nil {
			continue
		}
		if model := joinName(string(r.re.ExpandString(nil, r.model, text, at))); model != "" {
			return cleanModel(model)
		}
	}
	return spend.OtherModel
}

// Normalise returns the text that rules match: lower case, with every run of
// blanks, underscores and dashes one blank. The service's name comes first where it
// is the model's ("Claude Opus 4.6"), which a SKU may spell in another way.
func Normalise(k SKU) string {
	text := normalise(k.Text)
	if service := normalise(k.Service); strings.HasPrefix(service, "claude ") {
		text = strings.TrimSpace(service + " " + text)
	}
	return text
}

func normalise(s string) string {
	lower := strings.ToLower(strings.ToValidUTF8(s, "\uFFFD"))
	return strings.Join(strings.FieldsFunc(lower, func(r rune) bool {
		return r == '_' || r == '\u2212' || unicode.IsSpace(r) || unicode.Is(unicode.Pd, r)
	}), " ")
}

// joinName turns an expanded template into a name: one dash between the parts that
// are there, and none for those that are not.
func joinName(s string) string {
	parts := strings.FieldsFunc(s, func(r rune) bool { return r == '-' || r == ' ' })
	for i, p := range parts {
		parts[i] = strings.Trim(p, ".") // of "$1.$2" without the second
	}
	parts = strings.FieldsFunc(strings.Join(parts, " "), unicode.IsSpace)
	return strings.Join(parts, "-")
}

func cleanModel(s string) string { return clean(strings.TrimSpace(s)) }
