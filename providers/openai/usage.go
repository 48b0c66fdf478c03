package openai

import (
	"github.com/aispend/aispend/providers/internal/daily"
	"github.com/aispend/aispend/spend"
)

// usage reads the rows of /v1/organization/usage/completions.
type usage struct {
	filter  []string
	labels  daily.Labels
	rows    []spend.Usage
	noModel int
}

func newUsage(w spend.Window, projects []string) *daily.Decoder {
	return daily.NewDecoder(layout("openai usage"), w, &usage{filter: projects})
}

// tokens are a row's counts; those of the second group may be absent.
type tokens struct {
	input, output, requests count

	cached, write, write30m, write12h, uncached count
}

// count is a number that may be absent or null.
type count struct {
	n  int64
	ok bool
}

func (c *count) read(r *daily.Reader) { c.n, c.ok = r.Count() }

// Row reads one row.
func (u *usage) Row(r *daily.Reader) {
	var (
		t   tokens
		out spend.Usage
	)
	r.Object()
	for r.Member() {
		switch name := r.Name(); string(name) {
		case "model":
			model, _ := r.Text()
			out.Model = u.labels.Of(model)
		case "project_id":
			project, _ := r.Text()
			out.Project = u.labels.Of(project)
			checkFilter(r, u.filter, project)
		default:
			t.member(r, name)
		}
	}
	if out.Project == "" {
		checkFilter(r, u.filter, nil)
	}
	t.fill(r, &out)
	if r.Err() != nil {
		return
	}
	if out.Model == "" {
		u.noModel++
	}
	u.rows = append(u.rows, out)
}

// member reads one count, or passes over a member that is none of them.
func (t *tokens) member(r *daily.Reader, name []byte) {
	switch string(name) {
	case "input_tokens":
		t.input.read(r)
	case "output_tokens":
		t.output.read(r)
	case "num_model_requests":
		t.requests.read(r)
	case "input_cached_tokens":
		t.cached.read(r)
	case "input_cache_write_tokens":
		t.write.read(r)
	case "input_cache_write_30m_tokens":
		t.write30m.read(r)
	case "input_cache_write_12h_tokens":
		t.write12h.read(r)
	case "input_uncached_tokens":
		t.uncached.read(r)
	case "object", "user_id", "api_key_id", "batch", "service_tier", "api_source",
		"input_text_tokens", "input_audio_tokens", "input_image_tokens",
		"input_cached_text_tokens", "input_cached_audio_tokens", "input_cached_image_tokens",
		"output_text_tokens", "output_audio_tokens", "output_image_tokens":
		r.Skip()
	default:
		r.SkipUnknown()
	}
}

// fill turns a row's counts into counts that never overlap. OpenAI's input_tokens
// includes what was read from and written to the cache (apis page 1.4):
//
//	input_tokens = cached + cache write + uncached
//
// A row that breaks this identity means something else than this version knows
// (it has changed before), and is refused rather than guessed at.
func (t *tokens) fill(r *daily.Reader, out *spend.Usage) {
	if r.Err() != nil {
		return
	}
	if !t.input.ok || !t.output.ok || !t.requests.ok {
		r.Fail("lacks input_tokens, output_tokens or num_model_requests")
		return
	}
	write := t.write.n
	if !t.write.ok {
		write = t.write30m.n + t.write12h.n
	}
	input := t.input.n - t.cached.n - write
	if input < 0 || t.uncached.ok && t.uncached.n != input {
		r.Fail("input_tokens is not the sum of its cached, cache write and uncached parts")
		return
	}
	out.Input, out.CacheRead, out.CacheWrite, out.Output = input, t.cached.n, write, t.output.n
	out.Requests, out.HasRequests = t.requests.n, true
}

// Take returns the usage of the rows since the last Take.
func (u *usage) Take() spend.Statement {
	st := spend.Statement{Usage: spend.MergeUsage(u.rows)}
	u.rows = u.rows[:0]
	return st
}

// PageEnd has nothing to check: usage without a model is no money lost.
func (u *usage) PageEnd(*daily.Reader) {}

// Notices counts what was odd.
func (u *usage) Notices(n map[string]int) {
	u.labels.Notices(n)
	if u.noModel > 0 {
		n[daily.NoticeNoModel] = u.noModel
	}
}
