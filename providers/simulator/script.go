package simulator

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
)

// Script serves given bodies in order: the first to a request without a page
// token, and the one after it to a request with the token that a body gave as
// next_page. The last body's own token leads to the last body again. Any other
// token is answered with a 400. A Script checks neither key nor parameters. It is
// safe for concurrent use.
type Script struct {
	mu       sync.Mutex
	pages    [][]byte
	requests []string
}

// NewScript returns a script of these bodies, served verbatim.
func NewScript(pages ...[]byte) *Script { return &Script{pages: pages} }

// Replace sets the bodies that are served from now on.
func (s *Script) Replace(pages ...[]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages = pages
}

// Requests returns the raw queries of all requests so far.
func (s *Script) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}

// ServeHTTP answers one request.
func (s *Script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.URL.RawQuery)
	pages := s.pages
	s.mu.Unlock()

	body, ok := pick(pages, r.URL.Query().Get("page"))
	status := http.StatusOK
	if !ok {
		status, body = http.StatusBadRequest, stored(OpenAI, "400_stale_page_token")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}

func pick(pages [][]byte, token string) (body []byte, ok bool) {
	if len(pages) == 0 {
		return nil, false
	}
	if token == "" {
		return pages[0], true
	}
	for i, p := range pages {
		var page struct {
			Next string `json:"next_page"`
		}
		if json.Unmarshal(p, &page) == nil && page.Next == token {
			return pages[min(i+1, len(pages)-1)], true
		}
	}
	return nil, false
}
