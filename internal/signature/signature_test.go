package signature_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"pgregory.net/rapid"

	"github.com/aispend/aispend/internal/signature"
)

func secretOf(n int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", n)))
}

// The example of the specification and of every library's tests.
func TestSignExample(t *testing.T) {
	keys, err := signature.ParseKeys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := signature.Sign(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

// Whatever is signed, the reference library verifies it with each of the secrets and
// with no other.
func TestReferenceLibraryVerifies(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 3).Draw(rt, "secrets")
		var secrets []string
		for i := range n {
			secrets = append(secrets, secretOf(24+i*20))
		}
		keys, err := signature.ParseKeys(strings.Join(secrets, "\n"))
		if err != nil {
			rt.Fatal(err)
		}
		body := rapid.SliceOf(rapid.Byte()).Draw(rt, "body")
		id := rapid.StringMatching(`hc_[0-9a-f]{32}`).Draw(rt, "id")
		at := time.Now()
		h := http.Header{}
		h.Set("Webhook-Id", id)
		h.Set("Webhook-Timestamp", signature.Timestamp(at))
		h.Set("Webhook-Signature", signature.Sign(keys, id, at, body))
		for _, s := range secrets {
			wh, err := standardwebhooks.NewWebhook(s)
			if err != nil {
				rt.Fatal(err)
			}
			if err := wh.Verify(body, h); err != nil {
				rt.Error(err)
			}
		}
		other, err := standardwebhooks.NewWebhook(secretOf(33))
		if err != nil {
			rt.Fatal(err)
		}
		if other.Verify(body, h) == nil {
			rt.Error("another secret verifies")
		}
	})
}

func TestNoKeyNoSignature(t *testing.T) {
	if got := signature.Sign(nil, "id", time.Unix(1, 0), nil); got != "" {
		t.Errorf("signature %q", got)
	}
}

func TestParseKeys(t *testing.T) {
	good := secretOf(32)
	for name, tc := range map[string]struct {
		text string
		keys int
		ok   bool
	}{
		"one":                   {good, 1, true},
		"with a newline":        {good + "\n", 1, true},
		"two":                   {good + "\n" + secretOf(24), 2, true},
		"with empty lines":      {"\n" + good + "\r\n\r\n  " + secretOf(64) + "  \n", 2, true},
		"nothing":               {"", 0, true},
		"the shortest":          {secretOf(24), 1, true},
		"too short":             {secretOf(23), 0, false},
		"too long":              {secretOf(65), 0, false},
		"no prefix":             {good[6:], 0, false},
		"not base64":            {"whsec_CANARY!", 0, false},
		"a public key":          {"whpk_" + good[6:], 0, false},
		"a good and a bad one":  {good + "\nCANARY", 0, false},
		"two on one line":       {good + " " + good, 0, false},
		"base64 of another set": {"whsec_" + strings.Repeat("-_", 22), 0, false},
	} {
		keys, err := signature.ParseKeys(tc.text)
		if len(keys) != tc.keys || (err == nil) != tc.ok || err != nil && !errors.Is(err, signature.ErrSecret) {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
		if err != nil && strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: the secret is told: %v", name, err)
		}
	}
	keys, err := signature.ParseKeys(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%s", "%+v", "%#v"} {
		if text := fmt.Sprintf(format, keys[0]); text != "<secret>" {
			t.Errorf("%s shows %q", format, text)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add(secretOf(32) + "\n" + secretOf(24))
	f.Add("whsec_")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := signature.ParseKeys(text)
		if err == nil && len(keys) == 0 && strings.TrimSpace(text) != "" {
			t.Errorf("%q has no key and no error", text)
		}
		for _, k := range keys {
			if len(k) < 24 || len(k) > 64 {
				t.Errorf("a key of %d bytes", len(k))
			}
		}
	})
}
