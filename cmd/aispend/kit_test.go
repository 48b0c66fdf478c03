package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
)

const adminToken = "admin-token-of-the-tests"

// clock is a clock that stands still until it is told to move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

// site is a directory with a configuration that points at simulated providers.
type site struct {
	t       *testing.T
	dir     string
	world   *simulator.World
	servers *simulator.Servers
}

func newSite(t *testing.T, opt simulator.Options, extra string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), world: simulator.New(opt)}
	var err error
	if s.servers, err = s.world.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.servers.Close() })
	s.write("openai.key", s.world.Key(simulator.OpenAI))
	s.write("anthropic.key", s.world.Key(simulator.Anthropic))
	s.write("admin.token", adminToken)
	s.write("aispend.yml", fmt.Sprintf(`
ingest: {interval: 1s, timeout: 30s}
web: {admin_token_file: admin.token}
providers:
  - {type: openai, account: acme, api_key_file: openai.key, base_url: %q}
  - {type: anthropic, account: acme, api_key_file: anthropic.key, base_url: %q}
`, s.servers.OpenAI, s.servers.Anthropic)+extra)
	return s
}

func (s *site) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// daemon is a running aispend process.
type daemon struct {
	t    *testing.T
	cmd  *exec.Cmd
	base string
	done chan error

	mu     sync.Mutex
	stderr bytes.Buffer
}

var listening = regexp.MustCompile(`msg="Listening on" .*address=(\S+)`)

// start runs aispend serve until it listens.
func (s *site) start(args ...string) *daemon {
	s.t.Helper()
	d, err := s.tryStart(args...)
	if err != nil {
		s.t.Fatalf("starting aispend: %v\n%s", err, d.log())
	}
	return d
}

func (s *site) tryStart(args ...string) (*daemon, error) {
	args = append([]string{
		"serve", "--config.file=" + filepath.Join(s.dir, "aispend.yml"), "--storage.path=" + filepath.Join(s.dir, "store"),
		"--web.listen-address=127.0.0.1:0",
	}, args...)
	d := &daemon{t: s.t, cmd: exec.Command("aispend", args...), done: make(chan error, 1)}
	pipe, err := d.cmd.StderrPipe()
	if err != nil {
		return d, err
	}
	if err := d.cmd.Start(); err != nil {
		return d, err
	}
	s.t.Cleanup(func() { _ = d.cmd.Process.Kill() })
	addr := make(chan string, 1)
	go d.read(pipe, addr)
	select {
	case a := <-addr:
		d.base = "http://" + a
		return d, nil
	case err := <-d.done:
		d.done <- err
		return d, fmt.Errorf("it ended: %w", errors.Join(err, errors.New("before it listened")))
	case <-time.After(time.Minute):
		return d, errors.New("it does not listen")
	}
}

// read keeps the log and finds the address in it.
func (d *daemon) read(pipe io.Reader, addr chan<- string) {
	lines := bufio.NewScanner(pipe)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		d.mu.Lock()
		d.stderr.Write(lines.Bytes())
		d.stderr.WriteByte('\n')
		d.mu.Unlock()
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			addr <- m[1]
		}
	}
	d.done <- d.cmd.Wait()
}

func (d *daemon) log() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stderr.String()
}

// kill is SIGKILL; it returns when the process is gone.
func (d *daemon) kill() {
	_ = d.cmd.Process.Kill()
	<-d.done
}

// stop is SIGTERM; it returns the exit code.
func (d *daemon) stop() int {
	d.t.Helper()
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(time.Minute):
		d.t.Fatalf("aispend does not stop\n%s", d.log())
	}
	return d.cmd.ProcessState.ExitCode()
}

// call makes one request with the admin token and returns status and body.
func (d *daemon) call(method, path string) (int, []byte) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.base+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatalf("%s %s: %v\n%s", method, path, err, d.log())
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, body
}

func (d *daemon) get(path string, into any) {
	d.t.Helper()
	status, body := d.call(http.MethodGet, path)
	if status != http.StatusOK {
		d.t.Fatalf("GET %s: %d %s", path, status, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		d.t.Fatalf("GET %s: %v\n%s", path, err, body)
	}
}

type statusReply struct {
	History struct {
		Done bool `json:"done"`
	} `json:"history"`
	Sources []struct {
		Source      string    `json:"source"`
		Up          bool      `json:"up"`
		LastSuccess time.Time `json:"last_success"`
		LastOutcome string    `json:"last_outcome"`
		LastError   string    `json:"last_error"`
		Pulling     any       `json:"pulling"`
	} `json:"sources"`
}

// until waits for a condition on /status.
func (d *daemon) until(what string, ok func(statusReply) bool) statusReply {
	d.t.Helper()
	var st statusReply
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		st = statusReply{}
		d.get("/status", &st)
		if ok(st) {
			return st
		}
	}
	d.t.Fatalf("waited in vain for: %s\n%+v\n%s", what, st, d.log())
	return st
}

// settled waits until the history is loaded and every source was pulled after since.
func (d *daemon) settled(since time.Time) {
	d.t.Helper()
	d.until("all sources pulled", func(st statusReply) bool {
		for _, s := range st.Sources {
			// last_success has whole seconds.
			if !s.Up || s.LastSuccess.Before(since.Add(2*time.Second)) {
				return false
			}
		}
		return st.History.Done && len(st.Sources) == 4
	})
}

type spendRow struct {
	Provider string       `json:"provider"`
	Day      string       `json:"day"`
	Cost     *spend.Money `json:"cost_usd"` // nil: usage alone
}

// spent returns the cost per provider and day as /spend tells it.
func (d *daemon) spent(w spend.Window) map[string]spend.Money {
	d.t.Helper()
	var reply struct {
		Rows []spendRow `json:"rows"`
	}
	d.get(fmt.Sprintf("/spend?groupBy=provider,day&from=%s&to=%s", w.From, w.To-1), &reply)
	out := map[string]spend.Money{}
	for _, r := range reply.Rows {
		if r.Cost != nil {
			out[r.Provider+" "+r.Day] = *r.Cost
		}
	}
	return out
}

// truth is what spent should return for the world as of at.
func (s *site) truth(w spend.Window, at time.Time) map[string]spend.Money {
	out := map[string]spend.Money{}
	for _, p := range []string{simulator.OpenAI, simulator.Anthropic} {
		for day := w.From; day < w.To; day++ {
			if rows := s.world.Cost(p, day, at); len(rows) > 0 {
				out[p+" "+day.String()] = s.world.Total(p, spend.Window{From: day, To: day + 1}, at)
			}
		}
	}
	return out
}

// sameMoney reports the differences between two maps of money.
func sameMoney(got, want map[string]spend.Money) string {
	var diff strings.Builder
	for k, w := range want {
		if g, ok := got[k]; !ok || !g.Equal(w) {
			fmt.Fprintf(&diff, "%s: got %s, want %s\n", k, g, w)
		}
	}
	for k, g := range got {
		if _, ok := want[k]; !ok {
			fmt.Fprintf(&diff, "%s: got %s, want no row\n", k, g)
		}
	}
	return diff.String()
}
