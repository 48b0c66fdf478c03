package api

import (
	"bytes"
	_ "embed" // the page's two files
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

//go:embed assets/page.html
var pageHTML string

//go:embed assets/style.css
var styleCSS string

type pageTemplate struct{ t *template.Template }

func parsePage() (*pageTemplate, error) {
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return nil, fmt.Errorf("parsing the page: %w", err)
	}
	return &pageTemplate{t}, nil
}

// pageView is what the page shows. Data is nil for callers who may not read.
type pageView struct {
	Version string
	Demo    bool
	Guarded bool
	Data    *pageData
	Routes  []pageRoute
}

type pageData struct {
	Month    string
	Troubles []trouble
	Loading  string
	Rows     []pageRow
	Total    amount
	Apart    []pageApart
	Caps     []pageCap
	Sources  []pageSource
}

type pageRow struct {
	Provider             string
	Cost, Gross, Credits amount
	Input, Output        string
}

type pageApart struct {
	Source, Account, Currency string
	Cost                      amount
}

// amount is exact money in two parts: up to the cents, and the digits after
// them, which the page sets in small type instead of rounding them away.
type amount struct{ Head, Tail string }

func newAmount(m spend.Money) amount {
	s := m.String()
	if i := strings.IndexByte(s, '.'); i >= 0 && len(s) > i+3 {
		return amount{grouped(s[:i+3]), s[i+3:]}
	}
	return amount{Head: grouped(s)}
}

// grouped puts commas between the thousands of a number.
func grouped(number string) string {
	whole, fraction, found := strings.Cut(number, ".")
	digits := strings.TrimPrefix(whole, "-")
	var b strings.Builder
	b.WriteString(whole[:len(whole)-len(digits)])
	for i, d := range digits {
		if left := len(digits) - i; i > 0 && left%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	if found {
		b.WriteString("." + fraction)
	}
	return b.String()
}

// pageSource shows its name in two parts, between which a narrow screen breaks it.
type pageSource struct {
	Family, Name, Account string
	Through, Next         string
	Bad                   bool
}

type pageRoute struct {
	Method, Pattern, Who string
	Links                []pageLink
}

type pageLink struct{ Href, Text string }

// getPage answers the page's shell to everybody and its figures to whoever could
// read them from /spend and /status.
func (s *Server) getPage(r *http.Request, _ httprouter.Params) (answer, error) {
	if err := noParams(r); err != nil {
		return answer{}, err
	}
	return answer{typeHTML, func(w http.ResponseWriter, r *http.Request) error {
		v := pageView{Version: s.deps.Version, Demo: s.deps.Demo, Routes: s.pageRoutes()}
		if s.authorize(Read, r) != nil {
			v.Guarded = true
		} else {
			data, err := s.pageData()
			if err != nil {
				return err
			}
			v.Data = data
		}
		var b bytes.Buffer
		if err := s.page.t.Execute(&b, v); err != nil {
			return fmt.Errorf("rendering the page: %w", err)
		}
		w.Header().Set("Vary", "Authorization")
		return send(w, b.Bytes())
	}}, nil
}

func (s *Server) getStyle(r *http.Request, _ httprouter.Params) (answer, error) {
	return answer{"text/css; charset=utf-8", func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Cache-Control", "public, max-age=300")
		return send(w, []byte(styleCSS))
	}}, noParams(r)
}

