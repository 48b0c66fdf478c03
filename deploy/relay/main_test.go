package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// start runs a relay to an address and returns its own.
func start(t *testing.T, to string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- relay(ctx, l, to) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("relay: %v", err)
		}
	})
	return l.Addr().String()
}

func TestRelay(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Host+" "+string(body))
	}))
	defer server.Close()
	addr := start(t, server.Listener.Addr().String())
	client := http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for range 3 {
		resp, err := client.Post("http://"+addr, "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(got) != addr+" hello" {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

// TestRelayHalfClose: the end of one direction leaves the other open.
func TestRelayHalfClose(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		all, _ := io.ReadAll(c) // until the client has said all
		_, _ = c.Write([]byte(strings.ToUpper(string(all))))
		_ = c.Close()
	}()
	c, err := net.Dial("tcp", start(t, l.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Write([]byte("abc"))
	_ = c.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(c); err != nil || string(got) != "ABC" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestRelayWithoutTarget(t *testing.T) {
	c, err := net.Dial("tcp", start(t, "127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, _ := io.ReadAll(c); len(got) > 0 {
		t.Errorf("got %q from nobody", got)
	}
}

func TestLoopbackOnly(t *testing.T) {
	for _, to := range []string{"192.0.2.1:80", "example.com:80", "0.0.0.0:80", "127.0.0.1", ""} {
		if err := run(t.Context(), "127.0.0.1:0", to); err == nil || !strings.Contains(err.Error(), "loopback") {
			t.Errorf("-to=%s: %v", to, err)
		}
	}
}
