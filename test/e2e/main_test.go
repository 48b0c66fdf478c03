// Package e2e_test runs the whole way of an alert with the real programs: the
// aispend binary on simulated providers, Prometheus with the shipped rules,
// Alertmanager with the shipped configuration and templates, and sinks that take
// what Slack, a mail server and a hard-cap hook would get.
//
// AISPEND_PROMETHEUS and AISPEND_ALERTMANAGER name the two binaries (make test-e2e
// builds and names them); without them the tests are skipped.
package e2e_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// tools are the programs of a run; empty paths mean that the tests are skipped.
type tools struct{ aispend, prometheus, alertmanager string }

// programs is set once by TestMain.
var programs tools

func TestMain(m *testing.M) {
	if os.Getenv(clockFileVariable) != "" {
		os.Exit(shiftedDaemon())
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	t := tools{prometheus: os.Getenv("AISPEND_PROMETHEUS"), alertmanager: os.Getenv("AISPEND_ALERTMANAGER")}
	if t.prometheus == "" || t.alertmanager == "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "aispend-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	t.aispend = filepath.Join(dir, "aispend")
	build := exec.Command("go", "build", "-o", t.aispend, "../../cmd/aispend")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building aispend:", err)
		return 1
	}
	programs = t
	ports.Store(10000 + rand.Int32N(20000)) // another run may go on beside this one
	// The scenarios mostly wait for Alertmanager's group intervals: side by side they
	// take as long as the longest, whatever the number of processors.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// long reports whether tests of many minutes are wanted.
func long() bool { return os.Getenv("AISPEND_E2E_LONG") != "" }

// needTools skips a test that cannot run without the real programs.
func needTools(t *testing.T) {
	t.Helper()
	if programs.aispend == "" {
		t.Skip("set AISPEND_PROMETHEUS and AISPEND_ALERTMANAGER, or run make test-e2e, which builds them")
	}
}
