package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The example of the Standard Webhooks libraries (libraries/go/webhook_test.go).
const (
	exampleSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	exampleSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

var exampleTime = time.Unix(1614265330, 0)

const otherSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

func keys(t testing.TB, text string) [][]byte {
	t.Helper()
	out, err := parseSecrets(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sign makes a signature of its own, the plainest way.
func sign(t testing.TB, secret, id string, at time.Time, body string) string {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "." + body))
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func exampleHeader() http.Header {
	h := http.Header{}
	h.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	h.Set("webhook-timestamp", "1614265330")
	h.Set("webhook-signature", exampleSignature)
	return h
}

func TestVerify(t *testing.T) {
	const body = `{"test": 2432232314}`
	other := sign(t, otherSecret, "msg_p5jXN8AQM9LWM0D4loKWxJek", exampleTime, body)
	set := func(name, value string) func(http.Header) { return func(h http.Header) { h.Set(name, value) } }
	for _, c := range []struct {
		name    string
		secrets string
		edit    func(http.Header)
		body    string
		late    time.Duration
		ok      bool
	}{
		{name: "the libraries' example", ok: true},
		{name: "another secret", secrets: otherSecret},
		{name: "rotation: new secret second", secrets: otherSecret + "\n" + exampleSecret, ok: true},
		{name: "rotation: both sign", secrets: otherSecret, edit: set("webhook-signature", exampleSignature+" "+other), ok: true},
		{name: "another body", body: `{"test": 2432232315}`},
		{name: "a blank more", body: body + " "},
		{name: "another id", edit: set("webhook-id", "msg_other")},
		{name: "another time", edit: set("webhook-timestamp", "1614265331")},
		{name: "five minutes late", late: tolerance, ok: true},
		{name: "later", late: tolerance + time.Second},
		{name: "five minutes early", late: -tolerance, ok: true},
		{name: "earlier", late: -tolerance - time.Second},
		{name: "centuries off", edit: set("webhook-timestamp", "9223372036854775807")},
		{name: "time is no number", edit: set("webhook-timestamp", "yesterday")},
		{name: "time is a fraction", edit: set("webhook-timestamp", "1614265330.0")},
		{name: "no id", edit: func(h http.Header) { h.Del("webhook-id") }},
		{name: "no time", edit: func(h http.Header) { h.Del("webhook-timestamp") }},
		{name: "no signature", edit: func(h http.Header) { h.Del("webhook-signature") }},
		{name: "empty signature", edit: set("webhook-signature", "")},
		{name: "two ids", edit: func(h http.Header) { h.Add("webhook-id", "msg_other") }},
		{name: "two signatures in two headers", edit: func(h http.Header) { h.Add("webhook-signature", exampleSignature) }},
		{
			name: "the right one last", ok: true,
			edit: set("webhook-signature", "v1,AAAA v1a,xyz nonsense v2,"+exampleSignature[3:]+" "+exampleSignature),
		},
		{name: "version v1a", edit: set("webhook-signature", "v1a"+exampleSignature[2:])},
		{name: "version v2", edit: set("webhook-signature", "v2"+exampleSignature[2:])},
		{name: "no version", edit: set("webhook-signature", exampleSignature[3:])},
		{name: "one byte short", edit: set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(make([]byte, 31)))},
		{name: "commas for blanks", edit: set("webhook-signature", exampleSignature+","+exampleSignature)},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := exampleHeader()
			if c.edit != nil {
				c.edit(h)
			}
			if c.secrets == "" {
				c.secrets = exampleSecret
			}
			if c.body == "" {
				c.body = body
			}
			id, err := verify(keys(t, c.secrets), h, []byte(c.body), exampleTime.Add(c.late))
			if (err == nil) != c.ok || (id != "") != c.ok {
				t.Errorf("id %q, error %v", id, err)
			}
			if err != nil && (strings.Contains(err.Error(), "MfKQ") || strings.Contains(err.Error(), "g0hM")) {
				t.Errorf("the error shows too much: %v", err)
			}
		})
	}
}

func TestSecrets(t *testing.T) {
	encode := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for text, n := range map[string]int{
		encode(24): 1, encode(64): 1, encode(32) + "\n" + encode(33) + "\r\n\n": 2,
		"": 0, "\n": 0, encode(23): 0, encode(65): 0, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": 0,
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS": 0, encode(32) + "\nhunter2hunter2": 0, "whsk_AAAA": 0,
	} {
		got, err := parseSecrets(text)
		if len(got) != n || (err == nil) != (n > 0) {
			t.Errorf("%q: %d secrets, %v", text, len(got), err)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "MfKQ")) {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
}

// FuzzSignature looks for a signature header that passes and does not hold the
// right signature, and for one that breaks the program.
func FuzzSignature(f *testing.F) {
	for _, s := range []string{exampleSignature, "v1,", "v1a,AAAA v1,AAAA", " ", "v1,\x00", exampleSignature + " v1,A"} {
		f.Add(s, "1614265330")
	}
	f.Add(exampleSignature, "+1614265330")
	f.Add(exampleSignature, "-1")
	f.Fuzz(func(t *testing.T, signatures, stamp string) {
		h := exampleHeader()
		h.Set("webhook-signature", signatures)
		h.Set("webhook-timestamp", stamp)
		_, err := verify(keys(t, exampleSecret), h, []byte(`{"test": 2432232314}`), exampleTime)
		if err != nil {
			return
		}
		right, _ := base64.StdEncoding.DecodeString(exampleSignature[3:])
		for _, s := range strings.Fields(signatures) {
			got, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "v1,"))
			if stamp == "1614265330" && bytes.Equal(got, right) {
				return
			}
		}
		t.Errorf("%q at %q passed", signatures, stamp)
	})
}
