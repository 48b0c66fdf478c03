package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aispend/aispend/providers/simulator"
)

// savePages writes the bodies of a walk into dir, for host.
func savePages(dir string, bodies [][]byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("saving pages: %w", err)
	}
	for i, body := range bodies {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("page-%04d.json", i)), body, 0o600); err != nil {
			return fmt.Errorf("saving pages: %w", err)
		}
	}
	return nil
}

// script serves the pages that savePages wrote, over and over.
func script(dir string) (http.Handler, error) {
	names, err := filepath.Glob(filepath.Join(dir, "page-*.json"))
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("no pages in %s: %w", dir, errors.Join(err, os.ErrNotExist))
	}
	slices.Sort(names)
	var bodies [][]byte
	for _, name := range names {
		body, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading pages: %w", err)
		}
		bodies = append(bodies, body)
	}
	return simulator.NewScript(bodies...), nil
}

// host serves the pages in dir on loopback, says where on out, and ends with in:
// the other process is gone then, however it ended.
func host(ctx context.Context, dir string, in io.Reader, out io.Writer) error {
	h, err := script(dir)
	if err != nil {
		return err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(ln) }() // ends with the process
	if _, err := fmt.Fprintf(out, "http://%s\n", ln.Addr()); err != nil {
		return fmt.Errorf("saying where it listens: %w", err)
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return fmt.Errorf("waiting for the end: %w", err)
	}
	return nil
}

// hostProcess is host in a process of its own.
func hostProcess(ctx context.Context, dir string) (string, func(), error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, fmt.Errorf("finding this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, "-host", dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, fmt.Errorf("starting a host of pages: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, fmt.Errorf("starting a host of pages: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("starting a host of pages: %w", err)
	}
	stop := func() {
		_ = in.Close()
		_ = cmd.Wait() // its error says no more than that it ended
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("waiting for the host of pages: %w", err)
	}
	return strings.TrimSpace(line), stop, nil
}
