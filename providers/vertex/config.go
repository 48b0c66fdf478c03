package vertex

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/internal/rest"
)

// Settings are the keys of a provider block of type vertex. A block has a billing
// export (bigquery), or budgets (budget), or both; where both are there the export is
// what counts.
type Settings struct {
	// Credentials is the JSON of a service account, or of a workload identity
	// federation. Not set: application default credentials (the file named by
	// GOOGLE_APPLICATION_CREDENTIALS, gcloud's, or the metadata server of Google Cloud).
	Credentials *secret.Value `yaml:"credentials"`
	// BigQuery names the billing export. Absent: no spend by day and model.
	BigQuery BigQuerySettings `yaml:"bigquery"`
	// Budget names a budget and the subscription of its notifications.
	Budget BudgetSettings `yaml:"budget"`
}

// BigQuerySettings name a Cloud Billing export and what of it is AI.
type BigQuerySettings struct {
	// Project, Dataset and Table name the export, a view of it or a copy.
	Project string `yaml:"project"`
	Dataset string `yaml:"dataset"`
	Table   string `yaml:"table"`
	// Location is that of the dataset, such as EU or europe-west4. Not set: what
	// BigQuery says it is.
	Location string `yaml:"location"`
	// MaxBytesBilled is what one query may read, such as 10GB; BigQuery refuses, without a charge,
	// a query that would read more. Default 10GB.
	MaxBytesBilled Bytes `yaml:"max_bytes_billed"`
	// ServiceIDs, ServicePattern and SKUPrefixes select the rows that are AI: those of
	// services with one of the ids, those whose service's description matches the RE2
	// expression, and those whose SKU's description begins with one of the prefixes.
	// A list or pattern that is given replaces the default of that key. Changing one
	// reads the history again.
	ServiceIDs     []string `yaml:"service_ids"`
	ServicePattern string   `yaml:"service_pattern"`
	SKUPrefixes    []string `yaml:"sku_prefixes"`
	// Models names the models of SKUs by id, before the rules that read their texts.
	// POST /recompute applies a change to the days that are kept raw.
	Models []SKUModel `yaml:"models"`
	// BaseURL replaces the public API; https, or loopback.
	BaseURL string `yaml:"base_url"`
}

// SKUModel says which model a SKU bills.
type SKUModel struct {
	SKU   string `yaml:"sku"` // "1127-99B9-1860"
	Model string `yaml:"model"`
}

// BudgetSettings name budgets of a billing account.
type BudgetSettings struct {
	// Name is billingAccounts/{account}/budgets/{budget}, or billingAccounts/{account}
	// for the settings of all its budgets. Not set: the Budgets API is not asked.
	Name string `yaml:"name"`
	// Subscription is projects/{project}/subscriptions/{subscription} of the topic that
	// budgets notify. Not set: nothing is known to be spent.
	Subscription string `yaml:"subscription"`
	// CountsAs is vertex to let month caps of the scopes vertex and global count the
	// budget of Name where the block has no billing export. Not set: it is shown only.
	CountsAs string `yaml:"counts_as"`
	// BaseURL and PubSubBaseURL replace the public APIs; https, or loopback.
	BaseURL       string `yaml:"base_url"`
	PubSubBaseURL string `yaml:"pubsub_base_url"`
}

// Bytes is a number of bytes, written 500MB, 10GB or 1TiB.
type Bytes int64

// UnmarshalText reads a number with or without a unit.
func (b *Bytes) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n == 0 || n > 1<<60 {
		return errors.New("must be a size such as 500MB, 10GB or 1TiB")
	}
	*b = Bytes(n)
	return nil
}

// MarshalText writes what UnmarshalText reads, exactly.
func (b Bytes) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%dB", int64(b)), nil }

// defaultMaxBytes is what a query of a large organisation's 40 days stays far below.
const defaultMaxBytes Bytes = 10_000_000_000

// Type returns the provider's row in the table of providers.
func Type() providers.Type {
	return providers.Type{
		Name:        Name,
		Sources:     []providers.SourceType{bigqueryFamily(), budgetFamily()},
		NewSettings: func() providers.Settings { return defaultSettings() },
	}
}

