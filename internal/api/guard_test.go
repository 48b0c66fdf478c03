package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aispend/aispend/internal/api"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// Configurations of tokens, in the order of a grid's rows.
func tokenSets() []struct {
	name   string
	tokens api.Tokens
} {
	admin, read := []string{"older-admin", adminToken}, []string{readToken, "newer-read"}
	return []struct {
		name   string
		tokens api.Tokens
	}{
		{"no tokens", api.Tokens{}},
		{"admin only", api.Tokens{Admin: admin}},
		{"read only", api.Tokens{Read: read}},
		{"both", api.Tokens{Admin: admin, Read: read}},
		{"both, metrics open", api.Tokens{Admin: admin, Read: read, MetricsOpen: true}},
		{"both configured, files unreadable", api.Tokens{AdminSet: true, ReadSet: true}},
	}
}

// grid holds the expected status for each token set (rows as in tokenSets) and
// each caller: none, wrong, read, admin.
type grid [6][4]int

var (
	openToAll = grid{
		{200, 200, 200, 200},
		{200, 200, 200, 200},
		{200, 200, 200, 200},
		{200, 200, 200, 200},
		{200, 200, 200, 200},
		{200, 200, 200, 200},
	}
	forReaders = grid{
		{200, 200, 200, 200},
		{200, 200, 200, 200},
		{401, 401, 200, 401},
		{401, 401, 200, 200},
		{401, 401, 200, 200},
		{503, 503, 503, 503},
	}
	forScrapers = grid{
		{200, 200, 200, 200},
		{200, 200, 200, 200},
		{401, 401, 200, 401},
		{401, 401, 200, 200},
		{200, 200, 200, 200},
		{503, 503, 503, 503},
	}
	forAdmins = grid{
		{403, 403, 403, 403},
		{401, 401, 401, 200},
		{403, 403, 403, 403},
		{401, 401, 403, 200},
		{401, 401, 403, 200},
		{503, 503, 503, 503},
	}
)

// guards is written by hand from contract section 7. A route that is not in it
// fails the test, so that nobody adds one without deciding who may call it.
var guards = map[string]grid{
	"GET /":                        openToAll,
	"GET /assets/style.css":        openToAll,
	"GET /metrics":                 forScrapers,
	"GET /-/healthy":               openToAll,
	"GET /-/ready":                 openToAll,
	"POST /-/reload":               forAdmins,
	"GET /status":                  forReaders,
	"GET /spend":                   forReaders,
	"GET /caps":                    forReaders,
	"GET /config":                  forReaders,
	"GET /raw/:provider":           forAdmins,
	"GET /providers/:provider/raw": forAdmins,
	"GET /raw/:provider/:id":       forAdmins,
	"POST /recompute":              forAdmins,
	"POST /admin/recompute":        forAdmins,
	"POST /test/alert":             forAdmins,
	"GET /hard-cap/deliveries":     forAdmins,

	"POST /hard-cap/deliveries/:id/retry": forAdmins,
	"POST /webhook/hard-cap":              forAdmins, // without an inbound token; with one see TestInboundToken
}

func callers() []string { return []string{"", wrongToken, readToken, adminToken} }

// target turns a pattern into a path that exists in the kit.
func target(pattern string) string {
	return strings.NewReplacer(":provider", "openai", ":id", "20261123-01JDAAAA-0001").Replace(pattern)
}

func somePage() store.RawPage {
	return store.RawPage{
		ID: "20261123-01JDAAAA-0001", Source: openaiCosts, Pull: "01JDAAAA",
		Window: spend.Window{From: day("2026-11-01"), To: day("2026-11-24")}, Bytes: 2,
		Page: spend.Page{
			Seq: 1, URL: "https://api.example/v1/costs?limit=31", Status: 200, FetchedAt: noon(), Body: []byte("{}"),
			Header: map[string]string{"Content-Type": "application/json"},
		},
	}
}

func TestEveryRouteKnowsItsCallers(t *testing.T) {
	for _, rt := range api.Routes() {
		name := rt.Method + " " + rt.Pattern
		want, ok := guards[name]
		if !ok {
			t.Errorf("%s: no expectation; decide who may call it and add it to guards", name)
			continue
		}
		t.Run(name, func(t *testing.T) { checkGuard(t, rt, want) })
	}
	if len(api.Routes()) != len(guards) {
		t.Errorf("%d routes, %d expectations: one of them is stale", len(api.Routes()), len(guards))
	}
}

