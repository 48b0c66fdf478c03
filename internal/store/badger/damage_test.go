package badger_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/internal/store/badger"
	"github.com/aispend/aispend/spend"
)

// generations is how many pulls the store of the damage tests holds.
const generations = 14

// makeStore writes the store and copies it twice: closed, so that everything lies
// in tables, and while it is open, so that the newest lies in write-ahead logs.
func makeStore(t *testing.T) (closed, hot string) {
	t.Helper()
	dir, closed, hot := t.TempDir(), filepath.Join(t.TempDir(), "closed"), filepath.Join(t.TempDir(), "hot")
	s, err := openCrash(dir, func() time.Time { return crashTime(generations) })
	must(t, err)
	for g := range generations {
		must(t, writeGeneration(s, g+1, io.Discard))
	}
	for range 20 { // a file can go while it is being copied, when a log is flushed
		if err = os.CopyFS(hot, os.DirFS(dir)); err == nil {
			break
		}
		must(t, os.RemoveAll(hot))
	}
	must(t, err)
	must(t, s.Close())
	must(t, os.CopyFS(closed, os.DirFS(dir)))
	return closed, hot
}

// files lists the files of a store with a suffix that hold anything.
func files(t *testing.T, dir, suffix string) []string {
	t.Helper()
	var found []string
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, suffix) {
			if info, err := d.Info(); err == nil && info.Size() > 0 {
				found = append(found, path)
			}
		}
		return err
	}))
	return found
}

// used is the length of a file without the zeros a preallocated one ends in.
func used(b []byte) int { return max(1, len(bytes.TrimRight(b, "\x00"))) }

// damages are ways to hurt a file.
var damages = map[string]func(r *rand.Rand, b []byte) []byte{
	"flip": func(r *rand.Rand, b []byte) []byte {
		b[r.IntN(used(b))] ^= 1 << r.IntN(8)
		return b
	},
	"zero": func(r *rand.Rand, b []byte) []byte {
		at := r.IntN(used(b))
		clear(b[at:min(len(b), at+512)])
		return b
	},
	"truncate": func(r *rand.Rand, b []byte) []byte { return b[:r.IntN(used(b))] },
	"delete":   func(*rand.Rand, []byte) []byte { return nil },
}

// TestDamageIsNeverSilent hurts every kind of file in every way. Whatever the
// store then gives must be right, or it must say that something is wrong.
func TestDamageIsNeverSilent(t *testing.T) {
	closed, hot := makeStore(t)
	rounds := 4
	if v := os.Getenv("AISPEND_DAMAGE_ROUNDS"); v != "" {
		n, err := strconv.Atoi(v)
		must(t, err)
		rounds = n
	}
	tally := make(map[string]map[string]int)
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	for _, c := range []struct{ name, from, suffix string }{
		{"table", closed, ".sst"},
		{"table beside a log", hot, ".sst"},
		{"log", hot, ".mem"},
		{"manifest", closed, "MANIFEST"},
		{"identity", closed, "STORE_ID"},
		{"key registry", closed, "KEYREGISTRY"},
	} {
		for _, kind := range slices.Sorted(maps.Keys(damages)) {
			for range rounds {
				outcome := hurt(t, r, c.from, c.suffix, kind)
				row := c.name + " " + kind
				if tally[row] == nil {
					tally[row] = make(map[string]int)
				}
				tally[row][outcome]++
			}
		}
	}
	for _, row := range slices.Sorted(maps.Keys(tally)) {
		t.Logf("%-28s %v", row, tally[row])
	}
}

// hurt damages one file of a copy and has a helper process look at the store.
func hurt(t *testing.T, r *rand.Rand, from, suffix, kind string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	must(t, os.CopyFS(dir, os.DirFS(from)))
	all := files(t, dir, suffix)
	if len(all) == 0 {
		t.Fatalf("the store has no %s", suffix)
	}
	path := all[r.IntN(len(all))]
	b, err := os.ReadFile(path)
	must(t, err)
	tables := len(files(t, dir, ".sst"))
	if b = damages[kind](r, b); b == nil {
		must(t, os.Remove(path))
	} else {
		must(t, os.WriteFile(path, b, 0o600))
	}
	out, err := helper("check", dir).CombinedOutput()
	text := strings.TrimSpace(string(out))
	switch {
	case strings.Contains(text, "SILENT"):
		kept := filepath.Join(os.TempDir(), "aispend-silent")
		t.Errorf("%s of %s went unnoticed: %s", kind, path, text)
		_ = os.CopyFS(kept, os.DirFS(dir))
		return "SILENT"
	case err != nil:
		if kind == "truncate" || kind == "delete" {
			t.Errorf("%s of %s killed the process: %s", kind, path, text)
		}
		t.Logf("%s of %s killed the process: %.600s", kind, path, text)
		return "death"
	}
	if suffix == "MANIFEST" && kind == "delete" && len(files(t, dir, ".sst")) != tables {
		t.Error("tables were removed because the MANIFEST was missing")
	}
	outcome, _, _ := strings.Cut(text, ":")
	return outcome
}

