package simulator

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/aispend/aispend/spend"
)

// openAIRules are the parameters of one endpoint.
type openAIRules struct {
	groups []string // values of group_by[]
	arrays []string
	flags  []string
	max    int64 // of limit
}

func openAIInvalid(message, param, code string) *failure {
	return openAIError(http.StatusBadRequest, message, param, code)
}

// check validates a query in the vendor's order: names, times, width, grouping,
// limit, token.
func (a openAIAPI) check(
	path string, v url.Values, r *http.Request, rules openAIRules,
) (openAIQuery, *failure) {
	q := openAIQuery{values: v, groups: v["group_by[]"], number: 1}
	if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
		return q, openAIInvalid("Invalid query string.", "", "")
	}
	if fail := checkNames(v, rules); fail != nil {
		return q, fail
	}
	if fail := q.window(spend.DayOf(a.world.Now())); fail != nil {
		return q, fail
	}
	if width := v.Get("bucket_width"); width != "" && width != "1d" {
		return q, openAIInvalid(fmt.Sprintf("Invalid value: '%s'. Supported values are: '1d'.", width),
			"bucket_width", "invalid_value")
	}
	for i, g := range q.groups {
		if !slices.Contains(rules.groups, g) {
			return q, openAIInvalid(fmt.Sprintf("Invalid value: '%s'. Supported values are: '%s'.",
				g, strings.Join(rules.groups, "', '")), fmt.Sprintf("group_by[%d]", i), "invalid_value")
		}
	}
	if fail := q.page(rules.max); fail != nil {
		return q, fail
	}
	q.id = queryHash(a.world.vendors[OpenAI].hash, path, v)
	if token := v.Get("page"); token != "" {
		id, offset, n, ok := decodeToken(a.tokenPrefix(path), token)
		if !ok || id != q.id {
			return q, &failure{status: http.StatusBadRequest, body: stored(OpenAI, "400_stale_page_token")}
		}
		q.offset, q.number = offset, n
	}
	return q, nil
}

// checkNames refuses unknown parameters. An array without its brackets is no
// error and has no effect: the trap that a client must notice by itself.
func checkNames(v url.Values, rules openAIRules) *failure {
	scalars := []string{"start_time", "end_time", "bucket_width", "limit", "page"}
	known := slices.Concat(scalars, rules.arrays, rules.flags)
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		bare, bracket := strings.CutSuffix(name, "[]")
		if !slices.Contains(known, bare) || bracket && !slices.Contains(rules.arrays, bare) {
			return openAIInvalid(fmt.Sprintf("Unknown parameter: '%s'.", name), name, "unknown_parameter")
		}
	}
	return nil
}

// window reads start_time and end_time; buckets are whole UTC days and none lies
// after today.
func (q *openAIQuery) window(today spend.Day) *failure {
	if q.values.Get("start_time") == "" {
		return openAIInvalid("Missing required parameter: 'start_time'.",
			"start_time", "missing_required_parameter")
	}
	for _, name := range []string{"start_time", "end_time"} {
		n, err := number(q.values, name, 0)
		if err != nil || n < 0 || n > 1<<36 {
			message := fmt.Sprintf("Invalid type for '%s': expected an integer of seconds since the epoch.", name)
			return openAIInvalid(message, name, "invalid_type")
		}
	}
	start, _ := number(q.values, "start_time", 0) // checked above
	end, _ := number(q.values, "end_time", 0)
	q.first, q.last = spend.Day(start/secondsADay), today
	if q.values.Get("end_time") == "" {
		return nil
	}
	if end <= start {
		return openAIInvalid("Invalid 'end_time': must be after 'start_time'.", "end_time", "invalid_request_error")
	}
	q.last = min(today, spend.Day((end-1)/secondsADay))
	return nil
}

// page reads limit. More than the documented maximum is an error; more than what
// the wire delivers is silently less (API page 1.2).
func (q *openAIQuery) page(most int64) *failure {
	n, err := number(q.values, "limit", defaultLimit)
	out := func(rule string, bound int64) *failure {
		message := fmt.Sprintf("Invalid limit provided: %d. Limit must be %s than or equal to %d.", n, rule, bound)
		return openAIInvalid(message, "limit", "invalid_request_error")
	}
	switch {
	case err != nil:
		return openAIInvalid("Invalid type for 'limit': expected an integer, but got a string instead.",
			"limit", "invalid_type")
	case n > most:
		return out("less", most)
	case n < 1:
		return out("greater", 1)
	}
	q.limit = int(min(n, dailyCap))
	return nil
}
