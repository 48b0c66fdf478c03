package badger_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/internal/store/badger"
	"github.com/aispend/aispend/spend"
)

const (
	smallEvents = 6
	largeEvents = 4
	// eventLife is how many days the event of a generation lives: openCrash keeps 4000
	// days, and its day is that long before the end of them.
	eventLife = 2
)

// crashPlan is what a generation puts, content apart: its own event, which soon expires,
// and new versions of a few small ones, which go into one transaction. Every third
// generation there are large ones too, which make it several.
func crashPlan(generation int) []plannedEvent {
	day := spend.DayOf(crashTime(generation))
	events := []plannedEvent{{fmt.Sprintf("hc_of_%d", generation), day - 4000 + eventLife, 0}}
	for n := range smallEvents {
		events = append(events, plannedEvent{fmt.Sprintf("hc_small_%d", n), day, 0})
	}
	if generation%3 == 0 {
		for n := range largeEvents {
			events = append(events, plannedEvent{fmt.Sprintf("hc_large_%d", n), day, 60 << 10})
		}
	}
	return events
}

type plannedEvent struct {
	id   string
	day  spend.Day
	size int
}

// content says of which generation it is and is followed by what does not compress.
func (e plannedEvent) content(generation int) []byte {
	content := fmt.Appendf(nil, "%d is the generation of %s\n", generation, e.id)
	r := rand.New(rand.NewPCG(uint64(generation), uint64(len(e.id))+uint64(e.id[len(e.id)-1])))
	for len(content) < e.size {
		content = binary.BigEndian.AppendUint64(content, r.Uint64())
	}
	return content
}

func crashEvents(generation int) (events []store.OutboxEvent) {
	for _, e := range crashPlan(generation) {
		events = append(events, store.OutboxEvent{ID: e.id, Day: e.day, Content: e.content(generation)})
	}
	return events
}

// readEvents reads the generation of every event; one that was never put is an error.
func readEvents(s *badger.Store) (generation map[string]int, err error) {
	generation = make(map[string]int)
	var torn error
	err = s.Events(context.Background(), func(e store.OutboxEvent) error {
		number, _, _ := strings.Cut(string(e.Content), " ")
		g, _ := strconv.Atoi(number)
		for _, put := range crashPlan(g) {
			if put.id == e.ID && bytes.Equal(put.content(g), e.Content) {
				generation[e.ID] = g
				return nil
			}
		}
		torn = fmt.Errorf("%w: event %s was never put as it is: %.60q", errTorn, e.ID, e.Content)
		return nil
	})
	if torn != nil {
		return generation, torn
	}
	return generation, err
}

// checkEvents finds every version that was acknowledged, or a newer one that was put,
// and returns the newest generation of which all is there: a put of several transactions
// may have been cut off between them.
func checkEvents(t *testing.T, s *badger.Store, round int, all said) (stored int) {
	t.Helper()
	got, err := readEvents(s)
	if err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	newest := all.stored
	for id, g := range got {
		newest = max(newest, g)
		if g > all.put || strings.HasPrefix(id, "hc_of_") && id != fmt.Sprintf("hc_of_%d", g) {
			t.Fatalf("round %d: %s is of generation %d; it was %+v", round, id, g, all)
		}
	}
	for g := 1; g <= all.stored; g++ {
		for _, e := range crashPlan(g) {
			// The event of a generation goes when any later one may have expired it.
			if e.day >= spend.DayOf(crashTime(all.put))-4000 && got[e.id] < g {
				t.Fatalf("round %d: %s is of generation %d, %d is acknowledged", round, e.id, got[e.id], g)
			}
		}
	}
	for n := range smallEvents {
		if id := fmt.Sprintf("hc_small_%d", n); got[id] != got["hc_small_0"] {
			t.Fatalf("round %d: one transaction is torn: %v", round, got)
		}
	}
	for _, e := range crashPlan(newest) {
		if got[e.id] < newest {
			return all.stored
		}
	}
	return newest
}

// compareEvents says which events are not those of the last generation of the damage
// tests; an error says that the store has noticed.
func compareEvents(s *badger.Store) (wrong []string, err error) {
	got, err := readEvents(s)
	if errors.Is(err, errTorn) {
		fmt.Println("SILENT:", err)
	}
	want := make(map[string]int)
	for g := 1; g <= generations; g++ {
		for _, e := range crashPlan(g) {
			want[e.id] = g
		}
	}
	for id, g := range want {
		if got[id] != g {
			wrong = append(wrong, fmt.Sprintf("%s is of generation %d", id, got[id]))
		}
	}
	return wrong, err
}

var errTorn = errors.New("torn")
