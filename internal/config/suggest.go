package config

import (
	"slices"
	"strings"
)

// suggest returns the allowed word that s most likely stands for, or "".
func suggest(s string, allowed []string) string {
	best, bestDist := "", 1+max(1, len(s)/3)
	for _, a := range allowed {
		if d := distance(strings.ToLower(s), a); d < bestDist {
			best, bestDist = a, d
		}
	}
	for _, a := range allowed {
		if best == "" && len(s) > 5 && strings.HasPrefix(a, strings.ToLower(s[:6])) {
			best = a
		}
	}
	return best
}

// distance is the number of single-byte edits between two short words; of long
// ones it is the longer length, which no suggestion needs exactly.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j]+1, row[j+1]+1, diag+cost)
			diag, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}

// oneOf lists words for a message: "day, week or month".
func oneOf(words []string) string {
	switch len(words) {
	case 0:
		return "nothing"
	case 1:
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// unknownKey is the message for a key that the mapping does not have.
func unknownKey(key string, allowed []string) string {
	allowed = slices.Clone(allowed)
	slices.Sort(allowed)
	msg := "unknown key"
	if s := suggest(key, allowed); s != "" {
		msg += ": did you mean " + s + "?"
	} else if at := elsewhere(key); at != "" {
		msg += ": " + key + " belongs under " + at + ";"
	} else {
		msg += ";"
	}
	return msg + " allowed here: " + strings.Join(allowed, ", ")
}
