package daily_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/internal/daily"
	"github.com/aispend/aispend/spend"
)

// amounts is a vendor of one column: rows are {"v": amount, "name": model}.
type amounts struct {
	labels daily.Labels
	rows   []spend.Charge
}

func (a *amounts) Row(r *daily.Reader) {
	c := spend.Charge{Currency: spend.USD}
	r.Object()
	for r.Member() {
		switch string(r.Name()) {
		case "v":
			c.Gross, c.Credits = daily.Split(r.Money())
		case "name":
			name, _ := r.Text()
			c.Model = a.labels.Of(name)
		default:
			r.SkipUnknown()
		}
	}
	a.rows = append(a.rows, c)
}

func (a *amounts) Take() spend.Statement {
	st := spend.Statement{Charges: spend.MergeCharges(a.rows)}
	a.rows = a.rows[:0]
	return st
}

func (a *amounts) PageEnd(*daily.Reader)    {}
func (a *amounts) Notices(n map[string]int) { a.labels.Notices(n) }

func decoder() *daily.Decoder {
	return daily.NewDecoder(daily.Layout{
		What: "test", Start: "from", End: "to", Bound: (*daily.Reader).Epoch, Ignore: []string{"kind"},
	}, spend.Window{From: 0, To: 10}, &amounts{})
}

// last wraps buckets into a page that ends the walk.
func last(buckets string) string { return `{"data": [` + buckets + `], "has_more": false}` }

// bucket is day n with rows.
func bucket(day int, rows string) string {
	return fmt.Sprintf(`{"from": %d, "to": %d, "results": [%s]}`, day*86400, (day+1)*86400, rows)
}

func run(pages ...string) (providers.Result, error) {
	d := decoder()
	for _, p := range pages {
		if err := d.Page([]byte(p)); err != nil {
			return providers.Result{}, err
		}
	}
	return d.Result()
}

func TestPageShapes(t *testing.T) {
	row := bucket(1, `{"v": 1.5}`)
	tests := map[string]struct {
		page string
		want spend.Outcome
		text string // in the error
	}{
		"good":               {last(row), spend.OK, ""},
		"no buckets":         {last(""), spend.OK, ""},
		"more without token": {`{"data": [], "has_more": true}`, spend.Pagination, "next_page"},
		"more with null token": {
			`{"data": [], "has_more": true, "next_page": null}`, spend.Pagination, "next_page",
		},
		"more with empty token": {
			`{"data": [], "has_more": true, "next_page": ""}`, spend.Pagination, "next_page",
		},
		"more with number":   {`{"data": [], "has_more": true, "next_page": 7}`, spend.Schema, "next_page"},
		"token without more": {`{"data": [], "has_more": false, "next_page": "x"}`, spend.OK, ""},
		"members in any order": {
			`{"has_more": false, "next_page": null, "data": [{"results": [], "to": 86400, "from": 0}]}`, spend.OK, "",
		},
		"empty body":         {"", spend.Decode, "empty"},
		"white space":        {" \n\t ", spend.Decode, "empty"},
		"html":               {"  <html>", spend.Schema, "HTML"},
		"array":              {"[]", spend.Schema, "array"},
		"null":               {"null", spend.Schema, "null"},
		"string":             {`"x"`, spend.Schema, "string"},
		"not JSON":           {"data", spend.Decode, "malformed"},
		"error object":       {`{"error": {"type": "server_error"}}`, spend.Schema, "error object"},
		"error beside data":  {`{"error": {}, "data": [], "has_more": false}`, spend.Schema, "error object"},
		"null error":         {`{"error": null, "data": [], "has_more": false}`, spend.OK, ""},
		"no data":            {`{"has_more": false}`, spend.Schema, `"data"`},
		"data null":          {`{"data": null, "has_more": false}`, spend.Schema, "data: is null"},
		"data object":        {`{"data": {}, "has_more": false}`, spend.Schema, "data: is an object"},
		"no has_more":        {`{"data": []}`, spend.Schema, `"has_more"`},
		"has_more null":      {`{"data": [], "has_more": null}`, spend.Schema, "has_more: is null"},
		"has_more string":    {`{"data": [], "has_more": "false"}`, spend.Schema, "has_more"},
		"other case":         {`{"Data": [], "has_more": false}`, spend.Schema, `"data"`},
		"bucket is null":     {last("null"), spend.Schema, "data[0]: is null"},
		"bucket is a number": {last("1"), spend.Schema, "data[0]: is a number"},
		"results null": {
			last(`{"from": 0, "to": 86400, "results": null}`), spend.Schema, "data[0].results: is null",
		},
		"old result key":    {last(`{"from": 0, "to": 86400, "result": []}`), spend.Schema, "data[0]"},
		"no end":            {last(`{"from": 0, "results": []}`), spend.Schema, "data[0]: has no from and to"},
		"start is a string": {last(`{"from": "0", "to": 86400, "results": []}`), spend.Schema, "data[0].from"},
		"not midnight":      {last(`{"from": 3600, "to": 90000, "results": []}`), spend.Schema, "midnight"},
		"two days":          {last(`{"from": 0, "to": 172800, "results": []}`), spend.Schema, "one UTC day"},
		"an hour":           {last(`{"from": 0, "to": 3600, "results": []}`), spend.Schema, "one UTC day"},
		"end before start":  {last(`{"from": 86400, "to": 0, "results": []}`), spend.Schema, "one UTC day"},
		"row is a number":   {last(bucket(1, `7`)), spend.Schema, "data[0].results[0]: is a number"},
		"second row is bad": {
			last(bucket(1, `{"v": 1}, {"v": null}`)), spend.Schema, "data[0].results[1].v: is null",
		},
		"same name twice":        {last(bucket(1, `{"v": 1, "v": 100}`)), spend.Decode, "twice"},
		"same name, escaped":     {last(bucket(1, `{"v": 1, "\u0076": 100}`)), spend.Decode, "twice"},
		"data twice":             {`{"data": [], "data": [` + row + `], "has_more": false}`, spend.Decode, "twice"},
		"trailing garbage":       {last(row) + "x", spend.Decode, "follows"},
		"second document":        {last(row) + last(row), spend.Decode, "follows"},
		"trailing space":         {last(row) + " \n", spend.OK, ""},
		"byte order mark":        {"\ufeff" + last(row), spend.Decode, "malformed"},
		"NaN literal":            {last(bucket(1, `{"v": NaN}`)), spend.Decode, "malformed"},
		"comma too many":         {`{"data": [` + row + `,], "has_more": false}`, spend.Decode, "malformed"},
		"wrong closing bracket":  {`{"data": [` + row + `}, "has_more": false}`, spend.Decode, "malformed"},
		"deep unknown value":     {nested(5000) + `, "data": [], "has_more": false}`, spend.OK, ""},
		"too deep unknown value": {nested(50000), spend.Decode, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := run(tt.page)
			if o := spend.OutcomeOf(err, ""); o != tt.want {
				t.Fatalf("got %v (%s), want %s", err, o, tt.want)
			}
			if err != nil && (!strings.Contains(err.Error(), tt.text) ||
				!strings.HasPrefix(err.Error(), "decoding test, page 1: ")) {
				t.Errorf("got %q, want it to say %q", err, tt.text)
			}
			_, _, err = daily.Next([]byte(tt.page))
			if tt.want == spend.OK && err != nil {
				t.Errorf("Next: %v", err)
			}
			if tt.want == spend.Pagination && spend.OutcomeOf(err, "") != spend.Pagination {
				t.Errorf("Next: %v, want pagination", err)
			}
		})
	}
}

