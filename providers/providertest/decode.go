package providertest

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

// malformed pulls each malformed page; the walk must end with its outcome and
// the page must have been kept.
func (c Case) malformed(t *testing.T) {
	for _, m := range c.Malformed {
		t.Run(m.Name, func(t *testing.T) {
			s := c.serve(t, nil)
			s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write(m.Body)
			})
			_, pages, err := Pull(t.Context(), c.source(t, s.URL), c.request())
			if o := spend.OutcomeOf(err, ""); o != m.Want {
				t.Errorf("got %v (%s), want %s", err, o, m.Want)
			}
			if len(pages) == 0 || !bytes.Equal(pages[0].Body, m.Body) {
				t.Error("the page was not kept")
			}
			noBody(t, err, m.Body)
		})
	}
}

func (c Case) golden(t *testing.T) {
	res, err := c.decode(t, c.Pages...)
	if err != nil {
		t.Fatal(err)
	}
	kind := c.source(t, "http://127.0.0.1:1").Type().Kind
	if diff := cmp.Diff(c.Days, Sums(kind, res)); diff != "" {
		t.Errorf("sums (-want +got):\n%s", diff)
	}
	for i, st := range res.Statements {
		if i > 0 && res.Statements[i-1].Day >= st.Day {
			t.Errorf("statements are not ascending at %s", st.Day)
		}
		if kind == providers.Usage && len(st.Charges) > 0 {
			t.Errorf("%s: a usage source made money", st.Day)
		}
		if !st.ReadAt.IsZero() {
			t.Errorf("%s: ReadAt is set", st.Day)
		}
		if diff := cmp.Diff(spend.MergeCharges(st.Charges), st.Charges); diff != "" {
			t.Errorf("%s: charges are not merged and sorted:\n%s", st.Day, diff)
		}
		if diff := cmp.Diff(spend.MergeUsage(st.Usage), st.Usage); diff != "" {
			t.Errorf("%s: usage is not merged and sorted:\n%s", st.Day, diff)
		}
	}
}

// order decodes every order of the pages, and each page twice.
func (c Case) order(t *testing.T) {
	want, err := c.decode(t, c.Pages...)
	if err != nil {
		t.Fatal(err)
	}
	permute(c.Pages, func(pages [][]byte) {
		for _, again := range append([][]byte{nil}, c.Pages...) {
			all := pages
			if again != nil {
				all = append(pages[:len(pages):len(pages)], again)
			}
			got, err := c.decode(t, all...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.Statements, got.Statements); diff != "" {
				t.Fatalf("another order or a repeated page gives another result:\n%s", diff)
			}
		}
	})
}

func permute(pages [][]byte, fn func([][]byte)) {
	var rec func(done, left [][]byte)
	rec = func(done, left [][]byte) {
		if len(left) == 0 {
			fn(done)
			return
		}
		for i := range left {
			rest := append(append([][]byte(nil), left[:i]...), left[i+1:]...)
			rec(append(append([][]byte(nil), done...), left[i]), rest)
		}
	}
	rec(nil, pages)
}

// incomplete leaves out the last page.
func (c Case) incomplete(t *testing.T) {
	_, err := c.decode(t, c.Pages[:len(c.Pages)-1]...)
	if o := spend.OutcomeOf(err, ""); o != spend.Incomplete {
		t.Errorf("a walk without its last page: %v (%s), want incomplete", err, o)
	}
	if _, err = c.decode(t); spend.OutcomeOf(err, "") != spend.Incomplete {
		t.Errorf("a walk without pages: %v, want incomplete", err)
	}
}

// contradiction gives a day twice with different content: one digit is changed.
func (c Case) contradiction(t *testing.T) {
	for i, other := range c.Pages {
		for at, b := range other {
			if b < '1' || b > '8' {
				continue
			}
			changed := bytes.Clone(other)
			changed[at] = b + 1
			alone, err := c.decode(t, append([][]byte{changed}, c.last()...)...)
			if err != nil {
				continue // the digit was part of a date or of an identity
			}
			whole, err := c.decode(t, append([][]byte{other}, c.last()...)...)
			if err != nil || cmp.Equal(alone.Statements, whole.Statements) {
				continue // it changed nothing that is read
			}
			if len(alone.Statements) != len(whole.Statements) {
				continue
			}
			_, err = c.decode(t, append([][]byte{changed, other}, c.last()...)...)
			if spend.OutcomeOf(err, "") != spend.Schema {
				t.Fatalf("page %d, byte %d: two contents of one day: %v, want schema", i, at, err)
			}
			return
		}
	}
	t.Error("no page could be contradicted")
}

// last returns the page that ends the walk, as a slice to append.
func (c Case) last() [][]byte { return c.Pages[len(c.Pages)-1:] }

// outsideWindow narrows the window: other days' buckets are left out and noticed.
func (c Case) outsideWindow(t *testing.T) {
	w := spend.Window{From: c.Window.From, To: c.Window.From + 1}
	res, err := Decode(c.source(t, "http://127.0.0.1:1"), w, c.Pages...)
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Statements) != 1 || res.Statements[0].Day != w.From {
		t.Errorf("got %d statements for a window of one day", len(res.Statements))
	}
	if want := len(c.Days) - 1; res.Notices["bucket_outside_window"] != want {
		t.Errorf("notices %v, want %d buckets outside the window", res.Notices, want)
	}
}

func (c Case) foreign(t *testing.T) {
	if c.Foreign == nil {
		t.Skip("no money")
	}
	res, err := c.decode(t, c.Foreign)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, st := range res.Statements {
		for _, ch := range st.Charges {
			if ch.Currency != "EUR" || ch.Cost().IsZero() {
				t.Errorf("charge in %s over %s, want EUR and not zero", ch.Currency, ch.Cost())
			}
			n++
		}
	}
	if n == 0 {
		t.Error("the money in EUR is gone")
	}
}
