package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
	"github.com/aispend/aispend/test/e2e/receiver"
)

// hookSite is a site with a hard cap of 0.5 USD for each round, on a model of its own.
type hookSite struct {
	*site

	hook *receiver.Receiver
	rng  *rand.Rand

	mu    sync.Mutex
	bills map[string]string // by model: what today has cost
	raise map[string]string // by scope: another limit
	caps  int
}

// hookRounds is the number of rounds: make test-kill makes 100.
func hookRounds() int {
	if n, err := strconv.Atoi(os.Getenv("AISPEND_HOOK_KILLS")); err == nil && n > 0 {
		return n
	}
	return 8
}

const hookInboundToken = "inbound-token-of-the-tests"

func newHookSite(t *testing.T, rounds int) *hookSite {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	hook, err := receiver.New(l.Addr().String(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hook.Set(receiver.Refuse) })
	h := &hookSite{
		hook: hook, rng: rand.New(rand.NewPCG(4, uint64(rounds))), caps: rounds,
		bills: map[string]string{}, raise: map[string]string{},
	}
	h.site = newSite(t, simulator.Options{
		Seed: 11, Tiny: true, Plain: true, NoRunaway: true, NoRestatement: true, Now: time.Now,
	}, "")
	project := h.world.Projects(simulator.OpenAI)[0]
	today := spend.DayOf(time.Now())
	h.world.Revise(simulator.OpenAI, today, func([]simulator.Row) []simulator.Row {
		h.mu.Lock()
		defer h.mu.Unlock()
		var rows []simulator.Row
		for _, model := range slices.Sorted(maps.Keys(h.bills)) {
			rows = append(rows, simulator.Row{Model: model, Project: project, Item: model + ", output", Literal: h.bills[model]})
		}
		return rows
	})
	h.write("hook.url", hook.URL())
	h.write("hook.secret", hook.Secrets())
	h.write("hook.token", hookInboundToken)
	h.configure()
	return h
}

// configure writes aispend.yml anew.
func (h *hookSite) configure() {
	h.t.Helper()
	text := fmt.Sprintf(`
ingest: {interval: 1s, timeout: 30s}
web: {admin_token_file: admin.token}
providers:
  - {type: openai, account: acme, api_key_file: openai.key, base_url: %q}
  - {type: anthropic, account: acme, api_key_file: anthropic.key, base_url: %q}
hard_cap: {url_file: hook.url, secret_file: hook.secret, inbound_token_file: hook.token}
caps:
`, h.servers.OpenAI, h.servers.Anthropic)
	for i := range h.caps {
		limit := "0.5"
		if l := h.raise[scopeOf(i)]; l != "" {
			limit = l
		}
		text += fmt.Sprintf("  - {scope: %[1]s, match: {provider: openai, model: %[1]s}, period: month, hard_usd: %[2]s}\n", scopeOf(i), limit)
	}
	h.write("aispend.yml", text)
}

func scopeOf(round int) string { return fmt.Sprintf("round-%03d", round) }

func (h *hookSite) bill(scope, literal string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bills[scope] = literal
}

func (h *hookSite) set(m receiver.Mode) {
	h.t.Helper()
	if err := h.hook.Set(m); err != nil {
		h.t.Fatal(err)
	}
}

// alarm is what Alertmanager posts of a round.
func alarm(scope string) []byte { return receiver.Alarm(scope, "month", time.Now()) }

// postAlarm makes one request; 0 means that no answer came.
func (d *daemon) postAlarm(payload []byte) (int, string) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, d.base+"/webhook/hard-cap", bytes.NewReader(payload))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+hookInboundToken)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}

// tell posts an alarm until the daemon answers 200, as Alertmanager does.
func (d *daemon) tell(payload []byte, decision string) {
	d.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		status, body := d.postAlarm(payload)
		switch {
		case status == http.StatusOK && strings.Contains(body, `"decision":"`+decision+`"`):
			return
		case status != http.StatusServiceUnavailable || time.Now().After(deadline):
			d.t.Fatalf("the alarm is answered %d %s, want %s\n%s", status, body, decision, d.hookLog())
		}
	}
}

