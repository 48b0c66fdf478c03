package anthropic_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/anthropic"
	"github.com/aispend/aispend/providers/providertest"
	"github.com/aispend/aispend/spend"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestValidate(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*anthropic.Settings)
		key    string // of the FieldError; empty: valid
		text   string
	}{
		"defaults and a key": {func(*anthropic.Settings) {}, "", ""},
		"workspaces": {
			func(s *anthropic.Settings) { s.WorkspaceIDs = []string{"default", "wrkspc_01a"} }, "", "",
		},
		"no key": {func(s *anthropic.Settings) { s.APIKey = nil }, "api_key", "api_key_file"},
		"analytics": {
			func(s *anthropic.Settings) { s.API = "analytics" }, "api", "not available in this version",
		},
		"another api": {func(s *anthropic.Settings) { s.API = "v2" }, "api", "cost_report"},
		"empty workspace": {
			func(s *anthropic.Settings) { s.WorkspaceIDs = []string{""} }, "workspace_ids[0]", "wrkspc_",
		},
		"workspace's name": {
			func(s *anthropic.Settings) { s.WorkspaceIDs = []string{"Research"} }, "workspace_ids[0]", "wrkspc_",
		},
		"workspace twice": {
			func(s *anthropic.Settings) { s.WorkspaceIDs = []string{"default", "default"} },
			"workspace_ids[1]", "twice",
		},
		"plain http": {
			func(s *anthropic.Settings) { s.BaseURL = "http://api.anthropic.com" }, "base_url", "https",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := anthropic.Type().NewSettings().(*anthropic.Settings)
			s.APIKey = secret.New("sk-ant-admin-0123456789")
			tt.change(s)
			err := s.Validate()
			var fe *providers.FieldError
			errors.As(err, &fe)
			switch {
			case tt.key == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.key != "" && (fe == nil || fe.Key != tt.key || !strings.Contains(fe.Msg, tt.text)):
				t.Errorf("got %v, want an error of %s with %q", err, tt.key, tt.text)
			}
		})
	}
}

func TestQuery(t *testing.T) {
	var got []*http.Request
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"data": [], "has_more": false}`))
	}))
	defer srv.Close()
	w := spend.Window{From: spend.Date(2026, 11, 1), To: spend.Date(2026, 11, 24)}
	req := providers.Request{Window: w, Buckets: 500}
	ask := func(source string, workspaces ...string) *http.Request {
		src := open(source, workspaces...)(t, srv.URL, "sk-ant-admin-0123456789", providers.Env{Account: "acme"})
		if _, _, err := providertest.Pull(t.Context(), src, req); err != nil {
			t.Fatal(err)
		}
		return got[len(got)-1]
	}
	query := func(group ...string) url.Values {
		return url.Values{
			"starting_at": {"2026-11-01T00:00:00Z"}, "ending_at": {"2026-11-24T00:00:00Z"}, "bucket_width": {"1d"},
			"limit": {"31"}, "group_by[]": group,
		}
	}
	cost, usage := query("workspace_id", "description"), query("model", "workspace_id", "service_tier")
	filtered := query("model", "workspace_id", "service_tier")
	filtered["workspace_ids[]"] = []string{"wrkspc_01a", "wrkspc_01b"}
	const costPath, usagePath = "/v1/organizations/cost_report", "/v1/organizations/usage_report/messages"
	for name, tt := range map[string]struct {
		r     *http.Request
		path  string
		query url.Values
	}{
		"cost":                   {ask("anthropic/cost_report"), costPath, cost},
		"cost has no filter":     {ask("anthropic/cost_report", "wrkspc_01a"), costPath, cost},
		"usage":                  {ask("anthropic/usage_report"), usagePath, usage},
		"usage of workspaces":    {ask("anthropic/usage_report", "wrkspc_01a", "wrkspc_01b"), usagePath, filtered},
		"usage with the default": {ask("anthropic/usage_report", "wrkspc_01a", "default"), usagePath, usage},
	} {
		if diff := cmp.Diff(tt.query, tt.r.URL.Query()); diff != "" || tt.r.URL.Path != tt.path {
			t.Errorf("%s: %s (-want +got):\n%s", name, tt.r.URL.Path, diff)
		}
		h := tt.r.Header
		if h.Get("X-Api-Key") != "sk-ant-admin-0123456789" || h.Get("Anthropic-Version") != "2023-06-01" ||
			h.Get("Authorization") != "" {
			t.Errorf("%s: headers %v", name, tt.r.Header)
		}
	}
}

// TestUngroupedReport: the sums would be right, but every model is lost.
func TestUngroupedReport(t *testing.T) {
	_, err := providertest.Decode(offline(t, "anthropic/cost_report"), fixtureWindow(),
		providertest.Pages(t, "cost_report_ungrouped.json")...)
	if spend.OutcomeOf(err, "") != spend.Schema || !strings.Contains(err.Error(), "grouping") {
		t.Errorf("got %v, want schema that names the grouping", err)
	}
}

// TestBucketTimes: a bucket is a UTC day however its bounds are spelled.
func TestBucketTimes(t *testing.T) {
	page := func(start, end string) []byte {
		return []byte(`{"data": [{"starting_at": "` + start + `", "ending_at": "` + end +
			`", "results": []}], "has_more": false}`)
	}
	for _, tt := range []struct {
		start, end string
		ok         bool
	}{
		{"2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z", true},
		{"2026-11-20T00:00:00.000Z", "2026-11-21T00:00:00.000Z", true},
		{"2026-11-20T01:00:00+01:00", "2026-11-20T19:00:00-05:00", true},
		{"2026-11-20T00:00:00+01:00", "2026-11-21T00:00:00+01:00", false},
		{"2026-11-20", "2026-11-21", false},
		{"2026-11-20T00:00:00", "2026-11-21T00:00:00", false},
		{"2026-11-20T00:00:00Z", "2026-11-20T01:00:00Z", false},
		{"2026-11-20T00:00:00.5Z", "2026-11-21T00:00:00.5Z", false},
		{"", "", false},
	} {
		src := offline(t, "anthropic/cost_report")
		res, err := providertest.Decode(src, fixtureWindow(), page(tt.start, tt.end))
		if (err == nil) != tt.ok || err != nil && spend.OutcomeOf(err, "") != spend.Schema {
			t.Errorf("%s..%s: %v, want ok %t", tt.start, tt.end, err, tt.ok)
		}
		if err == nil && (len(res.Statements) != 1 || res.Statements[0].Day.String() != "2026-11-20") {
			t.Errorf("%s..%s: %+v", tt.start, tt.end, res.Statements)
		}
	}
}
