package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/spend"
)

type capsReply struct {
	At   time.Time  `json:"at"`
	Caps []capReply `json:"caps"`
}

// capReply is one cap. What is unknown is null.
type capReply struct {
	Scope       string                `json:"scope"`
	Period      caps.Period           `json:"period"`
	Cost        string                `json:"cost"`
	Match       *matchReply           `json:"match,omitempty"`
	PeriodStart time.Time             `json:"period_start"`
	PeriodEnd   time.Time             `json:"period_end"`
	Spend       *spend.Money          `json:"spend_usd"`
	Limits      levelsOf[spend.Money] `json:"limits"`
	Percent     levelsOf[float64]     `json:"percent"`
	Reached     *caps.Level           `json:"level_reached"`
	Projected   *spend.Money          `json:"projected_spend_usd"`
	Exhaustion  levelsOf[time.Time]   `json:"exhaustion"`
	DataThrough *time.Time            `json:"data_through"`
	DataGaps    map[caps.Reason]int   `json:"data_gaps"`
	TopModels   []capModel            `json:"top_models"`
	// Basis is what the spend was made of: "charges", "budget" or "charges and budget".
	Basis   string      `json:"basis"`
	Budgets []capBudget `json:"budgets,omitempty"`
}

// capBudget is a budget that a cap counts in the place of charges.
type capBudget struct {
	Provider      string      `json:"provider"`
	Account       string      `json:"account"`
	Budget        string      `json:"budget"`
	DisplayName   string      `json:"display_name,omitempty"`
	Spend         spend.Money `json:"spend_usd"`
	IntervalStart time.Time   `json:"interval_start"`
	PublishedAt   time.Time   `json:"published_at"`
}

// levelsOf is a figure of both levels; nil where a level is off or not known.
type levelsOf[T any] struct {
	Soft *T `json:"soft"`
	Hard *T `json:"hard"`
}

func (l *levelsOf[T]) set(level caps.Level, v T) {
	if level == caps.Hard {
		l.Hard = &v
		return
	}
	l.Soft = &v
}

type matchReply struct {
	Provider string `json:"provider,omitempty"`
	Account  string `json:"account,omitempty"`
	Project  string `json:"project,omitempty"`
	Model    string `json:"model,omitempty"`
}

type capModel struct {
	Model string      `json:"model"`
	Spend spend.Money `json:"spend_usd"`
}

func (s *Server) getCaps(r *http.Request, _ httprouter.Params) (answer, error) {
	return jsonAnswer(func(context.Context) (capsReply, error) {
		statuses, err := s.deps.Caps()
		if err != nil {
			return capsReply{}, fmt.Errorf("judging the caps: %w", err)
		}
		out := capsReply{At: s.now().UTC().Truncate(time.Second), Caps: []capReply{}}
		for _, st := range statuses {
			out.Caps = append(out.Caps, newCapReply(st))
		}
		return out, nil
	}), noParams(r)
}

func newCapReply(st caps.Status) capReply {
	out := capReply{
		Scope: st.Scope, Period: st.Period, Cost: costName(st.Gross),
		PeriodStart: st.Start(), PeriodEnd: st.End(),
		Projected: st.Projected, DataThrough: optionalTime(st.DataThrough),
		DataGaps: st.Gaps, TopModels: []capModel{}, Basis: st.Basis(),
	}
	if st.Match != (caps.Match{}) {
		out.Match = &matchReply{st.Match.Provider, st.Match.Account, st.Match.Project, st.Match.Model}
	}
	if st.Known {
		out.Spend = &st.Spend
	}
	if level := st.Reached(); level != "" {
		out.Reached = &level
	}
	for _, l := range st.Levels {
		out.Limits.set(l.Level, l.Limit)
		if st.Known {
			out.Percent.set(l.Level, l.Percent)
		}
		if !l.Exhaustion.IsZero() {
			out.Exhaustion.set(l.Level, l.Exhaustion.UTC())
		}
	}
	for _, b := range st.Budgets {
		out.Budgets = append(out.Budgets, capBudget{
			Provider: b.Source.Provider, Account: b.Source.Account, Budget: b.Budget.ID, DisplayName: b.Budget.DisplayName(),
			Spend: b.Spend, IntervalStart: b.IntervalStart.UTC(), PublishedAt: b.PublishedAt.UTC(),
		})
	}
	for _, m := range st.TopModels {
		out.TopModels = append(out.TopModels, capModel{m.Model, m.Spend})
	}
	return out
}

func costName(gross bool) string {
	if gross {
		return "gross"
	}
	return "net"
}
