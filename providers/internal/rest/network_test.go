package rest_test

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/internal/rest"
	"github.com/aispend/aispend/spend"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBaseURL(t *testing.T) {
	for in, ok := range map[string]bool{
		"https://api.openai.com":        true,
		"https://gateway.example/v2/":   true,
		"http://127.0.0.1:8080":         true,
		"http://[::1]:8080":             true,
		"http://localhost":              true,
		"http://api.openai.com":         false,
		"http://127.0.0.1.example.com":  false,
		"http://10.0.0.1":               false,
		"ftp://api.openai.com":          false,
		"api.openai.com":                false,
		"":                              false,
		"https://":                      false,
		"https://user:pw@example.com":   false,
		"https://example.com?a=b":       false,
		"https://example.com/?":         false,
		"https://example.com#x":         false,
		"https://exa mple.com":          false,
		"//example.com":                 false,
		"https://:443":                  false,
		"unix:///run/secret-key-0123":   false,
		"https://example.com:notaport/": false,
	} {
		_, err := rest.ParseBaseURL(in)
		if (err == nil) != ok {
			t.Errorf("%q: %v, want ok %t", in, err, ok)
		}
		if err == nil {
			continue
		}
		var fe *providers.FieldError
		if !errors.As(err, &fe) || fe.Key != "base_url" {
			t.Errorf("%q: %v is no FieldError of base_url", in, err)
		}
		if len(in) > 10 && strings.Contains(err.Error(), in) {
			t.Errorf("%q is repeated in %v", in, err)
		}
	}
}

func TestNetworkFailures(t *testing.T) {
	tlsServer := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{}`))
	}))
	tlsServer.Config.ErrorLog = log.New(io.Discard, "", 0)
	tlsServer.StartTLS()
	t.Cleanup(tlsServer.Close)
	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.Config.ErrorLog = log.New(io.Discard, "", 0)
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old.StartTLS()
	t.Cleanup(old.Close)
	plain := serve(t, func(http.ResponseWriter, *http.Request) {})
	aborts := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	closed := serve(t, func(http.ResponseWriter, *http.Request) {})
	closed.Close()
	garbage := listen(t, "SSH-2.0-OpenSSH_9.6\r\n")

	one := rest.DefaultLimits()
	one.Tries = 1
	for name, tt := range map[string]struct {
		base string
		want spend.Outcome
		text string
	}{
		"refused":        {closed.URL, spend.Network, "refused"},
		"reset":          {aborts.URL, spend.Network, "broke off"},
		"unknown CA":     {tlsServer.URL, spend.Network, "ca_file"},
		"old TLS":        {old.URL, spend.Network, "TLS"},
		"HTTP for HTTPS": {strings.Replace(plain.URL, "http://", "https://", 1), spend.Network, "TLS"},
		"no HTTP":        {garbage, spend.Network, "no answer"},
		"no such host":   {"https://api.invalid", spend.Network, "api.invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, tt.base, nil, func(o *rest.Options) { o.Limits = one })
			pages, err := walk(t.Context(), c)
			if o := spend.OutcomeOf(err, ""); o != tt.want || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v (%s), want %s with %q", err, o, tt.want, tt.text)
			}
			if err != nil && (strings.Contains(err.Error(), "secret_param") || strings.Contains(err.Error(), key)) {
				t.Errorf("the error holds the query or the key: %v", err)
			}
			if len(pages) > 0 {
				t.Errorf("%d pages", len(pages))
			}
		})
	}
}

// listen answers every connection with a text and closes it.
func listen(t *testing.T, text string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(text))
			_ = conn.Close()
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		wg.Wait()
	})
	return "http://" + ln.Addr().String()
}

func TestHeaderTimeoutIsRetried(t *testing.T) {
	limits := rest.DefaultLimits()
	limits.Header, limits.Tries = 50*time.Millisecond, 2
	var mu sync.Mutex
	n := 0
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		first := n == 1
		mu.Unlock()
		if first {
			<-r.Context().Done()
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{}`))
	})
	c := client(t, srv.URL, nil, func(o *rest.Options) { o.Limits = limits })
	if _, err := walk(t.Context(), c); err != nil {
		t.Errorf("not healed by another try: %v", err)
	}
	limits.Tries = 1
	n = 0
	c = client(t, srv.URL, nil, func(o *rest.Options) { o.Limits = limits })
	if _, err := walk(t.Context(), c); spend.OutcomeOf(err, "") != spend.Timeout {
		t.Errorf("got %v, want timeout", err)
	}
}

