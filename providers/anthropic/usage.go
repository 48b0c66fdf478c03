package anthropic

import (
	"github.com/aispend/aispend/providers/internal/daily"
	"github.com/aispend/aispend/spend"
)

// uncostedTier is the service tier whose money the cost report leaves out (apis
// page 2.3: "excludes Priority Tier"). Overflow of that tier (priority_on_demand)
// is billed like standard work and is in the report.
const uncostedTier = "priority"

// usage reads the rows of /v1/organizations/usage_report/messages. The report
// counts no requests.
type usage struct {
	filter           []string
	labels           daily.Labels
	rows             []spend.Usage
	outside, noModel int
}

func newUsage(w spend.Window, workspaces []string) *daily.Decoder {
	return daily.NewDecoder(layout("anthropic usage_report"), w, &usage{filter: workspaces})
}

// Row reads one row. Anthropic's uncached_input_tokens excludes the cache, unlike
// OpenAI's input_tokens (apis page 2.4), so the four counts do not overlap as they come.
func (u *usage) Row(r *daily.Reader) {
	var (
		out                         spend.Usage
		hasIn, hasOut, hasRead, has bool
		covered                     = covers(u.filter, nil)
		uncosted                    bool
	)
	r.Object()
	for r.Member() {
		switch string(r.Name()) {
		case "uncached_input_tokens":
			out.Input, hasIn = r.Count()
		case "output_tokens":
			out.Output, hasOut = r.Count()
		case "cache_read_input_tokens":
			out.CacheRead, hasRead = r.Count()
		case "cache_creation":
			out.CacheWrite, has = readCacheCreation(r), true
		case "model":
			text, _ := r.Text()
			out.Model = u.labels.Of(text)
		case "workspace_id":
			id, _ := r.Text()
			out.Project, covered = u.labels.Of(id), covers(u.filter, id)
		case "service_tier":
			tier, _ := r.Text()
			uncosted = string(tier) == uncostedTier
		case "account_id", "api_key_id", "context_window", "inference_geo", "server_tool_use",
			"service_account_id", "speed":
			r.Skip()
		default:
			r.SkipUnknown()
		}
	}
	if r.Err() == nil && (!hasIn || !hasOut || !hasRead || !has) {
		r.Fail("lacks uncached_input_tokens, output_tokens, cache_read_input_tokens or cache_creation")
	}
	switch {
	case r.Err() != nil:
	case !covered:
		u.outside++
	default:
		u.add(out, uncosted)
	}
}

func (u *usage) add(out spend.Usage, uncosted bool) {
	if uncosted {
		out.Uncosted = out.Tokens()
	}
	if out.Model == "" {
		u.noModel++
	}
	u.rows = append(u.rows, out)
}

// readCacheCreation adds up what was written to the cache, by lifetime.
func readCacheCreation(r *daily.Reader) (sum int64) {
	r.Object()
	for r.Member() {
		switch string(r.Name()) {
		case "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens":
			n, _ := r.Count()
			sum = spend.AddCount(sum, n)
		default:
			r.SkipUnknown()
		}
	}
	return sum
}

// Take returns the usage of the rows since the last Take.
func (u *usage) Take() spend.Statement {
	st := spend.Statement{Usage: spend.MergeUsage(u.rows)}
	u.rows = u.rows[:0]
	return st
}

// PageEnd has nothing to check: usage without a model is no money lost.
func (u *usage) PageEnd(*daily.Reader) {}

// Notices counts what was odd.
func (u *usage) Notices(n map[string]int) {
	u.labels.Notices(n)
	if u.outside > 0 {
		n[daily.NoticeOutsideFilter] = u.outside
	}
	if u.noModel > 0 {
		n[daily.NoticeNoModel] = u.noModel
	}
}
