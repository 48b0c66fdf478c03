package simulator

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
)

const serviceAccountEmail = "aispend@" + VertexProject + ".iam.gserviceaccount.example"

// ServiceAccount returns the JSON of a service account that the world knows, with the token
// endpoint of a server that serves Google. The key pair is made anew in every process.
func (w *World) ServiceAccount(base string) []byte {
	der := must(x509.MarshalPKCS8PrivateKey(w.google.pair()))
	return must(json.MarshalIndent(map[string]string{
		"type": "service_account", "project_id": VertexProject, "private_key_id": w.Key(Vertex),
		"private_key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email": serviceAccountEmail, "client_id": "100000000000000000001", "token_uri": base + "/token",
	}, "", " "))
}

// EndTokens makes every token that was given out so far invalid.
func (w *World) EndTokens() {
	w.google.mu.Lock()
	defer w.google.mu.Unlock()
	clear(w.google.tokens)
}

// token answers the JWT bearer grant of RFC 7523.
func (a googleAPI) token(x *exchange) (any, *failure) {
	refuse := func(text string) (any, *failure) {
		return nil, &failure{status: http.StatusBadRequest, body: must(json.Marshal(map[string]string{
			"error": "invalid_grant", "error_description": text,
		}))}
	}
	form, err := url.ParseQuery(string(x.body))
	if err != nil || form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		return nil, &failure{status: http.StatusBadRequest, body: []byte(`{"error":"unsupported_grant_type"}`)}
	}
	parts := strings.Split(form.Get("assertion"), ".")
	if len(parts) != 3 {
		return refuse("Invalid JWT.")
	}
	var head struct{ Alg, Kid string }
	var claims struct {
		Iss, Scope, Aud string
		Iat, Exp        int64
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !segment(parts[0], &head) || !segment(parts[1], &claims) {
		return refuse("Invalid JWT.")
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	switch {
	case head.Alg != "RS256" || head.Kid != a.world.Key(Vertex) ||
		rsa.VerifyPKCS1v15(&a.world.google.pair().PublicKey, crypto.SHA256, sum[:], signature) != nil:
		return refuse("Invalid JWT Signature.")
	case claims.Iss != serviceAccountEmail:
		return refuse("Invalid grant: account not found")
	case !strings.HasSuffix(claims.Aud, "/token") || claims.Exp <= claims.Iat || claims.Scope == "":
		return refuse("Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.")
	}
	g := a.world.google
	token := "ya29.simulated-" + g.hash.text(form.Get("assertion")).num(x.index).tag(40)
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.tokens) > 1000 {
		clear(g.tokens)
	}
	g.tokens[token] = strings.Fields(claims.Scope)
	return map[string]any{"access_token": token, "expires_in": 3599, "token_type": "Bearer"}, nil
}

func segment(s string, v any) bool {
	b, err := base64.RawURLEncoding.DecodeString(s)
	return err == nil && json.Unmarshal(b, v) == nil
}
