package simulator

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/aispend/aispend/spend"
)

const (
	openAICostsPath = "/v1/organization/costs"
	openAIUsagePath = "/v1/organization/usage/"

	// apiKeyFloor is the first start_time for which cost can be grouped by API
	// key (API page 1.2).
	apiKeyFloor = 1764979200
	// dailyCap is what the wire clamps a page of daily buckets to, whatever the
	// documented maximum of 180.
	dailyCap     = 31
	defaultLimit = 7
	secondsADay  = 86400
)

type openAIAPI struct{ world *World }

func (a openAIAPI) provider() string { return OpenAI }

func (a openAIAPI) source(path string) string {
	if path == openAICostsPath {
		return "openai/costs"
	}
	if name, ok := strings.CutPrefix(path, openAIUsagePath); ok && openAIUsageGroups(name) != nil {
		return "openai/usage"
	}
	return ""
}

func (a openAIAPI) key(r *http.Request) string {
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}

func (a openAIAPI) tokenPrefix(path string) string {
	if path == openAICostsPath {
		return ""
	}
	return "page_"
}

func (a openAIAPI) requestID(n uint64) string {
	return "req_" + a.world.vendors[OpenAI].hash.text("request").num(n).tag(24)
}

func (a openAIAPI) headers(h http.Header, id string) {
	h.Set("X-Request-Id", id)
	h.Set("Openai-Version", "2020-10-01")
	h.Set("Openai-Organization", "org-simulated")
	h.Set("Openai-Processing-Ms", "12")
}

func (a openAIAPI) methodNotAllowed(r *http.Request) *failure {
	f := openAIError(http.StatusMethodNotAllowed,
		fmt.Sprintf("Not allowed to %s on %s.", r.Method, r.URL.Path), "", "method_not_supported")
	f.header = map[string]string{"Allow": http.MethodGet}
	return f
}

func (a openAIAPI) notFound(r *http.Request) *failure {
	return openAIError(http.StatusNotFound, fmt.Sprintf("Invalid URL (%s %s)", r.Method, r.URL.Path), "", "")
}

func (a openAIAPI) authorise(r *http.Request) *failure {
	key, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case !bearer || key == "":
		return openAIError(http.StatusUnauthorized, "You didn't provide an API key. You need to provide "+
			"your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).", "", "")
	case key == a.world.Key(OpenAI):
		return nil
	case strings.HasPrefix(key, "sk-proj-") || strings.HasPrefix(key, "sk-svcacct-"):
		return &failure{status: http.StatusForbidden, body: stored(OpenAI, "403_missing_scopes")}
	default:
		return &failure{status: http.StatusUnauthorized, body: incorrectKey(key)}
	}
}

// incorrectKey is the body of a 401, which echoes a part of the key.
func incorrectKey(key string) []byte {
	const example = "sk-admin-****************AbCd"
	return []byte(strings.Replace(string(stored(OpenAI, "401_invalid_key")), example, maskKey(key), 1))
}

// maskKey echoes a key the way OpenAI does: its kind and its last four characters.
func maskKey(key string) string {
	const kindLen, tailLen = 9, 4
	if len(key) < kindLen+tailLen {
		return strings.Repeat("*", len(key))
	}
	head := key[:3]
	if i := strings.IndexByte(key[3:], '-'); i >= 0 && i < kindLen {
		head = key[:3+i+1]
	}
	return head + strings.Repeat("*", 16) + key[len(key)-tailLen:]
}

// openAIQuery is a checked query.
type openAIQuery struct {
	first, last spend.Day // last is inclusive; before first when there is nothing
	limit       int
	offset      int
	number      int
	id          hash
	groups      []string
	values      url.Values
}

func (q openAIQuery) grouped(by string) bool { return slices.Contains(q.groups, by) }

// keeps reports whether a filter lets a value pass.
func (q openAIQuery) keeps(filter, value string) bool {
	allowed := q.values[filter+"[]"]
	return len(allowed) == 0 || slices.Contains(allowed, value)
}

func (a openAIAPI) page(path string, values url.Values, r *http.Request) (*page, *failure) {
	if path == openAICostsPath {
		rules := openAIRules{
			groups: []string{"project_id", "line_item", "api_key_id", "user_id", "api_source"},
			arrays: []string{"group_by", "project_ids", "api_key_ids", "line_items"},
			max:    180,
		}
		q, fail := a.check(path, values, r, rules)
		if fail != nil {
			return nil, fail
		}
		if q.grouped("api_key_id") && int64(q.first)*secondsADay < apiKeyFloor {
			return nil, &failure{status: http.StatusBadRequest, body: stored(OpenAI, "400_api_key_floor")}
		}
		return a.assemble(path, q, a.costRows), nil
	}
	name := strings.TrimPrefix(path, openAIUsagePath)
	rules := openAIRules{
		groups: openAIUsageGroups(name),
		arrays: []string{"group_by", "project_ids", "user_ids", "api_key_ids", "models"},
		flags:  []string{"batch"},
		max:    dailyCap,
	}
	q, fail := a.check(path, values, r, rules)
	if fail != nil {
		return nil, fail
	}
	return a.assemble(path, q, func(q openAIQuery, d spend.Day) []wireRow {
		return a.usageRows(name, q, d)
	}), nil
}

