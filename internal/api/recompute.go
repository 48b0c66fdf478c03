package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/aispend/aispend/spend"
)

// RecomputeRequest selects what to replay. Empty fields select everything.
type RecomputeRequest struct {
	DryRun   bool // report the difference and change nothing
	Provider string
	Window   *spend.Window
}

// RecomputeReport is what a replay found, and did unless it was a dry run.
type RecomputeReport struct {
	// Sources were replayed, from Pulls of their pulls, over Days of their days.
	Sources, Pulls, Days int
	// DaysKept counts days that stay as they are for want of raw pages.
	DaysKept int
	// DaysChanged counts days whose statement differs from the ledger's.
	DaysChanged int
	Changes     []RecomputeChange
	// Problems says, in whole sentences without secrets, which sources or pulls
	// could not be replayed; their days stay as they are.
	Problems []string
}

// RecomputeChange is the difference of one provider, model and day. Model is the
// label ("other" for rows without a model); Currency is upper case. Money of each
// currency has a change of its own; tokens are told on one without a currency.
type RecomputeChange struct {
	Provider, Model           string
	Day                       spend.Day
	Currency                  string
	Before, After             spend.Money
	TokensBefore, TokensAfter int64
}

type recomputeReply struct {
	DryRun      bool          `json:"dry_run"`
	Provider    string        `json:"provider,omitempty"`
	Window      *dayRange     `json:"window,omitempty"`
	Sources     int           `json:"sources"`
	Pulls       int           `json:"pulls"`
	Days        int           `json:"days_replayed"`
	DaysKept    int           `json:"days_kept"`
	DaysChanged int           `json:"days_changed"`
	Changes     []changeReply `json:"changes"`
	Problems    []string      `json:"problems"`
}

// changeReply has a cost or tokens: what a change says nothing about is absent.
type changeReply struct {
	Provider     string       `json:"provider"`
	Model        string       `json:"model"`
	Day          spend.Day    `json:"day"`
	Currency     string       `json:"currency,omitempty"`
	Before       *spend.Money `json:"cost_before,omitempty"`
	After        *spend.Money `json:"cost_after,omitempty"`
	Diff         *spend.Money `json:"cost_diff,omitempty"`
	TokensBefore *int64       `json:"tokens_before,omitempty"`
	TokensAfter  *int64       `json:"tokens_after,omitempty"`
}

func newChangeReply(c RecomputeChange) changeReply {
	out := changeReply{Provider: c.Provider, Model: c.Model, Day: c.Day, Currency: c.Currency}
	if c.Currency != "" {
		diff := c.After.Sub(c.Before)
		out.Before, out.After, out.Diff = &c.Before, &c.After, &diff
	}
	if c.TokensBefore != 0 || c.TokensAfter != 0 {
		out.TokensBefore, out.TokensAfter = &c.TokensBefore, &c.TokensAfter
	}
	return out
}

func (s *Server) postRecompute(r *http.Request, _ httprouter.Params) (answer, error) {
	req, err := s.parseRecompute(r)
	if err != nil {
		return answer{}, err
	}
	if err := noBody(r); err != nil {
		return answer{}, err
	}
	a := jsonAnswer(func(ctx context.Context) (recomputeReply, error) {
		rep, err := s.deps.Recompute(ctx, req)
		if err != nil {
			return recomputeReply{}, fmt.Errorf("recomputing: %w", err)
		}
		return newRecomputeReply(req, rep), nil
	})
	do := a.do
	a.do = func(w http.ResponseWriter, r *http.Request) error {
		// The write deadline has run since the request came, and would cut off the
		// answer of a long replay. (net/http lifts the read deadline by itself once
		// the body is read.) A ResponseWriter without deadlines needs none.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(recomputeTimeout))
		return do(w, r)
	}
	return a, nil
}

func (s *Server) parseRecompute(r *http.Request) (RecomputeRequest, error) {
	p, err := readParams(r, paramRules{names: []string{"provider", "from", "to"}, flags: []string{"dry_run"}})
	if err != nil {
		return RecomputeRequest{}, err
	}
	var req RecomputeRequest
	if req.DryRun, err = p.flag("dry_run"); err != nil {
		return RecomputeRequest{}, err
	}
	if req.Provider, err = s.known.param(p); err != nil {
		return RecomputeRequest{}, err
	}
	from, to, err := p.days()
	switch {
	case err != nil:
		return RecomputeRequest{}, err
	case from == 0 && to == 0:
		return req, nil
	case from == 0:
		return RecomputeRequest{}, badParam("from",
			"to is given without from; give both, or neither to replay everything")
	case to == 0:
		to = max(from, spend.DayOf(s.now()))
	}
	w, err := span(from, to)
	if err != nil {
		return RecomputeRequest{}, err
	}
	req.Window = &w
	return req, nil
}

func newRecomputeReply(req RecomputeRequest, rep RecomputeReport) recomputeReply {
	out := recomputeReply{
		DryRun: req.DryRun, Provider: req.Provider, Sources: rep.Sources, Pulls: rep.Pulls, Days: rep.Days,
		DaysKept: rep.DaysKept, DaysChanged: rep.DaysChanged,
		Changes: make([]changeReply, len(rep.Changes)), Problems: append([]string{}, rep.Problems...),
	}
	if req.Window != nil {
		w := rangeOf(*req.Window)
		out.Window = &w
	}
	for i, c := range rep.Changes {
		out.Changes[i] = newChangeReply(c)
	}
	return out
}