func defaultSettings() *Settings {
	sel := DefaultSelection()
	return &Settings{
		BigQuery: BigQuerySettings{
			MaxBytesBilled: defaultMaxBytes, BaseURL: DefaultBigQueryURL,
			ServiceIDs: sel.ServiceIDs, ServicePattern: sel.ServicePattern, SKUPrefixes: sel.SKUPrefixes,
		},
		Budget: BudgetSettings{BaseURL: DefaultBudgetURL, PubSubBaseURL: DefaultPubSubURL},
	}
}

// hasExport and hasBudget report what the block has.
func (s *Settings) hasExport() bool {
	b := s.BigQuery
	return b.Project != "" || b.Dataset != "" || b.Table != ""
}

func (s *Settings) hasBudget() bool { return s.Budget.Name != "" || s.Budget.Subscription != "" }

// Families returns the sources that the block has.
func (s *Settings) Families() []providers.SourceType {
	var out []providers.SourceType
	if s.hasExport() {
		out = append(out, bigqueryFamily())
	}
	if s.hasBudget() {
		out = append(out, budgetFamily())
	}
	return out
}

// Counted returns the name of the budget that stands for the whole spend of the block: that
// of counts_as, or beside an export the one that is compared with it; empty if none.
func (s *Settings) Counted() string {
	if !strings.Contains(s.Budget.Name, "/budgets/") || s.Budget.CountsAs == "" && !s.hasExport() {
		return ""
	}
	return s.Budget.Name
}

// Notified reports whether notifications tell what is spent.
func (s *Settings) Notified() bool { return s.Budget.Subscription != "" }

// Validate reports the first broken rule as a *providers.FieldError.
func (s *Settings) Validate() error {
	if !s.hasExport() && !s.hasBudget() {
		return &providers.FieldError{
			Key: "bigquery", Msg: "is missing: name the billing export (project, dataset, table), or a budget " +
				"under budget (name, subscription)",
		}
	}
	if text, err := s.Credentials.Get(); err == nil { // a file that cannot be read is told by whoever reads it
		if _, err := credentialsType(text); err != nil {
			return &providers.FieldError{Key: "credentials_file", Msg: err.Error() +
				": make a key of a service account and save its JSON"}
		}
	}
	if s.hasExport() {
		if err := s.BigQuery.validate(); err != nil {
			return err
		}
	}
	return s.validateBudget()
}

func (b *BigQuerySettings) validate() error {
	for _, k := range []struct{ key, value string }{
		{"project", b.Project}, {"dataset", b.Dataset}, {"table", b.Table},
	} {
		if k.value == "" {
			return &providers.FieldError{
				Key: "bigquery." + k.key, Msg: "is missing: an export is named by project, dataset and table",
			}
		}
	}
	if _, err := NewClient(ClientOptions{
		Table: b.table(), Location: b.Location, MaxBytesBilled: int64(b.MaxBytesBilled), BaseURL: b.BaseURL,
	}); err != nil {
		return inBlock("bigquery", err)
	}
	if _, err := NewSelector(b.selection()); err != nil {
		return &providers.FieldError{Key: "bigquery.service_pattern", Msg: err.Error()}
	}
	for i, m := range b.Models {
		if m.SKU == "" || cleanModel(m.Model) == "" {
			return &providers.FieldError{
				Key: fmt.Sprintf("bigquery.models[%d]", i), Msg: "needs sku (an id such as 1127-99B9-1860) and model",
			}
		}
	}
	return nil
}

func (s *Settings) validateBudget() error {
	b := s.Budget
	if !s.hasBudget() {
		if b.CountsAs != "" {
			return &providers.FieldError{Key: "budget.counts_as", Msg: "needs name and subscription beside it"}
		}
		return nil
	}
	if err := ValidateBudget(b.Name, b.Subscription); err != nil {
		return err
	}
	for key, url := range map[string]string{"budget.base_url": b.BaseURL, "budget.pubsub_base_url": b.PubSubBaseURL} {
		if _, err := rest.ParseBaseURL(url); err != nil {
			return &providers.FieldError{Key: key, Msg: messageOf(err)}
		}
	}
	switch {
	case b.CountsAs == "":
		return nil
	case b.CountsAs != Name:
		return &providers.FieldError{Key: "budget.counts_as", Msg: "must be vertex, or absent"}
	case !strings.Contains(b.Name, "/budgets/"):
		return &providers.FieldError{
			Key: "budget.counts_as", Msg: "needs the name of one budget (billingAccounts/A/budgets/B) in budget.name: " +
				"budgets are never added up",
		}
	case b.Subscription == "":
		return &providers.FieldError{
			Key: "budget.counts_as", Msg: "needs budget.subscription: only notifications tell what is spent",
		}
	}
	return nil
}

