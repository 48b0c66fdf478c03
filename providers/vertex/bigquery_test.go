package vertex_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/vertex"
	"github.com/aispend/aispend/spend"
)

// The answer says since when anything is known: days before that are no empty days.
func TestResultSaysWhereTheDataBegins(t *testing.T) {
	day := func(d int) spend.Day { return spend.Date(2026, 10, d) }
	w := spend.Window{From: day(1), To: day(20)}
	rest := func(first, last time.Time) []*string {
		row := make([]*string, len(resultColumns))
		row[0], row[columnAt("row_count")] = ptr("rest"), ptr("3")
		row[columnAt("last_export_us")] = ptr(strconv.FormatInt(last.UnixMicro(), 10))
		row[columnAt("first_usage_us")] = ptr(strconv.FormatInt(first.UnixMicro(), 10))
		return row
	}
	exported := time.Date(2026, 10, 18, 7, 30, 0, 0, time.UTC)
	for _, tt := range []struct {
		name    string
		rows    [][]*string
		created time.Time // of a table that Google writes; zero: somebody's copy
		from    spend.Day
		through time.Time
	}{
		{"older than the window", [][]*string{rest(day(1).Time().Add(-time.Hour), exported)}, time.Time{}, 0, exported},
		{"from the first day on", [][]*string{rest(day(1).Time().Add(23*time.Hour), exported)}, time.Time{}, 0, exported},
		{"from a later day on", [][]*string{rest(day(7).Time().Add(time.Hour), exported)}, time.Time{}, day(7), exported},
		{"the window begins after the export", [][]*string{rest(day(7).Time(), exported)}, day(-20).Time(), 0, exported},
		{"the export begins in the window", [][]*string{rest(day(9).Time(), exported)}, day(4).Time().Add(time.Hour), day(5), exported},
		{"an AI row alone", [][]*string{costRow("2026-10-03", 1)}, time.Time{}, 0, time.UnixMicro(1790670718081930).UTC()},
		{"nothing at all", nil, time.Time{}, day(20), time.Time{}},
		{"nothing, and the export is old", nil, day(1).Time().Add(-time.Hour), 0, time.Time{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := source(t).NewDecoder(w)
			table := tableAnswer(t, "tables_get_standard_ingestion_time.json", func(b body) {
				b["creationTime"] = strconv.FormatInt(tt.created.UnixMilli(), 10)
				if tt.created.IsZero() {
					b["tableReference"].(map[string]any)["tableId"] = "copy"
				}
			})
			for _, p := range append([][]byte{table}, bodies(result(tt.rows, 10))...) {
				if err := d.Page(p); err != nil {
					t.Fatal(err)
				}
			}
			got, err := d.Result()
			if err != nil || got.From != tt.from || !got.Through.Equal(tt.through) || got.Mark != "1764000000000" {
				t.Fatalf("from %s through %s mark %q, %v; want from %s through %s", got.From, got.Through, got.Mark, err,
					tt.from, tt.through)
			}
			first := max(w.From, tt.from)
			if len(got.Statements) != int(w.To-first) || len(got.Statements) > 0 && got.Statements[0].Day != first {
				t.Errorf("%d statements from %v", len(got.Statements), first)
			}
		})
	}
}

// Without any time of export nobody could tell stale data from fresh data.
func TestResultNeedsATimeOfExport(t *testing.T) {
	row := costRow("2026-10-01", 1)
	row[columnAt("last_export_us")] = nil
	d := source(t).NewDecoder(fixtureWindow())
	if err := d.Page(result([][]*string{row}, 10)[0].bytes()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Result(); spend.OutcomeOf(err, spend.OK) != spend.Schema {
		t.Error(err)
	}
}

// An unchanged table is described and not queried.
func TestUnchangedTableIsNotQueried(t *testing.T) {
	for _, tt := range []struct {
		name, table, mark string
		queries           int
		err               error
	}{
		{"never read", "tables_get_standard_ingestion_time.json", "", 1, nil},
		{"changed", "tables_get_standard_ingestion_time.json", "1763999999999", 1, nil},
		{"unchanged", "tables_get_standard_ingestion_time.json", "1764000000000", 0, providers.ErrUnchanged},
		{"a view", "tables_get_view.json", "1764000000000", 1, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := &google{t: t, tables: []step{ok(t, tt.table)}, queries: []step{ok(t, cacheHit)}}
			var pages int
			err := g.client(t).Fetch(t.Context(), fixtureWindow(), vertex.UTC, tt.mark, func(spend.Page) error {
				pages++
				return nil
			})
			if !errors.Is(err, tt.err) || len(g.bodies) != tt.queries || pages != 1+tt.queries {
				t.Errorf("%d queries, %d pages, %v", len(g.bodies), pages, err)
			}
		})
	}
}

// The first walk of a process tells what a query reads, by a dry run; its answer is no
// page of the walk.
func TestEstimateIsLoggedOnce(t *testing.T) {
	for _, tt := range []struct {
		limit string
		want  string
	}{
		{"10GB", `level=INFO msg="a query reads this much of the billing export"`},
		{"1MB", `level=WARN msg="a query reads more than max_bytes_billed allows"`},
	} {
		g := &google{t: t, tables: []step{ok(t, tableInfo)}, queries: []step{ok(t, dryRun), ok(t, cacheHit)}}
		var log bytes.Buffer
		s := g.settings(t)
		if err := s.BigQuery.MaxBytesBilled.UnmarshalText([]byte(tt.limit)); err != nil {
			t.Fatal(err)
		}
		src := open(t, s, providers.Env{Account: "acme", Logger: slog.New(slog.NewTextHandler(&log, nil))})[0]
		pages := 0
		fetch := func() {
			t.Helper()
			err := src.Fetch(t.Context(), providers.Request{Window: fixtureWindow(), Buckets: 1}, func(spend.Page) error {
				pages++
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		fetch()
		fetch()
		if n := strings.Count(log.String(), "bytes="); n != 1 || !strings.Contains(log.String(), tt.want) ||
			!strings.Contains(log.String(), "bytes=4718592") || pages != 4 {
			t.Errorf("%d pages, logged:\n%s", pages, log.String())
		}
		var first struct{ DryRun bool }
		if err := json.Unmarshal(g.bodies[0], &first); err != nil || !first.DryRun || len(g.bodies) != 3 {
			t.Errorf("%d queries, the first is dry: %v %v", len(g.bodies), first.DryRun, err)
		}
	}
}

// settings point at a server of their own.
func (g *google) settings(t testing.TB) *vertex.Settings {
	t.Helper()
	srv := httptest.NewServer(g)
	t.Cleanup(srv.Close)
	s := vertex.Type().NewSettings().(*vertex.Settings)
	s.Credentials = serviceAccount(srv.URL)
	s.BigQuery.Project, s.BigQuery.Dataset, s.BigQuery.Table = table().Project, table().Dataset, table().Name
	s.BigQuery.BaseURL = srv.URL
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	return s
}

func source(t testing.TB) providers.Source {
	t.Helper()
	s := vertex.Type().NewSettings().(*vertex.Settings)
	return open(t, s, providers.Env{Account: "acme"})[0]
}

func open(t testing.TB, s *vertex.Settings, env providers.Env) []providers.Source {
	t.Helper()
	out, err := s.Open(env)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
