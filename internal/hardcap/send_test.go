package hardcap_test

import (
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/hardcap"
	"github.com/aispend/aispend/internal/store"
)

// sendTo delivers one event over the real network to url and returns what became of it.
func sendTo(t *testing.T, url string, roots *x509.CertPool) (hardcap.Event, string) {
	t.Helper()
	r := newRig(t, noon)
	r.epoch = time.Until(day("2026-11-24").Time().Add(12 * time.Hour))
	r.target.URL = url
	r.hook = hardcap.New(hardcap.Options{
		Outbox: r.store, Ledger: r, Now: r.now, UserAgent: "aispend/test", Roots: roots,
		Target: func() (hardcap.Target, error) { return r.target, nil }, Logger: textLogger(r.log),
	})
	r.run()
	r.breach()
	for range 2000 {
		if e := r.hook.Deliveries()[0]; e.Attempts > 0 {
			r.stop()
			r.stop = func() {}
			return r.hook.Deliveries()[0], r.log.String()
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no attempt was made")
	return hardcap.Event{}, ""
}

const secretPath = "/path-canary-77aa?token=query-canary"

func noCanary(t *testing.T, e hardcap.Event, log string) {
	t.Helper()
	for _, canary := range []string{"path-canary", "query-canary", "user-canary", "answer-canary", "location-canary", "whsec_"} {
		if strings.Contains(log, canary) || strings.Contains(e.Reason+e.LastError, canary) {
			t.Errorf("%q is told: %q, %s", canary, e.LastError, log)
		}
	}
}

func TestDeliveryOverTheNetwork(t *testing.T) {
	t.Parallel()
	var seen atomic.Int32
	huge := strings.Repeat("answer-canary ", 1<<20)
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		state   hardcap.State
		err     string
	}{
		"taken": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }, hardcap.Delivered, ""},
		"taken, with a huge answer": {
			func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, huge) }, hardcap.Delivered, "",
		},
		"refused, with words": {
			func(w http.ResponseWriter, _ *http.Request) { http.Error(w, huge, http.StatusForbidden) },
			hardcap.Pending, "the hook answered 403 Forbidden",
		},
		"huge headers": {
			func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", huge) }, hardcap.Pending, "not HTTP",
		},
		"a redirect": {
			func(w http.ResponseWriter, r *http.Request) {
				seen.Add(1)
				http.Redirect(w, r, "/location-canary", http.StatusTemporaryRedirect)
			},
			hardcap.Pending, "307 Temporary Redirect: redirects are not followed",
		},
		"cut off": {
			func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			hardcap.Pending, "without an answer",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(tc.handler)
			defer srv.Close()
			e, log := sendTo(t, strings.Replace(srv.URL, "http://", "http://user-canary:x@", 1)+secretPath, nil)
			if e.State != tc.state || !strings.Contains(e.LastError, tc.err) || tc.err == "" && e.LastError != "" {
				t.Errorf("state %s, error %q", e.State, e.LastError)
			}
			noCanary(t, e, log)
		})
	}
	t.Cleanup(func() {
		if n := seen.Load(); n != 1 {
			t.Errorf("the redirect was followed: %d requests", n)
		}
	})
}

func TestTLSIsVerified(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	e, text := sendTo(t, srv.URL+secretPath, nil)
	if e.State != hardcap.Pending || !strings.Contains(e.LastError, "certificate is not trusted") || calls.Load() != 0 {
		t.Errorf("%d calls, state %s, error %q", calls.Load(), e.State, e.LastError)
	}
	noCanary(t, e, text)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	if e, _ := sendTo(t, srv.URL+secretPath, roots); e.State != hardcap.Delivered {
		t.Errorf("trusted: state %s, error %q", e.State, e.LastError)
	}
	// Its certificate is for 127.0.0.1 and example.com.
	e, _ = sendTo(t, strings.Replace(srv.URL, "127.0.0.1", "localhost", 1), roots)
	if e.State != hardcap.Pending || !strings.Contains(e.LastError, "certificate is not trusted") {
		t.Errorf("another name: state %s, error %q", e.State, e.LastError)
	}
}

func TestErrorsOfTheNetwork(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	_ = l.Close()
	plainHTTP := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plainHTTP.Close)
	for name, tc := range map[string]struct{ url, want string }{
		"nobody listens":   {"http://" + closed + secretPath, "no connection: connection refused"},
		"no such host":     {"https://no-such-host.invalid" + secretPath, "DNS"},
		"not TLS":          {"https://" + plainHTTP.Listener.Addr().String() + secretPath, "does not speak TLS"},
		"metadata":         {"http://169.254.169.254" + secretPath, "never called"},
		"metadata, mapped": {"http://[::ffff:169.254.169.254]" + secretPath, "never called"},
		"unspecified":      {"http://0.0.0.0:1" + secretPath, "never called"},
		"no URL":           {"http://[::1" + secretPath, "not a URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, log := sendTo(t, tc.url, nil)
			if e.State != hardcap.Pending || !strings.Contains(e.LastError, tc.want) {
				t.Errorf("state %s, error %q, want %q", e.State, e.LastError, tc.want)
			}
			noCanary(t, e, log)
		})
	}
}

// The proxy of the environment would see every delivery, and hide the address that is
// really called.
func TestNoProxy(t *testing.T) {
	h := hardcap.New(hardcap.Options{Outbox: store.Store(nil)})
	if h.Transport().Proxy != nil {
		t.Error("deliveries take a proxy from the environment")
	}
}

func TestAddresses(t *testing.T) {
	for addr, ok := range map[string]bool{
		"127.0.0.1":          true,
		"127.8.9.1":          true,
		"::1":                true,
		"10.0.0.1":           true,
		"192.168.1.1":        true,
		"172.16.0.1":         true,
		"100.64.0.1":         true,
		"fd12:3456::1":       true,
		"93.184.216.34":      true,
		"2606:2800::1":       true,
		"64:ff9b::5db8:1":    true, // 93.184.0.1 by NAT64
		"169.253.255.255":    true,
		"169.254.169.254":    false,
		"169.254.170.2":      false,
		"169.254.0.1":        false,
		"fe80::1":            false,
		"febf::1":            false,
		"fd00:ec2::254":      false,
		"fd20:ce::254":       false,
		"100.100.100.200":    false,
		"168.63.129.16":      false,
		"192.0.0.192":        false,
		"0.0.0.0":            false,
		"0.1.2.3":            false,
		"::":                 false,
		"224.0.0.1":          false,
		"239.255.255.255":    false,
		"255.255.255.255":    false,
		"ff02::1":            false,
		"::ffff:a9fe:a9fe":   false, // 169.254.169.254, mapped
		"::ffff:0.0.0.0":     false,
		"64:ff9b::a9fe:a9fe": false, // by NAT64
		"2002:a9fe:a9fe::1":  false, // by 6to4
	} {
		a := netip.MustParseAddr(addr)
		if err := hardcap.CheckAddress(a); (err == nil) != ok {
			t.Errorf("%s: %v", addr, err)
		}
		if a.Is6() && !a.Is4In6() {
			if err := hardcap.CheckAddress(a.WithZone("eth0")); (err == nil) != ok {
				t.Errorf("%s%%eth0: %v", addr, err)
			}
		}
	}
}
