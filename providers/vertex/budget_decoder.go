package vertex

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

// Notices of messages that say nothing of a budget: they are kept raw and counted, and
// acknowledged like all others, since they would come again for a week.
const (
	NoticeUndecodable   = "message_undecodable"            // no JSON object
	NoticeNoAttributes  = "message_without_attributes"     // somebody's test
	NoticeSchemaVersion = "message_unknown_schema_version" // not "1.0"
	NoticeMalformed     = "message_malformed"              // a figure, a time or a currency that is none
)

// budgetAnswer is an answer of the Budgets API or of Pub/Sub: they are told apart by what
// they hold.
type budgetAnswer struct {
	Messages      []receivedMessage
	Budgets       []apiBudget
	NextPageToken string
}

type receivedMessage struct {
	AckID   string `json:"ackId"`
	Message struct {
		Data        string            `json:"data"`
		Attributes  map[string]string `json:"attributes"`
		ID          string            `json:"messageId"`
		PublishTime string            `json:"publishTime"`
	} `json:"message"`
}

// apiBudget is google.cloud.billing.budgets.v1.Budget, as far as it is read.
type apiBudget struct {
	Name         string `json:"name"`
	DisplayName  string `json:"displayName"`
	BudgetFilter struct {
		Credits string `json:"creditTypesTreatment"`
		Period  string `json:"calendarPeriod"`
	} `json:"budgetFilter"`
	Amount struct {
		Specified *apiMoney `json:"specifiedAmount"`
	} `json:"amount"`
	Rules []struct {
		Percent jsontext.Value `json:"thresholdPercent"`
		Basis   string         `json:"spendBasis"`
	} `json:"thresholdRules"`
	SpendCap *struct {
		State string `json:"outputState"`
	} `json:"spendCap"`
}

// apiMoney is google.type.Money.
type apiMoney struct {
	Currency string `json:"currencyCode"`
	Units    string `json:"units"`
	Nanos    int64  `json:"nanos"`
}

// readBudgetAnswer reads a body of status 200. Errors are *spend.PullError.
func readBudgetAnswer(body []byte) (budgetAnswer, error) {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(body, &members); err != nil {
		return budgetAnswer{}, spend.Classify(spend.Decode, errors.New("the body is no JSON object"))
	}
	var a budgetAnswer
	into := func(name string, v any) error {
		raw, ok := members[name]
		if !ok {
			return nil
		}
		if err := json.Unmarshal(raw, v); err != nil {
			return spend.Classify(spend.Schema, fmt.Errorf("%q is not of the promised shape", name))
		}
		return nil
	}
	if _, isBudget := members["name"]; isBudget {
		var one apiBudget
		if err := json.Unmarshal(body, &one); err != nil {
			return a, spend.Classify(spend.Schema, errors.New("the budget is not of the promised shape"))
		}
		a.Budgets = []apiBudget{one}
		return a, nil
	}
	err := errors.Join(into("receivedMessages", &a.Messages), into("budgets", &a.Budgets), into("nextPageToken", &a.NextPageToken))
	if err != nil {
		return budgetAnswer{}, err
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !slices.Contains([]string{"receivedMessages", "budgets", "nextPageToken", "unreachable"}, name) {
			return budgetAnswer{}, spend.Classify(spend.Schema, errors.New("is an answer of neither budgets nor messages"))
		}
	}
	for i, m := range a.Messages {
		if m.AckID == "" {
			return budgetAnswer{}, spend.Classify(spend.Schema, fmt.Errorf("message %d has no ackId", i))
		}
	}
	return a, nil
}

// BudgetDecoder turns the pages of one walk over budgets into what is known of them.
// Pages may come in any order and more than once. It is not safe for concurrent use.
type BudgetDecoder struct {
	budgets []spend.Budget
	notices map[string]int
	seen    map[string]bool // what was counted as a notice, since a page may come twice
	pages   int
}

// NewBudgetDecoder returns a decoder for one walk.
func NewBudgetDecoder() *BudgetDecoder {
	return &BudgetDecoder{notices: map[string]int{}, seen: map[string]bool{}}
}

// Page decodes one body. Errors are *spend.PullError of outcome decode or schema.
func (d *BudgetDecoder) Page(body []byte) error {
	d.pages++
	a, err := readBudgetAnswer(body)
	if err != nil {
		return d.fail(err)
	}
	for _, b := range a.Budgets {
		settings, err := b.budget()
		if err != nil {
			return d.fail(spend.Classify(spend.Schema, err))
		}
		d.budgets = spend.MergeBudgets(d.budgets, []spend.Budget{settings})
	}
	for _, m := range a.Messages {
		budget, notice := m.budget()
		if notice != "" {
			if id := m.Message.ID + "\x00" + m.Message.Data; !d.seen[id] {
				d.seen[id] = true
				d.notices[notice]++
			}
			continue
		}
		d.budgets = spend.MergeBudgets(d.budgets, []spend.Budget{budget})
	}
	return nil
}

func (d *BudgetDecoder) fail(err error) error {
	return spend.Classify(spend.OutcomeOf(err, spend.Schema), fmt.Errorf("decoding vertex budget, page %d: %w", d.pages, err))
}

// Result says what was learnt. Any number of pages is a whole walk: each stands for
// itself.
func (d *BudgetDecoder) Result() (providers.Result, error) {
	return providers.Result{
		Budgets: slices.Clone(d.budgets), Through: spend.BudgetsThrough(d.budgets), Notices: maps.Clone(d.notices),
	}, nil
}

