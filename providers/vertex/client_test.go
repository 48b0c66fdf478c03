package vertex_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/vertex"
	"github.com/aispend/aispend/spend"
)

// throwAwayKey is made anew in every run: no key is stored.
var throwAwayKey = sync.OnceValue(func() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
})

func serviceAccount(base string) *secret.Value {
	b, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "aispend@acme-billing.example", "private_key_id": "k1",
		"private_key": throwAwayKey(), "token_uri": base + "/token", "project_id": "acme-billing",
	})
	if err != nil {
		panic(err)
	}
	return secret.New(string(b))
}

// step is one canned answer.
type step struct {
	status int
	body   []byte
}

func ok(t testing.TB, name string) step      { return step{200, fixture(t, name)} }
func bad(t testing.TB, n int, s string) step { return step{n, fixture(t, s)} }

// google is a fake of BigQuery and of the token endpoint. Its zero value answers 404.
type google struct {
	t                     testing.TB
	tables, queries, next []step // answers in turn; the last one stays
	tokenStatus           int    // 0 is 200
	tokenBody             string

	mu     sync.Mutex
	asked  []string // "GET path?query"
	bodies [][]byte // of POST queries
	tokens int
}

func (g *google) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	if r.URL.Path == "/token" {
		g.token(w, r)
		return
	}
	g.asked = append(g.asked, r.Method+" "+r.URL.Path+"?"+r.URL.RawQuery)
	if want := fmt.Sprintf("Bearer token-%08d", g.tokens); r.Header.Get("Authorization") != want {
		g.t.Errorf("%s: authorization %q, want %q", r.URL.Path, r.Header.Get("Authorization"), want)
	}
	const root = "/bigquery/v2/projects/acme-billing/"
	switch path := strings.TrimPrefix(r.URL.Path, root); {
	case r.Method == http.MethodGet && path == "datasets/billing_export/tables/"+table().Name:
		g.answer(w, &g.tables)
	case r.Method == http.MethodPost && path == "queries":
		b, err := io.ReadAll(r.Body)
		if err != nil {
			g.t.Error(err)
		}
		g.bodies = append(g.bodies, b)
		g.answer(w, &g.queries)
	case r.Method == http.MethodGet && strings.HasPrefix(path, "queries/"):
		g.answer(w, &g.next)
	default:
		g.t.Errorf("asked for %s %s", r.Method, r.URL.Path)
		w.WriteHeader(http.StatusNotFound)
	}
}

func (g *google) token(w http.ResponseWriter, r *http.Request) {
	g.tokens++
	if r.FormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || strings.Count(r.FormValue("assertion"), ".") != 2 {
		g.t.Errorf("no JWT bearer grant: %v", r.Form)
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(r.FormValue("assertion"), ".")[1])
	if err != nil || !bytes.Contains(claims, []byte(`cloud-platform.read-only"`)) {
		g.t.Errorf("claims %s %v", claims, err)
	}
	if g.tokenStatus != 0 {
		w.WriteHeader(g.tokenStatus)
		_, _ = io.WriteString(w, g.tokenBody)
		return
	}
	_, _ = fmt.Fprintf(w, `{"access_token":"token-%08d","token_type":"Bearer","expires_in":3600}`, g.tokens)
}

func (g *google) answer(w http.ResponseWriter, steps *[]step) {
	if len(*steps) == 0 {
		g.t.Error("asked once too often")
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	s := (*steps)[0]
	if len(*steps) > 1 {
		*steps = (*steps)[1:]
	}
	w.WriteHeader(s.status)
	_, _ = w.Write(s.body)
}

// RoundTrip answers without a network, for tests inside a bubble.
func (g *google) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	g.ServeHTTP(rec, r)
	resp := rec.Result()
	resp.Request = r
	return resp, nil
}

