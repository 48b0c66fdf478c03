package main

import (
	"encoding/json"
	"strings"
	"testing"
)

const (
	testID = "hc_00112233445566778899aabbccddeeff"

	// sample is the body of the contract.
	sample = `{"event":"ai_spend_hard_cap","id":"` + testID + `","breaches":[{"scope":"openai","level":"hard",` +
		`"period":"month","period_start":"2026-11-01","threshold":1000,"total":1003.52,` +
		`"triggeredAt":"2026-11-24T10:15:00Z"}],"totals":{"openai":1003.52,"anthropic":12.5,"global":1016.02},` +
		`"triggeredAt":"2026-11-24T10:15:07Z"}`
)

func TestParseEvent(t *testing.T) {
	e, err := parseEvent([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	b := e.Breaches[0]
	want := breach{"openai", "hard", "month", "2026-11-01", "1000", "1003.52", "2026-11-24T10:15:00Z"}
	if e.ID != testID || len(e.Breaches) != 1 || b != want || e.Totals["global"] != "1016.02" {
		t.Errorf("%+v", e)
	}
}

func TestAmountsKeepTheirDigits(t *testing.T) {
	const digits = "12345678901234567.123456789012345678901"
	e, err := parseEvent([]byte(strings.Replace(sample, "1003.52", digits, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Breaches[0].Total.String(); got != digits {
		t.Errorf("total is %s", got)
	}
}

func TestBodiesThatAreRefused(t *testing.T) {
	edit := func(from, to string) string {
		s := strings.Replace(sample, from, to, 1)
		if s == sample {
			t.Fatalf("%q is not in the sample", from)
		}
		return s
	}
	for name, body := range map[string]string{
		"empty":               "",
		"another event":       edit("ai_spend_hard_cap", "ai_spend_soft_cap"),
		"no event":            edit(`"event":"ai_spend_hard_cap",`, ""),
		"another id":          edit(testID, "hc_1"),
		"capital id":          edit(testID, strings.ToUpper(testID)),
		"id with a line":      edit(testID, testID+`\n`),
		"no breaches":         edit(`"breaches":[`, `"breaches":[],"other":[`),
		"breaches are null":   `{"event":"ai_spend_hard_cap","id":"` + testID + `","breaches":null}`,
		"two ids":             edit(`"breaches"`, `"id":"`+testID+`","breaches"`),
		"two ids, other case": edit(`"breaches"`, `"ID":"`+testID+`","breaches"`),
		"two ids, odd letter": edit(`"scope":`, "\"\u017fcope\":\"global\",\"scope\":"),
		"two levels":          edit(`"level":"hard"`, `"level":"soft","level":"hard"`),
		"more after it":       sample + "{}",
		"cut off":             sample[:len(sample)-1],
		"an array":            "[" + sample + "]",
		"amount is a word":    edit("1003.52", `"much"`),
		"scope is a number":   edit(`"openai"`, "1"),
	} {
		if e, err := parseEvent([]byte(body)); err == nil {
			t.Errorf("%s: accepted as %+v", name, e)
		}
	}
	for name, body := range map[string]string{
		"new member":           edit(`"totals"`, `"replica":"b","totals"`),
		"new member, breach":   edit(`"level"`, `"account":{"a":[1,{"a":2}]},"level"`),
		"names twice in array": edit(`"totals"`, `"x":[{"a":1},{"a":1}],"totals"`),
		"white space":          " " + sample + "\n",
	} {
		if _, err := parseEvent([]byte(body)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzBody looks for bodies that are accepted and are not what they seem: of
// another kind, with another id, or with amounts that are not the digits sent.
func FuzzBody(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(strings.Replace(sample, "1003.52", "1e400", 1)))
	f.Add([]byte(`{"event":"ai_spend_hard_cap","id":"` + testID + `","breaches":[{}]}`))
	f.Add([]byte(strings.Repeat("[", 200)))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := parseEvent(body)
		if err != nil {
			return
		}
		if !json.Valid(body) {
			t.Fatalf("%q is accepted and no JSON", body)
		}
		if e.Event != eventType || !eventID.MatchString(e.ID) || len(e.Breaches) == 0 {
			t.Errorf("%+v", e)
		}
		for _, b := range e.Breaches {
			if s := b.Total.String(); !strings.Contains(string(body), s) && !strings.Contains(string(body), `\u`) {
				t.Errorf("total %s was never sent", s)
			}
		}
	})
}