// TestEveryTruncation cuts a page at every byte: none may pass for a page.
func TestEveryTruncation(t *testing.T) {
	page := last(bucket(1, `{"v": 1.5, "name": "m"}`) + "," + bucket(2, ""))
	for n := range page {
		if _, err := run(page[:n]); spend.OutcomeOf(err, "") != spend.Decode {
			t.Errorf("cut at byte %d: %v, want decode", n, err)
		}
		if _, _, err := daily.Next([]byte(page[:n])); spend.OutcomeOf(err, "") != spend.Decode {
			t.Errorf("Next, cut at byte %d: %v, want decode", n, err)
		}
	}
}

func TestAmounts(t *testing.T) {
	for literal, want := range map[string]string{
		`1`: "1", `"12.50"`: "12.5", `1e-7`: "0.0000001", `"0E-6176"`: "0", `-3.21`: "-3.21", `0.0`: "0",
		`41.000000000000001`: "41.000000000000001", `"3.0864197250000000"`: "3.086419725", `"\u0031.5"`: "1.5",
		`1E2`: "100",
	} {
		res, err := run(last(bucket(1, `{"v": `+literal+`}`)))
		if err != nil {
			t.Errorf("%s: %v", literal, err)
			continue
		}
		if got := res.Statements[0].Charges[0].Cost().String(); got != want {
			t.Errorf("%s is %s, want %s", literal, got, want)
		}
	}
	for _, literal := range []string{
		`null`, `""`, `"NaN"`, `"Inf"`, `"-Infinity"`, `"1_000"`,
		`"abc"`, `" 1"`, `"1 "`, `"+1"`, `"0x10"`, `"1,5"`,
		`true`, `{}`, `{"value": 1}`, `[1]`, `1e400`, `"1e400"`, `"1.5 USD"`, `"$1"`,
	} {
		_, err := run(last(bucket(1, `{"v": `+literal+`}`)))
		o := spend.OutcomeOf(err, "")
		if o != spend.Schema || !strings.Contains(err.Error(), "data[0].results[0].v") {
			t.Errorf("%s: %v (%s), want schema that names the place", literal, err, o)
		}
	}
}

