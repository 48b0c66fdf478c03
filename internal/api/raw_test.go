package api_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/api"
	"github.com/aispend/aispend/internal/store"
)

func rawKit(t *testing.T) *kit {
	k := newKit(t)
	k.tokens = api.Tokens{Admin: []string{adminToken}}
	k.archive.items = []store.RawPage{somePage()}
	return k
}

func TestRawList(t *testing.T) {
	k := rawKit(t)
	for _, path := range []string{"/raw/openai", "/providers/openai/raw"} {
		w := k.get(path)
		wantOK(t, w)
		want := `{"items":[{"id":"20261123-01JDAAAA-0001","provider":"openai","account":"acme",` +
			`"source":"openai/costs","pull":"01JDAAAA","page":1,"window":{"from":"2026-11-01","to":"2026-11-23"},` +
			`"fetched_at":"2026-11-23T12:00:00Z","status":200,"bytes":2,` +
			`"url":"https://api.example/v1/costs?limit=31"}],"cursor":"next-1"}` + "\n"
		if diff := cmp.Diff(want, w.Body.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		if diff := cmp.Diff(store.RawQuery{Provider: "openai", Limit: 50}, k.archive.asked); diff != "" {
			t.Errorf("%s: query (-want +got):\n%s", path, diff)
		}
	}
}

func TestEmptyRawListIsAnArray(t *testing.T) {
	k := rawKit(t)
	k.archive.items = nil
	mustContain(t, k.get("/raw/anthropic").Body.String(), `"items":[]`)
}

func TestRawListPassesItsFilters(t *testing.T) {
	k := rawKit(t)
	wantOK(t, k.get("/raw/openai?limit=500&cursor=Ab-_.~9%3D&from=2026-11-01&to=2026-11-01&source=openai/usage"))
	want := store.RawQuery{
		Provider: "openai", Source: "openai/usage", From: day("2026-11-01"), To: day("2026-11-01"),
		Limit: 500, Cursor: "Ab-_.~9=",
	}
	if diff := cmp.Diff(want, k.archive.asked); diff != "" {
		t.Errorf("query (-want +got):\n%s", diff)
	}
}

func TestBadRawRequests(t *testing.T) {
	k := rawKit(t)
	for _, tc := range []struct {
		path   string
		status int
		detail string
	}{
		{"/raw/vertexx", 404, "anthropic, openai"},
		{"/raw/", 404, "no such"},
		{"/providers//raw", 404, "anthropic, openai"},
		{"/raw/openai%2fcosts", 404, ""},
		{"/raw/openai%0d%0aX-Evil:1", 404, ""},
		{"/raw/openai?limit=0", 400, "1 to 500"},
		{"/raw/openai?limit=501", 400, "1 to 500"},
		{"/raw/openai?limit=05", 400, "1 to 500"},
		{"/raw/openai?limit=1e2", 400, "1 to 500"},
		{"/raw/openai?cursor=", 400, "empty"},
		{"/raw/openai?cursor=a/b", 400, "cursor"},
		{"/raw/openai?cursor=" + strings.Repeat("a", 513), 400, "longer"},
		{"/raw/openai?source=anthropic/cost_report", 400, "openai/costs, openai/usage"},
		{"/raw/openai?from=2026-11-02&to=2026-11-01", 400, "after"},
		{"/raw/openai?page=2", 400, "cursor"},
		{"/raw/openai/..%2f..%2fetc", 404, "no such route"},
		{"/raw/openai/" + strings.Repeat("a", 65), 404, "/raw/openai"},
		{"/raw/openai/a%0d%0ab", 404, ""},
		{"/raw/openai/20261123-01JDAAAA-0002", 404, "expired"},
		{"/raw/anthropic/20261123-01JDAAAA-0001", 404, "expired"},
		{"/raw/nobody/20261123-01JDAAAA-0001", 404, "anthropic, openai"},
		{"/raw/openai/20261123-01JDAAAA-0001?x=1", 400, "no query parameters"},
	} {
		p := wantProblem(t, k.get(tc.path), tc.status)
		if !strings.Contains(p.Detail, tc.detail) {
			t.Errorf("%s: detail %q lacks %q", tc.path, p.Detail, tc.detail)
		}
	}
}

func TestRawPageIsTheExactBytes(t *testing.T) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for _, tc := range []struct {
		name, original, contentType, file string
		status                            int
	}{
		{"json", "application/json; charset=utf-8", "application/json; charset=utf-8", ".json", 200},
		{"problem", "application/problem+json", "application/problem+json", ".json", 429},
		{"html of a proxy", "text/html", "text/html", ".bin", 502},
		{"none", "", "application/octet-stream", ".bin", 200},
		{"nonsense", "not a type\r\nX-Evil: 1", "application/octet-stream", ".bin", 200},
	} {
		k := rawKit(t)
		p := somePage()
		p.Page.Header["Content-Type"], p.Page.Status, p.Page.Body = tc.original, tc.status, every
		k.archive.items = []store.RawPage{p}
		w := k.get("/raw/openai/" + p.ID)
		wantOK(t, w)
		if !bytes.Equal(w.Body.Bytes(), every) {
			t.Errorf("%s: body differs", tc.name)
		}
		for name, want := range map[string]string{
			"Content-Type":           tc.contentType,
			"Content-Length":         "256",
			"Content-Disposition":    `attachment; filename="` + p.ID + tc.file + `"`,
			"X-Content-Type-Options": "nosniff",
			"Cache-Control":          "no-store",
			"Aispend-Page-Status":    map[int]string{200: "200", 429: "429", 502: "502"}[tc.status],
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", tc.name, name, got, want)
			}
		}
	}
}

