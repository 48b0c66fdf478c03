package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aispend/aispend/internal/secret"
)

const awkward = `sk/adm+"<é\ 0123456789==`

var lowerEscapes = regexp.MustCompile("%[0-9A-F]{2}")

// spellings are the forms in which a server may echo a secret.
func spellings(s string) map[string]string {
	quoted, _ := json.Marshal(s)
	inner := string(quoted[1 : len(quoted)-1])
	return map[string]string{
		"plain":        s,
		"query":        url.QueryEscape(s),
		"path":         url.PathEscape(s),
		"lower query":  lowerEscapes.ReplaceAllStringFunc(url.QueryEscape(s), strings.ToLower),
		"json":         inner,
		"json slashes": strings.ReplaceAll(inner, "/", `\/`),
		"hex":          hex.EncodeToString([]byte(s)),
		"upper hex":    strings.ToUpper(hex.EncodeToString([]byte(s))),
		"base64":       base64.StdEncoding.EncodeToString([]byte(s)),
		"base64url":    base64.RawURLEncoding.EncodeToString([]byte(s)),
		"basic auth":   base64.StdEncoding.EncodeToString([]byte("user:" + s)),
		"basic auth 2": base64.StdEncoding.EncodeToString([]byte("me:" + s + "\n")),
		"basic auth 3": base64.StdEncoding.EncodeToString([]byte("root:" + s + "ab")),
	}
}

func TestRedactFindsEverySpelling(t *testing.T) {
	for _, text := range []string{canary, awkward} {
		v := secret.New(text)
		for name, form := range spellings(text) {
			in := `{"error":"bad key ` + form + `, sorry"}`
			out, found := secret.Redact([]byte(in), nil, &secret.Value{}, v)
			if !found || !strings.Contains(string(out), secret.Mask) {
				t.Errorf("%s: %s became %s", name, in, out)
				continue
			}
			if name == "plain" && string(out) != `{"error":"bad key <secret>, sorry"}` {
				t.Errorf("%s became %s", in, out)
			}
			// Of base64 no more than the characters shared with the neighbours stay.
			for i := 0; i+12 <= len(form); i++ {
				if piece := form[i : i+12]; strings.Contains(string(out), piece) && strings.Contains(text, piece) {
					t.Errorf("%s: %q survives in %s", name, piece, out)
				}
			}
		}
	}
}

func TestRedactLeavesTheRest(t *testing.T) {
	in := []byte("nothing to see")
	out, found := secret.Redact(in, secret.New(canary), secret.New("nothing")) // too short to look for
	if found || &out[0] != &in[0] {
		t.Errorf("Redact = %q, %t, want the argument itself", out, found)
	}
	in = []byte("a " + canary + " b " + canary)
	keep := bytes.Clone(in)
	out, found = secret.Redact(in, secret.New(canary))
	if !found || string(out) != "a <secret> b <secret>" || !bytes.Equal(in, keep) {
		t.Errorf("Redact = %q, %t; argument now %q", out, found, in)
	}
}

func TestRedactWordsOfTokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	var tokens []string
	for i := range 100 {
		tokens = append(tokens, fmt.Sprintf("token-number-%03d", i))
	}
	if err := os.WriteFile(path, []byte(strings.Join(tokens, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, token := range tokens {
		if got, _ := secret.Redact([]byte("got "+token), secret.FromFile(path)); string(got) != "got <secret>" {
			t.Errorf("Redact = %q", got)
		}
	}
	key := secret.New(`{"type": "service_account"}`)
	const plain = `no "service_account" here`
	if got, found := secret.Redact([]byte(plain), key); string(got) != plain || found {
		t.Errorf("Redact = %q, want it unchanged", got)
	}
}

func TestRedactWithoutAFile(t *testing.T) {
	gone := secret.FromFile(filepath.Join(t.TempDir(), "gone"))
	got, found := secret.Redact([]byte("a "+canary), gone, secret.New(canary))
	if string(got) != "a <secret>" || !found {
		t.Errorf("Redact = %q, %t: one file that is gone must not spare the other secrets", got, found)
	}
}

// A secret that the mask could make up anew is blotted out all the same.
func TestRedactPerverseSecrets(t *testing.T) {
	for _, s := range []string{"xxxxxxx<", "secret>yyyy", "<secret><secret>", "<secret>x"} {
		for _, in := range []string{s, s + s, s[:7] + s, s + s[1:], s[:len(s)-1] + s + s[1:]} {
			if out, _ := secret.Redact([]byte(in), secret.New(s)); strings.Contains(string(out), s) {
				t.Errorf("%q survives in %q", s, out)
			}
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("before ", canary, " after", uint8(0))
	f.Add("", awkward, "", uint8(4))
	f.Add("aaaaaaa", "aaaaaaaa", "aaa", uint8(9))
	f.Add("xxxxxxx", "xxxxxxx<", "", uint8(0))
	f.Fuzz(func(t *testing.T, before, text, after string, form uint8) {
		text = strings.TrimSpace(text)
		if len(text) < secret.MinRedact || text == secret.Mask {
			t.Skip()
		}
		forms := []string{
			text, url.QueryEscape(text), url.PathEscape(text), hex.EncodeToString([]byte(text)),
			base64.StdEncoding.EncodeToString([]byte(before + text + after)),
			base64.RawURLEncoding.EncodeToString([]byte(before + text + after)),
		}
		echo := forms[int(form)%len(forms)]
		out, found := secret.Redact([]byte(before+echo+after), secret.New(text))
		if !found || bytes.Contains(out, []byte(text)) || strings.Contains(string(out), echo) &&
			echo != secret.Mask {
			t.Fatalf("%q in %q: found = %t, result %q", text, before+echo+after, found, out)
		}
	})
}
