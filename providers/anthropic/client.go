package anthropic

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/internal/daily"
	"github.com/aispend/aispend/providers/internal/rest"
	"github.com/aispend/aispend/spend"
)

// version is the API version that the reports are documented for.
const version = "2023-06-01"

// maxStaleness is how old data_through may be before the source counts as stale:
// the docs say minutes, others measured about a day (apis page 2.3).
const maxStaleness = 30 * time.Hour

func costFamily() providers.SourceType {
	return providers.SourceType{Name: "anthropic/cost_report", Kind: providers.Costs, MaxStaleness: maxStaleness}
}

func usageFamily() providers.SourceType {
	return providers.SourceType{
		Name: "anthropic/usage_report", Kind: providers.Usage, MaxStaleness: maxStaleness,
	}
}

// help says what a person does about an outcome.
func help() map[spend.Outcome]string {
	return map[spend.Outcome]string{
		spend.Auth:        "check api_key_file (or api_key): it must hold a living admin key (sk-ant-admin...)",
		spend.Permission:  "use an organisation admin key; workspace keys and individual accounts have no access",
		spend.NotFound:    "check base_url",
		spend.RateLimited: "nothing to do unless it stays: then raise interval",
		spend.TooLarge:    "fewer days per page are tried next, down to one",
	}
}

// Open returns the block's two sources, which share one client.
func (s *Settings) Open(env providers.Env) ([]providers.Source, error) {
	client, err := rest.New(rest.Options{
		Provider:   Name,
		BaseURL:    s.BaseURL,
		Credential: rest.Credential{Get: s.APIKey.Get, Header: "X-Api-Key"},
		Header:     http.Header{"Anthropic-Version": {version}},
		Help:       help(),
		Env:        env,
	})
	if err != nil {
		return nil, err
	}
	workspaces := s.Filter()
	cost := &daily.Source{
		Account: env.Account, Provider: Name, Family: costFamily(), Client: client,
		Path:   "/v1/organizations/cost_report",
		Params: func(req providers.Request) url.Values { return params(req, "workspace_id", "description") },
		Decode: func(w spend.Window) providers.Decoder { return newCosts(w, workspaces) },
	}
	used := &daily.Source{
		Account: env.Account, Provider: Name, Family: usageFamily(), Client: client,
		Path: "/v1/organizations/usage_report/messages",
		Params: func(req providers.Request) url.Values {
			v := params(req, "model", "workspace_id", "service_tier")
			// The default workspace has no id to ask for, so with it everything is read
			// and sorted out here, as for the cost report, which has no such filter at all.
			if len(workspaces) > 0 && !slices.Contains(workspaces, DefaultWorkspace) {
				v["workspace_ids[]"] = workspaces
			}
			return v
		},
		Decode: func(w spend.Window) providers.Decoder { return newUsage(w, workspaces) },
	}
	return []providers.Source{cost, used}, nil
}

// params is the query of both reports. The end is the window's, which for the
// present is tomorrow 00:00 UTC: without an end the server stops at today 00:00,
// today is missing and a walk that starts today is refused (apis page 2.3).
func params(req providers.Request, group ...string) url.Values {
	return url.Values{
		"starting_at":  {req.Window.From.Time().Format(time.RFC3339)},
		"ending_at":    {req.Window.To.Time().Format(time.RFC3339)},
		"bucket_width": {"1d"},
		"limit":        {strconv.Itoa(req.Buckets)},
		"group_by[]":   group,
	}
}

// layout is the shape of Anthropic's buckets.
func layout(what string) daily.Layout {
	return daily.Layout{What: what, Start: "starting_at", End: "ending_at", Bound: (*daily.Reader).RFC3339}
}

// covers reports whether the block's filter covers a workspace; nil is the
// default workspace.
func covers(filter []string, workspace []byte) bool {
	if len(filter) == 0 {
		return true
	}
	if len(workspace) == 0 {
		return slices.Contains(filter, DefaultWorkspace)
	}
	return slices.Contains(filter, string(workspace))
}
