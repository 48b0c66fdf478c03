package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The sources of the request log and of faults.
const (
	vertexToken    = Vertex + "/token"
	vertexBigQuery = Vertex + "/bigquery"
	vertexBudget   = Vertex + "/budget"
)

const bigqueryRoot = "/bigquery/v2/projects/" + VertexProject + "/"

type googleAPI struct{ world *World }

func (a googleAPI) provider() string { return Vertex }

func (a googleAPI) source(string) string { return "" } // there are no pages of buckets

func (a googleAPI) key(r *http.Request) string {
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}

func (a googleAPI) tokenPrefix(string) string { return "" }

func (a googleAPI) headers(h http.Header, _ string) {
	h.Set("Server", "ESF")
	h.Set("Vary", "Origin")
}

func (a googleAPI) requestID(n uint64) string { return strconv.FormatUint(n, 10) }

func (a googleAPI) methodNotAllowed(*http.Request) *failure {
	return googleFailure(http.StatusMethodNotAllowed, "", "Method not allowed.")
}

func (a googleAPI) notFound(*http.Request) *failure {
	return &failure{status: http.StatusNotFound, ctype: "text/html; charset=UTF-8", body: []byte(
		"<!DOCTYPE html>\n<html lang=en><title>Error 404 (Not Found)!!1</title></html>\n")}
}

func (a googleAPI) page(string, url.Values, *http.Request) (*page, *failure) {
	return nil, a.notFound(nil)
}

// googleFailure makes an error answer in the envelope of the older APIs; without a reason in that
// of the newer ones.
func googleFailure(status int, reason, message string) *failure {
	e := map[string]any{"code": status, "message": message, "status": googleStatus(status)}
	if reason != "" {
		e["errors"] = []any{map[string]string{"message": message, "domain": "global", "reason": reason}}
	}
	return &failure{status: status, ctype: "application/json; charset=UTF-8", body: must(json.Marshal(map[string]any{"error": e}))}
}

func googleStatus(status int) string {
	names := map[int]string{
		400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED",
		500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
	}
	return orDefault(names[status], "UNKNOWN")
}

// googleOf is the error that Google sends with a status, for the effect Status.
func googleOf(code int) *failure {
	reason, message := "backendError", "Backend Error"
	switch code {
	case http.StatusBadRequest:
		reason, message = "invalid", "Invalid value"
	case http.StatusUnauthorized:
		reason, message = "authError", "Request had invalid authentication credentials."
	case http.StatusForbidden:
		reason, message = "accessDenied", "Access Denied: Project "+VertexProject+": User does not have bigquery.jobs.create permission."
	case http.StatusNotFound:
		reason, message = "notFound", "Not found"
	case http.StatusTooManyRequests:
		reason, message = "rateLimitExceeded", "Exceeded rate limits: too many api requests per user"
	}
	return googleFailure(code, reason, message)
}

// GoogleError answers with an error of a Google API: "accessDenied", "rateLimitExceeded",
// "quotaExceeded", "backendError", "notFound", "bytesBilledLimitExceeded", ...
func GoogleError(status int, reason, message string) Effect {
	return reply("google "+reason, func(*exchange) *failure { return googleFailure(status, reason, message) })
}

// RewriteJSON changes the members of a 200 answer that is a JSON object.
func RewriteJSON(name string, change func(members map[string]any)) Effect {
	return Effect{name: name, body: func(body []byte) []byte {
		var m map[string]any
		if err := json.Unmarshal(body, &m); err != nil {
			return body
		}
		change(m)
		return must(json.Marshal(m))
	}}
}

// Unfinished turns every answer about a query into one that says that the job still runs.
func Unfinished() Effect {
	return RewriteJSON("unfinished", func(m map[string]any) {
		if _, ok := m["jobComplete"]; ok {
			m["jobComplete"] = false
			for _, name := range []string{"rows", "schema", "totalRows", "pageToken"} {
				delete(m, name)
			}
		}
	})
}

// LoseRow takes the last row of a result's page away, and leaves totalRows as it was.
func LoseRow() Effect {
	return RewriteJSON("lose a row", func(m map[string]any) {
		if rows, ok := m["rows"].([]any); ok && len(rows) > 0 {
			m["rows"] = rows[:len(rows)-1]
		}
	})
}

// EndEarly takes the page token away: the result looks whole and is not.
func EndEarly() Effect {
	return RewriteJSON("end early", func(m map[string]any) { delete(m, "pageToken") })
}

