package badger_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/internal/store/badger"
	"github.com/aispend/aispend/spend"
)

// The test binary is its own helper process: with this variable set it does not
// run tests but what the variable says, in the directory of the second one.
const (
	envRole = "AISPEND_STORE_HELPER"
	envDir  = "AISPEND_STORE_DIR"
)

func TestMain(m *testing.M) {
	switch os.Getenv(envRole) {
	case "write":
		writeForEver(os.Getenv(envDir))
	case "check":
		os.Exit(checkDamaged(os.Getenv(envDir)))
	default:
		os.Exit(m.Run())
	}
}

func helper(role, dir string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	// A race-detecting binary otherwise sleeps for a second before it exits.
	cmd.Env = append(os.Environ(), envRole+"="+role, envDir+"="+dir, "GORACE=atexit_sleep_ms=0")
	return cmd
}

var (
	crashSource = spend.SourceID{Provider: "openai", Account: "default", Source: "openai/costs"}
	crashBase   = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	crashWindow = spend.Window{From: spend.DayOf(crashBase), To: spend.DayOf(crashBase) + 12}
)

// crashTime is the clock of a generation: six hours a pull, so that fetch days
// pass and expire while the process is being killed.
func crashTime(generation int) time.Time {
	return crashBase.Add(time.Duration(generation) * 6 * time.Hour)
}

func openCrash(dir string, now func() time.Time) (*badger.Store, error) {
	return badger.Open(context.Background(), badger.Options{
		Dir: dir, RawRetentionDays: 3, HistoryDays: 4000, MemTableSize: 1 << 20, Now: now,
	})
}

// crashDay is the statement of a day in a generation; its size makes the window
// several transactions.
func crashDay(d spend.Day, generation int) spend.Statement {
	r := rand.New(rand.NewPCG(uint64(generation), uint64(d)))
	st := spend.Statement{Day: d, ReadAt: crashTime(generation)}
	for row := range 200 {
		st.Charges = append(st.Charges, spend.Charge{
			Model: strconv.Itoa(generation), Item: fmt.Sprintf("%d %x", row, r.Uint64()), Currency: spend.USD,
			Gross: spend.MustMoney(fmt.Sprintf("%d.%018d", r.IntN(1000), r.Int64N(1e18))),
		})
	}
	return st
}

// crashBody does not compress, so that pages and days together are more than a
// transaction and the pull's record is written before its verdict.
func crashBody(generation, seq int) []byte {
	b := fmt.Appendf(nil, "page %d of generation %d\n", seq, generation)
	r := rand.New(rand.NewPCG(uint64(generation), uint64(seq)))
	for len(b) < 30<<10 {
		b = binary.BigEndian.AppendUint64(b, r.Uint64())
	}
	return b
}

// writeForEver makes pull after pull, saying before each Apply which generation
// it is and after it that it has been acknowledged.
func writeForEver(dir string) {
	generation := 0
	s, err := openCrash(dir, func() time.Time { return crashTime(generation) })
	fail(err)
	_, err = s.Statements(context.Background(), crashSource, func(st spend.Statement) error {
		generation, err = strconv.Atoi(st.Charges[0].Model)
		return err
	})
	fail(err)
	fmt.Println("ready")
	for {
		generation++
		fail(writeGeneration(s, generation, os.Stdout))
		if generation%5 == 0 {
			fail(s.Expire(context.Background(), crashTime(generation)))
		}
	}
}

