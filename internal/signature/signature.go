// Package signature signs webhooks as Standard Webhooks does (symmetric scheme,
// specification at standardwebhooks.com): three headers, a secret that begins with
// whsec_, and HMAC-SHA256.
package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// prefix begins a secret.
const prefix = "whsec_"

// The bounds of a key's length in bytes (Standard Webhooks, "Symmetric").
const (
	minKey = 24
	maxKey = 64
)

// ErrSecret says that a signing secret has another form. Its text never holds the secret.
var ErrSecret = errors.New("not a Standard Webhooks secret: whsec_ and the base64 form of 24 to 64 random bytes")

// Key is the decoded form of a signing secret.
type Key []byte

// String keeps a key out of logs.
func (Key) String() string { return "<secret>" }

// GoString keeps a key out of logs.
func (Key) GoString() string { return "<secret>" }

// ParseKeys reads signing secrets, one per line: during a rotation the new one and the
// old one. Every delivery is signed with all of them, the first one first.
func ParseKeys(text string) ([]Key, error) {
	var keys []Key
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		encoded, ok := strings.CutPrefix(line, prefix)
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil || len(raw) < minKey || len(raw) > maxKey {
			if several := strings.Contains(strings.TrimSpace(text), "\n"); several {
				return nil, fmt.Errorf("%w (secret %d of the file)", ErrSecret, len(keys)+1)
			}
			return nil, ErrSecret
		}
		keys = append(keys, raw)
	}
	return keys, nil
}

// Sign returns the webhook-signature header of one attempt: for every key "v1," and
// the base64 form of HMAC-SHA256 over "id.timestamp.body" (Standard Webhooks,
// "Signature scheme"). It is empty without a key.
func Sign(keys []Key, id string, at time.Time, body []byte) string {
	var out []string
	for _, k := range keys {
		mac := hmac.New(sha256.New, k)
		_, _ = fmt.Fprintf(mac, "%s.%s.", id, Timestamp(at))
		_, _ = mac.Write(body)
		out = append(out, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(out, " ")
}

// Timestamp returns the webhook-timestamp header: Unix seconds.
func Timestamp(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
