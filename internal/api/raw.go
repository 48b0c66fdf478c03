package api

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

const (
	defaultRawLimit = 50
	maxRawLimit     = 500
	maxIDBytes      = 64
)

// rawItem is a page in a listing. URL is what was asked of the provider.
type rawItem struct {
	ID        string    `json:"id"`
	Provider  string    `json:"provider"`
	Account   string    `json:"account"`
	Source    string    `json:"source"`
	Pull      string    `json:"pull"`
	Page      int       `json:"page"`
	Window    dayRange  `json:"window"`
	FetchedAt time.Time `json:"fetched_at"`
	Status    int       `json:"status"`
	Bytes     int       `json:"bytes"`
	URL       string    `json:"url"`
	Redacted  bool      `json:"redacted,omitempty"`
}

// dayRange is a window as the API shows it: both days included.
type dayRange struct {
	From spend.Day `json:"from"`
	To   spend.Day `json:"to"`
}

func rangeOf(w spend.Window) dayRange { return dayRange{w.From, w.To - 1} }

type rawReply struct {
	Items  []rawItem `json:"items"`
	Cursor string    `json:"cursor"`
}

func (s *Server) getRawList(r *http.Request, ps httprouter.Params) (answer, error) {
	q, err := s.parseRawList(r, ps.ByName("provider"))
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(func(ctx context.Context) (rawReply, error) {
		list, err := s.deps.Archive.RawPages(ctx, q)
		if errors.Is(err, store.ErrBadCursor) {
			he := toHTTP(err)
			he.parameter = "cursor"
			return rawReply{}, he
		}
		if err != nil {
			return rawReply{}, fmt.Errorf("listing raw pages: %w", err)
		}
		reply := rawReply{Items: make([]rawItem, len(list.Items)), Cursor: list.Cursor}
		for i, p := range list.Items {
			reply.Items[i] = newRawItem(p)
		}
		return reply, nil
	}), nil
}

func newRawItem(p store.RawPage) rawItem {
	return rawItem{
		ID: p.ID, Provider: p.Source.Provider, Account: p.Source.Account, Source: p.Source.Source,
		Pull: p.Pull, Page: p.Page.Seq, Window: rangeOf(p.Window), FetchedAt: p.Page.FetchedAt.UTC(),
		Status: p.Page.Status, Bytes: p.Bytes, URL: p.Page.URL, Redacted: p.Page.Redacted,
	}
}

func (s *Server) parseRawList(r *http.Request, provider string) (store.RawQuery, error) {
	if err := s.known.path(provider); err != nil {
		return store.RawQuery{}, err
	}
	p, err := readParams(r, paramRules{names: []string{"limit", "cursor", "from", "to", "source"}})
	if err != nil {
		return store.RawQuery{}, err
	}
	q := store.RawQuery{Provider: provider, Limit: defaultRawLimit}
	if q.From, q.To, err = p.days(); err != nil {
		return store.RawQuery{}, err
	}
	if q.From != 0 && q.To != 0 && q.From > q.To {
		return store.RawQuery{}, badParam("from", "from (%s) is after to (%s)", q.From, q.To)
	}
	if q.Source, err = p.oneOf("source", "", s.known[provider]...); err != nil {
		return store.RawQuery{}, err
	}
	if q.Limit, err = parseLimit(p); err != nil {
		return store.RawQuery{}, err
	}
	q.Cursor, err = parseCursor(p)
	return q, err
}

func parseLimit(p params) (int, error) {
	if !p.has("limit") {
		return defaultRawLimit, nil
	}
	v := p.get("limit")
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > maxRawLimit || v != strconv.Itoa(n) {
		return 0, badParam("limit", "limit is %q; it must be a whole number from 1 to %d", v, maxRawLimit)
	}
	return n, nil
}

// parseCursor checks the spelling only; the store knows its own cursors.
func parseCursor(p params) (string, error) {
	c := p.get("cursor")
	if strings.ContainsFunc(c, func(r rune) bool { return !isWord(r) && !strings.ContainsRune("_.~=", r) }) {
		return "", badParam("cursor",
			"this is not a cursor of this list; pass on what the previous answer gave, or leave it out")
	}
	return c, nil
}

// isWord reports whether r may be part of a page id.
func isWord(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-'
}

func validID(id string) bool {
	bad := func(r rune) bool { return !isWord(r) }
	return id != "" && len(id) <= maxIDBytes && !strings.ContainsFunc(id, bad)
}

func (s *Server) getRawPage(r *http.Request, ps httprouter.Params) (answer, error) {
	provider, id := ps.ByName("provider"), ps.ByName("id")
	if err := s.known.path(provider); err != nil {
		return answer{}, err
	}
	if err := noParams(r); err != nil {
		return answer{}, err
	}
	if !validID(id) {
		return answer{}, problemf(http.StatusNotFound,
			"no such page; ids come from GET /raw/%s and look like 20261123-01JD...-0003", provider)
	}
	return answer{"", func(w http.ResponseWriter, r *http.Request) error {
		page, err := s.deps.Archive.RawPage(r.Context(), provider, id)
		if err != nil {
			return fmt.Errorf("reading raw page %s: %w", id, err)
		}
		return sendPage(w, id, page.Page)
	}}, nil
}

// sendPage sends a page's exact bytes. It was written by somebody else, so a
// browser may neither guess its type nor show it.
func sendPage(w http.ResponseWriter, id string, p spend.Page) error {
	contentType, ext := pageType(p.Header["Content-Type"])
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Disposition", `attachment; filename="`+id+ext+`"`)
	h.Set("Content-Length", strconv.Itoa(len(p.Body)))
	h.Set("Aispend-Page-Status", strconv.Itoa(p.Status))
	if p.Redacted {
		h.Set("Aispend-Page-Redacted", "true")
	}
	return send(w, p.Body)
}

// pageType returns the original content type if it is one.
func pageType(original string) (contentType, ext string) {
	media, _, err := mime.ParseMediaType(original)
	if err != nil || strings.ContainsFunc(original, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "application/octet-stream", ".bin"
	}
	if slices.Contains([]string{"application/json", "text/json"}, media) || strings.HasSuffix(media, "+json") {
		return original, ".json"
	}
	return original, ".bin"
}