// hookLog is what the daemon said of hard caps.
func (d *daemon) hookLog() string {
	lines := strings.Split(d.log(), "\n")
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return !strings.Contains(l, "hard") }), "\n")
}

type hookEvent struct {
	ID     string `json:"id"`
	Scope  string `json:"scope"`
	State  string `json:"state"`
	Reason string `json:"reason"`
}

// becomes waits until the one event of a scope is in a state.
func (d *daemon) becomes(scope, state string) hookEvent {
	d.t.Helper()
	var mine []hookEvent
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var reply struct {
			Items []hookEvent `json:"items"`
		}
		d.get("/hard-cap/deliveries?limit=1000", &reply)
		mine = slices.DeleteFunc(reply.Items, func(e hookEvent) bool { return e.Scope != scope })
		if len(mine) == 1 && mine[0].State == state {
			return mine[0]
		}
	}
	d.t.Fatalf("%s should have one event, which is %s: %+v\n%s", scope, state, mine, d.hookLog())
	return hookEvent{}
}

// hookRound is one round. The daemon is killed in between by h.kill, which returns a
// new one.
type hookRound struct {
	name string
	run  func(h *hookSite, d *daemon, scope string) *daemon
	// min and max are how many deliveries may be accepted.
	min, max int
}

func hookKinds() []hookRound {
	const any = 1 << 10
	return []hookRound{
		{"the hook is away", delivered(receiver.Refuse), 1, 1},
		{"the hook does not answer", delivered(receiver.Hold), 1, 1},
		{"the hook has done its work", delivered(receiver.AcceptLate), 1, any},
		{"the hook is well", delivered(receiver.Accept), 1, any},
		{"the bill falls", (*hookSite).falls, 0, 0},
		{"killed before the answer", (*hookSite).unanswered, 1, any},
		{"there is no breach", (*hookSite).unbreached, 0, 0},
		{"the limit is raised", (*hookSite).raised, 0, 0},
		{"the hook fails", delivered(receiver.Fail), 1, 1},
	}
}

// TestKillHook kills the daemon with SIGKILL at a random instant after it answered 200
// to Alertmanager, before or while it calls the hook. After the next start every breach
// reaches the hook at least once by one id; what is no breach any more does not.
// AISPEND_HOOK_KILLS sets the number of rounds.
func TestKillHook(t *testing.T) {
	t.Parallel()
	rounds := hookRounds()
	kinds := hookKinds()
	rounds = max(rounds, len(kinds)) // each kind at least once
	h := newHookSite(t, rounds)
	d := h.start()
	d.settled(time.Now())
	kills := map[string]int{}
	for i := range rounds {
		kind, scope := kinds[i%len(kinds)], scopeOf(i)
		d = kind.run(h, d, scope)
		kills[kind.name]++
		all, accepted := h.hook.Of(scope)
		if n := len(accepted); n < kind.min || n > kind.max {
			t.Fatalf("%s, %s: %d deliveries were accepted, want %d to %d: %+v\n%s", scope, kind.name, n, kind.min, kind.max, all, d.hookLog())
		}
	}
	// Nothing came later either, and ids are one per cap and threshold.
	for i := range rounds {
		kind := kinds[i%len(kinds)]
		all, accepted := h.hook.Of(scopeOf(i))
		if n, ids := len(accepted), receiver.IDs(all); n > kind.max || n < kind.min || len(ids) > 1 {
			t.Errorf("%s, %s: in the end %d deliveries were accepted, ids %v", scopeOf(i), kind.name, n, ids)
		}
	}
	for _, c := range h.hook.Complaints() {
		t.Error(c)
	}
	if code := d.stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	t.Logf("%d kills: %v", rounds, kills)
}