func TestRepeatedBuckets(t *testing.T) {
	one, other := bucket(1, `{"v": 1, "name": "a"}, {"v": 2, "name": "a"}`), bucket(1, `{"v": 3.0, "name": "a"}`)
	res, err := run(last(one + "," + other))
	if err != nil || res.Statements[0].Charges[0].Cost().String() != "3" ||
		res.Notices[daily.NoticeDuplicate] != 1 {
		t.Errorf("the same money in other rows: %v, %+v", err, res)
	}
	for name, second := range map[string]string{
		"other amount": bucket(1, `{"v": 3.0000000000000001, "name": "a"}`),
		"other model":  bucket(1, `{"v": 3, "name": "b"}`),
		"emptied":      bucket(1, ""),
		"credit":       bucket(1, `{"v": 4, "name": "a"}, {"v": -1, "name": "a"}`),
	} {
		if _, err := run(last(one + "," + second)); spend.OutcomeOf(err, "") != spend.Schema ||
			!strings.Contains(err.Error(), "1970-01-02") {
			t.Errorf("%s: %v, want schema that names the day", name, err)
		}
	}
	res, err = run(last(bucket(12, `{"v": 1}`) + "," + bucket(12, `{"v": 2}`)))
	if err != nil || len(res.Statements) != 0 || res.Notices[daily.NoticeOutside] != 2 {
		t.Errorf("outside the window: %v, %+v", err, res)
	}
}

func TestGapsAreNoticed(t *testing.T) {
	res, err := run(last(bucket(7, "") + "," + bucket(2, "") + "," + bucket(3, "")))
	if err != nil || res.Notices[daily.NoticeMissing] != 3 || len(res.Statements) != 3 {
		t.Errorf("%v, %+v, want three days and three missing", err, res)
	}
	for i, want := range []spend.Day{2, 3, 7} {
		if got := res.Statements[i].Day; got != want {
			t.Errorf("statement %d is of %s, want %s", i, got, want)
		}
	}
}

func TestErrorsStick(t *testing.T) {
	d := decoder()
	first := d.Page([]byte("nonsense"))
	if err := d.Page([]byte(last(""))); first == nil || err != first { //nolint:errorlint // the very same
		t.Errorf("a good page after a bad one: %v, want %v", err, first)
	}
	if _, err := d.Result(); err != first { //nolint:errorlint // the very same
		t.Errorf("the result after a bad page: %v, want %v", err, first)
	}
}

func TestUnknownFieldsAndLabels(t *testing.T) {
	res, err := run(`{"new": {"a": [1, {"b": 2}]}, "data": [{"from": 0, "to": 86400, "kind": "x", "later": 1,
		"results": [{"v": 1, "name": "a\nb", "extra": null}, {"v": 2, "name": "` + "\xff\xfe" + `"},
		{"v": 4, "name": "` + "\xff\xfd" + `"}]}], "has_more": false}`)
	if err != nil {
		t.Fatal(err)
	}
	if res.Notices[daily.NoticeUnknownField] != 3 || res.Notices[daily.NoticeSanitised] != 3 {
		t.Errorf("notices %v, want 3 unknown fields and 3 labels", res.Notices)
	}
	charges := res.Statements[0].Charges
	if len(charges) != 3 {
		t.Errorf("different names of invalid UTF-8 became one: %+v", charges)
	}
	for _, c := range charges {
		if clean, changed := spend.CleanLabel(c.Model); changed {
			t.Errorf("label %q is not clean, that would be %q", c.Model, clean)
		}
	}
}

// TestErrorsQuoteNothing puts a secret-looking word everywhere a document can be wrong.
func TestErrorsQuoteNothing(t *testing.T) {
	const word = "hush-hush-0123"
	for _, page := range []string{
		word, `{"` + word + `": ` + word, `{"` + word + `": 1, "` + word + `": 2}`,
		last(bucket(1, `{"v": "`+word+`"}`)),
		last(bucket(1, `{"`+word+`": {"a": nope}}`)), `{"data": [], "has_more": "` + word + `"}`,
		last(`{"from": "` + word + `", "to": 1, "results": []}`), last(row1(word)) + word,
	} {
		_, err := run(page)
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", page, err)
		}
	}
}

// nested is the beginning of a page with an unknown member of that depth.
func nested(depth int) string {
	return `{"x": ` + strings.Repeat("[", depth) + strings.Repeat("]", depth)
}

func row1(name string) string { return bucket(1, `{"v": 1, "name": "`+name+`"}`) }
