package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// daemonLimit bounds each wait for a daemon.
const daemonLimit = time.Minute

// build makes the real binary, once per run, as `make build` does.
func (b *bench) build(ctx context.Context) error {
	if b.binary != "" {
		return nil
	}
	out := b.path("aispend")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out,
		"github.com/aispend/aispend/cmd/aispend")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building aispend: %w\n%s", err, text)
	}
	info, err := os.Stat(out)
	if err != nil {
		return fmt.Errorf("building aispend: %w", err)
	}
	b.note("aispend built, %s MB stripped", mega(info.Size()))
	b.binary = out
	return nil
}

// silence is a provider that refuses every request and counts them: idle sources
// send none.
type silence struct {
	server   *http.Server
	url      string
	requests atomic.Int64
}

func newSilence(ctx context.Context) (*silence, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	s := &silence{url: "http://" + ln.Addr().String()}
	refuse := func(w http.ResponseWriter, _ *http.Request) {
		s.requests.Add(1)
		http.Error(w, `{"error": {"message": "no"}}`, http.StatusUnauthorized)
	}
	s.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(refuse)}
	go func() { _ = s.server.Serve(ln) }() // ends with Close
	return s, nil
}

// daemon is a running aispend process.
type daemon struct {
	cmd  *exec.Cmd
	base string
	log  *os.File
}

// startDaemon starts the binary over a store; logs go to a file beside it.
func (b *bench) startDaemon(ctx context.Context, storeDir, provider string) (*daemon, error) {
	config := storeDir + ".yml"
	key := storeDir + ".key"
	const text = "ingest: {interval: 7d}\nproviders:\n  - {type: openai, api_key_file: %q, base_url: %q}\n"
	err := errors.Join(
		os.WriteFile(key, []byte("sk-admin-benchmark-opens-nothing\n"), 0o600),
		os.WriteFile(config, fmt.Appendf(nil, text, filepath.Base(key), provider), 0o600),
	)
	if err != nil {
		return nil, fmt.Errorf("writing a configuration: %w", err)
	}
	addr, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	d := &daemon{base: "http://" + addr}
	if d.log, err = os.OpenFile(storeDir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, fmt.Errorf("opening a log: %w", err)
	}
	d.cmd = exec.CommandContext(ctx, b.binary, "serve", "--config.file="+config, "--storage.path="+storeDir,
		"--web.listen-address="+addr)
	d.cmd.Env = []string{"HOME=" + b.dir, "TMPDIR=" + b.dir} // nothing of ours configures it
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	if err := d.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting aispend: %w", err), d.log.Close())
	}
	return d, nil
}

func freeAddress(ctx context.Context) (string, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	return ln.Addr().String(), ln.Close()
}

// scraped waits until /metrics has been answered with 200.
func (d *daemon) scraped(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, daemonLimit)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+"/metrics", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			err = errors.Join(err, resp.Body.Close())
			if err == nil && resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("no answer from aispend, see %s: %w", d.log.Name(), errors.Join(err, ctx.Err()))
		}
		time.Sleep(500 * time.Microsecond)
	}
}

// stop ends the process as an operator would.
func (d *daemon) stop() error {
	err := d.cmd.Process.Signal(syscall.SIGTERM)
	return errors.Join(err, d.cmd.Wait(), d.log.Close())
}

// memory returns lines of /proc/PID/status in megabytes (VmRSS, RssAnon, VmHWM).
func (d *daemon) memory(name string) float64 {
	value := field(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid), name)
	kb, _ := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 64) // absent elsewhere than on Linux: 0
	return float64(kb) * 1024 / 1e6
}

// cpu returns the CPU time of the process so far, in ticks of 10 ms.
func (d *daemon) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid))
	_, rest, ok := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if err != nil || !ok || len(f) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
