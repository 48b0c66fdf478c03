package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// machine says in two lines what the figures were measured on.
func machine(ctx context.Context) string {
	cpu := field("/proc/cpuinfo", "model name")
	if cpu == "" {
		cpu = "unknown CPU"
	}
	revision := "unknown"
	if out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output(); err == nil {
		revision = strings.TrimSpace(string(out))
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // absent elsewhere than on Linux
	return fmt.Sprintf("%d CPUs (%s), memory %s, %s/%s %s, %s\nrevision %s, temporary files in %s, %s",
		runtime.NumCPU(), cpu, field("/proc/meminfo", "MemTotal"), runtime.GOOS, runtime.GOARCH,
		bytes.TrimSpace(kernel), runtime.Version(), revision, os.TempDir(), load())
}

// field returns the value of the first line "name: value" of a file of /proc.
func field(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }() // read only
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// load tells how busy the machine is with everything, this program included.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "load unknown"
	}
	fields := strings.Fields(string(b))
	return "load average " + strings.Join(fields[:min(3, len(fields))], " ")
}