// assemble makes the page of daily buckets that a checked query asks for.
func (a openAIAPI) assemble(path string, q openAIQuery, rows func(openAIQuery, spend.Day) []wireRow) *page {
	p := &page{
		provider: OpenAI, head: `"object": "page", `, dataKey: "data", hasMore: "false", nextPage: "null",
		offset: q.offset, limit: q.limit,
	}
	p.cursor = func(days int) string {
		return encodeToken(a.tokenPrefix(path), q.id, days, days/q.limit+1)
	}
	from := q.first + spend.Day(q.offset)
	for d := from; d <= q.last && d < from+spend.Day(q.limit); d++ {
		b := bucket{day: d, start: d.Time(), end: (d + 1).Time(), rowsKey: "results", rows: rows(q, d)}
		if a.world.opt.WireExtras && path == openAICostsPath {
			const layout = "2006-01-02T15:04:05+00:00"
			b.extra = `, "start_time_iso": "` + b.start.Format(layout) +
				`", "end_time_iso": "` + b.end.Format(layout) + `"`
		}
		p.buckets = append(p.buckets, b)
	}
	if from+spend.Day(q.limit) <= q.last {
		p.hasMore, p.nextPage = "true", quote(p.cursor(q.offset+q.limit))
	}
	return p
}

func (a openAIAPI) costRows(q openAIQuery, d spend.Day) []wireRow {
	var kept []Row
	for _, r := range a.world.OpenAICost(d, a.world.Now()) {
		if q.keeps("project_ids", r.Project) && q.keeps("api_key_ids", r.key) && q.keeps("line_items", r.Item) {
			kept = append(kept, r)
		}
	}
	if !q.grouped("project_id") || !q.grouped("line_item") {
		kept = sumRows(kept, q.grouped)
	}
	rows := make([]wireRow, 0, len(kept))
	for _, r := range kept {
		rows = append(rows, a.costRow(q, r))
	}
	return rows
}

func (a openAIAPI) costRow(q openAIQuery, r Row) wireRow {
	only := func(dimension, v string) string {
		if !q.grouped(dimension) {
			return "null"
		}
		return orNull(v)
	}
	fields := []field{
		{"object", `"organization.costs.result"`},
		{"line_item", only("line_item", r.Item)},
		{"project_id", only("project_id", r.Project)},
	}
	extras := a.world.opt.WireExtras
	if extras {
		fields = append(fields, field{"project_name", only("project_id", r.name)},
			field{"organization_id", `"org-simulated"`}, field{"organization_name", `"Simulated Ltd"`})
	}
	if extras || q.grouped("user_id") || q.grouped("api_source") {
		fields = append(fields, field{"user_id", "null"}, field{"api_source", "null"})
	}
	fields = append(
		fields,
		field{"api_key_id", only("api_key_id", r.key)},
		field{"quantity", orDefault(r.quantity, "null")},
		field{"quantity_unit", orNull(r.unit)},
	)
	return wireRow{model: r.Model, money: true, value: r.Literal, currency: `"usd"`, fields: fields}
}

// sumRows adds up rows that are alike in the grouped dimensions.
func sumRows(rows []Row, grouped func(string) bool) []Row {
	type key struct{ project, item, apiKey string }
	var out []Row
	index := map[key]int{}
	for _, r := range rows {
		var k key
		if grouped("project_id") {
			k.project = r.Project
		}
		if grouped("line_item") {
			k.item = r.Item
		}
		if grouped("api_key_id") {
			k.apiKey = r.key
		}
		i, ok := index[k]
		if !ok {
			index[k] = len(out)
			r.quantity, r.unit, r.Literal = "null", "", r.Amount.String()
			out = append(out, r)
			continue
		}
		out[i].Amount = out[i].Amount.Add(r.Amount)
		out[i].Literal = out[i].Amount.String()
	}
	return out
}

// openAIUsageGroups returns what a usage endpoint can be grouped by, nil for an
// unknown endpoint.
func openAIUsageGroups(name string) []string {
	common := []string{"project_id", "user_id", "api_key_id", "model"}
	switch name {
	case "completions", "decisions":
		return append(common, "batch", "service_tier", "api_source")
	case "embeddings", "moderations", "audio_speeches", "audio_transcriptions":
		return common
	case "images":
		return append(common, "size", "source")
	case "vector_stores", "code_interpreter_sessions":
		return common[:1]
	case "file_search_calls":
		return append(common[:3], "vector_store_id")
	case "web_search_calls":
		return append(common, "context_level", "api_source")
	default:
		return nil
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
