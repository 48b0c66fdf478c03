package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/api"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/internal/store/badger"
	"github.com/aispend/aispend/spend"
)

// realStore opens a store with n applied pages of openai/costs and one failed page
// of openai/usage, and returns the bodies in the order they were fetched.
func realStore(t *testing.T, n int) (*badger.Store, [][]byte) {
	t.Helper()
	s, err := badger.Open(t.Context(), badger.Options{
		Dir: t.TempDir(), RawRetentionDays: 90, HistoryDays: 800, Now: noon, AllowNetworkFilesystem: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // repeatable bodies
	var bodies [][]byte
	window := spend.Window{From: day("2026-11-01"), To: day("2026-11-24")}
	costs := store.Pull{Source: openaiCosts, Window: window, Started: noon(), Kind: "current"}
	pull, err := s.Begin(t.Context(), costs)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		body := make([]byte, 1+random.IntN(5000))
		for j := range body {
			body[j] = byte(random.IntN(256))
		}
		bodies = append(bodies, body)
		p := spend.Page{
			Seq: i, URL: fmt.Sprintf("https://api.example/costs?page=%d", i), Status: 200, Body: body,
			FetchedAt: noon().Add(time.Duration(i) * time.Second),
			Header:    map[string]string{"Content-Type": "application/json"},
		}
		if err := pull.Page(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if err := pull.Apply(t.Context(), spend.OK, nil, store.State{}); err != nil {
		t.Fatal(err)
	}
	usage := costs
	usage.Source = openaiUsage
	failed, err := s.Begin(t.Context(), usage)
	if err != nil {
		t.Fatal(err)
	}
	refusal := spend.Page{Status: 401, FetchedAt: noon(), Body: []byte(`{"error":{}}`)}
	if err := failed.Page(t.Context(), refusal); err != nil {
		t.Fatal(err)
	}
	if err := failed.Fail(t.Context(), spend.Auth, "401"); err != nil {
		t.Fatal(err)
	}
	return s, bodies
}

type rawList struct {
	Items []struct {
		ID, Source string
		Page       int
		Status     int
		Bytes      int
	}
	Cursor string
}

// walk follows the cursors of a raw listing to its end.
func walk(t *testing.T, k *kit, query string) (out rawList) {
	t.Helper()
	cursor := ""
	for range 100 {
		target := "/raw/openai?" + query
		if cursor != "" {
			target += "&cursor=" + url.QueryEscape(cursor)
		}
		w := k.get(target)
		wantOK(t, w)
		var page rawList
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
			t.Fatal(err)
		}
		out.Items = append(out.Items, page.Items...)
		if cursor = page.Cursor; cursor == "" {
			return out
		}
	}
	t.Fatal("the listing does not end")
	return out
}

// Over a real store: the cursors that it hands out pass the API's checks, every
// page comes once, and its bytes are those that were fetched.
func TestRawOverARealStore(t *testing.T) {
	s, bodies := realStore(t, 7)
	k := newKit(t, func(d *api.Deps) { d.Archive, d.Stats = s, s.Stats })
	k.tokens = api.Tokens{Admin: []string{adminToken}}
	for _, limit := range []int{1, 2, 3, 8, 500} {
		list := walk(t, k, fmt.Sprintf("limit=%d&source=openai/costs", limit))
		if len(list.Items) != len(bodies) {
			t.Fatalf("limit %d: %d pages, want %d", limit, len(list.Items), len(bodies))
		}
		for i, item := range list.Items {
			want := bodies[len(bodies)-1-i]
			w := k.get("/raw/openai/" + item.ID)
			wantOK(t, w)
			if !bytes.Equal(w.Body.Bytes(), want) || item.Bytes != len(want) || item.Page != len(bodies)-1-i {
				t.Errorf("limit %d, item %d: page %d of %d bytes is not the one fetched", limit, i, item.Page, item.Bytes)
			}
		}
	}
	if all := walk(t, k, "limit=3"); len(all.Items) != len(bodies)+1 {
		t.Errorf("%d pages of both sources, want %d", len(all.Items), len(bodies)+1)
	}
	if none := walk(t, k, "to=2026-11-22"); len(none.Items) != 0 {
		t.Errorf("%d pages fetched before today", len(none.Items))
	}
}

func TestRefusalsAreKeptForAudit(t *testing.T) {
	s, _ := realStore(t, 1)
	k := newKit(t, func(d *api.Deps) { d.Archive = s })
	k.tokens = api.Tokens{Admin: []string{adminToken}}
	list := walk(t, k, "source=openai/usage")
	if len(list.Items) != 1 || list.Items[0].Status != http.StatusUnauthorized {
		t.Fatalf("got %+v", list)
	}
	w := k.get("/raw/openai/" + list.Items[0].ID)
	wantOK(t, w)
	if got := w.Header().Get("Aispend-Page-Status"); got != "401" || w.Body.String() != `{"error":{}}` {
		t.Errorf("status %s, body %s", got, w.Body)
	}
	wantProblem(t, k.get("/raw/anthropic/"+list.Items[0].ID), http.StatusNotFound)
	wantProblem(t, k.get("/raw/openai/20261123-01JD0000000000000000000000-0009"), http.StatusNotFound)
	wantProblem(t, k.get("/raw/openai?cursor=made-up"), http.StatusBadRequest)
}
