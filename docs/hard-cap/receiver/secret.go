package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// secret is where a secret is: in a file, which is read anew each time so that it
// can be replaced at any time, or else in an environment variable.
type secret struct{ what, file, env string }

// text returns the content. Errors name the file and never show the content.
func (s secret) text() (string, error) {
	if s.file == "" {
		v := os.Getenv(s.env)
		if v == "" {
			return "", fmt.Errorf("%s: neither its file nor %s is given", s.what, s.env)
		}
		return v, nil
	}
	b, err := os.ReadFile(s.file)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", s.what, err)
	}
	return string(b), nil
}

// line returns the content of a secret that is one word.
func (s secret) line() (string, error) {
	text, err := s.text()
	if err != nil {
		return "", err
	}
	words := strings.Fields(text)
	if len(words) != 1 {
		return "", fmt.Errorf("%s: %w", s.what, errors.New("there must be one key and nothing else"))
	}
	return words[0], nil
}
