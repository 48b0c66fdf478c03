package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/julienschmidt/httprouter"
	"go.yaml.in/yaml/v3"
)

func (s *Server) getMetrics(r *http.Request, _ httprouter.Params) (answer, error) {
	// promhttp filters by name[] and ignores everything else.
	if _, err := readParams(r, paramRules{lists: []string{"name[]"}}); err != nil {
		return answer{}, err
	}
	// The handler negotiates its own content type; this one is for HEAD.
	return answer{typeMetrics, func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Del("Content-Type")
		s.deps.Metrics.ServeHTTP(w, r)
		return nil
	}}, nil
}

func (s *Server) getHealthy(r *http.Request, _ httprouter.Params) (answer, error) {
	return textAnswer(typeText, "aispend is healthy\n"), noParams(r)
}

// getReady says no more than yes or no, because everybody may ask.
func (s *Server) getReady(r *http.Request, _ httprouter.Params) (answer, error) {
	if err := noParams(r); err != nil {
		return answer{}, err
	}
	if !s.deps.Ready() {
		return answer{}, &httpError{
			status: http.StatusServiceUnavailable, retryAfter: 1, logged: true,
			detail: "starting or stopping: the store is not open or the first snapshot is not published",
		}
	}
	return textAnswer(typeText, "aispend is ready\n"), nil
}

type reloadReply struct {
	Reloaded bool `json:"reloaded"`
}

func (s *Server) postReload(r *http.Request, _ httprouter.Params) (answer, error) {
	if err := noParams(r); err != nil {
		return answer{}, err
	}
	if err := noBody(r); err != nil {
		return answer{}, err
	}
	return jsonAnswer(func(ctx context.Context) (reloadReply, error) {
		switch err := s.deps.Reload(ctx); {
		case errors.Is(err, ErrBusy):
			return reloadReply{}, err
		case err != nil:
			return reloadReply{}, &httpError{
				status: http.StatusInternalServerError, logged: true, // by whoever reloads
				detail: "the configuration was not reloaded and the old one stays in force: " + err.Error(),
			}
		}
		return reloadReply{true}, nil
	}), nil
}

// getConfig answers JSON, or YAML to those who ask for it.
func (s *Server) getConfig(r *http.Request, _ httprouter.Params) (answer, error) {
	if err := noParams(r); err != nil {
		return answer{}, err
	}
	if !strings.Contains(r.Header.Get("Accept"), "yaml") {
		a := jsonAnswer(func(context.Context) (any, error) { return s.deps.Config(), nil })
		return a.vary("Accept"), nil
	}
	a := answer{typeYAML, func(w http.ResponseWriter, _ *http.Request) error {
		var b bytes.Buffer
		enc := yaml.NewEncoder(&b)
		enc.SetIndent(2)
		if err := enc.Encode(s.deps.Config()); err != nil {
			return fmt.Errorf("encoding the configuration: %w", err)
		}
		return send(w, b.Bytes())
	}}
	return a.vary("Accept"), nil
}

// vary names a request header that the answer depends on.
func (a answer) vary(header string) answer {
	do := a.do
	a.do = func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Vary", header)
		return do(w, r)
	}
	return a
}

// noBody refuses a body. All parameters are in the query; a dry_run that was sent
// as JSON and ignored would be a real run.
func noBody(r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	none := problemf(http.StatusBadRequest, "this route takes no body; give parameters in the query string")
	if r.ContentLength > 0 {
		return none
	}
	switch _, err := io.ReadFull(r.Body, make([]byte, 1)); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return &httpError{status: http.StatusBadRequest, detail: "the body cannot be read; send none", err: err}
	default:
		return none
	}
}