func (s *Server) pageData() (*pageData, error) {
	now := s.now()
	today := spend.DayOf(now)
	q := rollup.Query{
		Window:  spend.Window{From: today.MonthStart(), To: today + 1},
		GroupBy: []rollup.Dim{rollup.ByProvider},
	}
	res, err := s.deps.Snapshot().Query(q)
	if err != nil {
		return nil, err
	}
	statuses := s.deps.Statuses()
	d := &pageData{
		Month:    today.Time().Format("January 2006"),
		Troubles: s.troubles(statuses, s.deps.Stats(), now),
		Loading:  loading(statuses, today),
		Total:    costText(res.Totals, res.Totals.Cost),
	}
	for _, row := range res.Rows {
		d.Rows = append(d.Rows, newPageRow(row))
	}
	for _, u := range res.Unconverted {
		d.Apart = append(d.Apart, pageApart{u.Source, u.Account, u.Currency, newAmount(u.Cost)})
	}
	judged, err := s.deps.Caps()
	if err != nil {
		return nil, fmt.Errorf("judging the caps: %w", err)
	}
	for _, st := range judged {
		d.Caps = append(d.Caps, newPageCap(st))
	}
	for _, st := range statuses {
		if st.Enabled {
			d.Sources = append(d.Sources, newPageSource(st, now))
		}
	}
	return d, nil
}

func newPageRow(row rollup.Row) pageRow {
	out := pageRow{
		Provider: row.Provider, Cost: costText(row, row.Cost),
		Gross: costText(row, row.Gross), Credits: costText(row, row.Credits), Input: "–", Output: "–",
	}
	if row.HasUsage {
		out.Input = grouped(fmt.Sprint(row.Input + row.CacheRead + row.CacheWrite))
		out.Output = grouped(fmt.Sprint(row.Output))
	}
	return out
}

func costText(row rollup.Row, m spend.Money) amount {
	if !row.HasCost {
		return amount{Head: "–"}
	}
	return newAmount(m)
}

func newPageSource(st spend.SourceStatus, now time.Time) pageSource {
	family, name, _ := strings.Cut(st.ID.Source, "/")
	out := pageSource{
		Family: family, Name: name, Account: st.ID.Account,
		Through: "no data yet", Next: "–", Bad: sourceTrouble(st, now) != "",
	}
	if !st.DataThrough.IsZero() {
		out.Through = st.DataThrough.UTC().Format(pageTime)
	}
	switch next := st.NextPull.UTC(); {
	case st.Pulling:
		out.Next = "running"
	case st.NextPull.IsZero():
	case spend.DayOf(next) == spend.DayOf(now):
		out.Next = next.Format("15:04:05")
	default:
		out.Next = next.Format(pageTime)
	}
	return out
}

// pageTime is how the page writes a time, under a heading that says UTC.
const pageTime = "2006-01-02 15:04"

// loading says how far the first load is, or nothing once it is done.
func loading(statuses []spend.SourceStatus, today spend.Day) string {
	read, total, done := 0, 0, true
	for _, st := range statuses {
		if st.Enabled {
			h := newSourceHistory(st, today)
			read, total, done = read+h.DaysRead, total+h.DaysTotal, done && h.Done
		}
	}
	if done {
		return ""
	}
	return fmt.Sprintf("Loading the history: %d of %d days read. Earlier days are not yet in what you see.",
		read, total)
}

// pageRoutes turns the route table into links, relative so that they survive a
// proxy that serves aispend under a prefix.
func (s *Server) pageRoutes() []pageRoute {
	var out []pageRoute
	for _, rt := range Routes() {
		r := pageRoute{Method: rt.Method, Pattern: rt.Pattern, Who: whoText(rt.Who)}
		if rt.Method == http.MethodGet && !strings.Contains(rt.Pattern, ":id") {
			r.Links = s.pageLinks(rt.Pattern)
		}
		out = append(out, r)
	}
	return out
}

func whoText(who Who) string {
	switch who {
	case Admin:
		return "admin token"
	case Read, Metrics:
		return "read token, if one is set"
	default:
		return "anyone"
	}
}

func (s *Server) pageLinks(pattern string) []pageLink {
	if !strings.Contains(pattern, ":provider") {
		return []pageLink{{"." + pattern, pattern}}
	}
	var out []pageLink
	for _, name := range slices.Sorted(slices.Values(s.known.names())) {
		path := strings.Replace(pattern, ":provider", name, 1)
		out = append(out, pageLink{"." + path, path})
	}
	return out
}
