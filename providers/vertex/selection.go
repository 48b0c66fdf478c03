package vertex

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Selection says which rows of a billing export are AI. A row is selected if any
// of the three matches: all of it is data that settings can replace. The query
// applies it at Google, Selector does so here.
type Selection struct {
	// ServiceIDs are the ids of services that are AI altogether.
	ServiceIDs []string
	// ServicePattern is an RE2 expression on service.description; empty matches none.
	ServicePattern string
	// SKUPrefixes are how sku.description begins, after leading blanks.
	SKUPrefixes []string
}

// The services whose ids are known (apis page, section 2).
const (
	serviceVertexAI  = "C7E2-9256-1C43"
	serviceGeminiAPI = "AEFD-7695-64FA"
)

// DefaultSelection returns the documented rule: the services Vertex AI and Gemini
// API by id, a service per Claude model by description, and the Claude rows that
// are filed under Vertex AI Search. A marketplace product that merely has Claude
// in its name is not selected.
func DefaultSelection() Selection {
	return Selection{
		ServiceIDs:     []string{serviceVertexAI, serviceGeminiAPI},
		ServicePattern: `^Claude (?:[A-Z][a-z]+ )?\d`,
		SKUPrefixes:    []string{"AI Dev Tools: "},
	}
}

// SKU is what a billing row says about what was sold.
type SKU struct {
	ServiceID string // "C7E2-9256-1C43"
	Service   string // "Vertex AI"; may be renamed by Google, the id may not
	ID        string // "1127-99B9-1860"
	Text      string // "Gemini 2.0 Flash Text Input - Predictions"
}

// Selector is a compiled Selection. It is immutable and safe for concurrent use.
type Selector struct {
	sel     Selection
	service *regexp.Regexp // nil: matches none
}

// NewSelector compiles a selection. It fails if the pattern is no RE2 expression, or
// if the selection would select nothing or, by an empty prefix or id, everything.
func NewSelector(sel Selection) (*Selector, error) {
	s := &Selector{sel: Selection{
		ServiceIDs:     slices.Clone(sel.ServiceIDs),
		ServicePattern: sel.ServicePattern,
		SKUPrefixes:    slices.Clone(sel.SKUPrefixes),
	}}
	if slices.Contains(sel.ServiceIDs, "") || slices.Contains(sel.SKUPrefixes, "") {
		return nil, errors.New("compiling the selection of services: an empty id or prefix selects everything")
	}
	if sel.ServicePattern != "" {
		re, err := regexp.Compile(sel.ServicePattern)
		if err != nil {
			return nil, fmt.Errorf("compiling the selection of services: %w", err)
		}
		if re.MatchString("") {
			return nil, errors.New("compiling the selection of services: the pattern matches everything")
		}
		s.service = re
	}
	if len(sel.ServiceIDs) == 0 && s.service == nil && len(sel.SKUPrefixes) == 0 {
		return nil, errors.New("compiling the selection of services: it selects nothing")
	}
	return s, nil
}

// Selects reports whether a row of this SKU is AI. It says what the query's own
// condition says.
func (s *Selector) Selects(k SKU) bool {
	if slices.Contains(s.sel.ServiceIDs, k.ServiceID) || s.service != nil && s.service.MatchString(k.Service) {
		return true
	}
	text := strings.TrimSpace(k.Text)
	return slices.ContainsFunc(s.sel.SKUPrefixes, func(p string) bool { return strings.HasPrefix(text, p) })
}

// skuPattern is the prefixes as one RE2 expression on the trimmed description, for
// the query; empty if there are none.
func (s *Selector) skuPattern() string {
	if len(s.sel.SKUPrefixes) == 0 {
		return ""
	}
	quoted := make([]string, len(s.sel.SKUPrefixes))
	for i, p := range s.sel.SKUPrefixes {
		quoted[i] = regexp.QuoteMeta(p)
	}
	return "^(?:" + strings.Join(quoted, "|") + ")"
}
