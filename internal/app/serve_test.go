package app_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aispend/aispend/internal/app"
)

// certificate writes a certificate for 127.0.0.1 with its key, borrowed from
// httptest, and exporter-toolkit's file that names both.
func (s *site) certificate(extra string) (webConfig string) {
	s.t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	cert := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("tls.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})))
	s.write("tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	s.write("web.yml", "tls_server_config: {cert_file: tls.crt, key_file: tls.key"+extra+"}\n")
	return filepath.Join(s.dir, "web.yml")
}

// TestTLSOnSeveralListeners serves one API on two ports through exporter-toolkit's
// file; the race detector watches what the toolkit does to the servers.
func TestTLSOnSeveralListeners(t *testing.T) {
	s := newSite(t)
	s.listen = []string{"127.0.0.1:0", "127.0.0.1:0"}
	s.webConfig = s.certificate("")
	r := s.mustStart()
	defer r.stop()
	if len(r.addrs) != 2 {
		t.Fatalf("listens on %v", r.addrs)
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the certificate is httptest's
	}}
	for _, addr := range r.addrs {
		resp, err := client.Get("https://" + addr.String() + "/-/healthy")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s answered %s", addr, resp.Status)
		}
	}
}

// TestWrongWebSettings refuses what can be known before the store is opened.
func TestWrongWebSettings(t *testing.T) {
	for _, tc := range []struct {
		name string
		set  func(s *site)
		want string
	}{
		{"no port", func(s *site) { s.listen = []string{"localhost"} }, "missing port"},
		{"port out of range", func(s *site) { s.listen = []string{":99999"} }, ":99999"},
		{"no certificate", func(s *site) {
			s.webConfig = s.certificate("")
			if err := os.Remove(filepath.Join(s.dir, "tls.crt")); err != nil {
				s.t.Fatal(err)
			}
		}, "tls.crt"},
		{"unknown key", func(s *site) { s.webConfig = s.certificate(", nonsense: 1") }, "nonsense"},
		{"users beside tokens", func(s *site) {
			s.write("web.yml", "basic_auth_users: {anna: $2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay}\n")
			s.webConfig = filepath.Join(s.dir, "web.yml")
		}, "bearer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t)
			s.t = t
			tc.set(s)
			_, err := s.start()
			if !errors.As(err, new(*app.UsageError)) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want a usage error with %q", err, tc.want)
			}
			if _, err := os.Stat(filepath.Join(s.dir, "store")); err == nil {
				t.Error("the store was opened")
			}
		})
	}
}

// TestPortInUse says who may have it, and is no usage error.
func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	s := newSite(t)
	s.listen = []string{taken.Addr().String()}
	_, err = s.start()
	if err == nil || errors.As(err, new(*app.UsageError)) || !strings.Contains(err.Error(), "another process has the port") {
		t.Errorf("got %v", err)
	}
}

// TestOpenListenerIsWarnedOf wants one warning where anybody can read the spend.
func TestOpenListenerIsWarnedOf(t *testing.T) {
	for _, tc := range []struct {
		name, listen, extra string
		web                 func(s *site) string
		want                int
	}{
		{name: "loopback", listen: "127.0.0.1:0"},
		{name: "everywhere", listen: "0.0.0.0:0", want: 1},
		{name: "read token", listen: "0.0.0.0:0", extra: "web: {read_token: some-token-for-readers}\n"},
		{name: "TLS alone", listen: "0.0.0.0:0", web: func(s *site) string { return s.certificate("") }, want: 1},
		{name: "client certificates", listen: "0.0.0.0:0", web: func(s *site) string {
			return s.certificate(", client_auth_type: RequireAndVerifyClientCert, client_ca_file: tls.crt")
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t)
			s.listen = []string{tc.listen, tc.listen}
			if tc.web != nil {
				s.webConfig = tc.web(s)
			}
			if tc.extra != "" {
				s.write("aispend.yml", tc.extra)
			}
			r := s.mustStart()
			r.stop()
			if got := strings.Count(s.log.String(), "everybody who reaches this address"); got != tc.want {
				t.Errorf("warned %d times, want %d", got, tc.want)
			}
		})
	}
}
