// Package secret holds values that must never be printed. A Value shows itself
// as <secret> to fmt, slog, JSON, YAML and text encoders; only Get hands it out.
package secret

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// Mask is what a secret looks like from outside.
const Mask = "<secret>"

// ErrEmpty is returned by Get for a secret that is set but empty.
var ErrEmpty = errors.New("is empty")

// Value is a secret given inline or by the path of a file. The zero Value is
// "not set". A Value is immutable after configuration and safe for concurrent use.
type Value struct {
	inline string
	file   string
}

// New returns a secret with the given text.
func New(text string) *Value { return &Value{inline: text} }

// FromFile returns a secret that is read anew from path at every Get, so that a
// rotated file takes effect without a restart.
func FromFile(path string) *Value { return &Value{file: path} }

// Set reports whether the secret was given at all.
func (v *Value) Set() bool { return v != nil && (v.inline != "" || v.file != "") }

// File returns the path of the secret's file, or "" for an inline one.
func (v *Value) File() string {
	if v == nil {
		return ""
	}
	return v.file
}

// Get returns the secret without surrounding white space. The error names the
// file and never its content.
func (v *Value) Get() (string, error) {
	if v == nil {
		return "", ErrEmpty
	}
	if v.file == "" {
		return v.inline, nil
	}
	b, err := os.ReadFile(v.file)
	if err != nil {
		return "", fmt.Errorf("reading secret file: %w", err)
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", fmt.Errorf("secret file %s %w", v.file, ErrEmpty)
	}
	return s, nil
}

// String returns Mask, or "" for a secret that is not set.
func (v *Value) String() string {
	if !v.Set() {
		return ""
	}
	return Mask
}

// Format prints Mask whatever the verb.
func (v *Value) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(v.String())) }

// GoString returns Mask.
func (v *Value) GoString() string { return v.String() }

// LogValue returns Mask.
func (v *Value) LogValue() slog.Value { return slog.StringValue(v.String()) }

// MarshalText writes Mask; encoding/json and yaml use it too.
func (v *Value) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText takes an inline secret.
func (v *Value) UnmarshalText(b []byte) error {
	*v = Value{inline: strings.TrimSpace(string(b))}
	return nil
}
