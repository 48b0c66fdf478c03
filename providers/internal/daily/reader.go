package daily

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aispend/aispend/spend"
)

// Reader reads one JSON document by pulling from its token stream: names in their
// exact case, no name twice in one object, nothing after the document. (The
// standard library's decoder is lenient in all three.) The first error sticks:
// every later call returns zero values and false, so that callers check Err once.
//
// Invalid UTF-8 inside strings is let through; labels are cleaned when they are made.
type Reader struct {
	dec  *jsontext.Decoder
	in   bytes.Buffer
	name []byte // of the member being read
	text []byte // scratch for strings with escapes
	err  *spend.PullError
	// Unknown counts members that nobody asked for.
	Unknown int
}

// Reset starts a new document. The reader refers to body until the next Reset.
func (r *Reader) Reset(body []byte) {
	r.in = *bytes.NewBuffer(body)
	r.err = nil
	if r.dec == nil {
		r.dec = jsontext.NewDecoder(&r.in, jsontext.AllowInvalidUTF8(true))
	} else {
		r.dec.Reset(&r.in, jsontext.AllowInvalidUTF8(true))
	}
	first := bytes.TrimLeft(body, " \t\r\n")
	switch {
	case len(first) == 0:
		r.fail(spend.Decode, "the body is empty")
	case first[0] == '<':
		r.fail(spend.Schema, "the body is HTML or XML, not JSON: check base_url, and for a proxy in between")
	}
}

// Err returns what went wrong first, or nil.
func (r *Reader) Err() error {
	if r.err == nil {
		return nil
	}
	return r.err
}

// Fail records that the document is not of the promised shape, at the member or
// element read last. The text must not quote the document.
func (r *Reader) Fail(format string, args ...any) { r.fail(spend.Schema, format, args...) }

func (r *Reader) fail(o spend.Outcome, format string, args ...any) {
	if r.err != nil {
		return
	}
	text := fmt.Sprintf(format, args...)
	if at := place(string(r.dec.StackPointer())); at != "" {
		text = at + ": " + text
	}
	r.err = &spend.PullError{Outcome: o, Err: errors.New(text)}
}

// syntax records that the document is not JSON. jsontext's own text is not used:
// it quotes the input.
func (r *Reader) syntax(err error) {
	var se *jsontext.SyntacticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		r.fail(spend.Decode, "a member name is given twice")
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		r.fail(spend.Decode, "the JSON document breaks off")
	case errors.As(err, &se):
		r.fail(spend.Decode, "malformed JSON at byte %d", se.ByteOffset)
	default:
		r.fail(spend.Decode, "malformed JSON")
	}
}

// place turns a JSON pointer into "data[0].results[3].amount". A name that is
// not a plain word is not repeated.
func place(pointer string) string {
	var b strings.Builder
	for tok := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		switch _, err := strconv.Atoi(tok); {
		case tok == "":
		case err == nil:
			b.WriteString("[" + tok + "]")
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			if len(tok) > 40 || strings.Trim(tok, "abcdefghijklmnopqrstuvwxyz_") != "" {
				tok = "?"
			}
			b.WriteString(tok)
		}
	}
	return b.String()
}

// Object enters an object; anything else is an error.
func (r *Reader) Object() bool { return r.open('{', "an object") }

// Array enters an array; anything else is an error.
func (r *Reader) Array() bool { return r.open('[', "an array") }

func (r *Reader) open(kind jsontext.Kind, what string) bool {
	if r.err != nil {
		return false
	}
	t, err := r.dec.ReadToken()
	if err != nil {
		r.syntax(err)
		return false
	}
	if t.Kind() != kind {
		r.Fail("is %s instead of %s", kindName(t.Kind()), what)
		return false
	}
	return true
}

// Member moves to the next member of the object just entered and reads its name.
// It returns false at the end of the object, which it leaves.
func (r *Reader) Member() bool {
	if !r.more('}') {
		return false
	}
	v, err := r.dec.ReadValue()
	if err != nil {
		r.syntax(err)
		return false
	}
	// The name is copied: the buffer is valid until the next read only.
	r.name = r.unquote(r.name[:0], v)
	return r.err == nil
}

// Name returns the name of the member, valid until the next call of Member.
func (r *Reader) Name() []byte { return r.name }

// Element moves to the next element of the array just entered. It returns false
// at the end of the array, which it leaves.
func (r *Reader) Element() bool { return r.more(']') }

func (r *Reader) more(end jsontext.Kind) bool {
	if r.err != nil {
		return false
	}
	k := r.dec.PeekKind()
	if k != end && k > 0 {
		return true
	}
	if _, err := r.dec.ReadToken(); err != nil {
		r.syntax(err)
	}
	return false
}

