package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

const adminToken = "admin-token-of-the-e2e-tests"

// request makes one request; a token goes along if there is one.
func request(t *testing.T, method, url, token string) (status int, body []byte, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		return 0, nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// getJSON decodes the answer to a GET.
func getJSON(t *testing.T, url string, into any) error {
	t.Helper()
	status, body, err := request(t, http.MethodGet, url, adminToken)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("GET %s: %d %s", url, status, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("GET %s: %w: %s", url, err, body)
	}
	return nil
}

// eventually polls until ok, and fails the test when that takes too long. The
// limits are generous: they bound a hanging test and measure nothing.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain until %s", limit, what)
		}
	}
}

// post sends a JSON document.
func post(t *testing.T, url, token string, body []byte) (status int, answer []byte, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// forged returns a payload of Alertmanager with another scope, and with other labels
// or another status, as pairs of name and value.
func forged(t *testing.T, genuine []byte, from, to string, edit ...string) []byte {
	t.Helper()
	var p map[string]any
	if err := json.Unmarshal(bytes.ReplaceAll(genuine, []byte(`"`+from+`"`), []byte(`"`+to+`"`)), &p); err != nil {
		t.Fatal(err)
	}
	alerts, _ := p["alerts"].([]any)
	for _, a := range alerts {
		alert, _ := a.(map[string]any)
		labels, _ := alert["labels"].(map[string]any)
		for i := 0; i+1 < len(edit); i += 2 {
			if edit[i] == "status" {
				p["status"], alert["status"] = edit[i+1], edit[i+1]
				continue
			}
			labels[edit[i]] = edit[i+1]
		}
	}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func containsAll(text string, parts ...string) bool {
	return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(text, p) })
}