// notification is the JSON inside a message (format of schemaVersion 1.0).
type notification struct {
	DisplayName       string         `json:"budgetDisplayName"`
	Cost              jsontext.Value `json:"costAmount"`
	IntervalStart     string         `json:"costIntervalStart"`
	Amount            jsontext.Value `json:"budgetAmount"`
	AmountType        string         `json:"budgetAmountType"`
	Currency          string         `json:"currencyCode"`
	AlertThreshold    jsontext.Value `json:"alertThresholdExceeded"`
	ForecastThreshold jsontext.Value `json:"forecastThresholdExceeded"`
}

// budget reads a message, or names the notice that it comes to.
func (m receivedMessage) budget() (b spend.Budget, notice string) {
	data, err := base64.StdEncoding.DecodeString(m.Message.Data)
	if err != nil {
		return b, NoticeUndecodable
	}
	var n notification
	if err := json.Unmarshal(data, &n); err != nil {
		return b, NoticeUndecodable
	}
	b.BillingAccount, b.ID = m.Message.Attributes["billingAccountId"], m.Message.Attributes["budgetId"]
	switch {
	case b.BillingAccount == "" || b.ID == "":
		return spend.Budget{}, NoticeNoAttributes
	case m.Message.Attributes["schemaVersion"] != "1.0":
		return spend.Budget{}, NoticeSchemaVersion
	}
	out, err := n.notice(m)
	if err != nil || clean(b.ID) != b.ID || clean(b.BillingAccount) != b.BillingAccount {
		return spend.Budget{}, NoticeMalformed
	}
	b.Notices = []spend.BudgetNotice{out}
	return b, ""
}

func (n notification) notice(m receivedMessage) (spend.BudgetNotice, error) {
	out := spend.BudgetNotice{
		MessageID: m.Message.ID, DisplayName: clean(n.DisplayName), Currency: n.Currency, LimitType: clean(n.AmountType),
	}
	if !regexp.MustCompile(`^[A-Z]{3}$`).MatchString(n.Currency) {
		return out, errors.New("no currency")
	}
	var errs [6]error
	out.PublishedAt, errs[0] = moment(m.Message.PublishTime)
	out.IntervalStart, errs[1] = moment(n.IntervalStart)
	out.Spend, errs[2] = number(n.Cost)
	out.Limit, errs[3] = number(n.Amount)
	out.AlertThreshold, errs[4] = optional(n.AlertThreshold)
	out.ForecastThreshold, errs[5] = optional(n.ForecastThreshold)
	return out, errors.Join(errs[:]...)
}

// moment reads a time that can be of a budget: Google had none before 2010.
func moment(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.UnixMicro() < minMoment || t.UnixMicro() > maxMoment {
		return time.Time{}, errors.New("no time")
	}
	return t.UTC(), nil
}

// number reads a JSON number as the decimal that it is.
func number(v jsontext.Value) (spend.Money, error) {
	if v.Kind() != '0' {
		return spend.Money{}, errors.New("no number")
	}
	return spend.ParseMoney(string(v))
}

func optional(v jsontext.Value) (*spend.Money, error) {
	if len(v) == 0 || v.Kind() == 'n' {
		return nil, nil
	}
	m, err := number(v)
	return &m, err
}

// budget reads the settings.
func (b apiBudget) budget() (spend.Budget, error) {
	parts := regexp.MustCompile(`^billingAccounts/([^/]+)/budgets/([^/]+)$`).FindStringSubmatch(b.Name)
	if parts == nil || clean(b.Name) != b.Name {
		return spend.Budget{}, errors.New("the budget's name is not billingAccounts/{account}/budgets/{budget}")
	}
	s := &spend.BudgetSettings{
		DisplayName: clean(b.DisplayName), Credits: clean(b.BudgetFilter.Credits), Period: clean(b.BudgetFilter.Period),
	}
	if m := b.Amount.Specified; m != nil {
		limit, err := m.money()
		if err != nil {
			return spend.Budget{}, err
		}
		s.Limit, s.Currency = &limit, m.Currency
	}
	for i, r := range b.Rules {
		ratio, err := number(r.Percent)
		if err != nil {
			return spend.Budget{}, fmt.Errorf("threshold rule %d has no percentage", i)
		}
		s.Thresholds = append(s.Thresholds, spend.BudgetThreshold{Ratio: ratio, Forecast: r.Basis == "FORECASTED_SPEND"})
	}
	if b.SpendCap != nil {
		s.SpendCap = clean(b.SpendCap.State)
	}
	return spend.Budget{BillingAccount: parts[1], ID: parts[2], Settings: s}, nil
}

// money adds up units and nanos, which have the same sign.
func (m apiMoney) money() (spend.Money, error) {
	units, err := strconv.ParseInt(strings.TrimSpace(m.Units), 10, 64)
	if m.Units == "" {
		units, err = 0, nil
	}
	if err != nil || m.Nanos < -999_999_999 || m.Nanos > 999_999_999 || !regexp.MustCompile(`^[A-Z]{3}$`).MatchString(m.Currency) {
		return spend.Money{}, errors.New("the budget's amount is not money")
	}
	whole := spend.MustMoney(strconv.FormatInt(units, 10))
	return whole.Add(spend.MustMoney(strconv.FormatInt(m.Nanos, 10)).Shift(-9)), nil
}