// checkDamaged opens a damaged store in a process of its own and prints what
// became of it: refused, reported, intact, or SILENT when something is wrong and
// nothing says so.
func checkDamaged(dir string) int {
	s, err := openCrash(dir, func() time.Time { return crashTime(generations) })
	if err != nil {
		fmt.Println("refused:", err)
		return 0
	}
	defer func() { _ = s.Close() }()
	wrong, reported := compare(s)
	switch {
	case len(wrong) > 0 && !reported:
		fmt.Println("SILENT:", wrong)
	case reported:
		fmt.Println("reported:", wrong)
	default:
		fmt.Println("intact:")
	}
	return 0
}

// compare reads the ledger and the archive. A statement that is given must be
// one that was once written, whatever else is said.
func compare(s *badger.Store) (wrong []string, reported bool) {
	ctx := context.Background()
	note := func(format string, a ...any) { wrong = append(wrong, fmt.Sprintf(format, a...)) }
	_, err := s.Sources(ctx)
	reported = err != nil
	days := 0
	report, err := s.Statements(ctx, crashSource, func(st spend.Statement) error {
		days++
		generation, _ := strconv.Atoi(st.Charges[0].Model)
		if !equalStatements(st, crashDay(st.Day, generation)) {
			fmt.Println("SILENT: a statement that was never written")
		}
		if generation != generations {
			note("%s is of generation %d", st.Day, generation)
		}
		return nil
	})
	reported = reported || err != nil || len(report.Damaged) > 0
	if days != crashWindow.Days() {
		note("%d days", days)
	}
	if newest, err := replay(s); err != nil {
		reported = true
	} else if newest != generations {
		note("replay finds generation %d", newest)
	}
	wrongEvents, err := compareEvents(s)
	wrong, reported = append(wrong, wrongEvents...), reported || err != nil
	// A page missing from a listing is Verify's business; it runs last, because
	// it reports everything.
	reported = reported || s.Stats().Corrupt
	wrongBefore := len(wrong) > 0 && !reported
	if err := s.Verify(ctx); err != nil {
		reported = true
	}
	if wrongBefore {
		note("ledger, replay or events were wrong before Verify")
		return wrong, false
	}
	pages := 0
	for _, p := range rawPages(s) {
		if p != nil {
			reported = true
		}
		pages++
	}
	if want := keptPages(); pages != want {
		note("%d pages of %d", pages, want)
	}
	return wrong, reported
}

// replay reads the newest applied pull and all of its pages, and returns its
// generation: 0 if pages came that were not the pull's.
func replay(s *badger.Store) (generation int, err error) {
	ctx := context.Background()
	var newest store.Pull
	if err := s.Pulls(ctx, crashSource, time.Time{}, func(p store.Pull) bool {
		newest = p
		return p.Verdict != store.Applied
	}); err != nil {
		return 0, err
	}
	generation = int(newest.Started.Sub(crashBase) / (6 * time.Hour))
	seq := 0
	err = s.PullPages(ctx, newest, func(p spend.Page) error {
		if p.Seq != seq || !bytes.Equal(p.Body, crashBody(generation, seq)) {
			fmt.Println("SILENT: a replayed page is another")
		}
		seq++
		return nil
	})
	if err == nil && seq != 1+generation%4 {
		return 0, nil
	}
	return generation, err
}

// rawPages reads every page; an error stands for a page that could not be read.
func rawPages(s *badger.Store) []error {
	ctx := context.Background()
	list, err := s.RawPages(ctx, store.RawQuery{Limit: 10000})
	if err != nil {
		return []error{err}
	}
	errs := make([]error, 0, len(list.Items))
	for _, item := range list.Items {
		p, err := s.RawPage(ctx, "openai", item.ID)
		generation := int(p.Page.FetchedAt.Sub(crashBase) / (6 * time.Hour))
		if err == nil && !bytes.Equal(p.Page.Body, crashBody(generation, p.Page.Seq)) {
			fmt.Println("SILENT: a body that was never received")
		}
		errs = append(errs, err)
	}
	return errs
}

// keptPages counts the pages of the fetch days that are within retention.
func keptPages() int {
	n := 0
	for g := 1; g <= generations; g++ {
		if spend.DayOf(crashTime(g)) >= spend.DayOf(crashTime(generations))-3 {
			n += 1 + g%4
		}
	}
	return n
}
