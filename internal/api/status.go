package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

type statusReply struct {
	Version       string         `json:"version"`
	Revision      string         `json:"revision,omitempty"`
	ExternalURL   string         `json:"external_url,omitempty"`
	Started       time.Time      `json:"started"`
	UptimeSeconds int64          `json:"uptime_seconds"`
	Ready         bool           `json:"ready"`
	Demo          bool           `json:"demo"`
	Problems      []string       `json:"problems"`
	History       historyReply   `json:"history"`
	Sources       []sourceReply  `json:"sources"`
	Store         storeReply     `json:"store"`
	Charges       map[string]int `json:"charges"`
	Budgets       []budgetReply  `json:"budgets"`

	Alertmanagers []alertmanagerReply `json:"alertmanagers"`
}

// historyReply is how far the first load of all enabled sources has come.
type historyReply struct {
	Done      bool `json:"done"`
	DaysRead  int  `json:"days_read"`
	DaysTotal int  `json:"days_total"`
}

type sourceReply struct {
	Provider            string        `json:"provider"`
	Account             string        `json:"account"`
	Source              string        `json:"source"`
	Enabled             bool          `json:"enabled"`
	Up                  bool          `json:"up"`
	Held                bool          `json:"held"`
	Stale               bool          `json:"stale"`
	LastSuccess         *time.Time    `json:"last_success"`
	DataThrough         *time.Time    `json:"data_through"`
	LastOutcome         spend.Outcome `json:"last_outcome,omitempty"`
	LastError           string        `json:"last_error,omitempty"`
	LastErrorAt         *time.Time    `json:"last_error_at"`
	NextPull            *time.Time    `json:"next_pull"`
	IntervalSeconds     int64         `json:"interval_seconds"`
	MaxStalenessSeconds int64         `json:"max_staleness_seconds"`
	History             sourceHistory `json:"history"`
	Pulling             *pullingReply `json:"pulling"`
}

type sourceHistory struct {
	Done        bool       `json:"done"`
	Goal        *spend.Day `json:"goal"`
	CoveredFrom *spend.Day `json:"covered_from"`
	DaysRead    int        `json:"days_read"`
	DaysTotal   int        `json:"days_total"`
}

type pullingReply struct {
	Window dayRange `json:"window"`
	Pages  int      `json:"pages"`
}

type storeReply struct {
	RawPages     map[string]int   `json:"raw_pages"`
	Bytes        map[string]int64 `json:"bytes"`
	FreeBytes    uint64           `json:"free_bytes"`
	ReserveBytes uint64           `json:"reserve_bytes"`
	Corrupt      bool             `json:"corrupt"`
}

func (s *Server) getStatus(r *http.Request, _ httprouter.Params) (answer, error) {
	return jsonAnswer(func(ctx context.Context) (statusReply, error) { return s.status(ctx), nil }), noParams(r)
}

func (s *Server) status(ctx context.Context) statusReply {
	now, snap, stats := s.now(), s.deps.Snapshot(), s.deps.Stats()
	out := statusReply{
		Version: s.deps.Version, Revision: s.deps.Revision, ExternalURL: s.deps.ExternalURL(),
		Started: s.deps.Started.UTC(), UptimeSeconds: int64(now.Sub(s.deps.Started).Seconds()),
		Ready: s.deps.Ready(), Demo: s.deps.Demo, Problems: []string{},
		Sources: []sourceReply{}, Store: newStoreReply(stats), Charges: map[string]int{},
		History: historyReply{Done: true}, Budgets: []budgetReply{},

		Alertmanagers: newAlertmanagerReplies(s.deps.Alertmanagers(ctx)),
	}
	for _, id := range snap.Sources() {
		out.Charges[id.Provider] = snap.Charges(id.Provider)
	}
	statuses := s.deps.Statuses()
	for _, st := range statuses {
		src := newSourceReply(st, now)
		out.Sources = append(out.Sources, src)
		for _, b := range st.Budgets {
			out.Budgets = append(out.Budgets, newBudgetReply(st, b))
		}
		if st.Enabled {
			out.History.Done = out.History.Done && src.History.Done
			out.History.DaysRead += src.History.DaysRead
			out.History.DaysTotal += src.History.DaysTotal
		}
	}
	for _, t := range s.troubles(statuses, stats, now) {
		out.Problems = append(out.Problems, t.Text)
	}
	for _, am := range out.Alertmanagers {
		if !am.Reachable {
			out.Problems = append(out.Problems, "Alertmanager "+am.URL+" cannot be reached: "+am.Error)
		}
	}
	return out
}

