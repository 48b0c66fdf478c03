package vertex

import (
	"errors"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/aispend/aispend/spend"
)

// Table names an export table, a view of it or a copy.
type Table struct {
	Project, Dataset, Name string
}

// Validate refuses what cannot be a table's name. A name is no parameter of a query:
// it becomes part of its text, so this list is what keeps it harmless.
func (t Table) Validate() error {
	project := regexp.MustCompile(`^[a-z][a-z0-9-]{4,28}[a-z0-9]$`)
	word := regexp.MustCompile(`^\w{1,1000}$`)
	switch {
	case !project.MatchString(t.Project):
		return errors.New("the project must be a Google Cloud project id such as acme-billing")
	case !word.MatchString(t.Dataset):
		return errors.New("the dataset must be a BigQuery dataset id such as billing_export")
	case !word.MatchString(t.Name):
		return errors.New("the table must be a BigQuery table id such as " +
			"gcp_billing_export_v1_01AAAA_BBBBBB_CCCCCC")
	}
	return nil
}

// String returns project.dataset.table.
func (t Table) String() string { return t.Project + "." + t.Dataset + "." + t.Name }

// Zone is where the days of a query begin.
type Zone string

// The zones of a query. The ledger holds UTC days only; Pacific days are for
// comparing with Google's invoices, console and budgets.
const (
	UTC     Zone = "UTC"
	Pacific Zone = "America/Los_Angeles"
)

// Query is one question to an export table.
type Query struct {
	Table     Table
	Partition Partition
	Window    spend.Window
	Zone      Zone // empty means UTC
	Selector  *Selector
}

// kinds of result rows.
const (
	kindCost = "cost"
	kindRest = "rest"
)

// queryText has one scan of the kept partitions. What is not AI, or not of the
// window, ends in the one row of kind "rest", since the newest export_time over all
// rows read is how far the data reaches (contract section 2). So the answer is one
// result and one walk, and a window without AI rows still tells how fresh it is. The
// oldest usage over all rows read is where the export begins: of days before it nothing
// is known, as an export is not always filled up backwards when it is enabled.
//
// Only a lower bound on partitions: late and corrective rows land in later ones. Credits
// are summed in place, since a join multiplies cost. Columns are named, never *.
const queryText = `-- aispend: what AI is billed per day, project and SKU, by one Cloud Billing export
WITH line AS (
  SELECT
    IFNULL(
      usage_start_time >= TIMESTAMP(@from_day, @tz)
      AND usage_start_time < TIMESTAMP(@to_day, @tz)
      AND (
        service.id IN UNNEST(@service_ids)
        OR (@service_pattern != '' AND REGEXP_CONTAINS(service.description, @service_pattern))
        OR (@sku_pattern != '' AND REGEXP_CONTAINS(TRIM(sku.description), @sku_pattern))
      ),
      FALSE) AS wanted,
    DATE(usage_start_time, @tz) AS usage_day,
    invoice.month AS invoice_month,
    billing_account_id,
    project.id AS project_id,
    service.id AS service_id,
    service.description AS service,
    sku.id AS sku_id,
    TRIM(sku.description) AS sku,
    IFNULL(cost_type, 'regular') AS cost_type,
    currency,
    currency_conversion_rate AS fx,
    CAST(cost AS NUMERIC) AS gross,
    IFNULL((SELECT SUM(CAST(c.amount AS NUMERIC)) FROM UNNEST(credits) AS c), NUMERIC '0') AS credit,
    usage.amount AS usage_amount,
    usage_start_time,
    export_time
  FROM {{TABLE}}
  WHERE {{PARTITION}}
),
keyed AS (
  SELECT
    IF(wanted, 'cost', 'rest') AS kind,
    IF(wanted, usage_day, NULL) AS usage_day,
    IF(wanted, invoice_month, NULL) AS invoice_month,
    IF(wanted, billing_account_id, NULL) AS billing_account_id,
    IF(wanted, project_id, NULL) AS project_id,
    IF(wanted, service_id, NULL) AS service_id,
    IF(wanted, service, NULL) AS service,
    IF(wanted, sku_id, NULL) AS sku_id,
    IF(wanted, sku, NULL) AS sku,
    IF(wanted, cost_type, NULL) AS cost_type,
    IF(wanted, currency, NULL) AS currency,
    IF(wanted, fx, NULL) AS fx,
    IF(wanted, gross, NULL) AS gross,
    IF(wanted, credit, NULL) AS credit,
    IF(wanted, usage_amount, NULL) AS usage_amount,
    usage_start_time,
    export_time
  FROM line
)
SELECT
  kind, usage_day, invoice_month, billing_account_id, project_id,
  service_id, service, sku_id, sku, cost_type, currency, fx,
  SUM(gross) AS gross,
  SUM(credit) AS credits,
  SUM(usage_amount) AS usage_amount,
  COUNT(*) AS row_count,
  UNIX_MICROS(MAX(export_time)) AS last_export_us,
  UNIX_MICROS(MIN(usage_start_time)) AS first_usage_us
FROM keyed
GROUP BY
  kind, usage_day, invoice_month, billing_account_id, project_id,
  service_id, service, sku_id, sku, cost_type, currency, fx
ORDER BY
  kind, usage_day, service_id, sku_id, project_id, billing_account_id,
  invoice_month, cost_type, currency, fx, service, sku
`

