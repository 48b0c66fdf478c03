// Package secret holds values that must never be printed. A Value shows itself
// as <secret> to fmt, slog, JSON, YAML and text encoders; only Get hands it out.
// Redact blots secrets out of texts that come from outside, such as the body of a
// provider's error.
package secret

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// Mask is what a secret looks like from outside.
const Mask = "<secret>"

// maxFileBytes bounds a secret's file: it may hold a few tokens or a service
// account's JSON, and must not be a device that never ends.
const maxFileBytes = 1 << 16

// Errors of Get.
var (
	// ErrEmpty is returned by Get for a secret that is not set, or set but empty.
	ErrEmpty = errors.New("is empty")
	// ErrTooLarge is returned by Get for a file that cannot be a secret's.
	ErrTooLarge = errors.New("is larger than 64 KiB")
)

// Value is a secret given inline or by the path of a file. The zero Value is
// "not set". A Value is immutable after configuration and safe for concurrent use.
type Value struct {
	// inline is a function because reflection can walk into every other kind of
	// field: a Value inside somebody's unexported field is printed without its
	// methods being asked.
	inline func() string
	file   string
}

// New returns a secret with the given text, without surrounding white space.
func New(text string) *Value {
	v := &Value{}
	v.set(text)
	return v
}

// FromFile returns a secret that is read anew from path at every Get, so that a
// rotated file takes effect without a restart.
func FromFile(path string) *Value { return &Value{file: path} }

func (v *Value) set(text string) {
	text = strings.TrimSpace(text)
	*v = Value{}
	if text != "" {
		v.inline = func() string { return text }
	}
}

// Set reports whether the secret was given at all.
func (v *Value) Set() bool { return v != nil && (v.inline != nil || v.file != "") }

// File returns the path of the secret's file, or "" for an inline one.
func (v *Value) File() string {
	if v == nil {
		return ""
	}
	return v.file
}

// Get returns the secret without surrounding white space. The error names the
// file and never its content; ErrEmpty if there is no text.
func (v *Value) Get() (string, error) {
	switch {
	case !v.Set():
		return "", ErrEmpty
	case v.file == "":
		return v.inline(), nil
	}
	b, err := readFile(v.file)
	if err != nil {
		return "", fmt.Errorf("reading secret file: %w", err)
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", fmt.Errorf("secret file %s %w", v.file, ErrEmpty)
	}
	return s, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(b) > maxFileBytes {
		err = fmt.Errorf("%s %w", path, ErrTooLarge)
	}
	return b, err
}

// Equal reports whether both were configured alike: the same inline text, or the
// same path. Files are not read. Two that are not set are equal.
func (v *Value) Equal(o *Value) bool {
	if !v.Set() || !o.Set() {
		return v.Set() == o.Set()
	}
	if v.file != o.file || (v.inline == nil) != (o.inline == nil) {
		return false
	}
	return v.inline == nil || subtle.ConstantTimeCompare([]byte(v.inline()), []byte(o.inline())) == 1
}

// The methods below have value receivers, so that a Value that was copied is as
// silent as a pointer to it.

// String returns Mask, or "" for a secret that is not set.
func (v Value) String() string {
	if !v.Set() {
		return ""
	}
	return Mask
}

// Format prints Mask whatever the verb.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, v.String()) }

// GoString returns Mask.
func (v Value) GoString() string { return v.String() }

// LogValue returns Mask.
func (v Value) LogValue() slog.Value { return slog.StringValue(v.String()) }

// MarshalText writes Mask; encoding/json, encoding/xml and yaml use it too.
func (v Value) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText takes an inline secret.
func (v *Value) UnmarshalText(b []byte) error {
	v.set(string(b))
	return nil
}
