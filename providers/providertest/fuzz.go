package providertest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

// CheckPage is the property of every fuzz target for pages: whatever the body,
// the decoder leaves it alone, and either refuses it with a class of its own or
// says something that holds: days inside the window, clean labels, gross at least
// 0 and credits at most 0, counts that are not negative, and the same again.
func CheckPage(t *testing.T, src providers.Source, w spend.Window, body []byte) {
	t.Helper()
	before := bytes.Clone(body)
	res, err := Decode(src, w, body)
	if !bytes.Equal(before, body) {
		t.Fatal("the decoder changed the body")
	}
	if err != nil {
		var pe *spend.PullError
		if !errors.As(err, &pe) {
			t.Fatalf("an error without a class: %v", err)
		}
		switch pe.Outcome {
		case spend.Decode, spend.Schema, spend.Pagination, spend.Incomplete:
		default:
			t.Fatalf("a decoder's error of class %s: %v", pe.Outcome, err)
		}
		return
	}
	for _, st := range res.Statements {
		checkStatement(t, w, st)
	}
	twice, err := Decode(src, w, body, body)
	if err != nil {
		t.Fatalf("the same page twice: %v", err)
	}
	if diff := cmp.Diff(res.Statements, twice.Statements); diff != "" {
		t.Fatalf("the same page twice counts otherwise:\n%s", diff)
	}
}

func checkStatement(t *testing.T, w spend.Window, st spend.Statement) {
	t.Helper()
	if !w.Contains(st.Day) {
		t.Fatalf("%s is outside %s", st.Day, w)
	}
	clean := func(label string) {
		t.Helper()
		if _, changed := spend.CleanLabel(label); changed {
			t.Fatalf("label %q is not clean", label)
		}
	}
	for _, c := range st.Charges {
		clean(c.Model)
		clean(c.Project)
		clean(c.Item)
		if c.Gross.Sign() < 0 || c.Credits.Sign() > 0 || len(c.Currency) != 3 {
			t.Fatalf("gross %s, credits %s, currency %q", c.Gross, c.Credits, c.Currency)
		}
	}
	for _, u := range st.Usage {
		clean(u.Model)
		clean(u.Project)
		for _, n := range []int64{u.Input, u.Output, u.CacheRead, u.CacheWrite, u.Requests, u.Uncosted} {
			if n < 0 {
				t.Fatalf("a negative count: %+v", u)
			}
		}
		if u.Uncosted > u.Tokens() {
			t.Fatalf("more uncosted tokens than tokens: %+v", u)
		}
	}
}
