package app_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/api"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/internal/store/badger"
	"github.com/aispend/aispend/providers/simulator"
)

// canaries are secrets that occur nowhere else, one for each place that takes one.
var canaries = map[string]string{
	"openai key":     "sk-admin-canaryOpenAI7f3a9c51d2",
	"anthropic key":  "sk-ant-admin01-canaryAnthropic8b2e60",
	"admin token":    "canary-admin-token-5d41402abc4b",
	"old token":      "canary-older-admin-token-0cc175b9",
	"read token":     "canary-read-token-92eb5ffee6ae",
	"hook url":       "canary-hook-path-4a8a08f09d37",
	"hook secret":    "Y2FuYXJ5LWhvb2stc2VjcmV0LTEyMzQ1Njc4OTA=",
	"inbound token":  "canary-inbound-token-8277e0910d75",
	"proxy password": "canary-proxy-password-e1671797",
}

const canaryConfig = `
ingest: {interval: 1s, timeout: 2s}
web: {admin_token_file: admin.token, read_token: %q}
providers:
  - {type: openai, account: acme, api_key_file: openai.key, base_url: %q}
  - {type: anthropic, account: acme, api_key: %q, base_url: %q}
  - {type: openai, account: proxied, api_key: %q, project_ids: [proj_x], base_url: "https://127.0.0.1:1",
     proxy_url: "http://user:%s@127.0.0.1:1"}
  - {type: anthropic, account: nowhere, api_key: %q, workspace_ids: [wrkspc_x], base_url: "https://canary.invalid"}
caps: [{scope: openai, hard_usd: 0.01}]
hard_cap:
  url: %[11]s/%[8]s?key=%[8]s
  secret: whsec_%[9]s
  inbound_token: %[10]q
%[12]s`