// authorise checks the token and its scopes; the token endpoint needs none.
func (a googleAPI) authorise(r *http.Request) *failure {
	if r.URL.Path == "/token" {
		return nil
	}
	g := a.world.google
	g.mu.Lock()
	scopes, known := g.tokens[a.key(r)]
	g.mu.Unlock()
	if !known {
		return googleFailure(http.StatusUnauthorized, "authError", "Request had invalid authentication credentials. Expected OAuth 2 "+
			"access token, login cookie or other valid authentication credential.")
	}
	const root = "https://www.googleapis.com/auth/"
	var enough []string
	switch {
	case strings.HasPrefix(r.URL.Path, "/bigquery/"):
		enough = []string{root + "bigquery", root + "cloud-platform", root + "cloud-platform.read-only"}
	case strings.HasPrefix(r.URL.Path, "/v1/billingAccounts/"):
		enough = []string{root + "cloud-billing", root + "cloud-platform"}
	default:
		enough = []string{root + "pubsub", root + "cloud-platform"}
	}
	if !slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(enough, s) }) {
		return googleFailure(http.StatusForbidden, "insufficientPermissions", "Request had insufficient authentication scopes.")
	}
	return nil
}

type handler = func(x *exchange) (any, *failure)

// endpoint finds out what a path is.
func (a googleAPI) endpoint(path string) *endpoint {
	get := func(source string, h handler) *endpoint {
		return &endpoint{source: source, methods: map[string]handler{http.MethodGet: h}}
	}
	post := func(source string, h handler) *endpoint {
		return &endpoint{source: source, methods: map[string]handler{http.MethodPost: h}}
	}
	switch {
	case path == "/token":
		return post(vertexToken, a.token)
	case strings.HasPrefix(path, "/bigquery/v2/projects/"):
		rest, ours := strings.CutPrefix(path, bigqueryRoot)
		switch {
		case !ours:
			return get(vertexBigQuery, a.missing("Not found: Project"))
		case rest == "datasets/"+VertexDataset+"/tables/"+VertexTable:
			return get(vertexBigQuery, a.table)
		case strings.HasPrefix(rest, "datasets/"):
			return get(vertexBigQuery, a.missing("Not found: Table "+VertexProject+":"+strings.TrimPrefix(rest, "datasets/")))
		case rest == "queries":
			return post(vertexBigQuery, a.query)
		case strings.HasPrefix(rest, "queries/"):
			return get(vertexBigQuery, a.results)
		}
	case strings.HasPrefix(path, "/v1/billingAccounts/"):
		return get(vertexBudget, a.budgets)
	case path == "/v1/"+VertexSubscription+":pull":
		return post(vertexBudget, a.pull)
	case path == "/v1/"+VertexSubscription+":acknowledge":
		return post(vertexBudget, a.acknowledge)
	case strings.HasPrefix(path, "/v1/projects/"):
		return post(vertexBudget, func(*exchange) (any, *failure) {
			return nil, googleFailure(http.StatusNotFound, "", "Resource not found (resource="+path[strings.LastIndexByte(path, '/')+1:]+").")
		})
	}
	return nil
}

func (a googleAPI) missing(what string) handler {
	return func(*exchange) (any, *failure) { return nil, googleFailure(http.StatusNotFound, "notFound", what) }
}

