// Package bigquery_test runs the daemon's own query in an engine that nobody of ours
// wrote: github.com/goccy/bigquery-emulator, which parses and checks GoogleSQL as
// BigQuery does. See README.md for what it is good for and what not.
package bigquery_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/bigquery-emulator/server"
	"github.com/goccy/bigquery-emulator/types"

	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/vertex"
	"github.com/aispend/aispend/spend"
)

const (
	project = "acme-billing"
	dataset = "billing_export"
	fixture = "../../providers/vertex/testdata"
)

// exportTable is one table of the emulator and how tables.get describes it.
type exportTable struct {
	name  string
	info  []byte // of tables.get
	until time.Time
}

// lab is an emulator behind a front that plays what the emulator does not: the token endpoint,
// tables.get as Google answers it, and the pseudo column of ingestion-time partitions.
type lab struct {
	t    *testing.T
	base string

	mu     sync.Mutex
	tables map[string][]byte
}

func newLab(t *testing.T) *lab {
	t.Helper()
	s, err := server.New(server.TempStorage)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Load(server.StructSource(types.NewProject(project, types.NewDataset(dataset)))); err != nil {
		t.Fatal(err)
	}
	if err := s.SetProject(project); err != nil {
		t.Fatal(err)
	}
	emulator := s.TestServer()
	l := &lab{t: t, tables: map[string][]byte{}}
	front := httptest.NewServer(l.front(emulator.URL))
	t.Cleanup(func() {
		front.Close()
		emulator.Close()
		_ = s.Stop(context.Background())
	})
	l.base = front.URL
	return l
}

func (l *lab) front(emulator string) http.Handler {
	target, err := url.Parse(emulator)
	if err != nil {
		l.t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = named
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token":"token-of-the-lab","token_type":"Bearer","expires_in":3600}`)
			return
		}
		l.mu.Lock()
		info := l.tables[strings.TrimPrefix(r.URL.Path, "/bigquery/v2/projects/"+project+"/datasets/"+dataset+"/tables/")]
		l.mu.Unlock()
		if r.Method == http.MethodGet && info != nil {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(info)
			return
		}
		proxy.ServeHTTP(w, r)
	})
}

// named adds what the emulator leaves out of a query's answer and every answer of Google has.
func named(resp *http.Response) error {
	if !strings.Contains(resp.Request.URL.Path, "/queries") || resp.StatusCode != http.StatusOK {
		return nil
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	if _, ok := m["kind"]; !ok {
		m["kind"] = json.RawMessage(`"bigquery#queryResponse"`)
	}
	if b, err = json.Marshal(m); err != nil {
		return err
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	resp.Header.Set("Content-Length", fmt.Sprint(len(b)))
	return nil
}

// call sends JSON to the emulator and returns status and body.
func (l *lab) call(method, path string, body any) (int, []byte) {
	l.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		l.t.Fatal(err)
	}
	if raw, ok := body.([]byte); ok {
		b = raw
	}
	req, err := http.NewRequestWithContext(l.t.Context(), method, l.base+"/bigquery/v2/projects/"+project+"/"+path, bytes.NewReader(b))
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return resp.StatusCode, out
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(fixture, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// create makes a table with the schema of a tables.get answer and loads the rows exported
// until then; zero loads all.
func (l *lab) create(tb exportTable) vertex.Table {
	l.t.Helper()
	var info map[string]any
	if err := json.Unmarshal(tb.info, &info); err != nil {
		l.t.Fatal(err)
	}
	info["tableReference"] = map[string]string{"projectId": project, "datasetId": dataset, "tableId": tb.name}
	described, err := json.Marshal(info)
	if err != nil {
		l.t.Fatal(err)
	}
	status, body := l.call(http.MethodPost, "datasets/"+dataset+"/tables", map[string]any{
		"tableReference": info["tableReference"], "schema": info["schema"],
	})
	if status != http.StatusOK {
		l.t.Fatalf("creating %s: %d %s", tb.name, status, body)
	}
	var rows []map[string]any
	flush := func() {
		if len(rows) == 0 {
			return
		}
		status, body := l.call(http.MethodPost, "datasets/"+dataset+"/tables/"+tb.name+"/insertAll", map[string]any{"rows": rows})
		if status != http.StatusOK || bytes.Contains(body, []byte("insertErrors")) && !bytes.Contains(body, []byte(`"insertErrors":null`)) {
			l.t.Fatalf("loading %s: %d %s", tb.name, status, body)
		}
		rows = nil
	}
	for i, r := range exportRows(l.t) {
		if !tb.until.IsZero() && moment(l.t, r["export_time"].(string)).After(tb.until) {
			continue
		}
		rows = append(rows, map[string]any{"insertId": fmt.Sprint(i), "json": known(r, info["schema"].(map[string]any)["fields"].([]any))})
		if len(rows) == 100 {
			flush()
		}
	}
	flush()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tables[tb.name] = described
	return vertex.Table{Project: project, Dataset: dataset, Name: tb.name}
}

// known keeps the columns that the schema has.
func known(r map[string]any, fields []any) map[string]any {
	out := map[string]any{}
	for _, f := range fields {
		name := f.(map[string]any)["name"].(string)
		if v, ok := r[name]; ok {
			out[name] = v
		}
	}
	return out
}

func exportRows(t testing.TB) (rows []map[string]any) {
	t.Helper()
	sc := bufio.NewScanner(bytes.NewReader(read(t, "export/rows.ndjson")))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var r map[string]any
		d := json.NewDecoder(bytes.NewReader(sc.Bytes()))
		d.UseNumber()
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	return rows
}

func moment(t testing.TB, s string) time.Time {
	t.Helper()
	for _, layout := range []string{"2006-01-02 15:04:05.999999 MST", "2006-01-02 15:04:05"} {
		if at, err := time.Parse(layout, s); err == nil {
			return at.UTC()
		}
	}
	t.Fatalf("no moment: %q", s)
	return time.Time{}
}

// client is the daemon's own, pointed at the lab.
func (l *lab) client(tb vertex.Table, sel vertex.Selection) *vertex.Client {
	l.t.Helper()
	selector, err := vertex.NewSelector(sel)
	if err != nil {
		l.t.Fatal(err)
	}
	c, err := vertex.NewClient(vertex.ClientOptions{
		Table: tb, MaxBytesBilled: 10_000_000_000, BaseURL: l.base, Selector: selector,
		Credentials: serviceAccount(l.t, l.base), Env: providers.Env{NoEnvProxy: true},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return c
}

func serviceAccount(t testing.TB, base string) *secret.Value {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "aispend@acme-billing.example", "private_key_id": "k1", "token_uri": base + "/token",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return secret.New(string(b))
}

// walk asks the daemon's question and decodes the answer with the daemon's decoder.
func (l *lab) walk(c *vertex.Client, w spend.Window, zone vertex.Zone) (vertex.Export, []vertex.Charged) {
	l.t.Helper()
	d := vertex.NewRowDecoder(w)
	err := c.Fetch(l.t.Context(), w, zone, "", func(p spend.Page) error {
		if p.Status != http.StatusOK {
			l.t.Logf("status %d: %.2000s", p.Status, p.Body)
			return nil
		}
		return d.Page(p.Body)
	})
	if err != nil {
		l.t.Fatal(err)
	}
	export, err := d.Export()
	if err != nil {
		l.t.Fatal(err)
	}
	mapper, err := vertex.NewMapper(vertex.Mapping{Rules: vertex.DefaultRules()})
	if err != nil {
		l.t.Fatal(err)
	}
	return export, mapper.Charge(export.Rows)
}
