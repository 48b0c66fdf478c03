package simulator

import "math"

// kind says which rows a model gives.
type kind int

const (
	text kind = iota
	embedding
	image
	audio
	minutes // billed by duration
	tool    // not a model at all: a row per day and project
)

// model is one thing that is billed. Prices are dollars per million tokens, or
// per unit for what is not counted in tokens.
type model struct {
	name    string // as usage names it; empty for tools
	display string // in Anthropic's descriptions, or the whole text for tools
	kind    kind

	in, cached, out, write5m, write1h float64

	volume  float64 // uncached input tokens, or units, of a busy project's weekday
	batch   bool
	tier    bool // also used in the priority tier
	long    bool // also used with long context
	verbose bool // line items say input_tokens instead of input
	runaway bool
	orphan  bool // rows carry no project
	unit    string
	cost    string // Anthropic cost_type of tools
}

// openAIModels names models and line items that were seen or documented (API
// page 1.3); prices are plausible, not real.
func openAIModels() []model {
	return []model{
		{name: "gpt-5.5-2026-04-23", in: 2.5, cached: 0.25, out: 15, volume: 9e6},
		{name: "gpt-6-astra", in: 8, cached: 0.8, out: 40, volume: 1.1e6, verbose: true, runaway: true},
		{name: "gpt-5.6-sol", in: 5, cached: 0.5, out: 30, write5m: 6.25, volume: 3e6, tier: true, long: true},
		{name: "gpt-5.4-mini-2026-03-17", in: 0.4, cached: 0.04, out: 1.6, volume: 3e7, batch: true},
		{name: "gpt-4o-mini-2024-07-18", in: 0.15, cached: 0.075, out: 0.6, volume: 8e5},
		{name: "gpt-audio-mini-2025-12-15", kind: audio, in: 10, out: 20, volume: 4e5},
		{name: "gpt-image-2.5-flare", kind: image, out: 0.04, cached: 1.25, volume: 120},
		{name: "text-embedding-3-small", kind: embedding, in: 0.02, volume: 4e4},
		{name: "whisper-1", kind: minutes, out: 0.006, volume: 90, unit: "duration_minutes"},
		{display: "web search tool calls", kind: tool, out: 0.01, volume: 140},
		{display: "Vector storage", kind: tool, out: 0.1 / 24, volume: 60, unit: "gibibyte_hours"},
		{display: "code interpreter sessions", kind: tool, out: 0.03, volume: 25},
		{display: "Text tokens", kind: tool, out: 0.5, volume: 6, orphan: true},
	}
}

func anthropicModels() []model {
	return []model{
		{
			name: "claude-opus-5-5", display: "Claude Opus 5.5", in: 5, cached: 0.5, out: 25,
			write5m: 6.25, write1h: 10, volume: 2.5e6, tier: true, long: true,
		},
		{
			name: "claude-sonnet-5", display: "Claude Sonnet 5", in: 3, cached: 0.3, out: 15,
			write5m: 3.75, write1h: 6, volume: 7e6, long: true, batch: true,
		},
		{
			name: "claude-haiku-4-5-20251001", display: "Claude Haiku 4.5", in: 1, cached: 0.1, out: 5,
			write5m: 1.25, write1h: 2, volume: 1.2e7, batch: true,
		},
		{
			name: "claude-sonnet-4-20250514", display: "Claude Sonnet 4", in: 3, cached: 0.3, out: 15,
			write5m: 3.75, volume: 4e5,
		},
		{
			name: "claude-opus-4-7", display: "Claude Opus 4.7", in: 5, cached: 0.5, out: 25,
			write5m: 6.25, volume: 5e5, tier: true,
		},
		{name: "claude-haiku-5", display: "Claude Haiku 5", in: 0.8, cached: 0.08, out: 4, volume: 2e6},
		{display: "Web Search Usage", kind: tool, out: 0.01, volume: 180, cost: "web_search"},
		{display: "Code Execution Usage", kind: tool, out: 0.05, volume: 30, cost: "code_execution"},
		{display: "Claude Managed Agents Session Usage", kind: tool, out: 0.08, volume: 45, cost: "session_usage"},
	}
}