func checkGuard(t *testing.T, rt api.Route, want grid) {
	for i, set := range tokenSets() {
		k := newKit(t)
		k.archive.items = []store.RawPage{somePage()}
		k.tokens = set.tokens
		for j, token := range callers() {
			methods := []string{rt.Method}
			if rt.Method == http.MethodGet {
				methods = append(methods, http.MethodHead)
			}
			for _, method := range methods {
				w := k.do(method, target(rt.Pattern), token)
				if w.Code == http.StatusAccepted {
					w.Code = http.StatusOK // let in all the same
				}
				if w.Code != want[i][j] {
					t.Errorf("%s, %s, token %q: %d, want %d: %s", set.name, method, token, w.Code, want[i][j], w.Body)
				}
				if (w.Code == http.StatusUnauthorized) != (w.Header().Get("WWW-Authenticate") != "") {
					t.Errorf("%s, %s, token %q: %d with challenge %q", set.name, method, token, w.Code, w.Header())
				}
				if w.Code != http.StatusOK && method != http.MethodHead {
					wantProblem(t, w, want[i][j])
				}
			}
		}
		for _, secret := range callers()[1:] {
			if strings.Contains(k.log.String(), secret) {
				t.Errorf("%s: the log holds the token %q", set.name, secret)
			}
		}
	}
}

func TestAuthorizationHeader(t *testing.T) {
	k := newKit(t)
	k.tokens = api.Tokens{Admin: []string{"", adminToken}, Read: []string{readToken}}
	for _, tc := range []struct {
		name   string
		header []string
		want   int
	}{
		{"bearer", []string{"Bearer " + readToken}, 200},
		{"scheme in any case", []string{"bEaReR " + readToken}, 200},
		{"space around", []string{"Bearer   " + readToken + " "}, 200},
		{"no scheme", []string{readToken}, 401},
		{"basic", []string{"Basic " + readToken}, 401},
		{"empty token against an empty entry", []string{"Bearer "}, 401},
		{"prefix of the token", []string{"Bearer " + readToken[:8]}, 401},
		{"token with a tail", []string{"Bearer " + readToken + "x"}, 401},
		{"two headers", []string{"Bearer " + readToken, "Bearer " + readToken}, 401},
	} {
		w := k.do(http.MethodGet, "/spend", "", func(r *http.Request) { r.Header["Authorization"] = tc.header })
		if w.Code != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, w.Code, tc.want)
		}
	}
}

func TestTokensAreReadAnewForEveryRequest(t *testing.T) {
	k := newKit(t)
	k.tokens = api.Tokens{Read: []string{"old"}}
	wantOK(t, k.do(http.MethodGet, "/spend", "old"))
	k.tokens = api.Tokens{Read: []string{"old", "new"}}
	wantOK(t, k.do(http.MethodGet, "/spend", "old"))
	wantOK(t, k.do(http.MethodGet, "/spend", "new"))
	k.tokens = api.Tokens{Read: []string{"new"}}
	wantProblem(t, k.do(http.MethodGet, "/spend", "old"), http.StatusUnauthorized)
}

func TestRefusalsSayWhatToDo(t *testing.T) {
	k := newKit(t)
	p := wantProblem(t, k.do(http.MethodPost, "/recompute", ""), http.StatusForbidden)
	mustContain(t, p.Detail, "web.admin_token_file")
	k.tokens = api.Tokens{Admin: []string{adminToken}}
	w := k.do(http.MethodPost, "/recompute", "")
	mustContain(t, wantProblem(t, w, http.StatusUnauthorized).Detail, "Authorization: Bearer")
	if got := w.Header().Get("WWW-Authenticate"); got != `Bearer realm="aispend"` {
		t.Errorf("challenge %q", got)
	}
	w = k.do(http.MethodPost, "/recompute", wrongToken)
	mustContain(t, wantProblem(t, w, http.StatusUnauthorized).Detail, "rotated")
	mustContain(t, w.Header().Get("WWW-Authenticate"), `error="invalid_token"`)
	mustContain(t, k.log.String(), "level=WARN", "route=/recompute")
}

func TestOtherOriginsMayChangeNothing(t *testing.T) {
	k := newKit(t)
	k.tokens = api.Tokens{Admin: []string{adminToken}}
	for _, rt := range api.Routes() {
		if rt.Method == http.MethodGet {
			continue
		}
		w := k.do(rt.Method, rt.Pattern, adminToken, func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Origin", "https://evil.example")
		})
		wantProblem(t, w, http.StatusForbidden)
	}
}
