package e2e_test

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// process is a program that can be killed and started again with the same
// arguments; all its lives write into one log.
type process struct {
	t    *testing.T
	name string
	bin  string
	args []string
	env  []string
	url  string // base URL
	up   string // path that answers 200 when the program is ready

	cmd  *exec.Cmd
	done chan struct{}
	log  *logBuffer
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// start runs the program until it is ready.
func (p *process) start() {
	p.t.Helper()
	p.cmd = exec.Command(p.bin, p.args...)
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = dieWithParent()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatalf("starting %s: %v", p.name, err)
	}
	p.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait() // how it ended is of no interest: the tests end it
		close(done)
	}(p.cmd, p.done)
	eventually(p.t, 2*time.Minute, p.name+" is ready", func() bool {
		select {
		case <-p.done:
			p.t.Fatalf("%s ended\n%s", p.name, p.log.String())
		default:
		}
		status, _, err := request(p.t, http.MethodGet, p.url+p.up, "")
		return err == nil && status == http.StatusOK
	})
}

// kill is SIGKILL; it returns when the process is gone.
func (p *process) kill() {
	p.t.Helper()
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop ends the process in an orderly way, and hard if that takes too long.
func (p *process) stop() {
	if p.cmd == nil || p.cmd.Process == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// keepLog stops the process when the test ends and leaves its log among the
// artifacts.
func (p *process) keepLog(dir string) {
	p.t.Cleanup(func() {
		p.stop()
		_ = os.WriteFile(filepath.Join(dir, p.name+".log"), []byte(p.log.String()), 0o600)
	})
}

// ports counts upwards through those below 32768: from there on Linux takes the
// local ports of connections by default, one of which may be taken before a program
// listens on it, or while it is killed and started again. TestMain says where to begin.
var ports atomic.Int32

// freeAddress returns an address of loopback that nobody listens on, and that no
// other test gets.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(ports.Add(1))))
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
	t.Fatal("no free port in 100 tries")
	return ""
}