// TestNoSecretAnywhere drives every route with every kind of caller, every way a
// provider can fail, reloads good and bad, and then looks for each secret in the
// log, every answer and header, the metrics, the errors, and all that was stored.
func TestNoSecretAnywhere(t *testing.T) {
	s := newSite(t)
	s.world.RotateKey(simulator.OpenAI, canaries["openai key"])
	s.world.RotateKey(simulator.Anthropic, canaries["anthropic key"])
	s.write("openai.key", canaries["openai key"])
	s.write("admin.token", canaries["admin token"]+"\n"+canaries["old token"]+"\n")
	hook := echoingHook(t)
	configure := func(extra string) {
		s.write("aispend.yml", fmt.Sprintf(canaryConfig, canaries["read token"], s.servers.OpenAI,
			canaries["anthropic key"], s.servers.Anthropic, canaries["openai key"]+"x", canaries["proxy password"],
			canaries["anthropic key"]+"x", canaries["hook url"], canaries["hook secret"], canaries["inbound token"], hook, extra))
	}
	configure("")
	seen := &evidence{texts: map[string]string{}}
	r := s.mustStart()
	r.until("pulls of the good accounts", func() bool {
		_, body := r.call(http.MethodGet, "/status", canaries["admin token"])
		return strings.Count(body, `"last_outcome":"ok"`) >= 4
	})
	for _, e := range []simulator.Effect{
		simulator.EchoKey(http.StatusUnauthorized), simulator.EchoKey(http.StatusForbidden), simulator.EchoKey(http.StatusBadRequest),
		simulator.EchoKey(http.StatusInternalServerError), simulator.EchoKey(http.StatusOK),
		simulator.Redirect(http.StatusFound, s.servers.Elsewhere+"/?"+canaries["openai key"]),
		simulator.TruncatedJSON(), simulator.Reset(), simulator.Hang(), simulator.HTML200(),
		simulator.Field("line_item", `"`+canaries["openai key"]+`"`),
	} {
		remove := s.world.Inject(simulator.Fault{Source: faultSource(e), Do: e})
		s.world.ForgetRequests()
		deadline := time.Now().Add(4 * time.Second)
		for len(s.world.Requests()) < 4 && time.Now().Before(deadline) {
			time.Sleep(20 * time.Millisecond)
			s.write("openai.key", canaries["openai key"]+strings.Repeat("\n", int(time.Now().UnixNano()%7)))
		}
		driveAll(r, seen)
		remove()
	}
	for range 200 {
		if code, _ := r.post("/webhook/hard-cap", canaries["inbound token"], hint(time.Now().Add(-time.Minute))); code == http.StatusOK {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	r.until("an attempt to call the hook", func() bool {
		_, body := r.call(http.MethodGet, "/hard-cap/deliveries", canaries["admin token"])
		return strings.Contains(body, "the hook answered 302")
	})
	configure("metrics: {nonsense: 1}\n")
	seen.add("bad reload", request(r, http.MethodPost, "/-/reload", canaries["admin token"]))
	configure("metrics: {by_project: true}\n")
	seen.add("good reload", request(r, http.MethodPost, "/-/reload", canaries["admin token"]))
	driveAll(r, seen)
	r.stop()
	seen.add("the log", s.log.String())
	if stolen := s.servers.Stolen(); len(stolen) > 0 {
		t.Errorf("a redirect target was given %d keys", len(stolen))
	}
	readStore(t, s, seen)
	if len(seen.texts) < 30 {
		t.Fatalf("only %d texts were looked at: the test has lost its eyes", len(seen.texts))
	}
	for where, text := range seen.texts {
		for name, canary := range canaries {
			if i := strings.Index(text, canary); i >= 0 {
				t.Errorf("%s shows the %s: ...%s...", where, name, text[max(0, i-60):min(len(text), i+20)])
			}
		}
	}
}

// echoingHook tells everybody who reads its answers all that it was sent.
func echoingHook(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/?"+r.URL.String())
		w.Header().Set("X-Echo", r.URL.String())
		w.WriteHeader(http.StatusFound)
		_, _ = io.WriteString(w, r.URL.String()+canaries["hook secret"])
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// faultSource keeps OpenAI's key out of Anthropic's pages: a provider can only
// echo what it was sent.
func faultSource(e simulator.Effect) string {
	if strings.Contains(e.Name(), "field") {
		return simulator.OpenAI
	}
	return ""
}

// evidence collects everything that came out of the daemon.
type evidence struct{ texts map[string]string }

func (e *evidence) add(where, text string) { e.texts[where] += text }

// driveAll calls every route of the table as each kind of caller.
func driveAll(r *running, seen *evidence) {
	callers := map[string]string{
		"nobody": "", "a stranger": "wrong-token", "a reader": canaries["read token"],
		"an admin": canaries["admin token"], "an old admin": canaries["old token"], "Alertmanager": canaries["inbound token"],
	}
	for _, route := range api.Routes() {
		if route.Pattern == "/-/reload" {
			continue
		}
		path := strings.NewReplacer(":provider", "openai", ":id", "20260101-00000000000000000000000000-0000").Replace(route.Pattern)
		for who, token := range callers {
			seen.add(route.Method+" "+route.Pattern+" as "+who, request(r, route.Method, path, token))
		}
	}
}

// request returns the whole answer, headers included.
func request(r *running, method, path, token string) string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.base+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var text bytes.Buffer
	if err := resp.Write(&text); err != nil {
		r.t.Fatal(err)
	}
	return text.String()
}

// readStore reads every page and pull back through the store, and the bare files.
func readStore(t *testing.T, s *site, seen *evidence) {
	t.Helper()
	dir := filepath.Join(s.dir, "store")
	st, err := badger.Open(t.Context(), badger.Options{Dir: dir, RawRetentionDays: 90, HistoryDays: 800})
	if err != nil {
		t.Fatal(err)
	}
	for _, provider := range []string{simulator.OpenAI, simulator.Anthropic} {
		for cursor := ""; ; {
			list, err := st.RawPages(t.Context(), store.RawQuery{Provider: provider, Limit: 100, Cursor: cursor})
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range list.Items {
				p, err := st.RawPage(t.Context(), provider, item.ID)
				if err != nil {
					t.Fatal(err)
				}
				seen.add("the stored pages of "+provider, fmt.Sprintf("%s %v %s\n", p.Page.URL, p.Page.Header, p.Page.Body))
			}
			if cursor = list.Cursor; cursor == "" {
				break
			}
		}
	}
	sources, err := st.Sources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, src := range sources {
		if err := st.Pulls(t.Context(), src.ID, time.Time{}, func(p store.Pull) bool {
			seen.add("the stored pulls", fmt.Sprintf("%+v\n", p))
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		seen.add("the file "+e.Name(), string(b))
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
