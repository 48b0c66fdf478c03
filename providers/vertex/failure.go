package vertex

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aispend/aispend/spend"
)

// apiError is what an error answer of a Google API says, without its text, which
// repeats names and can be long.
type apiError struct {
	status  int
	reason  string // "accessDenied"; empty if it is none that is known
	needs   int64  // bytes that a limit of bytes billed must allow; 0 if it does not say
	create  bool   // it is the right to run queries that is missing
	enabled bool   // the API is enabled in the project
}

// Error returns "403 accessDenied".
func (e *apiError) Error() string { return strings.TrimSpace(strconv.Itoa(e.status) + " " + e.reason) }

// reasons are the words that may stand in an error text, with what they mean where
// that is more than the status says, and whether another try can help.
func reasons() map[string]struct {
	outcome spend.Outcome
	retry   bool
} {
	type meaning = struct {
		outcome spend.Outcome
		retry   bool
	}
	return map[string]meaning{
		"rateLimitExceeded":        {spend.RateLimited, true},
		"jobRateLimitExceeded":     {spend.RateLimited, true},
		"userRateLimitExceeded":    {spend.RateLimited, true},
		"quotaExceeded":            {spend.RateLimited, false}, // a quota does not refill within a walk
		"backendError":             {spend.Server, true},
		"internalError":            {spend.Server, true},
		"jobBackendError":          {spend.Server, true},
		"accessDenied":             {spend.Permission, false},
		"accessNotConfigured":      {spend.Permission, false},
		"SERVICE_DISABLED":         {spend.Permission, false},
		"forbidden":                {spend.Permission, false},
		"billingNotEnabled":        {spend.Permission, false},
		"authError":                {spend.Auth, false},
		"notFound":                 {spend.NotFound, false},
		"bytesBilledLimitExceeded": {spend.Server, false},
		"invalidQuery":             {spend.Server, false},
		"invalid":                  {spend.Server, false},
		"stopped":                  {spend.Server, false},
	}
}

// judge reads an error answer of a Google API for package rest.
func judge(status int, body []byte) (*spend.PullError, bool) {
	var answer struct {
		Error struct {
			Message string
			Errors  []struct{ Reason string }
		}
	}
	// A body that is no JSON leaves nothing here, and the status alone decides.
	_ = json.Unmarshal(body, &answer)
	if len(answer.Error.Errors) == 0 {
		return nil, false
	}
	msg := answer.Error.Message
	e := &apiError{status: status, enabled: true, create: strings.Contains(msg, "bigquery.jobs.create")}
	what, known := reasons()[answer.Error.Errors[0].Reason]
	if !known {
		return nil, false
	}
	e.reason = answer.Error.Errors[0].Reason
	e.enabled = !slices.Contains([]string{"accessNotConfigured", "SERVICE_DISABLED"}, e.reason)
	if m := regexp.MustCompile(`(\d{1,18}) or higher required`).FindStringSubmatch(msg); m != nil {
		e.needs, _ = strconv.ParseInt(m[1], 10, 64) // digits that fit
	}
	return &spend.PullError{Outcome: what.outcome, Err: e}, what.retry
}

// phase is what was asked when an error came.
type phase int

const (
	phaseTable   phase = iota // tables.get
	phaseQuery                // jobs.query
	phaseResults              // getQueryResults
)

// explain adds to an error what a person does about it.
func (c *Client) explain(err error, at phase, location string) error {
	var pe *spend.PullError
	if !errors.As(err, &pe) {
		return err
	}
	advice := c.advice(err, pe.Outcome, at, location)
	if advice == "" {
		return err
	}
	return &spend.PullError{
		Outcome: pe.Outcome, RetryAfter: pe.RetryAfter, Err: fmt.Errorf("%w; %s", err, advice),
	}
}

func (c *Client) advice(err error, o spend.Outcome, at phase, location string) string {
	var api *apiError
	if !errors.As(err, &api) {
		api = &apiError{enabled: true}
	}
	t := c.table
	switch {
	case api.reason == "bytesBilledLimitExceeded":
		return fmt.Sprintf("the query would bill %s, which is more than bigquery.max_bytes_billed (%d bytes): "+
			"raise it, or shorten lookback", estimate(api.needs), c.maxBytes)
	case api.reason == "invalidQuery":
		return "BigQuery refuses the query: the table is no Cloud Billing export, or its columns have changed"
	case o == spend.Auth:
		return "check credentials_file: it must hold the living key of a service account"
	case o == spend.Permission && !api.enabled:
		return "enable the BigQuery API in project " + t.Project
	case o == spend.Permission && api.create:
		return "grant the service account roles/bigquery.jobUser on project " + t.Project
	case o == spend.Permission:
		return fmt.Sprintf("grant the service account roles/bigquery.dataViewer on dataset %s.%s (and on the "+
			"dataset under it, if the table is a view) and roles/bigquery.jobUser on project %s",
			t.Project, t.Dataset, t.Project)
	case o == spend.NotFound && at == phaseResults:
		return fmt.Sprintf("the query's job is not in location %q: set bigquery.location to that of dataset %s.%s",
			location, t.Project, t.Dataset)
	case o == spend.NotFound && at == phaseQuery:
		return fmt.Sprintf("table %s is not in location %q: set bigquery.location to that of its dataset",
			t, location)
	case o == spend.NotFound:
		return fmt.Sprintf("table %s is not there: either its name is wrong, or the export is not there yet, "+
			"which takes up to hours after it was enabled", t)
	case api.reason == "quotaExceeded":
		return "a BigQuery quota of project " + t.Project + " is used up: raise it, or raise interval"
	case o == spend.RateLimited:
		return "nothing to do unless it stays: then raise interval"
	}
	return ""
}

func estimate(n int64) string {
	if n <= 0 {
		return "an unknown number of bytes"
	}
	return strconv.FormatInt(n, 10) + " bytes"
}
