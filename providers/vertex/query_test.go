package vertex_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/providers/vertex"
	"github.com/aispend/aispend/spend"
)

var update = flag.Bool("update", false, "write the golden files anew")

func table() vertex.Table {
	return vertex.Table{
		Project: "acme-billing", Dataset: "billing_export", Name: "gcp_billing_export_v1_01AAAA_BBBBBB_CCCCC2",
	}
}

func query(t testing.TB, p vertex.Partition) vertex.Query {
	t.Helper()
	return vertex.Query{
		Table: table(), Partition: p, Selector: selector(t),
		Window: spend.Window{From: spend.Date(2026, 9, 28), To: spend.Date(2026, 11, 3)},
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata/sql", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
}

// tableAnswer is an answer of tables.get, bent.
func tableAnswer(t testing.TB, name string, bend func(body)) []byte {
	t.Helper()
	var b body
	if err := json.Unmarshal(fixture(t, name), &b); err != nil {
		t.Fatal(err)
	}
	bend(b)
	return b.bytes()
}

// setType changes the type of a top-level column.
func setType(b body, column, typ string) {
	for _, f := range b["schema"].(map[string]any)["fields"].([]any) {
		if f := f.(map[string]any); f["name"] == column {
			f["type"] = typ
		}
	}
}

func TestSQLOfEveryKindOfTable(t *testing.T) {
	const ingestion, column, view = "tables_get_standard_ingestion_time.json",
		"tables_get_detailed_column_partition.json", "tables_get_view.json"
	partition := func(typ, field string) map[string]any {
		out := map[string]any{"type": typ}
		if field != "" {
			out["field"] = field
		}
		return out
	}
	tests := []struct {
		name, fixture string
		bend          func(body)
		want          string
	}{
		{
			"ingestion.sql", ingestion, nil,
			"(_PARTITIONTIME >= TIMESTAMP(DATE_SUB(@from_day, INTERVAL 2 DAY)) OR _PARTITIONTIME IS NULL)",
		},
		{
			"ingestion_month.sql", ingestion, func(b body) { b["timePartitioning"] = partition("MONTH", "") },
			"TIMESTAMP_TRUNC(TIMESTAMP(DATE_SUB(@from_day, INTERVAL 2 DAY)), MONTH)",
		},
		{"column.sql", column, nil, "`usage_start_time` >= TIMESTAMP(DATE_SUB(@from_day, INTERVAL 2 DAY))"},
		{
			"column_export.sql", column, func(b body) { b["timePartitioning"] = partition("DAY", "export_time") },
			"`export_time` >= TIMESTAMP(DATE_SUB(@from_day, INTERVAL 2 DAY))",
		},
		{"none.sql", view, nil, "WHERE usage_start_time >= TIMESTAMP(DATE_SUB(@from_day, INTERVAL 2 DAY))"},
		// A bound on a column that is not known to follow the usage could lose rows.
		{"none.sql", column, func(b body) {
			b["timePartitioning"] = partition("DAY", "loaded_at")
			schema := b["schema"].(map[string]any)
			schema["fields"] = append(schema["fields"].([]any), map[string]any{"name": "loaded_at", "type": "TIMESTAMP"})
		}, ""},
		{"none.sql", column, func(b body) { setType(b, "usage_start_time", "DATE") }, ""},
		{"none.sql", column, func(b body) { b["timePartitioning"] = partition("DAY", "x` OR TRUE --") }, ""},
	}
	for _, tt := range tests {
		bend := tt.bend
		if bend == nil {
			bend = func(body) {}
		}
		info, err := vertex.DecodeTable(tableAnswer(t, tt.fixture, bend))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		sql := query(t, info.Partition).SQL()
		golden(t, tt.name, []byte(sql))
		if !strings.Contains(sql, tt.want) || strings.Contains(sql, "{{") {
			t.Errorf("%s has no %s", tt.name, tt.want)
		}
		if n := strings.Count(sql, "FROM `acme-billing."); n != 1 {
			t.Errorf("%s reads the table %d times", tt.name, n)
		}
	}
}

func TestTableInfo(t *testing.T) {
	info, err := vertex.DecodeTable(fixture(t, "tables_get_standard_ingestion_time.json"))
	want := vertex.TableInfo{
		Location: "EU", LastModified: time.UnixMilli(1764000000000).UTC(),
		Created:   time.UnixMilli(1758000000000).UTC(),
		Partition: vertex.Partition{By: vertex.ByIngestion, Unit: "DAY"},
	}
	if diff := cmp.Diff(want, info); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if info.Mark() != "1764000000000" {
		t.Errorf("mark %q", info.Mark())
	}
	// A copy of somebody's may be younger than what it holds.
	info, err = vertex.DecodeTable(tableAnswer(t, "tables_get_standard_ingestion_time.json", func(b body) {
		b["tableReference"].(map[string]any)["tableId"] = "billing_copy"
	}))
	if err != nil || !info.Created.IsZero() || info.Mark() == "" {
		t.Errorf("%+v %v", info, err)
	}
	// The time of a view says nothing about the data under it.
	info, err = vertex.DecodeTable(fixture(t, "tables_get_view.json"))
	if err != nil || !info.View || info.Mark() != "" || !info.Created.IsZero() || info.Partition.By != vertex.NotPartitioned || info.Missing != nil {
		t.Errorf("%+v %v", info, err)
	}
	info, err = vertex.DecodeTable(tableAnswer(t, "tables_get_view.json", func(b body) {
		f := b["schema"].(map[string]any)["fields"].([]any)
		b["schema"] = map[string]any{"fields": slices.DeleteFunc(f, func(v any) bool {
			return slices.Contains([]any{"credits", "currency"}, v.(map[string]any)["name"])
		})}
	}))
	if diff := cmp.Diff([]string{"currency", "credits"}, info.Missing); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestTableInfoIsReadStrictly(t *testing.T) {
	for name, raw := range map[string][]byte{
		"an error":    fixture(t, "error_404_notFound_table.json"),
		"a page":      fixture(t, page1),
		"nothing":     nil,
		"garbage":     append(fixture(t, "tables_get_view.json"), '}'),
		"no location": tableAnswer(t, "tables_get_view.json", func(b body) { delete(b, "location") }),
		"no moment":   tableAnswer(t, "tables_get_view.json", func(b body) { b["lastModifiedTime"] = "yesterday" }),
	} {
		if info, err := vertex.DecodeTable(raw); spend.OutcomeOf(err, spend.OK) == spend.OK {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
	}
}

func TestRequestBody(t *testing.T) {
	q := query(t, vertex.Partition{})
	q.Zone = vertex.Pacific
	raw, err := q.Body("EU", 10_000_000_000, false)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if got["query"] != q.SQL() {
		t.Error("the query is another one")
	}
	delete(got, "query")
	value := func(name, typ, v string) map[string]any {
		return map[string]any{
			"name": name, "parameterType": map[string]any{"type": typ}, "parameterValue": map[string]any{"value": v},
		}
	}
	want := map[string]any{
		"useLegacySql": false, "location": "EU", "parameterMode": "NAMED", "maxResults": 10000.0,
		"timeoutMs": 10000.0, "maximumBytesBilled": "10000000000", "useQueryCache": true,
		"labels": map[string]any{"app": "aispend"},
		"queryParameters": []any{
			value("from_day", "DATE", "2026-09-28"), value("to_day", "DATE", "2026-11-03"),
			value("tz", "STRING", "America/Los_Angeles"),
			map[string]any{
				"name":          "service_ids",
				"parameterType": map[string]any{"type": "ARRAY", "arrayType": map[string]any{"type": "STRING"}},
				"parameterValue": map[string]any{
					"arrayValues": []any{map[string]any{"value": vertexAI}, map[string]any{"value": geminiAPI}},
				},
			},
			value("service_pattern", "STRING", `^Claude (?:[A-Z][a-z]+ )?\d`),
			value("sku_pattern", "STRING", `^(?:AI Dev Tools: )`),
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	again, _ := q.Body("EU", 10_000_000_000, false)
	if !bytes.Equal(raw, again) {
		t.Error("equal questions have different bodies, so that no cache can answer")
	}
	dry, err := q.Body("", 1, true)
	if err != nil || !bytes.Contains(dry, []byte(`"dryRun":true`)) || bytes.Contains(dry, []byte(`"location"`)) {
		t.Errorf("%v %s", err, dry)
	}
}

// Empty lists and patterns are still bound: a parameter that is not is an error.
func TestRequestOfASmallSelection(t *testing.T) {
	q := query(t, vertex.Partition{})
	var err error
	if q.Selector, err = vertex.NewSelector(vertex.Selection{SKUPrefixes: []string{"A.", "B|"}}); err != nil {
		t.Fatal(err)
	}
	raw, err := q.Body("EU", 1, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"tz","parameterType":{"type":"STRING"},"parameterValue":{"value":"UTC"}`, `"arrayValues":[]`,
		`"service_pattern","parameterType":{"type":"STRING"},"parameterValue":{"value":""}`, `"^(?:A\\.|B\\|)"`,
	} {
		if !bytes.Contains(raw, []byte(want)) {
			t.Errorf("no %s in %s", want, raw)
		}
	}
}

func TestNoQueryWithoutALimitOrAProperName(t *testing.T) {
	q := query(t, vertex.Partition{})
	if _, err := q.Body("EU", 0, false); err == nil {
		t.Error("a query without a limit of bytes billed")
	}
	ok := table()
	for _, bad := range []vertex.Table{
		{Project: "Acme-billing", Dataset: ok.Dataset, Name: ok.Name},
		{Project: "acme", Dataset: ok.Dataset, Name: ok.Name},
		{Project: "acme-billing-", Dataset: ok.Dataset, Name: ok.Name},
		{Project: "acme-billing`", Dataset: ok.Dataset, Name: ok.Name},
		{Project: ok.Project, Dataset: "d.x", Name: ok.Name},
		{Project: ok.Project, Dataset: "", Name: ok.Name},
		{Project: ok.Project, Dataset: ok.Dataset, Name: "t` WHERE TRUE --"},
		{Project: ok.Project, Dataset: ok.Dataset, Name: "t\n"},
		{Project: ok.Project, Dataset: ok.Dataset, Name: "t-1"},
		{Project: ok.Project, Dataset: ok.Dataset, Name: strings.Repeat("t", 1001)},
		{},
	} {
		q.Table = bad
		if _, err := q.Body("EU", 1, false); err == nil {
			t.Errorf("%q is allowed", bad)
		}
	}
	if err := ok.Validate(); err != nil {
		t.Error(err)
	}
}
