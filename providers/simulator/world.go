package simulator

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/aispend/aispend/spend"
)

// The provider names that a World knows.
const (
	OpenAI    = "openai"
	Anthropic = "anthropic"
	Vertex    = "vertex"
)

// The admin keys that a new World accepts. They are made up and open nothing. That of
// Vertex is the id of a key pair (see ServiceAccount).
const (
	DefaultOpenAIKey    = "sk-admin-simulator-opens-nothing-0001"
	DefaultAnthropicKey = "sk-ant-admin01-simulator-opens-nothing-0001"
	DefaultVertexKey    = "simulator-opens-nothing-0001"
)

// Options shape a World. The zero value is a believable company of moderate size.
type Options struct {
	// Seed selects the world; equal seeds give equal pages.
	Seed uint64
	// Now is the clock of both providers; nil means time.Now. It must be safe for
	// concurrent use.
	Now func() time.Time
	// Start is the first day with spend; 0 means the first of the month eight
	// months before Now.
	Start spend.Day
	// Projects is the number of projects and of workspaces; 0 means 5.
	Projects int
	// Models bounds how many models of each vendor's catalogue are in use, taken
	// in catalogue order; 0 means all.
	Models int
	// Tiny reduces the world to one project, two models and no rows without a
	// model: a few rows a day, for fast tests.
	Tiny bool
	// Weight multiplies the projects, and with them the rows of each day; 0 means
	// 1. For benchmarks and large pages.
	Weight int
	// Scale multiplies all volumes; 0 means 1, which is some hundreds of dollars
	// a day and vendor.
	Scale float64
	// Runaway is the day on which one OpenAI model starts to grow by half each
	// day; 0 means six days before Now. NoRunaway turns that off.
	Runaway   spend.Day
	NoRunaway bool
	// Step is how often the current day grows; 0 means hourly.
	Step time.Duration
	// Lag is how late spend becomes visible; 0 means at once.
	Lag time.Duration
	// NoRestatement makes a day final as soon as it is over. Otherwise its values
	// change once a day for three to five days after its end.
	NoRestatement bool
	// Plain leaves out the oddities: no credits, no quiet days, no zero rows, no
	// row twice. Decimals stay awkward.
	Plain bool
	// WireExtras adds the undocumented fields that were seen on the wire to
	// OpenAI's cost pages.
	WireExtras bool
	// AnthropicClosedOnly hides the bucket of the current day from Anthropic's
	// answers even when ending_at lies beyond it.
	AnthropicClosedOnly bool
	// OpenAIKey and AnthropicKey replace the default keys.
	OpenAIKey, AnthropicKey string
	// Vertex shapes what is Google's alone.
	Vertex VertexOptions
}

// World is a simulated company with an account at each provider. All methods are
// safe for concurrent use.
type World struct {
	opt     Options
	vendors map[string]*vendor
	google  *google

	mu       sync.Mutex
	keys     map[string]string
	faults   []*injected
	requests []Request
	served   uint64
	revise   []*revision
	apiKeys  []APIKey
	limits   map[string]int64 // cents, by OpenAI project
}

// New returns a world; it starts nothing.
func New(opt Options) *World {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	today := spend.DayOf(opt.Now())
	if opt.Start == 0 {
		opt.Start = today.AddMonths(-8)
	}
	if opt.Runaway == 0 {
		opt.Runaway = today - 6
	}
	if opt.Projects == 0 {
		opt.Projects = 5
	}
	if opt.Tiny {
		opt.Projects, opt.Models = 1, 2
	}
	opt.Weight = max(opt.Weight, 1)
	if opt.Scale == 0 {
		opt.Scale = 1
	}
	if opt.Step <= 0 {
		opt.Step = time.Hour
	}
	opt.Vertex = opt.Vertex.filled()
	openAI, anthropic := newVendor(OpenAI, openAIModels(), opt), newVendor(Anthropic, anthropicModels(), opt)
	return &World{
		opt:     opt,
		vendors: map[string]*vendor{OpenAI: openAI, Anthropic: anthropic},
		google:  newGoogle(opt),
		apiKeys: firstKeys(openAI, anthropic),
		limits:  map[string]int64{},
		keys: map[string]string{
			OpenAI:    orDefault(opt.OpenAIKey, DefaultOpenAIKey),
			Anthropic: orDefault(opt.AnthropicKey, DefaultAnthropicKey),
			Vertex:    DefaultVertexKey,
		},
	}
}

// Now returns the time on the world's clock, in UTC.
func (w *World) Now() time.Time { return w.opt.Now().UTC() }

// FirstDay returns the first day with spend.
func (w *World) FirstDay() spend.Day { return w.opt.Start }

// Key returns the admin key that a provider accepts now; of Vertex the id of the key
// pair of ServiceAccount.
func (w *World) Key(provider string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.keys[provider]
}

// RotateKey makes a provider accept newKey and refuse every other from now on. Of
// Vertex newKey is the id of another key pair, and as at Google the tokens that were
// got with the old one live on (see EndTokens).
func (w *World) RotateKey(provider, newKey string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys[provider] = newKey
}

// Projects returns the ids of a provider's projects or workspaces, in a stable
// order. The default workspace of Anthropic, which has no id, is not among them.
func (w *World) Projects(provider string) []string {
	if provider == Vertex {
		return w.google.projectIDs()
	}
	var ids []string
	for _, p := range w.vendors[provider].projects {
		if p.id != "" {
			ids = append(ids, p.id)
		}
	}
	return ids
}

// Models returns the names of a provider's models that are in use, in catalogue
// order.
func (w *World) Models(provider string) []string {
	if provider == Vertex {
		return w.google.modelNames()
	}
	var names []string
	for _, l := range w.vendors[provider].lanes {
		if name := l.model.name; name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// OpenAI returns the simulated api.openai.com.
func (w *World) OpenAI() http.Handler { return &server{world: w, api: openAIAPI{w}} }

// Anthropic returns the simulated api.anthropic.com.
func (w *World) Anthropic() http.Handler { return &server{world: w, api: anthropicAPI{w}} }

// Google returns the simulated token endpoint (/token), bigquery.googleapis.com,
// billingbudgets.googleapis.com and pubsub.googleapis.com: their paths do not meet.
func (w *World) Google() http.Handler { return &server{world: w, api: googleAPI{w}} }

func orDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// must turns a broken rule of this package, such as a literal that is no number,
// into a panic: there is no caller that could do anything about it.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Errorf("simulator: %w", err))
	}
	return v
}
