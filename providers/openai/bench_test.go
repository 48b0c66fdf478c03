package openai_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/openai"
	"github.com/aispend/aispend/spend"
)

// BenchmarkCostsPage decodes a page of 31 days with 1,000 rows each (7 MB).
func BenchmarkCostsPage(b *testing.B) {
	w := spend.Window{From: spend.Date(2026, 10, 24), To: spend.Date(2026, 11, 24)}
	var page bytes.Buffer
	sep := `{"object": "page", "data": [`
	for d := w.From; d < w.To; d++ {
		fmt.Fprintf(&page, `%s{"object": "bucket", "start_time": %d, "end_time": %d, "results": [`,
			sep, d.Time().Unix(), (d + 1).Time().Unix())
		sep = ""
		for i := range 1000 {
			fmt.Fprintf(&page, `%s{"object": "organization.costs.result", "amount": {"value": %d.%09d, "currency": "usd"},
				"line_item": "gpt-5.%d-2026-04-23, input", "project_id": "proj_%06d", "api_key_id": null,
				"quantity": 4938271, "quantity_unit": "tokens"}`, sep, i%7, i*7919, i%50, i/50)
			sep = ","
		}
		page.WriteString(`]}`)
	}
	page.WriteString(`], "has_more": false, "next_page": null}`)
	src := open("openai/costs")(b, openai.DefaultBaseURL, "sk-admin-0123456789", providers.Env{})
	b.SetBytes(int64(page.Len()))
	b.ReportAllocs()
	for b.Loop() {
		dec := src.NewDecoder(w)
		if err := dec.Page(page.Bytes()); err != nil {
			b.Fatal(err)
		}
		if _, err := dec.Result(); err != nil {
			b.Fatal(err)
		}
	}
}
