package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// seen remembers the ids of deliveries whose actions are all done, in a file that
// is only ever appended to: a line "<time> <id>" each. It must not be used by two
// goroutines at once.
type seen struct {
	path string
	ids  map[string]bool
	torn bool // the file ends in the middle of a line
}

// openSeen reads the file, which need not exist yet. A last line without its end
// was torn by a crash and counts for nothing: its actions are done once more.
func openSeen(path string) (*seen, error) {
	s := &seen{path: path, ids: map[string]bool{}}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what is done: %w", err)
	}
	lines := strings.Split(string(content), "\n")
	s.torn = lines[len(lines)-1] != ""
	for _, line := range lines[:len(lines)-1] {
		if fields := strings.Fields(line); len(fields) == 2 && eventID.MatchString(fields[1]) {
			s.ids[fields[1]] = true
		}
	}
	return s, nil
}

func (s *seen) has(id string) bool { return s.ids[id] }

// add remembers an id. When it returns nil the line is on the disk.
func (s *seen) add(id string, now time.Time) error {
	line := now.UTC().Format(time.RFC3339) + " " + id + "\n"
	if s.torn {
		line = " torn\n" + line // spoils what is there, however much of it
	}
	s.torn = true // until it is known to be whole
	if err := s.append(line); err != nil {
		return fmt.Errorf("remembering a delivery: %w", err)
	}
	s.torn = false
	s.ids[id] = true
	return nil
}

// append writes and syncs: the file, and its directory for the file's name.
func (s *seen) append(line string) (err error) {
	f, err := os.OpenFile(s.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.WriteString(line); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(s.path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
