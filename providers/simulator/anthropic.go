package simulator

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aispend/aispend/spend"
)

const (
	anthropicCostPath  = "/v1/organizations/cost_report"
	anthropicUsagePath = "/v1/organizations/usage_report/messages"
	speedBeta          = "fast-mode-2026-02-01"
)

type anthropicAPI struct{ world *World }

func (a anthropicAPI) provider() string { return Anthropic }

func (a anthropicAPI) source(path string) string {
	switch path {
	case anthropicCostPath:
		return "anthropic/cost_report"
	case anthropicUsagePath:
		return "anthropic/usage_report"
	default:
		return ""
	}
}

func (a anthropicAPI) key(r *http.Request) string { return r.Header.Get("X-Api-Key") }

func (a anthropicAPI) tokenPrefix(string) string { return "page_" }

func (a anthropicAPI) requestID(n uint64) string {
	return "req_011C" + a.world.vendors[Anthropic].hash.text("request").num(n).tag(20)
}

func (a anthropicAPI) headers(h http.Header, id string) {
	h.Set("Request-Id", id)
	h.Set("Anthropic-Organization-Id", "00000000-5151-4000-8000-000000000000")
}

func (a anthropicAPI) methodNotAllowed(*http.Request) *failure {
	f := anthropicError(http.StatusMethodNotAllowed, "invalid_request_error", "Method Not Allowed")
	f.header = map[string]string{"Allow": http.MethodGet}
	return f
}

func (a anthropicAPI) notFound(*http.Request) *failure {
	return &failure{status: http.StatusNotFound, body: stored(Anthropic, "404_not_found")}
}

func (a anthropicAPI) authorise(r *http.Request) *failure {
	switch key := a.key(r); {
	case key == "":
		return anthropicError(http.StatusUnauthorized, "authentication_error", "x-api-key header is required")
	case key == a.world.Key(Anthropic):
	case strings.HasPrefix(key, "sk-ant-api"):
		return &failure{status: http.StatusForbidden, body: stored(Anthropic, "403_permission")}
	default:
		return &failure{status: http.StatusUnauthorized, body: stored(Anthropic, "401_invalid_key")}
	}
	if r.Header.Get("Anthropic-Version") == "" {
		return anthropicInvalid("anthropic-version: header is required")
	}
	if v := r.Header.Get("Anthropic-Version"); v != "2023-06-01" {
		return anthropicInvalid(fmt.Sprintf("anthropic-version: %q is not a valid version", v))
	}
	return nil
}

// anthropicQuery is a checked query.
type anthropicQuery struct {
	first, last spend.Day // last is inclusive
	limit       int
	offset      int
	id          hash
	groups      []string
	values      url.Values
}

func (q anthropicQuery) grouped(by string) bool { return slices.Contains(q.groups, by) }

func (q anthropicQuery) keeps(filter, value string) bool {
	allowed := q.values[filter+"[]"]
	return len(allowed) == 0 || slices.Contains(allowed, value)
}

func (a anthropicAPI) page(path string, v url.Values, r *http.Request) (*page, *failure) {
	groups := []string{"workspace_id", "description"}
	arrays := []string{"group_by"}
	rows := a.costRows
	if path == anthropicUsagePath {
		groups = []string{
			"api_key_id", "workspace_id", "model", "service_tier", "context_window",
			"inference_geo", "speed", "account_id", "service_account_id",
		}
		arrays = []string{
			"group_by", "api_key_ids", "workspace_ids", "models", "service_tiers", "context_window",
			"inference_geos", "account_ids", "service_account_ids", "speeds",
		}
		rows = a.usageRows
	}
	q, fail := a.check(path, v, r, groups, arrays)
	if fail != nil {
		return nil, fail
	}
	p := &page{
		provider: Anthropic, dataKey: "data", hasMore: "false", nextPage: "null",
		offset: q.offset, limit: q.limit,
	}
	p.cursor = func(days int) string { return encodeToken("page_", q.id, days, days/q.limit+1) }
	from := q.first + spend.Day(q.offset)
	for d := from; d <= q.last && d < from+spend.Day(q.limit); d++ {
		p.buckets = append(p.buckets, bucket{
			day: d, start: d.Time(), end: (d + 1).Time(), rowsKey: "results", rows: rows(q, d),
		})
	}
	if from+spend.Day(q.limit) <= q.last {
		p.hasMore, p.nextPage = "true", quote(p.cursor(q.offset+q.limit))
	}
	return p, nil
}