func newSourceReply(st spend.SourceStatus, now time.Time) sourceReply {
	out := sourceReply{
		Provider: st.ID.Provider, Account: st.ID.Account, Source: st.ID.Source,
		Enabled: st.Enabled, Up: st.Up, Held: st.Held, Stale: stale(st, now),
		LastSuccess: optionalTime(st.LastSuccess), DataThrough: optionalTime(st.DataThrough),
		LastOutcome: st.LastOutcome, LastError: st.LastError, LastErrorAt: optionalTime(st.LastErrorAt),
		NextPull:        optionalTime(st.NextPull),
		IntervalSeconds: int64(st.Interval.Seconds()), MaxStalenessSeconds: int64(st.MaxStaleness.Seconds()),
		History: newSourceHistory(st, spend.DayOf(now)),
	}
	if st.Pulling {
		out.Pulling = &pullingReply{Window: rangeOf(st.PullWindow), Pages: st.PagesPulled}
	}
	return out
}

func newSourceHistory(st spend.SourceStatus, today spend.Day) sourceHistory {
	h := sourceHistory{
		Done: st.HistoryDone, Goal: optionalDay(st.HistoryGoal), CoveredFrom: optionalDay(st.CoveredFrom),
	}
	if st.HistoryGoal != 0 {
		h.DaysTotal = max(0, int(today-st.HistoryGoal)+1)
	}
	switch {
	case st.HistoryDone:
		h.DaysRead = h.DaysTotal
	case st.CoveredFrom != 0 && !st.DataThrough.IsZero():
		// While the present fails its days are still to be read.
		last := min(today, spend.DayOf(st.DataThrough))
		h.DaysRead = min(h.DaysTotal, max(0, int(last-st.CoveredFrom)+1))
	}
	return h
}

func newStoreReply(st store.Stats) storeReply {
	out := storeReply{
		RawPages: map[string]int{}, Bytes: map[string]int64{"lsm": st.LSMBytes, "vlog": st.VlogBytes},
		FreeBytes: st.FreeBytes, ReserveBytes: st.ReserveBytes, Corrupt: st.Corrupt,
	}
	for name, n := range st.RawPages {
		out.RawPages[name] = n
	}
	return out
}

// stale reports whether a source's data is older than it may be; a source that
// has none yet is stale once a first pull has ended.
func stale(st spend.SourceStatus, now time.Time) bool {
	switch {
	case !st.Enabled || st.MaxStaleness <= 0 || st.NoSpend:
		return false
	case st.DataThrough.IsZero():
		return st.LastOutcome != ""
	default:
		return now.Sub(st.DataThrough) > st.MaxStaleness
	}
}

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	u := t.UTC().Truncate(time.Second)
	return &u
}

func optionalDay(d spend.Day) *spend.Day {
	if d == 0 {
		return nil
	}
	return &d
}

// trouble is something that people should see before any figure.
type trouble struct{ Text string }

// troubles lists what is wrong right now, the store first.
func (s *Server) troubles(statuses []spend.SourceStatus, stats store.Stats, now time.Time) []trouble {
	var out []trouble
	if s.deps.ReloadFailed() {
		out = append(out, trouble{
			"The newest reload of the configuration failed, and the one before it stays in force: " +
				"the log says why; mend the file before the next restart.",
		})
	}
	if stats.Corrupt {
		out = append(out, trouble{
			"The store is damaged: some days or pages could not be read. The log names them.",
		})
	}
	if stats.ReserveBytes > 0 && stats.FreeBytes < stats.ReserveBytes {
		out = append(out, trouble{
			"The disk is nearly full: pulls are refused until there is more space under --storage.path.",
		})
	}
	for _, st := range statuses {
		if !st.Enabled {
			continue
		}
		if text := sourceTrouble(st, now); text != "" {
			out = append(out, trouble{st.ID.String() + ": " + text})
		}
	}
	return out
}

func sourceTrouble(st spend.SourceStatus, now time.Time) string {
	switch {
	case !st.Up && st.LastOutcome != "":
		text := "the newest pull failed (" + string(st.LastOutcome) + ")"
		if st.LastError != "" {
			text += ": " + st.LastError
		}
		return text
	case st.Held:
		return "the provider returned an empty window where there was money; " +
			"the old figures are held until it has said so several times."
	case st.LastOutcome == spend.Currency:
		return "some money is in a currency without a rate; it is in no sum."
	case stale(st, now):
		return "the data is older than it should be (limit " + spanText(st.MaxStaleness) + ")."
	case st.LastError != "":
		return "older days cannot be read and are missing: " + st.LastError
	default:
		return ""
	}
}

// spanText writes a duration without parts that are zero: 6h, 1h30m, 45s.
func spanText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