func TestRawPageSaysWhenItWasRedacted(t *testing.T) {
	k := rawKit(t)
	p := somePage()
	p.Page.Redacted = true
	k.archive.items = []store.RawPage{p}
	if got := k.get("/raw/openai/" + p.ID).Header().Get("Aispend-Page-Redacted"); got != "true" {
		t.Errorf("Aispend-Page-Redacted is %q", got)
	}
	mustContain(t, k.get("/raw/openai").Body.String(), `"redacted":true`)
}

func TestStoreErrors(t *testing.T) {
	for _, tc := range []struct {
		err    error
		status int
		logged string
	}{
		{store.ErrBadCursor, 400, "level=DEBUG"},
		{store.ErrPagesMissing, 409, "level=DEBUG"},
		{store.ErrLowSpace, 507, "level=ERROR"},
		{store.ErrCorrupt, 500, "level=ERROR"},
		{errors.New("cause-canary in badger"), 500, "level=ERROR"},
	} {
		k := rawKit(t)
		k.archive.err = tc.err
		p := wantProblem(t, k.get("/raw/openai"), tc.status)
		if errors.Is(tc.err, store.ErrBadCursor) != (p.Parameter == "cursor") {
			t.Errorf("%v: parameter %q", tc.err, p.Parameter)
		}
		if strings.Contains(p.Detail, "canary") {
			t.Errorf("the cause of a 500 was served: %q", p.Detail)
		}
		mustContain(t, k.log.String(), tc.logged, tc.err.Error())
		if n := strings.Count(k.log.String(), "\n"); n != 1 {
			t.Errorf("%v was logged %d times", tc.err, n)
		}
	}
}

func FuzzRawCursor(f *testing.F) {
	f.Add("20261123-01JD")
	f.Add("a b\r\nc")
	f.Add("%00/../..")
	k := newKit(&testing.T{})
	k.tokens = api.Tokens{Admin: []string{adminToken}}
	f.Fuzz(func(t *testing.T, cursor string) {
		k.t = t
		k.archive.asked = store.RawQuery{}
		w := k.get("/raw/openai?cursor=" + url.QueryEscape(cursor))
		if w.Code == http.StatusBadRequest {
			wantProblem(t, w, http.StatusBadRequest)
			if k.archive.asked.Provider != "" {
				t.Fatal("a refused cursor reached the store")
			}
			return
		}
		wantOK(t, w)
		for _, r := range k.archive.asked.Cursor {
			if r <= ' ' || r > '~' || strings.ContainsRune(`/\"'%<>`, r) {
				t.Fatalf("%q reached the store", cursor)
			}
		}
		if len(k.archive.asked.Cursor) > 512 {
			t.Fatal("a long cursor reached the store")
		}
	})
}

// Whatever the path, the answer is a problem or a page, never a 5xx, a redirect or
// a header with the client's text.
func FuzzRouter(f *testing.F) {
	f.Add("/raw/openai/x\r\ny")
	f.Add("//spend")
	f.Add("/SPEND/")
	f.Add("/assets/../../etc/passwd")
	k := newKit(&testing.T{})
	f.Fuzz(func(t *testing.T, path string) {
		k.t = t
		w := k.do(http.MethodGet, "/", "", func(r *http.Request) { r.URL = &url.URL{Path: path} })
		if w.Code >= 500 || w.Code >= 300 && w.Code < 400 {
			t.Fatalf("%q: %d", path, w.Code)
		}
		for name, values := range w.Header() {
			for _, v := range values {
				if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) {
					t.Fatalf("%q: header %s: %q", path, name, v)
				}
			}
		}
	})
}
