package openai

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/internal/daily"
	"github.com/aispend/aispend/providers/internal/rest"
	"github.com/aispend/aispend/spend"
)

// maxStaleness is how old data_through may be before the source counts as stale.
// OpenAI publishes no lag (apis page 1.5).
const maxStaleness = 6 * time.Hour

func costsFamily() providers.SourceType {
	return providers.SourceType{Name: "openai/costs", Kind: providers.Costs, MaxStaleness: maxStaleness}
}

func usageFamily() providers.SourceType {
	return providers.SourceType{Name: "openai/usage", Kind: providers.Usage, MaxStaleness: maxStaleness}
}

// help says what a person does about an outcome.
func help() map[spend.Outcome]string {
	return map[spend.Outcome]string{
		spend.Auth:        "check api_key_file (or api_key): it must hold a living organisation admin key (sk-admin-...)",
		spend.Permission:  "use an organisation admin key with the scope api.usage.read; a project key is refused",
		spend.NotFound:    "check base_url and organization",
		spend.RateLimited: "nothing to do unless it stays: then raise interval, or look at the quota",
		spend.TooLarge:    "fewer days per page are tried next, down to one; if a single day is too large, split the block by project_ids",
	}
}

// Open returns the block's two sources, which share one client.
func (s *Settings) Open(env providers.Env) ([]providers.Source, error) {
	header := http.Header{}
	if s.Organization != "" {
		header.Set("OpenAI-Organization", s.Organization)
	}
	client, err := rest.New(rest.Options{
		Provider:   Name,
		BaseURL:    s.BaseURL,
		Credential: rest.Credential{Get: s.APIKey.Get, Header: "Authorization", Prefix: "Bearer "},
		Header:     header,
		Help:       help(),
		Env:        env,
	})
	if err != nil {
		return nil, err
	}
	projects := s.Filter()
	source := func(family providers.SourceType, path string, group []string,
		decode func(w spend.Window) providers.Decoder,
	) providers.Source {
		return &daily.Source{
			Account: env.Account, Provider: Name, Family: family, Client: client, Path: path, Decode: decode,
			Params: func(req providers.Request) url.Values { return params(req, group, projects) },
		}
	}
	return []providers.Source{
		source(costsFamily(), "/v1/organization/costs", []string{"project_id", "line_item"},
			func(w spend.Window) providers.Decoder { return newCosts(w, projects) }),
		source(usageFamily(), "/v1/organization/usage/completions", []string{"project_id", "model"},
			func(w spend.Window) providers.Decoder { return newUsage(w, projects) }),
	}, nil
}

// params is the query of both reports. The end is the window's, never now: page
// tokens are bound to the exact query (apis page, fact 4). Arrays go in brackets,
// the form of the official SDKs and of every client verified live (1.2); that the
// grouping took effect is checked when the page is read.
func params(req providers.Request, group, projects []string) url.Values {
	v := url.Values{
		"start_time":   {strconv.FormatInt(req.Window.From.Time().Unix(), 10)},
		"end_time":     {strconv.FormatInt(req.Window.To.Time().Unix(), 10)},
		"bucket_width": {"1d"},
		"limit":        {strconv.Itoa(req.Buckets)},
		"group_by[]":   group,
	}
	if len(projects) > 0 {
		v["project_ids[]"] = projects
	}
	return v
}

// layout is the shape of OpenAI's buckets. The fields to ignore are documented,
// or were seen on the wire (1.2).
func layout(what string) daily.Layout {
	return daily.Layout{
		What: what, Start: "start_time", End: "end_time", Bound: (*daily.Reader).Epoch,
		Ignore: []string{"object", "start_time_iso", "end_time_iso"},
	}
}
