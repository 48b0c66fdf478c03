package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// MinRedact is the shortest text that is looked for: blotting out every "abc"
// would destroy bodies and protect nothing.
const MinRedact = 8

// Redact returns text with every occurrence of the values' current texts replaced
// by Mask, and whether there was one. It finds a text as it is, escaped for a URL
// or for JSON, and in hex or base64, also inside a longer base64 string. Of a
// value of several words (a file of tokens, but not a JSON document) each word
// counts. text itself is left alone, and returned if nothing was found. Values that
// are not set or cannot be read do no harm.
func Redact(text []byte, values ...*Value) (redacted []byte, found bool) {
	forms := formsOf(values)
	// Putting masks in can, for a perverse secret, make it up anew out of mask and
	// surroundings; if that goes on, nothing of the text is worth keeping.
	for range 4 {
		spans := findAll(text, forms)
		if len(spans) == 0 {
			return text, found
		}
		text, found = blot(text, spans), true
	}
	return []byte(Mask), true
}

// formsOf returns everything to look for.
func formsOf(values []*Value) (forms [][]byte) {
	for _, v := range values {
		s, err := v.Get()
		if err != nil {
			continue
		}
		texts := []string{s}
		if !strings.HasPrefix(s, "{") { // the words of a JSON key file are no secrets
			texts = append(texts, strings.Fields(s)...)
		}
		for _, t := range texts {
			if len(t) >= MinRedact && t != Mask {
				forms = appendForms(forms, t)
			}
		}
	}
	return forms
}

// appendForms adds the spellings of a secret to look for, each once.
func appendForms(forms [][]byte, s string) [][]byte {
	add := func(form string) {
		same := func(f []byte) bool { return string(f) == form }
		if len(form) >= MinRedact && !slices.ContainsFunc(forms, same) {
			forms = append(forms, []byte(form))
		}
	}
	add(s)
	for _, escaped := range []string{url.QueryEscape(s), url.PathEscape(s), escapeSpace(s)} {
		add(escaped)
		add(lowerPercent(escaped))
	}
	for _, escapeHTML := range []bool{true, false} {
		escaped := jsonEscape(s, escapeHTML)
		add(escaped)
		add(strings.ReplaceAll(escaped, "/", `\/`))
	}
	add(hex.EncodeToString([]byte(s)))
	add(strings.ToUpper(hex.EncodeToString([]byte(s))))
	for offset := range 3 {
		add(base64Core(base64.RawStdEncoding, s, offset))
		add(base64Core(base64.RawURLEncoding, s, offset))
	}
	return forms
}

// escapeSpace is url.QueryEscape as JavaScript does it.
func escapeSpace(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// lowerPercent spells %2F as %2f.
func lowerPercent(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i:], bytes.ToLower(b[i:i+3]))
		}
	}
	return string(b)
}

func jsonEscape(s string, escapeHTML bool) string {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(escapeHTML)
	if enc.Encode(s) != nil {
		return s
	}
	quoted := strings.TrimSuffix(buf.String(), "\n")
	return quoted[1 : len(quoted)-1]
}

// base64Core returns the characters that s alone decides when it is encoded after
// offset (0 to 2) other bytes and before others: what surrounds s reaches into the
// first and the last character.
func base64Core(enc *base64.Encoding, s string, offset int) string {
	const bitsPerByte, bitsPerChar = 8, 6
	whole := enc.EncodeToString(append(make([]byte, offset), s...))
	first := (offset*bitsPerByte + bitsPerChar - 1) / bitsPerChar
	last := (offset + len(s)) * bitsPerByte / bitsPerChar
	return whole[first:last]
}

// span is a half-open range of a text.
type span struct{ from, to int }

// findAll returns where the forms occur, ascending and merged where they touch or
// overlap.
func findAll(text []byte, forms [][]byte) []span {
	var found []span
	for _, form := range forms {
		for at := 0; ; {
			i := bytes.Index(text[at:], form)
			if i < 0 {
				break
			}
			found = append(found, span{at + i, at + i + len(form)})
			at += i + 1
		}
	}
	slices.SortFunc(found, func(a, b span) int { return a.from - b.from })
	merged := found[:0]
	for _, s := range found {
		if n := len(merged); n > 0 && s.from <= merged[n-1].to {
			merged[n-1].to = max(merged[n-1].to, s.to)
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

func blot(text []byte, spans []span) []byte {
	out := make([]byte, 0, len(text))
	at := 0
	for _, s := range spans {
		out = append(append(out, text[at:s.from]...), Mask...)
		at = s.to
	}
	return append(out, text[at:]...)
}
