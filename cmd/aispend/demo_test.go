package main

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aispend/aispend/spend"
)

// demo is a running `aispend demo` with a temporary directory of its own.
type demo struct {
	daemon
	out lockedBuffer
	tmp string
}

// lockedBuffer can be read while a process writes into it.
type lockedBuffer struct {
	daemon *daemon // lends its lock
	buf    bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.daemon.mu.Lock()
	defer b.daemon.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.daemon.mu.Lock()
	defer b.daemon.mu.Unlock()
	return b.buf.String()
}

func startDemo(t *testing.T, env ...string) *demo {
	t.Helper()
	d := &demo{tmp: t.TempDir()}
	d.t, d.done = t, make(chan error, 1)
	d.out.daemon = &d.daemon
	d.cmd = exec.Command("aispend", "demo", "--web.listen-address=127.0.0.1:0")
	d.cmd.Dir = t.TempDir()
	d.cmd.Env = append(os.Environ(), append(env, "TMPDIR="+d.tmp)...)
	d.cmd.Stdout, d.cmd.Stderr = &d.out, &d.out
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.cmd.Process.Kill() })
	go func() { d.done <- d.cmd.Wait() }()
	return d
}

// saying waits until the demo has printed something that matches.
func (d *demo) saying(pattern string) []string {
	d.t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if m := re.FindStringSubmatch(d.out.String()); m != nil {
			return m
		}
	}
	d.t.Fatalf("the demo never said %q:\n%s", pattern, d.out.String())
	return nil
}

// TestDemo runs the newcomer's first command: it ends in figures that /spend
// gives too, listens to nothing of the environment, and leaves nothing behind.
func TestDemo(t *testing.T) {
	t.Parallel()
	d := startDemo(t,
		"ADMIN_TOKEN=token-of-the-environment", "ENABLE_OPENAI=true", "OPENAI_API_KEY=key-of-the-environment",
		"HTTP_PROXY=http://127.0.0.1:1", "HTTPS_PROXY=http://127.0.0.1:1", "OPENAI_HARD_CAP=-1")
	d.base = d.saying(`open +(http://127\.0\.0\.1:\d+)/`)[1]
	token := d.saying(`admin token of this run: (\S+)`)[1]
	total := d.saying(`total +(\S+) USD\n`)[1]
	if _, err := spend.ParseMoney(total); err != nil {
		t.Errorf("total %q: %v", total, err)
	}
	if row := d.saying(`\n  global +month +(\S+) +(\S+) +(\S+)  .+\n`); strings.Contains(row[0], "unknown") {
		t.Errorf("caps: %s", row[0])
	}
	d.saying(`/caps'\n\nIt keeps pulling`)
	if out := d.out.String(); strings.Contains(out, "level=") || strings.Contains(out, "rror") {
		t.Errorf("the demo is not quiet:\n%s", out)
	}
	if entries, err := os.ReadDir(d.tmp); err != nil || len(entries) != 1 {
		t.Errorf("%d entries in the temporary directory (%v), want the store alone", len(entries), err)
	}
	if _, page := d.call(http.MethodGet, "/metrics"); !strings.Contains(string(page), "\naispend_demo 1\n") {
		t.Error("no aispend_demo 1")
	}
	for who, want := range map[string]int{
		token: http.StatusOK, "token-of-the-environment": http.StatusUnauthorized,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.base+"/raw/openai?limit=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+who)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("/raw with %.5s...: %s, want %d", who, resp.Status, want)
		}
	}
	d.leavesNothing(syscall.SIGTERM)
}

// TestDemoStopsWithItsTerminal ends the demo in the middle of the first load.
func TestDemoStopsWithItsTerminal(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT} {
		d := startDemo(t)
		d.saying("loading the history")
		d.leavesNothing(sig)
	}
}

func (d *demo) leavesNothing(sig syscall.Signal) {
	d.t.Helper()
	_ = d.cmd.Process.Signal(sig)
	select {
	case err := <-d.done:
		if err != nil {
			d.t.Errorf("after %s: %v\n%s", sig, err, d.out.String())
		}
	case <-time.After(time.Minute):
		d.t.Fatalf("the demo does not stop on %s", sig)
	}
	if entries, err := os.ReadDir(d.tmp); err != nil || len(entries) > 0 {
		d.t.Errorf("%s leaves %v (%v)", sig, entries, err)
	}
}
