// Package hardcap_test runs the receiver as an operator does, as a process of its
// own, against the simulated providers, and the commands of the README.
package hardcap_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/signature"
	"github.com/aispend/aispend/providers/simulator"
)

const (
	id     = "hc_00112233445566778899aabbccddeeff"
	secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

	// patience bounds what must happen sooner or later; nothing waits that long.
	patience = 30 * time.Second
)

// built is the directory with the programs.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hard-cap")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", dir, "./receiver", "./send").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building: %w: %s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := built(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

func program(t *testing.T, name string) string {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// lab is a world with its providers and the files of one receiver.
type lab struct {
	*simulator.World
	servers *simulator.Servers
	dir     string
	project string // of OpenAI
	openAI  simulator.APIKey
	claude  simulator.APIKey
}

func newLab(t *testing.T) *lab {
	t.Helper()
	w := simulator.New(simulator.Options{
		Seed: 3, Tiny: true, Plain: true,
		OpenAIKey: "sk-admin-canary-openai", AnthropicKey: "sk-ant-admin01-canary-anthropic",
	})
	servers, err := w.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := servers.Close(); err != nil {
			t.Error(err)
		}
	})
	l := &lab{World: w, servers: servers, dir: t.TempDir(), project: w.Projects(simulator.OpenAI)[0]}
	l.openAI, l.claude = w.APIKeys(simulator.OpenAI)[0], w.APIKeys(simulator.Anthropic)[0]
	l.write(t, "secret", secret+"\n")
	l.write(t, "openai", w.Key(simulator.OpenAI)+"\n")
	l.write(t, "anthropic", w.Key(simulator.Anthropic)+"\n")
	return l
}

func (l *lab) file(name string) string { return filepath.Join(l.dir, name) }

func (l *lab) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(l.file(name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// plan writes a plan of actions for the scope openai.
func (l *lab) plan(t *testing.T, actions ...string) {
	t.Helper()
	rules := make([]string, len(actions))
	for i, a := range actions {
		rules[i] = `{"scope": "openai", ` + map[string]string{
			"claude": fmt.Sprintf(`"do": "anthropic-key-inactive", "key": %q`, l.claude.ID),
			"delete": fmt.Sprintf(`"do": "openai-key-delete", "project": %q, "key": %q`, l.project, l.openAI.ID),
			"limit":  fmt.Sprintf(`"do": "openai-project-spend-limit", "project": %q, "usd": "12.5"`, l.project),
		}[a] + "}"
	}
	l.write(t, "plan.json", `{"actions": [`+strings.Join(rules, ", ")+`]}`)
}

// flags are those of a receiver in this lab, before the test's own.
func (l *lab) flags(more ...string) []string {
	return append([]string{
		"-listen", "127.0.0.1:0", "-plan", l.file("plan.json"), "-seen", l.file("seen.log"), "-secret-file", l.file("secret"),
		"-openai-key-file", l.file("openai"), "-anthropic-key-file", l.file("anthropic"),
		"-openai-url", l.servers.OpenAI, "-anthropic-url", l.servers.Anthropic,
	}, more...)
}

// receiver is a running one.
type receiver struct {
	cmd  *exec.Cmd
	url  string
	done chan error // the end of the process

	mu  sync.Mutex
	log bytes.Buffer
}

// start runs a receiver until the test ends, and looks for secrets in all that it
// said.
func (l *lab) start(t *testing.T, more ...string) *receiver {
	t.Helper()
	r := &receiver{cmd: exec.Command(program(t, "receiver"), l.flags(more...)...), done: make(chan error, 1)}
	out, err := r.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening := make(chan string, 1)
	go r.read(out, listening)
	t.Cleanup(func() {
		r.kill()
		for _, s := range []string{"canary", "MfKQ9r8G"} {
			if strings.Contains(r.said(), s) {
				t.Errorf("the log shows a secret: %s", r.said())
			}
		}
	})
	select {
	case address := <-listening:
		r.url = "http://" + address + "/hard-cap"
	case err := <-r.done:
		t.Fatalf("%v: %s", err, r.said())
	case <-time.After(patience):
		t.Fatal("it does not listen")
	}
	return r
}

// read keeps the log and tells the address. It ends with the process.
func (r *receiver) read(out io.Reader, listening chan<- string) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var line struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			listening <- line.Address
		}
		r.mu.Lock()
		r.log.Write(append(lines.Bytes(), '\n'))
		r.mu.Unlock()
	}
	r.done <- r.cmd.Wait()
	close(r.done)
}

func (r *receiver) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// kill is kill -9.
func (r *receiver) kill() {
	_ = r.cmd.Process.Kill() // it may have ended by itself
	for range r.done {       // until it is closed
	}
}

// sample is the body of the contract.
func sample() []byte {
	return []byte(`{"event":"ai_spend_hard_cap","id":"` + id + `","breaches":[{"scope":"openai","level":"hard",` +
		`"period":"month","period_start":"2026-11-01","threshold":1000,"total":1003.52,` +
		`"triggeredAt":"2026-11-24T10:15:00Z"}],"totals":{"openai":1003.52,"anthropic":12.5,"global":1016.02},` +
		`"triggeredAt":"2026-11-24T10:15:07Z"}`)
}

// post sends a body as the daemon does, signed by its own code.
func post(ctx context.Context, client *http.Client, url, secrets string, body []byte) (*http.Response, error) {
	keys, err := signature.ParseKeys(secrets)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	var e struct{ ID string }
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, err
	}
	now := time.Now()
	req.Header.Set("webhook-id", e.ID)
	req.Header.Set("webhook-timestamp", signature.Timestamp(now))
	req.Header.Set("webhook-signature", signature.Sign(keys, e.ID, now, body))
	return client.Do(req)
}

// deliver posts the sample and wants a status. It returns Retry-After.
func (r *receiver) deliver(t *testing.T, status int) string {
	t.Helper()
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	resp, err := post(t.Context(), client, r.url, secret, sample())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != status {
		t.Errorf("%s %s, want %d; log: %s", resp.Status, text, status, r.said())
	}
	return resp.Header.Get("Retry-After")
}

// clientOf returns a client that keeps nothing open after the test.
func clientOf(t *testing.T) *http.Client {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{}, Timeout: patience}
	t.Cleanup(c.CloseIdleConnections)
	return c
}