func (g *google) client(t testing.TB, change ...func(*vertex.ClientOptions)) *vertex.Client {
	t.Helper()
	const base = "https://bigquery.example.com"
	o := vertex.ClientOptions{
		Table: table(), MaxBytesBilled: 1_000_000, BaseURL: base, Credentials: serviceAccount(base),
		Selector: selector(t), Env: providers.Env{NoEnvProxy: true}, Transport: g,
	}
	for _, fn := range change {
		fn(&o)
	}
	c, err := vertex.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func fetch(ctx context.Context, c *vertex.Client) (pages []spend.Page, err error) {
	err = c.Fetch(ctx, fixtureWindow(), vertex.UTC, "", func(p spend.Page) error {
		pages = append(pages, p)
		return nil
	})
	return pages, err
}

const standard = "tables_get_standard_ingestion_time.json"

// The whole way over a real network: token, table, query, two more pages.
func TestFetchOverTheNetwork(t *testing.T) {
	g := &google{
		t: t, tables: []step{ok(t, standard)}, queries: []step{ok(t, page1)}, next: []step{ok(t, page2), ok(t, page3)},
	}
	srv := httptest.NewServer(g)
	defer srv.Close()
	c := g.client(t, func(o *vertex.ClientOptions) {
		o.Transport, o.BaseURL, o.Credentials = nil, srv.URL, serviceAccount(srv.URL)
	})
	pages, err := fetch(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	d := vertex.NewFixtureDecoder(fixtureWindow())
	for i, name := range []string{standard, page1, page2, page3} {
		if p := pages[i]; !bytes.Equal(p.Body, fixture(t, name)) || p.Seq != i || p.Status != 200 || p.Redacted {
			t.Errorf("page %d is not %s, verbatim: %d %d", i, name, p.Seq, p.Status)
		}
		if err := d.Page(pages[i].Body); err != nil {
			t.Error(err)
		}
	}
	if out, err := d.Export(); err != nil || len(out.Rows) != 91 || len(pages) != 4 {
		t.Errorf("%d rows of %d pages: %v", len(out.Rows), len(pages), err)
	}
	const job = "GET /bigquery/v2/projects/acme-billing/queries/job_Q1w2E3r4T5y6U7i8O9p0?location=EU&maxResults=10000&"
	want := []string{
		"GET /bigquery/v2/projects/acme-billing/datasets/billing_export/tables/" + table().Name + "?",
		"POST /bigquery/v2/projects/acme-billing/queries?",
		job + "pageToken=BFAKE4AAEAASAUIIBAEAAUNAICAAQCAUGBQQ4GCZ2TOKEN2&timeoutMs=10000",
		job + "pageToken=BFAKE4AAEAASAUIIBAEAAUNAICAAQCAUGBQQ4GCZ3TOKEN3&timeoutMs=10000",
	}
	if !slices.Equal(g.asked, want) {
		t.Errorf("asked %q", g.asked)
	}
	if g.tokens != 1 {
		t.Errorf("%d tokens for four requests", g.tokens)
	}
	for _, part := range []string{
		`"maximumBytesBilled":"1000000"`, `"useLegacySql":false`, `"location":"EU"`, `_PARTITIONTIME \u003e=`,
	} {
		if !bytes.Contains(g.bodies[0], []byte(part)) && !bytes.Contains(g.bodies[0], []byte(strings.ReplaceAll(part, `\u003e`, ">"))) {
			t.Errorf("the query has no %s", part)
		}
	}
}

func TestFetchWaitsForTheJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &google{
			t: t, tables: []step{ok(t, standard)}, queries: []step{ok(t, waiting1)},
			next: []step{ok(t, waiting2), ok(t, waiting2), ok(t, afterWait), ok(t, page2), ok(t, page3)},
		}
		start := time.Now()
		pages, err := fetch(t.Context(), g.client(t))
		if err != nil || len(pages) != 7 {
			t.Errorf("%d pages: %v", len(pages), err)
		}
		// It waits between two questions, longer each time, and not once the job is complete.
		if got := time.Since(start); got != 1750*time.Millisecond {
			t.Errorf("waited %s", got)
		}
	})
}

func TestFetchOfAJobThatNeverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &google{t: t, tables: []step{ok(t, standard)}, queries: []step{ok(t, waiting1)}, next: []step{ok(t, waiting2)}}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		pages, err := fetch(ctx, g.client(t))
		if got := spend.OutcomeOf(err, spend.OK); got != spend.Timeout || len(pages) > 100 {
			t.Errorf("outcome %s after %d answers: %v", got, len(pages), err)
		}
	})
}

// A result that comes at once needs no job.
func TestFetchOfOnePage(t *testing.T) {
	for _, name := range []string{empty, cacheHit, noJob} {
		g := &google{t: t, tables: []step{ok(t, standard)}, queries: []step{ok(t, name)}}
		if pages, err := fetch(t.Context(), g.client(t)); err != nil || len(pages) != 2 {
			t.Errorf("%s: %d pages: %v", name, len(pages), err)
		}
	}
}

func TestFetchTrustsNoJobButItsOwn(t *testing.T) {
	bend := func(name string, fn func(body)) step { return step{200, tableAnswer(t, name, fn)} }
	job := func(id string) func(body) {
		return func(b body) {
			b["jobReference"] = map[string]string{"projectId": "acme-billing", "jobId": id, "location": "EU"}
		}
	}
	tests := []struct {
		name    string
		query   step
		next    []step
		outcome spend.Outcome
		want    string
	}{
		{"more follows without a job", bend(page1, func(b body) { delete(b, "jobReference") }), nil, spend.Schema, "names no job"},
		{"waiting without a job", bend(waiting1, func(b body) { delete(b, "jobReference") }), nil, spend.Schema, "names no job"},
		{"a job that is a path", bend(page1, job("../../x")), nil, spend.Schema, "names no job"},
		{"another job", ok(t, page1), []step{bend(page2, job("job_2"))}, spend.Pagination, "another job"},
		{"a token twice", ok(t, page1), []step{ok(t, afterWait)}, spend.Pagination, "second time"},
		{"an error with 200", ok(t, "error_503_backendError.json"), nil, spend.Schema, "error object"},
		{"a table for a page", ok(t, standard), nil, spend.Schema, ""},
		{"a dry run for a page", ok(t, dryRun), nil, spend.Schema, "dry run"},
	}
	for _, tt := range tests {
		g := &google{t: t, tables: []step{ok(t, standard)}, queries: []step{tt.query}, next: tt.next}
		_, err := fetch(t.Context(), g.client(t))
		if got := spend.OutcomeOf(err, spend.OK); got != tt.outcome || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: outcome %s, want %s %s: %v", tt.name, got, tt.outcome, tt.want, err)
		}
	}
}