// check validates a query.
func (a anthropicAPI) check(
	path string, v url.Values, r *http.Request, groups, arrays []string,
) (anthropicQuery, *failure) {
	q := anthropicQuery{values: v, groups: v["group_by[]"]}
	if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
		return q, anthropicInvalid("malformed query string")
	}
	if fail := checkAnthropicNames(v, arrays); fail != nil {
		return q, fail
	}
	if width := v.Get("bucket_width"); width != "" && width != "1d" {
		return q, anthropicInvalid("bucket_width: Input should be '1d'")
	}
	for i, g := range q.groups {
		if !slices.Contains(groups, g) {
			allowed := strings.Join(groups, "', '")
			return q, anthropicInvalid(fmt.Sprintf("group_by.%d: Input should be '%s'", i, allowed))
		}
		if g == "speed" && !strings.Contains(r.Header.Get("Anthropic-Beta"), speedBeta) {
			return q, anthropicInvalid("group_by: speed requires the " + speedBeta + " beta header")
		}
	}
	n, err := number(v, "limit", defaultLimit)
	switch {
	case err != nil:
		return q, anthropicInvalid("limit: Input should be a valid integer, unable to parse string as an integer")
	case n < 1:
		return q, anthropicInvalid("limit: Input should be greater than or equal to 1")
	case n > dailyCap:
		return q, anthropicInvalid(fmt.Sprintf("limit: Input should be less than or equal to %d", dailyCap))
	}
	q.limit = int(n)
	if fail := a.window(&q); fail != nil {
		return q, fail
	}
	q.id = queryHash(a.world.vendors[Anthropic].hash, path, v)
	if token := v.Get("page"); token != "" {
		id, offset, _, ok := decodeToken("page_", token)
		if !ok || id != q.id {
			return q, anthropicInvalid("page: Invalid page token")
		}
		q.offset = offset
	}
	return q, nil
}

func checkAnthropicNames(v url.Values, arrays []string) *failure {
	known := []string{"starting_at", "ending_at", "bucket_width", "limit", "page"}
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		bare, bracket := strings.CutSuffix(name, "[]")
		if slices.Contains(arrays, bare) || !bracket && slices.Contains(known, name) {
			continue
		}
		return anthropicInvalid(name + ": Extra inputs are not permitted")
	}
	return nil
}

// window reads starting_at and ending_at. Without ending_at the report ends at
// the start of today, which leaves today out and refuses a start of today (API
// page 2.3). A bucket is in the window if it ends by ending_at.
func (a anthropicAPI) window(q *anthropicQuery) *failure {
	start, err := time.Parse(time.RFC3339, q.values.Get("starting_at"))
	switch {
	case q.values.Get("starting_at") == "":
		return anthropicInvalid("starting_at: Field required")
	case err != nil:
		return anthropicInvalid("starting_at: Input should be a valid datetime")
	}
	today := spend.DayOf(a.world.Now())
	q.first = spend.DayOf(start)
	end := today.Time()
	if s := q.values.Get("ending_at"); s != "" {
		if end, err = time.Parse(time.RFC3339, s); err != nil {
			return anthropicInvalid("ending_at: Input should be a valid datetime")
		}
	}
	if !end.After(q.first.Time()) {
		return &failure{status: http.StatusBadRequest, body: stored(Anthropic, "400_end_before_start")}
	}
	newest := today
	if a.world.opt.AnthropicClosedOnly {
		newest = today - 1
	}
	q.last = min(newest, spend.DayOf(end)-1)
	return nil
}