func TestCAFileAndMinimumTLS(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS.Version < tls.VersionTLS12 {
			t.Errorf("spoke TLS %x", r.TLS.Version)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{}`))
	}))
	t.Cleanup(srv.Close)
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	c := client(t, srv.URL, nil, func(o *rest.Options) { o.Env.CAFile = ca })
	if _, err := walk(t.Context(), c); err != nil {
		t.Errorf("with ca_file: %v", err)
	}
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{empty, filepath.Join(dir, "absent.pem")} {
		_, err := rest.New(rest.Options{BaseURL: srv.URL, Env: providers.Env{CAFile: path}})
		var fe *providers.FieldError
		if !errors.As(err, &fe) || fe.Key != "ca_file" {
			t.Errorf("%s: %v, want a FieldError of ca_file", filepath.Base(path), err)
		}
	}
}

func TestProxy(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.Method+" "+r.URL.Host+" "+r.Host)
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{}`))
	})
	target := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{}`))
	})
	through := func(env providers.Env) int {
		mu.Lock()
		asked = nil
		mu.Unlock()
		c := client(t, target.URL, nil, func(o *rest.Options) { o.Env = env })
		if _, err := walk(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		return len(asked)
	}
	if n := through(providers.Env{ProxyURL: proxy.URL}); n != 1 {
		t.Errorf("%d requests through proxy_url, want 1", n)
	}
	if n := through(providers.Env{NoEnvProxy: true}); n != 0 {
		t.Errorf("%d requests through a proxy without proxy_url", n)
	}
	for _, bad := range []string{"proxy:3128:x", "no-scheme", "http://"} {
		_, err := rest.New(rest.Options{BaseURL: target.URL, Env: providers.Env{ProxyURL: bad}})
		var fe *providers.FieldError
		if !errors.As(err, &fe) || fe.Key != "proxy_url" {
			t.Errorf("%q: %v, want a FieldError of proxy_url", bad, err)
		}
	}
}

// TestProxyCredentialsStayHidden asks through a proxy that is not there.
func TestProxyCredentialsStayHidden(t *testing.T) {
	gone := serve(t, func(http.ResponseWriter, *http.Request) {})
	gone.Close()
	proxy := strings.Replace(gone.URL, "http://", "http://user:hush-hush@", 1)
	limits := rest.DefaultLimits()
	limits.Tries = 1
	c := client(t, "https://api.example.com", nil, func(o *rest.Options) {
		o.Env, o.Limits = providers.Env{ProxyURL: proxy}, limits
	})
	_, err := walk(t.Context(), c)
	if o := spend.OutcomeOf(err, ""); o != spend.Network || strings.Contains(err.Error(), "hush") {
		t.Errorf("got %v (%s), want network without the proxy's password", err, o)
	}
}

// TestCorruptGzip damages a compressed body: that is no transport failure, the
// same bytes would come again.
func TestCorruptGzip(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write([]byte("this is not gzip at all"))
	})
	pages, err := walk(t.Context(), client(t, srv.URL, nil))
	if o := spend.OutcomeOf(err, ""); o != spend.Decode || len(pages) > 0 {
		t.Errorf("got %v (%s), %d pages; want decode", err, o, len(pages))
	}
}

func TestContentType(t *testing.T) {
	for ctype, want := range map[string]spend.Outcome{
		"application/json":                spend.OK,
		"application/json; charset=utf-8": spend.OK,
		"Application/JSON":                spend.OK,
		"text/json":                       spend.Schema,
		"text/html":                       spend.Schema,
		"application/problem+json":        spend.Schema,
		"":                                spend.Schema,
		";;":                              spend.Schema,
	} {
		c := client(t, "https://api.example.com", roundTrip(status(200, `{}`, "Content-Type", ctype)))
		_, err := walk(t.Context(), c)
		if o := spend.OutcomeOf(err, ""); o != want {
			t.Errorf("%q: got %v (%s), want %s", ctype, err, o, want)
		}
	}
	c := client(t, "https://api.example.com", roundTrip(status(200, `{}`, "Content-Encoding", "br")))
	if _, err := walk(t.Context(), c); spend.OutcomeOf(err, "") != spend.Schema {
		t.Errorf("an encoding that was not asked for: %v, want schema", err)
	}
}