// table answers tables.get.
func (a googleAPI) table(*exchange) (any, *failure) {
	now := a.world.Now()
	var fields []map[string]string
	for _, f := range strings.Fields("billing_account_id:STRING service:RECORD sku:RECORD usage_start_time:TIMESTAMP " +
		"usage_end_time:TIMESTAMP project:RECORD labels:RECORD location:RECORD export_time:TIMESTAMP cost:FLOAT currency:STRING " +
		"currency_conversion_rate:FLOAT usage:RECORD credits:RECORD invoice:RECORD cost_type:STRING adjustment_info:RECORD") {
		name, typ, _ := strings.Cut(f, ":")
		fields = append(fields, map[string]string{"name": name, "type": typ, "mode": "NULLABLE"})
	}
	o := a.world.opt
	created := max(o.Start, o.Vertex.ExportFrom)
	return map[string]any{
		"kind": "bigquery#table", "etag": "SYNTHETIC==", "id": VertexProject + ":" + VertexDataset + "." + VertexTable,
		"tableReference": map[string]string{"projectId": VertexProject, "datasetId": VertexDataset, "tableId": VertexTable},
		"schema":         map[string]any{"fields": fields}, "type": "TABLE", "location": VertexLocation,
		"timePartitioning": map[string]string{"type": "DAY"},
		"creationTime":     millis(created.Time()), "lastModifiedTime": millis(a.world.newestExport(now)),
		"numRows": "1000000",
	}, nil
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// query answers jobs.query.
func (a googleAPI) query(x *exchange) (any, *failure) {
	w, now := a.world, a.world.Now()
	q, fail := w.understand(x.body)
	if fail != nil {
		return nil, fail
	}
	n := w.scanned(q, now)
	if q.dryRun {
		return map[string]any{
			"kind": "bigquery#queryResponse", "schema": schemaOf(), "jobReference": reference(""), "jobComplete": true,
			"totalBytesProcessed": strconv.FormatInt(n, 10), "cacheHit": false,
		}, nil
	}
	if q.limit > 0 && n > q.limit {
		return nil, googleFailure(http.StatusBadRequest, "bytesBilledLimitExceeded", fmt.Sprintf(
			"Query exceeded limit for bytes billed: %d. %d or higher required.", q.limit, n))
	}
	g := w.google
	changed := w.newestExport(now)
	g.mu.Lock()
	hit := q.cache && g.answered[q.key].Equal(changed)
	g.answered[q.key] = changed
	g.mu.Unlock()
	j := &job{
		id: "job_" + g.hash.text(q.key).text(millis(now)).num(x.index).tag(24), rows: w.run(q, now),
		size: min(w.opt.Vertex.PageRows, max(q.rows, 1)), polls: w.opt.Vertex.Polls, bytes: n, hit: hit,
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.jobs[j.id] = j
	if g.order = append(g.order, j.id); len(g.order) > 16 {
		delete(g.jobs, g.order[0])
		g.order = g.order[1:]
	}
	return j.answer("bigquery#queryResponse", 0), nil
}

// results answers jobs.getQueryResults.
func (a googleAPI) results(x *exchange) (any, *failure) {
	g := a.world.google
	g.mu.Lock()
	defer g.mu.Unlock()
	j := g.jobs[x.r.URL.Path[strings.LastIndexByte(x.r.URL.Path, '/')+1:]]
	if j == nil || x.query.Get("location") != VertexLocation {
		return nil, googleFailure(http.StatusNotFound, "notFound", "Not found: Job "+VertexProject+":"+x.query.Get("location"))
	}
	at := 0
	if token := x.query.Get("pageToken"); token != "" {
		var err error
		if at, err = j.offset(token); err != nil {
			return nil, googleFailure(http.StatusBadRequest, "invalid", "Invalid page token")
		}
	}
	return j.answer("bigquery#getQueryResultsResponse", at), nil
}

// token and offset turn a position into a page token and back.
func (j *job) token(at int) string { return encodeToken("", newHash(1).text(j.id), at, at/j.size+1) }

func (j *job) offset(token string) (int, error) {
	q, at, _, ok := decodeToken("", token)
	if !ok || q != newHash(1).text(j.id) || at > len(j.rows) {
		return 0, errors.New("bad page token")
	}
	return at, nil
}

// answer is one page, or the word that the job still runs. g.mu is held.
func (j *job) answer(kind string, at int) map[string]any {
	out := map[string]any{"kind": kind, "jobReference": reference(j.id), "jobComplete": true}
	if j.polls > 0 {
		j.polls--
		out["jobComplete"] = false
		return out
	}
	end := min(at+j.size, len(j.rows))
	out["schema"], out["totalRows"] = schemaOf(), strconv.Itoa(len(j.rows))
	out["totalBytesProcessed"], out["cacheHit"] = strconv.FormatInt(j.bytes, 10), j.hit
	if j.hit {
		out["totalBytesProcessed"] = "0"
	}
	if end < len(j.rows) {
		out["pageToken"] = j.token(end)
	}
	var rows []any
	for _, r := range j.rows[at:end] {
		cells := make([]any, len(r))
		for i, v := range r {
			cells[i] = map[string]any{"v": v}
		}
		rows = append(rows, map[string]any{"f": cells})
	}
	if rows != nil {
		out["rows"] = rows
	}
	return out
}

func reference(id string) map[string]string {
	ref := map[string]string{"projectId": VertexProject, "location": VertexLocation}
	if id != "" {
		ref["jobId"] = id
	}
	return ref
}

func schemaOf() map[string]any {
	var fields []map[string]string
	for _, c := range resultColumns() {
		fields = append(fields, map[string]string{"name": c[0], "type": c[1], "mode": "NULLABLE"})
	}
	return map[string]any{"fields": fields}
}
