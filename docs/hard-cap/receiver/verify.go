package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// tolerance is how far the clock of the sender may be off, either way. A recorded
// delivery is worthless when it is over.
const tolerance = 5 * time.Minute

// The bounds of a secret in bytes (Standard Webhooks, "signature scheme").
const minSecret, maxSecret = 24, 64

// parseSecrets reads signing secrets, separated by white space: "whsec_" and the
// base64 form of 24 to 64 bytes each. Errors never show a secret.
func parseSecrets(text string) ([][]byte, error) {
	var out [][]byte
	for i, word := range strings.Fields(text) {
		encoded, ok := strings.CutPrefix(word, "whsec_")
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil || len(key) < minSecret || len(key) > maxSecret {
			return nil, fmt.Errorf("signing secret %d is not whsec_ and the base64 form of %d to %d bytes",
				i+1, minSecret, maxSecret)
		}
		out = append(out, key)
	}
	if len(out) == 0 {
		return nil, errors.New("there is no signing secret")
	}
	return out, nil
}

// verify checks a delivery as Standard Webhooks says: one of the signatures must
// be the HMAC-SHA256 of "id.timestamp.body" under one of the secrets, and the
// timestamp must be near now. body is what came over the wire, byte for byte. It
// returns the id, which belongs to what is signed.
func verify(secrets [][]byte, h http.Header, body []byte, now time.Time) (id string, err error) {
	id, stamp := single(h, "Webhook-Id"), single(h, "Webhook-Timestamp")
	signatures := single(h, "Webhook-Signature")
	if id == "" || stamp == "" || signatures == "" {
		return "", errors.New("webhook-id, webhook-timestamp and webhook-signature must each be there once")
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return "", errors.New("webhook-timestamp is not a number of seconds")
	}
	if off := now.Sub(time.Unix(seconds, 0)); off > tolerance || off < -tolerance {
		return "", errors.New("webhook-timestamp is more than five minutes from this machine's time")
	}
	if !signed(secrets, []byte(id+"."+stamp+"."+string(body)), signatures) {
		return "", errors.New("no signature fits any secret")
	}
	return id, nil
}

// signed reports whether one of the signatures, "v1,<base64>" separated by blanks,
// fits one of the secrets. Other versions are skipped. The comparison takes the
// same time wherever the difference is.
func signed(secrets [][]byte, content []byte, signatures string) bool {
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write(content)
		want := mac.Sum(nil)
		for _, signature := range strings.Fields(signatures) {
			encoded, ok := strings.CutPrefix(signature, "v1,")
			got, err := base64.StdEncoding.DecodeString(encoded)
			if ok && err == nil && hmac.Equal(got, want) {
				return true
			}
		}
	}
	return false
}

// single returns the value of a header that is there exactly once.
func single(h http.Header, name string) string {
	if v := h.Values(name); len(v) == 1 {
		return v[0]
	}
	return ""
}
