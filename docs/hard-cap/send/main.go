// Command send signs a body as aispend does and posts it to a receiver, for
// rehearsals. Whoever has the signing secret can do what it does.
package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	to := flag.String("to", "http://127.0.0.1:8787/hard-cap", "URL of the receiver")
	secrets := flag.String("secret-file", "", "file of signing secrets, one a line; all of them sign")
	body := flag.String("body", "", "file with the body of the delivery")
	flag.Parse()
	if err := run(context.Background(), *to, *secrets, *body, time.Now(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "send:", err)
		os.Exit(1) //nolint:forbidigo // this is a command
	}
}

// run posts the body and prints the answer; another status than 2xx is an error.
func run(ctx context.Context, to, secretFile, bodyFile string, now time.Time, out io.Writer) error {
	secrets, err := os.ReadFile(secretFile)
	if err != nil {
		return fmt.Errorf("reading the signing secrets: %w", err)
	}
	body, err := os.ReadFile(bodyFile)
	if err != nil {
		return fmt.Errorf("reading the body: %w", err)
	}
	var event struct{ ID string }
	if err := json.Unmarshal(body, &event); err != nil || event.ID == "" {
		return errors.New("the body is no JSON object with an id")
	}
	stamp := strconv.FormatInt(now.Unix(), 10)
	signatures, err := sign(string(secrets), event.ID+"."+stamp+"."+string(body))
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("webhook-id", event.ID)
	req.Header.Set("webhook-timestamp", stamp)
	req.Header.Set("webhook-signature", signatures)
	client := &http.Client{Timeout: 15 * time.Second} // as long as aispend waits
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("posting: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if _, err := fmt.Fprintf(out, "%s: %s\n", resp.Status, bytes.TrimSpace(text)); err != nil {
		return fmt.Errorf("printing the answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return errors.New("aispend would try again")
	}
	return nil
}

// sign returns one signature for each secret, separated by blanks.
func sign(secrets, content string) (string, error) {
	var out []string
	for _, word := range strings.Fields(secrets) {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(word, "whsec_"))
		if err != nil {
			return "", errors.New("a signing secret is not whsec_ and base64")
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(content))
		out = append(out, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	if len(out) == 0 {
		return "", errors.New("there is no signing secret")
	}
	return strings.Join(out, " "), nil
}