// inBlock puts the name of a nested block in front of the key of a *providers.FieldError
// that does not have it.
func inBlock(block string, err error) error {
	var fe *providers.FieldError
	if !errors.As(err, &fe) {
		return err
	}
	if key := fe.Key; key != block && !strings.HasPrefix(key, block+".") {
		return &providers.FieldError{Key: block + "." + key, Msg: fe.Msg}
	}
	return err
}

func messageOf(err error) string {
	var fe *providers.FieldError
	if errors.As(err, &fe) {
		return fe.Msg
	}
	return err.Error()
}

func (b *BigQuerySettings) table() Table {
	return Table{Project: b.Project, Dataset: b.Dataset, Name: b.Table}
}

func (b *BigQuerySettings) selection() Selection {
	return Selection{ServiceIDs: b.ServiceIDs, ServicePattern: b.ServicePattern, SKUPrefixes: b.SKUPrefixes}
}

// Credential returns the service account, if the block has one.
func (s *Settings) Credential() *secret.Value { return s.Credentials }

// Bill names what is billed: the export, or else the budgets.
func (s *Settings) Bill() string {
	switch {
	case s.hasExport():
		return s.BigQuery.table().String()
	case s.Budget.Subscription != "":
		return s.Budget.Subscription
	default:
		return s.Budget.Name
	}
}

// Filter spells a selection that is not the default one: days that were read with
// another are read again.
func (s *Settings) Filter() []string {
	def := DefaultSelection()
	sel := s.BigQuery.selection()
	if fmt.Sprintf("%q", sel) == fmt.Sprintf("%q", def) {
		return nil
	}
	return []string{fmt.Sprintf("services %q %q skus %q", sel.ServiceIDs, sel.ServicePattern, sel.SKUPrefixes)}
}

// Open returns the block's sources; those of settings that name nothing can decode
// and not fetch.
func (s *Settings) Open(env providers.Env) ([]providers.Source, error) {
	all := !s.hasExport() && !s.hasBudget()
	var out []providers.Source
	if s.hasExport() || all {
		b, err := s.openBigQuery(env)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	if s.hasBudget() || all {
		b, err := NewBudgetSource(BudgetOptions{
			Name: s.Budget.Name, Subscription: s.Budget.Subscription, BaseURL: s.Budget.BaseURL,
			PubSubBaseURL: s.Budget.PubSubBaseURL, Credentials: s.Credentials, Env: env,
		})
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

func (s *Settings) openBigQuery(env providers.Env) (*BigQuery, error) {
	override := make(map[string]string, len(s.BigQuery.Models))
	for _, m := range s.BigQuery.Models {
		override[m.SKU] = m.Model
	}
	mapper, err := NewMapper(Mapping{Override: override, Rules: DefaultRules()})
	if err != nil {
		return nil, &providers.FieldError{Key: "bigquery.models", Msg: err.Error()}
	}
	out := &BigQuery{account: env.Account, mapper: mapper, log: logger(env)}
	if !s.hasExport() {
		return out, nil
	}
	selector, err := NewSelector(s.BigQuery.selection())
	if err != nil {
		return nil, &providers.FieldError{Key: "bigquery.service_pattern", Msg: err.Error()}
	}
	out.client, err = NewClient(ClientOptions{
		Table: s.BigQuery.table(), Location: s.BigQuery.Location, MaxBytesBilled: int64(s.BigQuery.MaxBytesBilled),
		BaseURL: s.BigQuery.BaseURL, Credentials: s.Credentials, Selector: selector, Env: env,
	})
	if err != nil {
		return nil, inBlock("bigquery", err)
	}
	return out, nil
}
