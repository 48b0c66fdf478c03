package vertex

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/spend"
)

// scope is enough to run queries and to read tables, and for nothing else.
const scope = "https://www.googleapis.com/auth/cloud-platform.read-only"

// tokens hands out access tokens. A token is kept until it ends, until the
// credentials change, or until forget. It is safe for concurrent use.
type tokens struct {
	credentials *secret.Value // not set: application default credentials
	client      *http.Client  // of the token endpoint; it bounds the time of a call
	scopes      []string

	mu     sync.Mutex
	text   string // the credentials that source was made from
	source oauth2.TokenSource
}

func newTokens(credentials *secret.Value, client *http.Client, scopes ...string) *tokens {
	return &tokens{credentials: credentials, client: client, scopes: scopes}
}

// Get returns a token. Errors are *spend.PullError without anything of the
// credentials or of the endpoint's answer but its error code.
func (t *tokens) Get() (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.open(); err != nil {
		return "", err
	}
	tok, err := t.source.Token()
	if err != nil {
		return "", tokenFailure(err)
	}
	return tok.AccessToken, nil
}

// forget drops the token: the next Get asks for another.
func (t *tokens) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.source = nil
}

// open makes the source of the credentials as they are now: a file may be rotated.
func (t *tokens) open() error {
	text := ""
	if t.credentials.Set() {
		s, err := t.credentials.Get()
		if err != nil {
			return spend.Classify(spend.Auth, err)
		}
		text = s
	}
	if t.source != nil && text == t.text {
		return nil
	}
	// The source outlives this call, so it gets no context of a request.
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, t.client)
	creds, err := find(ctx, text, t.scopes)
	if err != nil {
		return spend.Classify(spend.Auth, err)
	}
	t.text, t.source = text, creds.TokenSource
	return nil
}

// find returns credentials of a JSON document, or the application default ones if
// there is none. The errors of the library are not wrapped: they may quote the document.
func find(ctx context.Context, text string, scopes []string) (*google.Credentials, error) {
	if text == "" {
		creds, err := google.FindDefaultCredentials(ctx, scopes...)
		if err != nil {
			return nil, errors.New("no credentials_file is configured, and there are " +
				"no application default credentials")
		}
		return creds, nil
	}
	kind, err := credentialsType(text)
	if err != nil {
		return nil, err
	}
	creds, err := google.CredentialsFromJSONWithType(ctx, []byte(text), kind, scopes...)
	if err != nil {
		return nil, fmt.Errorf("the credentials of type %s cannot be used", kind)
	}
	return creds, nil
}

// credentialsType says of what kind a JSON document of credentials is.
func credentialsType(text string) (google.CredentialsType, error) {
	var doc struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return "", errors.New("the credentials are not the JSON document that Google Cloud gives out")
	}
	switch kind := google.CredentialsType(doc.Type); kind {
	case google.ServiceAccount, google.ExternalAccount, google.AuthorizedUser, google.ImpersonatedServiceAccount:
		return kind, nil
	}
	return "", errors.New("the credentials are neither of a service account nor of a workload identity")
}

// tokenFailure classes what kept a token away.
func tokenFailure(err error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.Response == nil {
		if strings.HasPrefix(err.Error(), "oauth2: cannot fetch token") {
			return spend.Classify(spend.Network, errors.New("no token: the token endpoint did not answer"))
		}
		return spend.Classify(spend.Auth, errors.New(
			"no token: the credentials cannot be used (is the private key whole?)"))
	}
	switch status := refused.Response.StatusCode; {
	case status == http.StatusTooManyRequests:
		return spend.Classify(spend.RateLimited, errors.New("no token: the token endpoint is asked too often"))
	case status >= 500:
		return spend.Classify(spend.Server, fmt.Errorf("no token: the token endpoint answered %d", status))
	case refused.ErrorCode == "invalid_grant" || bytes.Contains(refused.Body, []byte(`"invalid_grant"`)):
		return spend.Classify(spend.Auth, errors.New("no token: the token endpoint answered invalid_grant: "+
			"the key is revoked, its account is gone, or this machine's clock is wrong"))
	default:
		return spend.Classify(spend.Auth, fmt.Errorf("no token: the token endpoint answered %d", status))
	}
}