func writeGeneration(s *badger.Store, generation int, acks io.Writer) error {
	ctx := context.Background()
	at := crashTime(generation)
	pw, err := s.Begin(ctx, store.Pull{Source: crashSource, Window: crashWindow, Started: at})
	if err != nil {
		return err
	}
	for seq := range 1 + generation%4 {
		err = errors.Join(err, pw.Page(ctx, spend.Page{Seq: seq, FetchedAt: at, Body: crashBody(generation, seq)}))
	}
	var days []spend.Statement
	for d := crashWindow.From; d < crashWindow.To; d++ {
		days = append(days, crashDay(d, generation))
	}
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(acks, "put", generation); err != nil {
		return err
	}
	if err := s.PutEvents(ctx, crashEvents(generation)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(acks, "stored", generation); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(acks, "begin", generation); err != nil {
		return err
	}
	if err := pw.Apply(ctx, spend.OK, days, store.State{DataThrough: at}); err != nil {
		return err
	}
	_, err = fmt.Fprintln(acks, "ack", generation)
	return err
}

func fail(err error) {
	if err != nil {
		fmt.Println("error", err)
		os.Exit(3)
	}
}

// TestKilledAtRandomMoments kills a writing process and looks at what it left:
// everything acknowledged is there, nothing is half there. AISPEND_CRASH_ROUNDS
// sets how often. It runs alone, like every test that starts processes: a child
// between fork and exec holds Badger's lock for a moment after its store is closed.
func TestKilledAtRandomMoments(t *testing.T) {
	rounds := 40
	if v := os.Getenv("AISPEND_CRASH_ROUNDS"); v != "" {
		n, err := strconv.Atoi(v)
		must(t, err)
		rounds = n
	} else if testing.Short() {
		rounds = 10
	}
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	var all said
	for round := range rounds {
		now := killOnce(t, dir, r)
		// What has been seen once counts as acknowledged from then on.
		all.acked, all.stored = max(all.acked, now.acked), max(all.stored, now.stored)
		// A put of several transactions leaves what an earlier kill has cut off.
		all.begun, all.put = max(now.begun, all.acked), max(now.put, all.put)
		all.acked, all.stored = checkAfterKill(t, dir, round, all)
	}
	if all.acked < rounds/4 || all.stored < rounds/4 {
		t.Errorf("only %d pulls and %d puts were acknowledged in %d rounds", all.acked, all.stored, rounds)
	}
	t.Logf("%d kills, %d acknowledged pulls, %d acknowledged puts of events, none lost", rounds, all.acked, all.stored)
}

// said is the newest generation that the writer named, per word.
type said struct{ begun, acked, put, stored int }

// killOnce runs the writer for a few pulls, however long they take, and then for a
// random moment; one time in five it is killed while it opens the store.
func killOnce(t *testing.T, dir string, r *rand.Rand) (now said) {
	t.Helper()
	cmd := helper("write", dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	must(t, cmd.Start())
	pulls, moment := r.IntN(5), time.Duration(r.IntN(60))*time.Millisecond
	enough := func() {
		if pulls--; pulls == -1 {
			time.AfterFunc(moment, func() { _ = cmd.Process.Kill() })
		}
	}
	if r.IntN(5) == 0 {
		time.AfterFunc(time.Duration(r.IntN(30))*time.Millisecond, func() { _ = cmd.Process.Kill() })
	}
	lines := bufio.NewReader(out)
	for {
		text, err := lines.ReadString('\n')
		if err == io.EOF || err != nil || !strings.HasSuffix(text, "\n") {
			break
		}
		word, arg, _ := strings.Cut(strings.TrimSpace(text), " ")
		switch n, _ := strconv.Atoi(arg); word {
		case "ready":
			enough()
		case "begin":
			now.begun = n
		case "put":
			now.put = n
		case "stored":
			now.stored = n
		case "ack":
			now.acked = n
			enough()
		case "error":
			t.Fatalf("the writer failed: %s", arg)
		}
	}
	err = cmd.Wait()
	if cmd.ProcessState.ExitCode() >= 0 {
		t.Fatalf("the writer ended by itself: %v\n%s", err, stderr.String())
	}
	return now
}

func checkAfterKill(t *testing.T, dir string, round int, all said) (generation, stored int) {
	t.Helper()
	generation = all.begun
	s, err := openCrash(dir, func() time.Time { return crashTime(generation) })
	if err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	defer func() { must(t, s.Close()) }()
	ctx := context.Background()
	seen := make(map[string]int)
	report, err := s.Statements(ctx, crashSource, func(st spend.Statement) error {
		seen[st.Charges[0].Model]++
		generation, err = strconv.Atoi(st.Charges[0].Model)
		if want := crashDay(st.Day, generation); err == nil && !equalStatements(st, want) {
			t.Fatalf("round %d: %s is not what was written", round, st.Day)
		}
		return err
	})
	must(t, err)
	if len(report.Damaged) > 0 || s.Stats().Corrupt {
		t.Fatalf("round %d: damage: %v", round, report.Damaged)
	}
	stored = checkEvents(t, s, round, all)
	if len(seen) == 0 {
		if all.acked > 0 {
			t.Fatalf("round %d: nothing is left of %d pulls", round, all.acked)
		}
		must(t, s.Verify(ctx))
		return 0, stored
	}
	if len(seen) != 1 || generation < all.acked || generation > all.begun {
		t.Fatalf("round %d: days are of generations %v; it was %+v", round, seen, all)
	}
	records, err := s.Sources(ctx)
	must(t, err)
	if got := records[0].State.DataThrough; !got.Equal(crashTime(generation)) {
		t.Fatalf("round %d: state is of %s, days of generation %d", round, got, generation)
	}
	checkPull(t, s, generation)
	must(t, s.Verify(ctx))
	return generation, stored
}

// checkPull finds the generation's pull whole.
func checkPull(t *testing.T, s *badger.Store, generation int) {
	t.Helper()
	ctx := context.Background()
	var newest store.Pull
	must(t, s.Pulls(ctx, crashSource, time.Time{}, func(p store.Pull) bool {
		newest = p
		return p.Verdict != store.Applied
	}))
	n := 0
	must(t, s.PullPages(ctx, newest, func(p spend.Page) error {
		if !bytes.Equal(p.Body, crashBody(generation, p.Seq)) {
			t.Fatalf("page %d of generation %d is another", p.Seq, generation)
		}
		n++
		return nil
	}))
	if n != 1+generation%4 {
		t.Fatalf("generation %d has %d pages", generation, n)
	}
}

func equalStatements(a, b spend.Statement) bool {
	if a.Day != b.Day || len(a.Charges) != len(b.Charges) || !a.ReadAt.Equal(b.ReadAt) {
		return false
	}
	for i := range a.Charges {
		x, y := a.Charges[i], b.Charges[i]
		if x.Model != y.Model || x.Item != y.Item || !x.Gross.Equal(y.Gross) {
			return false
		}
	}
	return true
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