// Every error is named so that a person can act, without a word of Google's own text.
func TestErrorsSayWhatToDo(t *testing.T) {
	good, first := ok(t, standard), ok(t, page1)
	jobsCreate := step{403, bytes.ReplaceAll(fixture(t, "error_403_accessDenied.json"),
		[]byte("User does not have permission to query table"), []byte("User does not have bigquery.jobs.create permission"))}
	disabled := step{403, bytes.ReplaceAll(fixture(t, "error_403_accessDenied.json"), []byte(`"accessDenied"`), []byte(`"accessNotConfigured"`))}
	const (
		missing  = "error_404_notFound_table.json"
		denied   = "error_403_accessDenied.json"
		wrongJob = "error_404_notFound_job_wrong_location.json"
		auth     = "error_401_authError.json"
	)
	tests := []struct {
		name               string
		table, query, next step
		outcome            spend.Outcome
		tries              int // requests in all
		want               []string
	}{
		{
			"no table", bad(t, 404, missing),
			step{},
			step{},
			spend.NotFound, 1,
			[]string{table().String(), "not there yet", "hours", "name is wrong"},
		},
		{"no table in the location", good, bad(t, 404, missing), step{}, spend.NotFound, 2, []string{`"EU"`, "bigquery.location"}},
		{"no job in the location", good, first, bad(t, 404, wrongJob), spend.NotFound, 3, []string{`"EU"`, "bigquery.location"}},
		{
			"no right to the table", bad(t, 403, denied),
			step{},
			step{},
			spend.Permission, 1,
			[]string{"roles/bigquery.dataViewer", "acme-billing.billing_export"},
		},
		{"no right to read", good, bad(t, 403, denied), step{}, spend.Permission, 2, []string{"roles/bigquery.dataViewer"}},
		{
			"no right to query", good, jobsCreate,
			step{},
			spend.Permission, 2,
			[]string{"grant the service account roles/bigquery.jobUser on project acme-billing"},
		},
		{"not enabled", disabled, step{}, step{}, spend.Permission, 1, []string{"enable the BigQuery API"}},
		{
			"bytes", good, bad(t, 400, "error_400_bytesBilledLimitExceeded.json"),
			step{},
			spend.Server, 2,
			[]string{"10485760 bytes", "1000000 bytes", "max_bytes_billed"},
		},
		{"invalid query", good, bad(t, 400, "error_400_invalidQuery.json"), step{}, spend.Server, 2, []string{"no Cloud Billing export"}},
		{"quota", good, bad(t, 403, "error_403_quotaExceeded.json"), step{}, spend.RateLimited, 2, []string{"is used up", "interval"}},
		{"rate", good, bad(t, 403, "error_403_rateLimitExceeded.json"), step{}, spend.RateLimited, 5, []string{"rateLimitExceeded"}},
		{"server", good, bad(t, 503, "error_503_backendError.json"), step{}, spend.Server, 5, []string{"503 backendError"}},
		{"server at a page", good, first, bad(t, 503, "error_503_backendError.json"), spend.Server, 6, []string{"503"}},
		{"key", bad(t, 401, auth), step{}, step{}, spend.Auth, 1, []string{"credentials_file"}},
		{"not of Google", good, step{502, []byte("<html>Bad gateway")}, step{}, spend.Server, 5, []string{"502"}},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			g := &google{t: t, tables: []step{tt.table}, queries: []step{tt.query}, next: []step{tt.next}}
			pages, err := fetch(t.Context(), g.client(t))
			if got := spend.OutcomeOf(err, spend.OK); got != tt.outcome {
				t.Fatalf("%s: outcome %s, want %s: %v", tt.name, got, tt.outcome, err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %q does not say %q", tt.name, err, want)
				}
			}
			for _, never := range []string{"Not found:", "Access Denied", "User does not", "token-0", "PRIVATE", "No matching"} {
				if strings.Contains(err.Error(), never) {
					t.Errorf("%s: %q repeats %q", tt.name, err, never)
				}
			}
			if len(g.asked) != tt.tries || len(pages) != tt.tries {
				t.Errorf("%s: %d requests and %d answers kept, want %d", tt.name, len(g.asked), len(pages), tt.tries)
			}
		})
	}
}

// A passing fault does no harm.
func TestFetchHealsWhatPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := bad(t, 403, "error_403_rateLimitExceeded.json")
		down := bad(t, 503, "error_503_backendError.json")
		g := &google{
			t: t, tables: []step{busy, ok(t, standard)}, queries: []step{down, busy, ok(t, page1)},
			next: []step{ok(t, page2), down, ok(t, page3)},
		}
		pages, err := fetch(t.Context(), g.client(t))
		if err != nil || len(pages) != 8 {
			t.Errorf("%d answers: %v", len(pages), err)
		}
	})
}

