package spend_test

import (
	"testing"

	"github.com/aispend/aispend/spend"
)

func TestStatementEmpty(t *testing.T) {
	m := spend.MustMoney
	for _, tt := range []struct {
		name string
		st   spend.Statement
		want bool
	}{
		{"no rows", spend.Statement{Day: 5}, true},
		{"rows of zeros", spend.Statement{
			Charges: []spend.Charge{{Model: "a", Currency: "USD", Gross: m("0.00")}},
			Usage:   []spend.Usage{{Model: "a"}},
		}, true},
		{"money", spend.Statement{Charges: []spend.Charge{{}, {Gross: m("1e-30")}}}, false},
		{"credits that cancel", spend.Statement{Charges: []spend.Charge{{Gross: m("1"), Credits: m("-1")}}}, false},
		{"other currency", spend.Statement{Charges: []spend.Charge{{Currency: "EUR", Gross: m("1")}}}, false},
		{"tokens", spend.Statement{Usage: []spend.Usage{{}, {CacheWrite: 1}}}, false},
		{"requests", spend.Statement{Usage: []spend.Usage{{Requests: 1, HasRequests: true}}}, false},
	} {
		if got := tt.st.Empty(); got != tt.want {
			t.Errorf("%s: Empty() = %t, want %t", tt.name, got, tt.want)
		}
	}
}

func TestCharge(t *testing.T) {
	c := spend.Charge{Gross: spend.MustMoney("10.5"), Credits: spend.MustMoney("-0.5")}
	if got := c.Cost(); !got.Equal(spend.MustMoney("10")) {
		t.Errorf("Cost() = %s, want 10", got)
	}
	if got := c.ModelLabel(); got != "other" {
		t.Errorf("label of no model = %q, want other", got)
	}
	c.Model = "gpt"
	if got := c.ModelLabel(); got != "gpt" {
		t.Errorf("ModelLabel() = %q, want gpt", got)
	}
}

func TestUsageTokens(t *testing.T) {
	u := spend.Usage{
		Input: 1, Output: 20, CacheRead: 300, CacheWrite: 4000, Requests: 7,
		HasRequests: true, Uncosted: 9,
	}
	if got := u.Tokens(); got != 4321 {
		t.Errorf("Tokens() = %d, want 4321: each type once, and nothing else", got)
	}
	if got := u.ModelLabel(); got != spend.OtherModel {
		t.Errorf("ModelLabel() = %q, want %q", got, spend.OtherModel)
	}
}

func TestSourceIDString(t *testing.T) {
	id := spend.SourceID{Provider: "openai", Account: "acme", Source: "openai/costs"}
	if got := id.String(); got != "openai/costs (acme)" {
		t.Errorf("String() = %q", got)
	}
}
