package stack_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/emersion/go-smtp"
	"golang.org/x/sys/unix"
)

// insideVariable marks the copy of this test that runs in its own network
// namespace, and names the directory with our programs.
const insideVariable = "AISPEND_STACK_PROGRAMS"

// patience is for a reached cap to arrive: the history is loaded, Prometheus scrapes
// and evaluates each 15 s, and the machine may be busy.
const patience = 3 * time.Minute

// TestDemoStack runs the services of the profile demo, as the compose file says, in
// one network namespace, as the compose file says: a reached hard cap arrives in the
// Slack sink and by mail.
func TestDemoStack(t *testing.T) {
	if dir := os.Getenv(insideVariable); dir != "" {
		insideDemo(t, dir)
		return
	}
	if os.Getenv("AISPEND_PROMETHEUS") == "" || os.Getenv("AISPEND_ALERTMANAGER") == "" {
		t.Skip("AISPEND_PROMETHEUS and AISPEND_ALERTMANAGER name no binaries: make test-e2e sets them")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestDemoStack$", "-test.v")
	cmd.Env = append(os.Environ(), insideVariable+"="+build(t, "./cmd/aispend", "./deploy/slacksink", "./deploy/relay"))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.ENOSPC) {
		t.Skipf("this machine gives no network namespace to its users: %v", err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("inside the namespace:\n%s", out)
}

// insideDemo is TestDemoStack in its network namespace, where every port is free.
func insideDemo(t *testing.T, programs string) {
	if err := loopbackUp(); err != nil {
		t.Fatal(err)
	}
	mails := catchMail(t)
	demo := load(t, "demo").Services
	prometheus, alertmanager := os.Getenv("AISPEND_PROMETHEUS"), os.Getenv("AISPEND_ALERTMANAGER")
	aispend := filepath.Join(programs, "aispend")
	for name, binary := range map[string]string{
		"demo-net": filepath.Join(programs, "relay"), "demo-slack": filepath.Join(programs, "slacksink"),
		"demo-aispend": aispend, "demo-prometheus": prometheus, "demo-alertmanager": alertmanager,
	} {
		start(t, demo[name], binary)
	}
	for _, name := range []string{"demo-net", "demo-aispend", "demo-slack"} {
		check := demo[name].HealthCheck.Test[2:] // after CMD and the program's path
		eventually(t, name+" is healthy", func() error {
			out, err := exec.Command(aispend, check...).CombinedOutput()
			return wrap(err, out)
		})
	}
	for _, url := range []string{demo["demo-prometheus"].HealthCheck.Test[5], demo["demo-alertmanager"].HealthCheck.Test[5]} {
		eventually(t, url+" answers", func() error { return get(url, nil) })
	}

	var messages []struct {
		Attachments []struct {
			Title string `json:"title"`
			Link  string `json:"title_link"`
		} `json:"attachments"`
	}
	eventually(t, "a hard cap arrives in the Slack sink", func() error {
		if err := get("http://127.0.0.1:8060/messages", &messages); err != nil {
			return err
		}
		for _, m := range messages {
			for _, a := range m.Attachments {
				if strings.Contains(a.Title, "openai: hard cap of the month reached") {
					t.Logf("Slack: %s", a.Title)
					if a.Link != "http://127.0.0.1:3000/d/aispend-caps" {
						t.Errorf("it leads to %q, not to the dashboard of the caps", a.Link)
					}
					return nil
				}
			}
		}
		return fmt.Errorf("%d messages: %+v", len(messages), messages)
	})
	eventually(t, "and by mail", func() error {
		for _, m := range mails.all() {
			if strings.Contains(m, "hard") && strings.Contains(m, "To: oncall@demo.example") {
				return nil
			}
		}
		return fmt.Errorf("%d mails: %q", len(mails.all()), mails.all())
	})
	// What a newcomer's browser gets, through the relay.
	if err := get("http://127.0.0.1:10100/", nil); err != nil {
		t.Error(err)
	}
	healthAlerts(t)
}

// healthAlerts makes sure that a demo which is fine does not say that it is not.
func healthAlerts(t *testing.T) {
	t.Helper()
	var reply struct {
		Data struct {
			Alerts []struct {
				Labels map[string]string `json:"labels"`
				State  string            `json:"state"`
			} `json:"alerts"`
		} `json:"data"`
	}
	if err := get("http://127.0.0.1:9090/api/v1/alerts", &reply); err != nil {
		t.Fatal(err)
	}
	for _, a := range reply.Data.Alerts {
		name := a.Labels["alertname"]
		// A model that grows by half each day is an anomaly.
		expected := strings.HasPrefix(name, "AISpendCap") || name == "AISpendAnomaly" || name == "AISpendWatchdog"
		if a.State == "firing" && !expected {
			t.Errorf("the demo fires %v", a.Labels)
		}
	}
}

// start runs a service's command with a program of this machine until the test ends.
func start(t *testing.T, s types.ServiceConfig, binary string) {
	t.Helper()
	dir := t.TempDir()
	turn := place(t, s, dir, nil)
	var args []string
	for _, a := range s.Command {
		args = append(args, turn.Replace(a))
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, dir
	cmd.Env = []string{"TMPDIR=" + dir}
	for name, value := range s.Environment {
		cmd.Env = append(cmd.Env, name+"="+*value)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		_ = log.Close()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s %v:\n%s", s.Name, args, text)
		}
	})
}

// loopbackUp brings up the loopback of a new namespace, its only interface.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %s until %s: %v", patience, what, err)
		}
		time.Sleep(250 * time.Millisecond)
	}
}

func get(url string, into any) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", url, resp.Status, body)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}

func wrap(err error, out []byte) error {
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// mailbox is in place of Mailpit.
type mailbox struct {
	mu   sync.Mutex
	mail []string
}

func (b *mailbox) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.mail)
}

func catchMail(t *testing.T) *mailbox {
	t.Helper()
	box := &mailbox{}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return session{box}, nil }))
	l, err := net.Listen("tcp", "127.0.0.1:1025")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return box
}

type session struct{ box *mailbox }

func (session) Reset()                               {}
func (session) Logout() error                        { return nil }
func (session) Mail(string, *smtp.MailOptions) error { return nil }
func (session) Rcpt(string, *smtp.RcptOptions) error { return nil }

func (s session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.box.mail = append(s.box.mail, string(text))
	return nil
}