func TestWrongLocationIsNamedBeforeAnyQuery(t *testing.T) {
	g := &google{t: t, tables: []step{ok(t, standard)}}
	_, err := fetch(t.Context(), g.client(t, func(o *vertex.ClientOptions) { o.Location = "US" }))
	if spend.OutcomeOf(err, spend.OK) != spend.NotFound || !strings.Contains(err.Error(), "location EU") ||
		!strings.Contains(err.Error(), "bigquery.location is US") || len(g.asked) != 1 {
		t.Errorf("after %d requests: %v", len(g.asked), err)
	}
	g = &google{t: t, tables: []step{ok(t, standard)}, queries: []step{ok(t, empty)}}
	if _, err := fetch(t.Context(), g.client(t, func(o *vertex.ClientOptions) { o.Location = "eu" })); err != nil {
		t.Errorf("another spelling: %v", err)
	}
}

func TestTableThatIsNoExport(t *testing.T) {
	lacking := step{200, tableAnswer(t, standard, func(b body) {
		f := b["schema"].(map[string]any)["fields"].([]any)
		b["schema"] = map[string]any{"fields": slices.DeleteFunc(f, func(v any) bool { return v.(map[string]any)["name"] == "credits" })}
	})}
	g := &google{t: t, tables: []step{lacking}}
	_, err := fetch(t.Context(), g.client(t))
	if spend.OutcomeOf(err, spend.OK) != spend.Schema || !strings.Contains(err.Error(), "lacks credits") {
		t.Errorf("%v", err)
	}
}

func TestEstimateIsADryRun(t *testing.T) {
	g := &google{t: t, tables: []step{ok(t, standard)}, queries: []step{ok(t, dryRun)}}
	n, err := g.client(t).Estimate(t.Context(), fixtureWindow())
	if err != nil || n != 4718592 || !bytes.Contains(g.bodies[0], []byte(`"dryRun":true`)) {
		t.Errorf("%d bytes: %v", n, err)
	}
	g = &google{t: t, tables: []step{ok(t, standard)}, queries: []step{{200, append(fixture(t, dryRun), 'x')}}}
	if _, err := g.client(t).Estimate(t.Context(), fixtureWindow()); spend.OutcomeOf(err, spend.OK) != spend.Decode {
		t.Errorf("a broken answer: %v", err)
	}
	info, err := g.client(t).Describe(t.Context())
	if err != nil || info.Location != "EU" {
		t.Errorf("%+v %v", info, err)
	}
}

func TestFetchStopsAtEmitAndAtTheEnd(t *testing.T) {
	g := &google{t: t, tables: []step{ok(t, standard)}, queries: []step{ok(t, page1)}}
	full := spend.Classify(spend.StoreFailed, errors.New("disk full"))
	n := 0
	err := g.client(t).Fetch(t.Context(), fixtureWindow(), vertex.UTC, "", func(spend.Page) error {
		if n++; n == 2 {
			return full
		}
		return nil
	})
	if !errors.Is(err, full) || spend.OutcomeOf(err, spend.OK) != spend.StoreFailed || len(g.asked) != 2 {
		t.Errorf("after %d requests: %v", len(g.asked), err)
	}
	err = g.client(t).Fetch(t.Context(), spend.Window{}, vertex.UTC, "", nil)
	if spend.OutcomeOf(err, spend.OK) != spend.Incomplete {
		t.Errorf("an empty window: %v", err)
	}
}

func TestTokens(t *testing.T) {
	tests := []struct {
		name    string
		status  int
		body    string
		outcome spend.Outcome
		want    string
	}{
		{"revoked", 400, `{"error":"invalid_grant","error_description":"Invalid JWT: SECRETTEXT"}`, spend.Auth, "clock"},
		{"refused", 401, `{"error":"SECRETTEXT"}`, spend.Auth, "401"},
		{"too often", 429, `SECRETTEXT`, spend.RateLimited, "too often"},
		{"down", 503, `SECRETTEXT`, spend.Server, "503"},
		{"no JSON", 200, `SECRETTEXT`, spend.Network, "token endpoint"},
	}
	for _, tt := range tests {
		g := &google{t: t, tokenStatus: tt.status, tokenBody: tt.body}
		_, err := fetch(t.Context(), g.client(t))
		if got := spend.OutcomeOf(err, spend.OK); got != tt.outcome || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: outcome %s: %v", tt.name, got, err)
		}
		if strings.Contains(err.Error(), "SECRETTEXT") || len(g.asked) != 0 {
			t.Errorf("%s: %q after %d requests", tt.name, err, len(g.asked))
		}
	}
}

