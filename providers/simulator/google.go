package simulator

import (
	"crypto/rand"
	"crypto/rsa"
	"sync"
	"time"

	"github.com/aispend/aispend/spend"
)

// What the simulated billing export is called.
const (
	VertexProject        = "acme-billing"
	VertexDataset        = "billing_export"
	VertexTable          = "gcp_billing_export_v1_01AAAA_BBBBBB_CCCCC1"
	VertexLocation       = "EU"
	VertexBillingAccount = "01AAAA-BBBBBB-CCCCC1"
	// VertexBudget and VertexSpendCap are the names of the budgets there are.
	VertexBudget   = "billingAccounts/" + VertexBillingAccount + "/budgets/de72f49d-0000-4945-a127-4d6ce8def0bb"
	VertexSpendCap = "billingAccounts/" + VertexBillingAccount + "/budgets/de72f49d-0000-4945-a127-4d6ce8def0bd"
	// VertexSubscription receives what the first budget publishes.
	VertexSubscription = "projects/" + VertexProject + "/subscriptions/ai-budget-sub"
)

// VertexOptions shape the simulated Google Cloud billing account.
type VertexOptions struct {
	// Currency bills in another currency than USD, at Rate units a dollar; an empty Rate
	// leaves the rate NULL then.
	Currency string
	Rate     string
	// Lag is how long after its use a row is exported; 0 means three hours.
	Lag time.Duration
	// PageRows is how many rows a page of a result has at most; 0 means 2000.
	PageRows int
	// Polls is how many answers say that the job still runs.
	Polls int
	// ExportFrom is when the export was enabled: rows of usage before it never come. 0
	// means that they are all there.
	ExportFrom spend.Day
}

func (o VertexOptions) filled() VertexOptions {
	o.Currency = orDefault(o.Currency, spend.USD)
	if o.Currency == spend.USD {
		o.Rate = "1.0"
	}
	if o.Lag == 0 {
		o.Lag = 3 * time.Hour
	}
	if o.PageRows == 0 {
		o.PageRows = 2000
	}
	return o
}

// google is the state of the simulated Google Cloud. What the export holds is a
// function of the seed and the time, but for appended rows.
type google struct {
	opt  Options
	hash hash
	skus []sku
	ids  []string // of projects

	keyOnce sync.Once
	key     *rsa.PrivateKey

	mu       sync.Mutex
	tokens   map[string][]string // scopes by token
	jobs     map[string]*job
	order    []string // of jobs, the oldest first
	answered map[string]time.Time
	appended []exportRow
	mail     mailbox
}

func newGoogle(opt Options) *google {
	g := &google{
		opt: opt, hash: newHash(opt.Seed).text(Vertex), skus: vertexSKUs(),
		tokens: map[string][]string{}, jobs: map[string]*job{}, answered: map[string]time.Time{},
	}
	if opt.Models > 0 {
		g.skus = g.skus[:min(len(g.skus), 2*opt.Models)]
	}
	names := []string{"search-prod", "support-bot", "research-lab", "data-platform", "mobile-app"}
	for i := range opt.Projects {
		name := names[i%len(names)]
		if i >= len(names) {
			name += "-" + string(rune('a'+i/len(names)))
		}
		g.ids = append(g.ids, name)
	}
	g.mail = newMailbox()
	return g
}

// pair makes the key pair of the service account once: it takes a while.
func (g *google) pair() *rsa.PrivateKey {
	g.keyOnce.Do(func() { g.key = must(rsa.GenerateKey(rand.Reader, 2048)) })
	return g.key
}

func (g *google) projectIDs() []string { return append([]string(nil), g.ids...) }

func (g *google) modelNames() []string {
	var out []string
	seen := map[string]bool{}
	for _, s := range g.skus {
		if s.model != "" && !seen[s.model] {
			seen[s.model] = true
			out = append(out, s.model)
		}
	}
	return out
}

// pacific is where Google's months begin.
func pacific() *time.Location {
	if l, err := time.LoadLocation("America/Los_Angeles"); err == nil {
		return l
	}
	return time.FixedZone("PST", -8*60*60)
}