type project struct {
	id   string // empty: Anthropic's default workspace
	name string
	size float64
	keys [2]string
}

// lane is one stream of work: what one project does with one model in one tier.
type lane struct {
	hash   hash
	model  *model
	proj   project
	key    string
	tier   string // OpenAI: default, batch, priority; Anthropic: standard, batch, priority
	long   bool
	geo    string
	volume float64
	steady bool // never absent
}

// vendor is one provider's side of the company.
type vendor struct {
	name     string
	hash     hash
	projects []project
	lanes    []lane
}

func newVendor(name string, models []model, opt Options) *vendor {
	v := &vendor{name: name, hash: newHash(opt.Seed).text(name)}
	for i := range opt.Projects * opt.Weight {
		v.projects = append(v.projects, newProject(name, v.hash, i, opt.Projects))
	}
	used := 0
	for i := range models {
		m := &models[i]
		switch {
		case m.kind == tool && opt.Tiny:
			continue
		case m.kind != tool && opt.Models > 0 && used == opt.Models:
			continue
		case m.kind != tool:
			used++
		}
		v.addModel(m, opt)
	}
	return v
}

// newProject sizes projects by rank, so that the first spends most.
func newProject(vendor string, h hash, i, perWeight int) project {
	names := []string{"Default project", "Search", "Support bot", "Research", "Batch jobs", "Mobile app"}
	h = h.text("project").num(uint64(i))
	p := project{
		name: names[i%len(names)],
		size: 1 / math.Pow(float64(1+i%perWeight), 0.8),
	}
	tag := h.tag(16)
	switch {
	case vendor == OpenAI:
		p.id = "proj_" + tag
		p.keys = [2]string{"key_" + h.num(1).tag(14), "key_" + h.num(2).tag(14)}
	case i == 0:
		p.keys = [2]string{"", "apikey_01" + h.num(2).tag(20)}
	default:
		p.id = "wrkspc_01" + tag
		p.keys = [2]string{"apikey_01" + h.num(1).tag(20), "apikey_01" + h.num(2).tag(20)}
	}
	return p
}

// addModel adds a model's lanes: the plain one in most projects, and the tiers
// and long context in some.
func (v *vendor) addModel(m *model, opt Options) {
	standard := "default"
	if v.name == Anthropic {
		standard = "standard"
	}
	for i, p := range v.projects {
		h := v.hash.text(m.name + m.display).num(uint64(i))
		if i > 0 && h.num(1).chance(0.4) {
			continue // this project does not use it
		}
		if m.orphan {
			if i > 0 {
				continue
			}
			p.id = ""
		}
		base := lane{
			model: m, proj: p, key: p.keys[h.num(2).below(2)], tier: standard, geo: "global",
			volume: m.volume * p.size * opt.Scale * (0.6 + 0.8*h.num(3).unit()),
		}
		if h.num(4).chance(0.25) {
			base.geo = "us"
		}
		add := func(n uint64, share float64, tier string, long bool) {
			l := base
			l.hash, l.tier, l.long, l.volume = h.text("lane").num(n), tier, long, base.volume*share
			l.steady = i == 0 && n == 0
			v.lanes = append(v.lanes, l)
		}
		add(0, 1, standard, false)
		if v.name == Anthropic && m.kind == text && base.geo == "us" { // two rows of one description
			base.geo = "global"
			add(4, 0.3, standard, false)
			base.geo = "us"
		}
		if m.batch && (i == 0 || h.num(5).chance(0.6)) {
			add(1, 0.8, "batch", false)
		}
		if m.tier && (i == 0 || h.num(6).chance(0.4)) {
			add(2, 0.15, "priority", false)
		}
		if m.long && (i == 0 || h.num(7).chance(0.4)) {
			add(3, 0.1, standard, true)
		}
	}
}