func TestCredentialsThatCannotBeUsed(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":        "PRIVATE-TEXT",
		"another type":   `{"type":"gdch_service_account","x":"PRIVATE-TEXT"}`,
		"no type":        `{"private_key":"PRIVATE-TEXT"}`,
		"no private key": `{"type":"service_account","private_key":"PRIVATE-TEXT","token_uri":"https://bigquery.example.com/token"}`,
	} {
		g := &google{t: t}
		c := g.client(t, func(o *vertex.ClientOptions) { o.Credentials = secret.New(text) })
		_, err := fetch(t.Context(), c)
		if spend.OutcomeOf(err, spend.OK) != spend.Auth || strings.Contains(err.Error(), "PRIVATE-TEXT") || g.tokens != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A 401 can be of a bad token: the next walk asks for another one.
func TestTokenIsForgottenAfterA401(t *testing.T) {
	g := &google{t: t, tables: []step{bad(t, 401, "error_401_authError.json"), ok(t, standard)}, queries: []step{ok(t, empty)}}
	c := g.client(t)
	if _, err := fetch(t.Context(), c); spend.OutcomeOf(err, spend.OK) != spend.Auth {
		t.Fatal(err)
	}
	if _, err := fetch(t.Context(), c); err != nil || g.tokens != 2 {
		t.Errorf("%d tokens: %v", g.tokens, err)
	}
}

// A key file that was rotated takes effect at the next request; one that was not costs no
// further token.
func TestCredentialsAreReadAnew(t *testing.T) {
	const base = "https://bigquery.example.com"
	path := filepath.Join(t.TempDir(), "sa.json")
	write := func(email string) {
		text, err := serviceAccount(base).Get()
		if err == nil {
			err = os.WriteFile(path, []byte(strings.Replace(text, "aispend@", email, 1)), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	g := &google{t: t, tables: []step{ok(t, standard)}, queries: []step{ok(t, empty)}}
	c := g.client(t, func(o *vertex.ClientOptions) { o.Credentials = secret.FromFile(path) })
	for i, email := range []string{"a@", "a@", "b@"} {
		write(email)
		if _, err := fetch(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if want := []int{1, 1, 2}[i]; g.tokens != want {
			t.Errorf("walk %d: %d tokens, want %d", i, g.tokens, want)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := fetch(t.Context(), c); spend.OutcomeOf(err, spend.OK) != spend.Auth {
		t.Errorf("without the file: %v", err)
	}
}

func TestClientOptionsAreChecked(t *testing.T) {
	good := vertex.ClientOptions{Table: table(), MaxBytesBilled: 1, BaseURL: vertex.DefaultBigQueryURL, Selector: selector(t)}
	for key, change := range map[string]func(*vertex.ClientOptions){
		"bigquery":                  func(o *vertex.ClientOptions) { o.Table.Name = "x`y" },
		"bigquery.max_bytes_billed": func(o *vertex.ClientOptions) { o.MaxBytesBilled = 0 },
		"bigquery.location":         func(o *vertex.ClientOptions) { o.Location = "EU&x" },
		"base_url":                  func(o *vertex.ClientOptions) { o.BaseURL = "http://bigquery.example.com" },
		"proxy_url":                 func(o *vertex.ClientOptions) { o.Env.ProxyURL = "::" },
	} {
		o := good
		change(&o)
		_, err := vertex.NewClient(o)
		var fe *providers.FieldError
		if !errors.As(err, &fe) || fe.Key != key {
			t.Errorf("%s: %v", key, err)
		}
	}
	if _, err := vertex.NewClient(good); err != nil {
		t.Error(err)
	}
}
