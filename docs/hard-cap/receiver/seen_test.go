package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func idOf(n int) string { return fmt.Sprintf("hc_%032x", n) }

func reopen(t *testing.T, path string) *seen {
	t.Helper()
	s, err := openSeen(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSeenOutlivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seen.log")
	now := time.Date(2026, 11, 24, 10, 15, 8, 0, time.UTC)
	for n := range 3 {
		s := reopen(t, path)
		for i := range 3 {
			if s.has(idOf(i)) != (i < n) {
				t.Errorf("after %d: has(%d) is %v", n, i, s.has(idOf(i)))
			}
		}
		if err := s.add(idOf(n), now); err != nil || !s.has(idOf(n)) {
			t.Errorf("adding: %v", err)
		}
	}
	content, err := os.ReadFile(path)
	want := "2026-11-24T10:15:08Z " + idOf(0) + "\n2026-11-24T10:15:08Z " + idOf(1) + "\n2026-11-24T10:15:08Z " + idOf(2) + "\n"
	if err != nil || string(content) != want {
		t.Errorf("%v: %q", err, content)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, mode %v", err, info.Mode())
	}
}

func TestATornLineCountsForNothing(t *testing.T) {
	whole := "2026-11-24T10:15:08Z " + idOf(1) + "\n"
	line := "2026-11-24T10:15:08Z " + idOf(2) + "\n"
	for cut := range len(line) {
		path := filepath.Join(t.TempDir(), "seen.log")
		if err := os.WriteFile(path, []byte(whole+line[:cut]), 0o600); err != nil {
			t.Fatal(err)
		}
		s := reopen(t, path)
		if !s.has(idOf(1)) || s.has(idOf(2)) {
			t.Fatalf("cut at %d: has %v", cut, s.ids)
		}
		if err := s.add(idOf(3), time.Now()); err != nil {
			t.Fatal(err)
		}
		if s = reopen(t, path); !s.has(idOf(1)) || s.has(idOf(2)) || !s.has(idOf(3)) {
			t.Fatalf("cut at %d: then has %v", cut, s.ids)
		}
	}
}

func TestWhatCannotBeWrittenIsNotRemembered(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	s := reopen(t, filepath.Join(dir, "seen.log"))
	if err := s.add(idOf(1), time.Now()); err == nil || s.has(idOf(1)) {
		t.Errorf("error %v, has %v", err, s.has(idOf(1)))
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.add(idOf(1), time.Now()); err != nil {
		t.Error(err)
	}
	if again := reopen(t, s.path); !again.has(idOf(1)) {
		t.Errorf("has %v", again.ids)
	}
	if _, err := openSeen(t.TempDir()); err == nil {
		t.Error("a directory is taken for the file")
	}
}
