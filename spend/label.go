package spend

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxLabelBytes bounds a label value.
const MaxLabelBytes = 128

// A changed label ends in labelMark and labelHashLen characters of hash.
const (
	labelMark    = "~"
	labelHashLen = 8
)

// labelHash spells 40 bits of SHA-256 in lower-case letters and digits.
var labelHash = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567")

// CleanLabel makes s safe to be a Prometheus label value, a log value and a CSV
// field: valid UTF-8 of printable characters (so no control, format, bidi or line
// separator characters), no space at either end, and no more than MaxLabelBytes.
// What was a line break or another kind of space becomes a space, an invalid byte
// becomes U+FFFD, and any other forbidden character goes.
//
// A value that had to be changed ends in "~" and 8 characters of a hash of the
// original, so that two different values do not become one (40 bits: among ten
// thousand values that clean to the same text the odds are 1 in 20,000, and then
// their rows add up under one name, which breaks neither sums nor scrapes).
// CleanLabel of its own result changes nothing, and the empty string stays empty.
func CleanLabel(s string) (label string, changed bool) {
	if isClean(s) {
		return s, false
	}
	body := strings.Trim(strings.Map(cleanRune, s), " ")
	body = strings.TrimRight(cutRunes(body, MaxLabelBytes-len(labelMark)-labelHashLen), " ")
	sum := sha256.Sum256([]byte(s))
	return body + labelMark + labelHash.EncodeToString(sum[:])[:labelHashLen], true
}

func isClean(s string) bool {
	if len(s) > MaxLabelBytes || strings.HasPrefix(s, " ") || strings.HasSuffix(s, " ") {
		return false
	}
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c < ' ' || c == 0x7f {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) {
			return false
		}
		i += n
	}
	return true
}

// cleanRune is called with U+FFFD for an invalid byte, which is printable.
func cleanRune(r rune) rune {
	switch {
	case unicode.IsPrint(r):
		return r
	case unicode.IsSpace(r):
		return ' '
	default:
		return -1
	}
}

// cutRunes returns the longest prefix of whole runes that has at most n bytes.
func cutRunes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
