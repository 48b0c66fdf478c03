package openai_test

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
	"github.com/aispend/aispend/providers/openai"
	"github.com/aispend/aispend/providers/providertest"
	"github.com/aispend/aispend/spend"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestValidate(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*openai.Settings)
		key    string // of the FieldError; empty: valid
	}{
		"defaults and a key": {func(*openai.Settings) {}, ""},
		"a key file":         {func(s *openai.Settings) { s.APIKey = secret.FromFile("/run/key") }, ""},
		"loopback":           {func(s *openai.Settings) { s.BaseURL = "http://127.0.0.1:1" }, ""},
		"all set": {
			func(s *openai.Settings) { s.Organization, s.ProjectIDs = "org-A", []string{"a", "b"} }, "",
		},
		"no key":               {func(s *openai.Settings) { s.APIKey = nil }, "api_key"},
		"empty key":            {func(s *openai.Settings) { s.APIKey = &secret.Value{} }, "api_key"},
		"header in org":        {func(s *openai.Settings) { s.Organization = "org-a\r\nX: y" }, "organization"},
		"empty project":        {func(s *openai.Settings) { s.ProjectIDs = []string{"a", ""} }, "project_ids[1]"},
		"project with a comma": {func(s *openai.Settings) { s.ProjectIDs = []string{"a,b"} }, "project_ids[0]"},
		"project twice": {
			func(s *openai.Settings) { s.ProjectIDs = []string{"a", "b", "a"} }, "project_ids[2]",
		},
		"plain http":  {func(s *openai.Settings) { s.BaseURL = "http://api.openai.com" }, "base_url"},
		"no base_url": {func(s *openai.Settings) { s.BaseURL = "" }, "base_url"},
	} {
		t.Run(name, func(t *testing.T) {
			s := openai.Type().NewSettings().(*openai.Settings)
			s.APIKey = secret.New("sk-admin-0123456789")
			tt.change(s)
			err := s.Validate()
			var fe *providers.FieldError
			errors.As(err, &fe)
			switch {
			case tt.key == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.key != "" && (fe == nil || fe.Key != tt.key):
				t.Errorf("got %v, want an error of %s", err, tt.key)
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
	for _, name := range []string{"openai/costs", "openai/usage"} {
		src := open(name, func(s *openai.Settings) {
			s.Organization, s.ProjectIDs = "org-Acme1", []string{"proj_a", "proj_b"}
		})(t, srv.URL, "sk-admin-0123456789", providers.Env{Account: "acme"})
		for _, buckets := range []int{0, 7, 500} {
			req := providers.Request{Window: w, Buckets: buckets}
			if _, _, err := providertest.Pull(t.Context(), src, req); err != nil {
				t.Fatal(err)
			}
		}
	}
	query := func(limit string, group ...string) url.Values {
		return url.Values{
			"start_time": {"1793491200"}, "end_time": {"1795478400"}, "bucket_width": {"1d"}, "limit": {limit},
			"group_by[]": group, "project_ids[]": {"proj_a", "proj_b"},
		}
	}
	for i, want := range []struct {
		path  string
		query url.Values
	}{
		{"/v1/organization/costs", query("1", "project_id", "line_item")},
		{"/v1/organization/costs", query("7", "project_id", "line_item")},
		{"/v1/organization/costs", query("31", "project_id", "line_item")},
		{"/v1/organization/usage/completions", query("1", "project_id", "model")},
		{"/v1/organization/usage/completions", query("7", "project_id", "model")},
		{"/v1/organization/usage/completions", query("31", "project_id", "model")},
	} {
		if diff := cmp.Diff(want.query, got[i].URL.Query()); diff != "" || got[i].URL.Path != want.path {
			t.Errorf("request %d to %s (-want +got):\n%s", i, got[i].URL.Path, diff)
		}
		h := got[i].Header
		if h.Get("Authorization") != "Bearer sk-admin-0123456789" || h.Get("OpenAI-Organization") != "org-Acme1" {
			t.Errorf("request %d: headers %v", i, got[i].Header)
		}
	}
}

func TestEmptyWindowAsksNothing(t *testing.T) {
	src := open("openai/costs")(t, "https://api.invalid", "sk-admin-0123456789", providers.Env{})
	err := src.Fetch(t.Context(), providers.Request{Buckets: 31}, func(spend.Page) error { return nil })
	if spend.OutcomeOf(err, "") != spend.Incomplete || !strings.Contains(err.Error(), "empty window") {
		t.Errorf("got %v", err)
	}
}

// TestIgnoredFilter: a server that ignores project_ids would put the whole
// organisation's money into this block.
func TestIgnoredFilter(t *testing.T) {
	limit := func(ids []string) func(*openai.Settings) {
		return func(s *openai.Settings) { s.ProjectIDs = ids }
	}
	for name, tt := range map[string]struct {
		source, page string
		projects     []string
		ok           bool
	}{
		"costs of the project":  {"openai/costs", "costs_wire_extras.json", []string{"proj_AbC111"}, true},
		"costs of another":      {"openai/costs", "costs_wire_extras.json", []string{"proj_XyZ222"}, false},
		"costs of several":      {"openai/costs", "costs_grouped_page1.json", []string{"proj_AbC111"}, false},
		"costs without project": {"openai/costs", "costs_ungrouped.json", []string{"proj_AbC111"}, false},
		"usage without project": {"openai/usage", "usage_completions_page2.json", []string{"proj_AbC111"}, false},
	} {
		src := open(tt.source, limit(tt.projects))(
			t, openai.DefaultBaseURL, "sk-admin-0123456789", providers.Env{})
		err := src.NewDecoder(fixtureWindow()).Page(providertest.Pages(t, tt.page)[0])
		if (err == nil) != tt.ok || err != nil && spend.OutcomeOf(err, "") != spend.Schema {
			t.Errorf("%s: %v, want ok %t", name, err, tt.ok)
		}
	}
}

// TestUngroupedReport: the sums would be right, but every model is lost.
func TestUngroupedReport(t *testing.T) {
	_, err := decode(t, "openai/costs", "costs_ungrouped.json")
	if spend.OutcomeOf(err, "") != spend.Schema || !strings.Contains(err.Error(), "grouping") {
		t.Errorf("got %v, want schema that names the grouping", err)
	}
}

func TestUsageCounts(t *testing.T) {
	for name, tt := range map[string]struct {
		row  string
		want spend.Usage
	}{
		"only what is required": {
			`"input_tokens": 11, "output_tokens": 2, "num_model_requests": 1`,
			spend.Usage{Input: 11, Output: 2, Requests: 1, HasRequests: true},
		},
		"cached without uncached": {
			`"input_tokens": 11, "input_cached_tokens": 4, "output_tokens": 2, "num_model_requests": 1`,
			spend.Usage{Input: 7, CacheRead: 4, Output: 2, Requests: 1, HasRequests: true},
		},
		"null details": {
			`"input_tokens": 11, "input_cached_tokens": null, "input_cache_write_tokens": null,
			"input_uncached_tokens": null, "output_tokens": 2, "num_model_requests": 1`,
			spend.Usage{Input: 11, Output: 2, Requests: 1, HasRequests: true},
		},
		"write parts without their sum": {
			`"input_tokens": 11, "input_cache_write_30m_tokens": 3, "input_cache_write_12h_tokens": 4,
			"output_tokens": 2, "num_model_requests": 1`,
			spend.Usage{Input: 4, CacheWrite: 7, Output: 2, Requests: 1, HasRequests: true},
		},
		"write parts beside their sum": {
			`"input_tokens": 11, "input_cache_write_tokens": 7, "input_cache_write_30m_tokens": 3,
			"input_cache_write_12h_tokens": 4, "input_uncached_tokens": 4, "output_tokens": 2,
			"num_model_requests": 1`,
			spend.Usage{Input: 4, CacheWrite: 7, Output: 2, Requests: 1, HasRequests: true},
		},
	} {
		src := open("openai/usage")(t, openai.DefaultBaseURL, "sk-admin-0123456789", providers.Env{})
		res, err := providertest.Decode(src, fixtureWindow(), usageRow("", tt.row).Body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff([]spend.Usage{tt.want}, res.Statements[0].Usage); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
