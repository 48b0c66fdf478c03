package api_test

import (
	"strings"
	"testing"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/spend"
)

func TestPageShowsCaps(t *testing.T) {
	k := newKit(t)
	exactCaps(k)
	k.caps = append(k.caps, caps.Cap{
		Scope: "<b>gpt</b>", Period: caps.Week, Soft: spend.MustMoney("1"), Match: caps.Match{Model: "gpt*"},
	})
	w := k.get("/")
	wantOK(t, w)
	mustContain(t, w.Body.String(),
		`<h3>openai, month of November 2026</h3>`,
		`low="78.57" high="99.99" value="78.58"></meter>`, // soft of hard, reached
		`471.50<small>00000000000000000023</small> USD, 100 % of the soft level of 471.5: <strong>reached</strong>, `+
			`78.58 % of the hard level of 600</p>`,
		`hard level expected on 30 November, 06:26 UTC`, `projected for the whole period: 615.00 USD`,
		`<p>1 USD, 66.66 % of the hard level of 1.5</p>`,
		`<h3>anthropic, week of 23 November 2026</h3>`, `<p>Not known yet, hard level 9 USD</p>`,
		`<h3>&lt;b&gt;gpt&lt;/b&gt;, week of 23 November 2026</h3>`, `low="99.99" high="100" value="100"></meter>`,
	)
	if strings.Contains(w.Body.String(), "style=") || strings.Contains(w.Body.String(), "it may be more") {
		t.Errorf("the page has styles that its policy forbids, or gaps that do not exist:\n%s", w.Body)
	}
}

func TestPageSaysThatACapMayBeMore(t *testing.T) {
	k := newKit(t)
	exactCaps(k)
	k.statuses[0].Held = true
	k.statuses = append(k.statuses,
		spend.SourceStatus{ID: anthropic, Enabled: true},
		spend.SourceStatus{ID: spend.SourceID{Provider: "openai", Account: "lab", Source: "openai/costs"}, Enabled: true})
	k.caps = []caps.Cap{{Scope: "global", Period: caps.Month, Hard: spend.MustMoney("9000")}}
	mustContain(t, k.get("/").Body.String(), "it may be more: 2 sources never pulled, 1 source held")
	k.caps = nil
	if strings.Contains(k.get("/").Body.String(), `id="caps"`) {
		t.Error("a section for caps without caps")
	}
}