// SQL returns the GoogleSQL text. It depends on table and partition only, so that
// equal questions hit Google's cache.
func (q Query) SQL() string {
	return strings.NewReplacer(
		"{{TABLE}}", "`"+q.Table.String()+"`",
		"{{PARTITION}}", q.Partition.predicate(),
	).Replace(queryText)
}

// Parameters of a query in the form of the REST API.
type (
	parameter struct {
		Name  string     `json:"name"`
		Type  paramType  `json:"parameterType"`
		Value paramValue `json:"parameterValue"`
	}
	paramType struct {
		Type  string     `json:"type"`
		Array *paramType `json:"arrayType,omitempty"`
	}
	paramValue struct {
		Value  *string      `json:"value,omitzero"`
		Values []paramValue `json:"arrayValues,omitzero"`
	}
)

func scalar(name, typ, value string) parameter {
	return parameter{Name: name, Type: paramType{Type: typ}, Value: paramValue{Value: &value}}
}

func (q Query) parameters() []parameter {
	zone := q.Zone
	if zone == "" {
		zone = UTC
	}
	ids := make([]paramValue, len(q.Selector.sel.ServiceIDs))
	for i := range q.Selector.sel.ServiceIDs {
		ids[i].Value = &q.Selector.sel.ServiceIDs[i]
	}
	return []parameter{
		scalar("from_day", "DATE", q.Window.From.String()),
		scalar("to_day", "DATE", q.Window.To.String()),
		scalar("tz", "STRING", string(zone)),
		{
			Name: "service_ids", Type: paramType{Type: "ARRAY", Array: &paramType{Type: "STRING"}},
			Value: paramValue{Values: ids},
		},
		scalar("service_pattern", "STRING", q.Selector.sel.ServicePattern),
		scalar("sku_pattern", "STRING", q.Selector.skuPattern()),
	}
}

// request is the body of jobs.query.
type request struct {
	Query          string            `json:"query"`
	UseLegacySQL   bool              `json:"useLegacySql"` // the API's default is true
	Location       string            `json:"location,omitzero"`
	ParameterMode  string            `json:"parameterMode"`
	Parameters     []parameter       `json:"queryParameters"`
	MaxResults     int               `json:"maxResults"`
	TimeoutMs      int               `json:"timeoutMs"`
	MaxBytesBilled int64             `json:"maximumBytesBilled,string"`
	UseCache       bool              `json:"useQueryCache"`
	DryRun         bool              `json:"dryRun,omitzero"`
	Labels         map[string]string `json:"labels"`
}

// Limits of a request. Google's own page limit is 10 MB, which is less than 10,000
// rows of this query.
const (
	maxResults   = 10000
	pollPatience = 10_000 // ms that Google waits before it says that the job still runs
)

// Body returns the body of jobs.query. A dry run bills nothing and tells how many
// bytes the query would read.
func (q Query) Body(location string, maxBytesBilled int64, dryRun bool) ([]byte, error) {
	if err := q.Table.Validate(); err != nil {
		return nil, err
	}
	if maxBytesBilled <= 0 {
		return nil, errors.New("a query without a limit of bytes billed is refused")
	}
	return json.Marshal(request{
		Query: q.SQL(), Location: location, ParameterMode: "NAMED", Parameters: q.parameters(),
		MaxResults: maxResults, TimeoutMs: pollPatience, MaxBytesBilled: maxBytesBilled, UseCache: true,
		DryRun: dryRun, Labels: map[string]string{"app": "aispend"},
	}, json.Deterministic(true))
}