// End makes sure that nothing follows the document.
func (r *Reader) End() {
	if r.err != nil {
		return
	}
	if _, err := r.dec.ReadToken(); err == nil || !errors.Is(err, io.EOF) {
		r.fail(spend.Decode, "something follows the JSON document")
	}
}

// Skip passes over the member's value.
func (r *Reader) Skip() {
	if r.err != nil {
		return
	}
	if err := r.dec.SkipValue(); err != nil {
		r.syntax(err)
	}
}

// SkipUnknown passes over a member that nobody asked for, and counts it.
func (r *Reader) SkipUnknown() {
	r.Unknown++
	r.Skip()
}

// value reads a whole value, valid until the next read.
func (r *Reader) value() jsontext.Value {
	if r.err != nil {
		return nil
	}
	v, err := r.dec.ReadValue()
	if err != nil {
		r.syntax(err)
		return nil
	}
	return v
}

// unquote appends the text of a JSON string. Without escapes the bytes are taken
// as they are, so that two different strings of invalid UTF-8 stay different.
func (r *Reader) unquote(dst []byte, v jsontext.Value) []byte {
	if bytes.IndexByte(v, '\\') < 0 {
		return append(dst, v[1:len(v)-1]...)
	}
	// An error here is invalid UTF-8 only, which is let through.
	dst, _ = jsontext.AppendUnquote(dst, v)
	return dst
}

// Text reads a string or null (ok is false). The bytes are valid until the next read.
func (r *Reader) Text() (text []byte, ok bool) {
	v := r.value()
	switch v.Kind() {
	case '"':
		r.text = r.unquote(r.text[:0], v)
		return r.text, true
	case 'n':
	default:
		if r.err == nil {
			r.Fail("is %s instead of a string", kindName(v.Kind()))
		}
	}
	return nil, false
}

// Bool reads true or false.
func (r *Reader) Bool() bool {
	v := r.value()
	if k := v.Kind(); k != 't' && k != 'f' && r.err == nil {
		r.Fail("is %s instead of true or false", kindName(k))
	}
	return v.Kind() == 't'
}

// maxCount bounds a count of one row, so that sums of counts cannot overflow.
const maxCount = 1e15

// Count reads a whole number that is not negative, or null (ok is false). A
// string that holds such a number is taken for it.
func (r *Reader) Count() (n int64, ok bool) {
	v := r.value()
	switch v.Kind() {
	case 'n':
		return 0, false
	case '0', '"':
		n, err := strconv.ParseInt(string(bytes.Trim(v, `"`)), 10, 64)
		if err != nil || n < 0 || n > maxCount {
			r.Fail("is not a whole number from 0 to %d", int64(maxCount))
			return 0, false
		}
		return n, true
	}
	if r.err == nil {
		r.Fail("is %s instead of a whole number", kindName(v.Kind()))
	}
	return 0, false
}

// Money reads an amount from a JSON number or from a string that holds one (both
// were seen live for one and the same field, apis page 1.2). Null, an empty
// string, NaN and anything else that is no decimal number is an error: a row
// whose price cannot be read must never count as 0.
func (r *Reader) Money() spend.Money {
	v := r.value()
	if r.err != nil {
		return spend.Money{}
	}
	if k := v.Kind(); k != '0' && k != '"' {
		r.Fail("is %s instead of an amount", kindName(k))
		return spend.Money{}
	}
	s := v
	if v.Kind() == '"' {
		r.text = r.unquote(r.text[:0], v)
		s = r.text
	}
	m, err := spend.ParseMoneyBytes(s)
	switch {
	case len(s) == 0:
		r.Fail("is an empty string instead of an amount")
	case errors.Is(err, spend.ErrMoneyRange):
		r.Fail("is an amount out of range")
	case err != nil:
		r.Fail("is not a decimal number")
	}
	return m
}

// Epoch reads a moment as a whole number of seconds since 1970.
func (r *Reader) Epoch() time.Time {
	v := r.value()
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil && r.err == nil {
		r.Fail("is not a number of seconds since 1970")
	}
	return time.Unix(n, 0).UTC()
}

// RFC3339 reads a moment as a string such as 2026-11-18T00:00:00Z.
func (r *Reader) RFC3339() time.Time {
	s, _ := r.Text()
	t, err := time.Parse(time.RFC3339, string(s))
	if err != nil {
		r.Fail("is not a time of the form 2026-11-18T00:00:00Z")
	}
	return t.UTC()
}

func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "an array"
	}
	return "nothing"
}
