package spend_test

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/aispend/aispend/spend"
)

func TestMergeCharges(t *testing.T) {
	in := []spend.Charge{
		{Model: "b", Currency: "USD", Gross: spend.MustMoney("0.1")},
		{Model: "a", Item: "x", Currency: "USD", Gross: spend.MustMoney("7")},
		{Model: "b", Currency: "USD", Gross: spend.MustMoney("0.2"), Credits: spend.MustMoney("-1")},
		{Model: "b", Currency: "EUR", Gross: spend.MustMoney("5")},
	}
	keep := slices.Clone(in)
	want := []spend.Charge{
		{Model: "a", Item: "x", Currency: "USD", Gross: spend.MustMoney("7")},
		{Model: "b", Currency: "EUR", Gross: spend.MustMoney("5")},
		{Model: "b", Currency: "USD", Gross: spend.MustMoney("0.3"), Credits: spend.MustMoney("-1")},
	}
	if diff := cmp.Diff(want, spend.MergeCharges(in)); diff != "" {
		t.Errorf("MergeCharges (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(keep, in); diff != "" {
		t.Errorf("the argument was changed (-before +after):\n%s", diff)
	}
	if got := spend.MergeCharges(nil); got != nil {
		t.Errorf("MergeCharges(nil) = %v, want nil", got)
	}
}

func TestMergeUsage(t *testing.T) {
	in := []spend.Usage{
		{Model: "b", Input: 1, Output: 2, CacheRead: 3, CacheWrite: 4, Uncosted: 5, Requests: 99},
		{Model: "a", Project: "q", Input: math.MaxInt64 - 1},
		{
			Model: "b", Input: 10, Output: 20, CacheRead: 30, CacheWrite: 40, Uncosted: 50, Requests: 6,
			HasRequests: true,
		},
		{Model: "a", Project: "q", Input: 2},
		{Model: "a", Project: "p", Input: 1},
	}
	want := []spend.Usage{
		{Model: "a", Project: "p", Input: 1},
		{Model: "a", Project: "q", Input: math.MaxInt64},
		{
			Model: "b", Input: 11, Output: 22, CacheRead: 33, CacheWrite: 44, Uncosted: 55, Requests: 6,
			HasRequests: true,
		},
	}
	if diff := cmp.Diff(want, spend.MergeUsage(in)); diff != "" {
		t.Errorf("MergeUsage (-want +got):\n%s", diff)
	}
}

func TestMergeIgnoresOrder(t *testing.T) {
	key := rapid.SampledFrom([]string{"", "a", "b"})
	amount := rapid.SampledFrom([]string{"0", "0.1", "-3.21", "1e-30", "170000000000000", "41.000000000000001"})
	row := rapid.Custom(func(t *rapid.T) spend.Charge {
		return spend.Charge{
			Model: key.Draw(t, "model"), Project: key.Draw(t, "project"), Item: key.Draw(t, "item"),
			Currency: "USD", Gross: spend.MustMoney(amount.Draw(t, "gross")),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(row, 0, 30).Draw(t, "in")
		one := spend.MergeCharges(in)
		two := spend.MergeCharges(rapid.Permutation(in).Draw(t, "shuffled"))
		if diff := cmp.Diff(one, two); diff != "" {
			t.Fatalf("order matters:\n%s", diff)
		}
		var want, got spend.Money
		for _, c := range in {
			want = want.Add(c.Gross)
		}
		for i, c := range one {
			got = got.Add(c.Gross)
			if i > 0 && one[i-1].Model == c.Model && one[i-1].Project == c.Project && one[i-1].Item == c.Item {
				t.Fatalf("key given twice: %+v", c)
			}
		}
		if !got.Equal(want) {
			t.Fatalf("sum = %s, want %s", got, want)
		}
	})
}
