package main

import (
	"slices"
	"strings"
)

// kind is what a token is.
type kind int

const (
	word   kind = iota // a name, keyword, number or duration
	symbol             // an operator or punctuation
	quoted             // a string
)

// token is one word of PromQL at its place in the expression.
type token struct {
	kind     kind
	text     string
	from, to int
	// matching is true between braces: there, != is no comparison.
	matching bool
	// ranging is true between square brackets: there, numbers are durations.
	ranging bool
}

// operators are the symbols of more than one character, the longer ones first.
var operators = []string{"=~", "!~", "==", "!=", ">=", "<="}

// scan splits an expression. It knows just enough of PromQL for these rules, and
// takes whatever it does not know as a symbol of one character; promtool decides
// whether what is made of it is valid.
func scan(expr string) []token {
	var out []token
	braces, brackets := 0, 0
	for i := 0; i < len(expr); {
		to, k := next(expr, i)
		if k < 0 {
			i = to
			continue
		}
		t := token{kind: k, text: expr[i:to], from: i, to: to, matching: braces > 0, ranging: brackets > 0}
		switch t.text {
		case "{":
			braces++
		case "}":
			braces--
		case "[":
			brackets++
		case "]":
			brackets--
		}
		out = append(out, t)
		i = to
	}
	return out
}

// next returns the end of what begins at i, and its kind or -1 for white space
// and comments.
func next(expr string, i int) (int, kind) {
	switch c := expr[i]; {
	case strings.ContainsRune(" \t\n", rune(c)):
		return i + 1, -1
	case c == '#':
		if n := strings.IndexByte(expr[i:], '\n'); n >= 0 {
			return i + n, -1
		}
		return len(expr), -1
	case c == '"':
		for j := i + 1; j < len(expr); j++ {
			switch expr[j] {
			case '\\':
				j++
			case '"':
				return j + 1, quoted
			}
		}
		return len(expr), quoted
	case isWord(c):
		j := i
		for j < len(expr) && (isWord(expr[j]) || expr[j] == '.') {
			j++
		}
		return j, word
	}
	for _, op := range operators {
		if strings.HasPrefix(expr[i:], op) {
			return i + len(op), symbol
		}
	}
	return i + 1, symbol
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// closing returns the index of the token that closes the one at open.
func closing(tokens []token, open int) int {
	depth := 0
	for i := open; i < len(tokens); i++ {
		switch tokens[i].text {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth--
			if depth == 0 {
				return i
			}
		}
	}
	return len(tokens)
}

// setOperators join what has already been compared; they bind weakest.
var setOperators = []string{"and", "or", "unless"}

// operandEnd returns the index of the token after the right operand of the set
// operator at op. The operands of and and unless end at the next set operator; or
// binds weaker and takes everything.
func operandEnd(tokens []token, op int) int {
	for i := op + 1; i < len(tokens); i++ {
		switch t := tokens[i]; {
		case slices.Contains([]string{"(", "[", "{"}, t.text):
			i = closing(tokens, i)
		case slices.Contains([]string{")", "]", "}"}, t.text):
			return i
		case slices.Contains(setOperators, t.text) && (tokens[op].text != "or" || t.text == "or"):
			return i
		}
	}
	return len(tokens)
}

// operandStart returns the index of the first token of the left operand of the or
// at op.
func operandStart(tokens []token, op int) int {
	depth := 0
	for i := op - 1; i >= 0; i-- {
		switch tokens[i].text {
		case ")", "]", "}":
			depth++
		case "(", "[", "{":
			if depth--; depth < 0 {
				return i + 1
			}
		case "or":
			if depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}
