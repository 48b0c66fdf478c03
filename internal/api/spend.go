package api

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

const (
	formatJSON = "json"
	formatCSV  = "csv"
)

func dims() []string {
	all := []rollup.Dim{
		rollup.ByProvider, rollup.ByModel, rollup.ByDay, rollup.ByMonth,
		rollup.ByProject, rollup.ByAccount, rollup.BySource, rollup.ByItem,
	}
	out := make([]string, len(all))
	for i, d := range all {
		out[i] = string(d)
	}
	return out
}

// spendRequest is a checked /spend request.
type spendRequest struct {
	query  rollup.Query
	format string
}

// parseSpend reads the parameters of /spend; today is the current UTC day.
func (s *Server) parseSpend(r *http.Request, today spend.Day) (spendRequest, error) {
	p, err := readParams(r, paramRules{names: []string{
		"from", "to", "groupBy", "provider", "model", "project", "account", "format",
	}})
	if err != nil {
		return spendRequest{}, err
	}
	from, to, err := p.days()
	if err != nil {
		return spendRequest{}, err
	}
	if to == 0 {
		to = today
	}
	if from == 0 {
		from = to.MonthStart()
	}
	var req spendRequest
	if req.query.Window, err = span(from, to); err != nil {
		return spendRequest{}, err
	}
	if req.query.GroupBy, err = parseGroupBy(p); err != nil {
		return spendRequest{}, err
	}
	if req.query.Provider, err = s.known.param(p); err != nil {
		return spendRequest{}, err
	}
	if req.format, err = p.oneOf("format", formatJSON, formatJSON, formatCSV); err != nil {
		return spendRequest{}, err
	}
	req.query.Model, req.query.Project, req.query.Account = p.get("model"), p.get("project"), p.get("account")
	return req, nil
}

func parseGroupBy(p params) ([]rollup.Dim, error) {
	if !p.has("groupBy") {
		return []rollup.Dim{rollup.ByProvider, rollup.ByModel, rollup.ByDay}, nil
	}
	var out []rollup.Dim
	for name := range strings.SplitSeq(p.get("groupBy"), ",") {
		if !slices.Contains(dims(), name) {
			return nil, badParam("groupBy", "groupBy names %q; allowed, separated by commas: %s",
				name, strings.Join(dims(), ", "))
		}
		if slices.Contains(out, rollup.Dim(name)) {
			return nil, badParam("groupBy", "groupBy names %s twice", name)
		}
		out = append(out, rollup.Dim(name))
	}
	return out, nil
}

func (s *Server) getSpend(r *http.Request, _ httprouter.Params) (answer, error) {
	req, err := s.parseSpend(r, spend.DayOf(s.now()))
	if err != nil {
		return answer{}, err
	}
	a := answer{contentType: typeJSON}
	if req.format == formatCSV {
		a.contentType = typeCSV
	}
	a.do = func(w http.ResponseWriter, _ *http.Request) error { return s.writeSpend(w, req) }
	return a, nil
}

func (s *Server) writeSpend(w http.ResponseWriter, req spendRequest) error {
	res, err := s.deps.Snapshot().Query(req.query)
	if err != nil {
		return err
	}
	if req.format == formatCSV {
		return writeSpendCSV(w, req.query, res)
	}
	return writeSpendJSON(w, req.query, res, s.reach(req.query, res))
}

// reach tells how far each source that feeds the query reaches, under the key
// "openai/costs/<account>"; the zero time stands for a configured source that has
// not applied a walk yet.
func (s *Server) reach(q rollup.Query, res rollup.Result) map[string]time.Time {
	out := map[string]time.Time{}
	for _, st := range s.deps.Statuses() {
		if st.Enabled && !st.BudgetSource && (q.Provider == "" || q.Provider == st.ID.Provider) &&
			(q.Account == "" || q.Account == st.ID.Account) {
			out[reachKey(st.ID)] = time.Time{}
		}
	}
	for id, t := range res.DataThrough {
		out[reachKey(id)] = t
	}
	return out
}

func reachKey(id spend.SourceID) string { return id.Source + "/" + id.Account }
