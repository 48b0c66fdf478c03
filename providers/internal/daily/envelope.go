package daily

import (
	"fmt"

	"github.com/aispend/aispend/spend"
)

// page is a page's word on what follows it.
type page struct {
	more bool
	next string
}

// envelope reads a whole page: {"data": [...], "has_more": bool, "next_page":
// string or null}. It calls data at the value of "data". All shapes that were
// seen to pass for an empty page are errors: an error object, a missing "data",
// a missing "has_more".
func envelope(r *Reader, data func()) page {
	var (
		p                         page
		hasData, hasMore, isError bool
	)
	r.Object()
	for r.Member() {
		switch string(r.Name()) {
		case "data":
			hasData = true
			data()
		case "has_more":
			hasMore = true
			p.more = r.Bool()
		case "next_page":
			next, _ := r.Text()
			p.next = string(next)
		case "error":
			isError = r.value().Kind() != 'n'
		case "object":
			r.Skip()
		default:
			r.SkipUnknown()
		}
	}
	r.End()
	switch {
	case r.Err() != nil:
	case isError:
		r.Fail("status 200 with an error object instead of a page")
	case !hasData:
		r.Fail(`the page has no "data"`)
	case !hasMore:
		r.Fail(`the page has no "has_more"`)
	case p.more && p.next == "":
		r.fail(spend.Pagination, `"has_more" is true but there is no "next_page"`)
	}
	return p
}

// Next reads what follows a page, without its rows: the Next of a rest.Query. A
// token on a page that says it is the last is ignored.
func Next(body []byte) (token string, more bool, err error) {
	var r Reader
	r.Reset(body)
	p := envelope(&r, r.Skip)
	if err := r.Err(); err != nil {
		return "", false, fmt.Errorf("reading the page: %w", err)
	}
	return p.next, p.more, nil
}