// kill kills the daemon at a random instant, changes the world and starts another one
// with a hook that is well.
func (h *hookSite) kill(d *daemon, meanwhile func()) *daemon {
	h.t.Helper()
	within := []time.Duration{time.Millisecond, 10 * time.Millisecond, 200 * time.Millisecond}[h.rng.IntN(3)]
	time.Sleep(time.Duration(h.rng.Int64N(int64(within))))
	d.kill()
	if meanwhile != nil {
		meanwhile()
	}
	h.set(receiver.Accept)
	next := h.start()
	return next
}

// delivered is a round in which the daemon is killed while the hook behaves so.
func delivered(m receiver.Mode) func(*hookSite, *daemon, string) *daemon {
	return func(h *hookSite, d *daemon, scope string) *daemon {
		h.set(m)
		h.bill(scope, "0.6")
		d.tell(alarm(scope), "recorded")
		d = h.kill(d, nil)
		e := d.becomes(scope, "delivered")
		d.tell(alarm(scope), "known") // the alert goes on
		if again := d.becomes(scope, "delivered"); again.ID != e.ID {
			h.t.Errorf("%s had id %s and has %s", scope, e.ID, again.ID)
		}
		return d
	}
}

// down is a way of the hook not to take a delivery.
func (h *hookSite) down() receiver.Mode {
	return []receiver.Mode{receiver.Refuse, receiver.Hold, receiver.Fail}[h.rng.IntN(3)]
}

// silent requires that the event is cancelled and that no attempt is made after the start.
func (h *hookSite) silent(d *daemon, scope string, before int, reason string) {
	h.t.Helper()
	if e := d.becomes(scope, "cancelled"); !strings.Contains(e.Reason, reason) {
		h.t.Errorf("%s is cancelled because %q, want %q", scope, e.Reason, reason)
	}
	if all, _ := h.hook.Of(scope); len(all) > before {
		h.t.Errorf("%s: %d attempts after the kill", scope, len(all)-before)
	}
}

func (h *hookSite) falls(d *daemon, scope string) *daemon {
	h.set(h.down())
	h.bill(scope, "0.6")
	d.tell(alarm(scope), "recorded")
	before := 0
	d = h.kill(d, func() {
		h.bill(scope, "0.4")
		all, _ := h.hook.Of(scope)
		before = len(all)
	})
	h.silent(d, scope, before, "no longer breached")
	return d
}

func (h *hookSite) raised(d *daemon, scope string) *daemon {
	h.set(h.down())
	h.bill(scope, "0.6")
	d.tell(alarm(scope), "recorded")
	before := 0
	d = h.kill(d, func() {
		h.raise[scope] = "0.9"
		h.configure()
		all, _ := h.hook.Of(scope)
		before = len(all)
	})
	h.silent(d, scope, before, "the limit was changed to 0.9 USD")
	return d
}

func (h *hookSite) unbreached(d *daemon, scope string) *daemon {
	h.set(receiver.Accept)
	h.bill(scope, "0.4")
	d.tell(alarm(scope), "rejected")
	d = h.kill(d, nil)
	d.becomes(scope, "rejected")
	return d
}

// unanswered kills the daemon while Alertmanager may not have an answer yet; it asks
// again.
func (h *hookSite) unanswered(d *daemon, scope string) *daemon {
	h.set(receiver.Accept)
	h.bill(scope, "0.6")
	payload := alarm(scope)
	if status, body := d.postAlarm(payload); status != http.StatusServiceUnavailable {
		h.t.Fatalf("%s: an alarm without newer data is answered %d %s", scope, status, body)
	}
	asking := make(chan struct{})
	go func(d *daemon) {
		defer close(asking)
		for {
			if status, _ := d.postAlarm(payload); status == 0 || status == http.StatusOK {
				return
			}
		}
	}(d)
	d = h.kill(d, nil)
	<-asking
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if status, body := d.postAlarm(payload); status == http.StatusOK {
			break
		} else if time.Now().After(deadline) {
			h.t.Fatalf("%s: the alarm is answered %d %s", scope, status, body)
		}
	}
	d.becomes(scope, "delivered")
	return d
}
