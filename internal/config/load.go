package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/aispend/aispend/providers"
)

// maxFileBytes bounds the configuration file; real ones have a few kilobytes.
const maxFileBytes = 1 << 20

// Options says where the configuration comes from.
type Options struct {
	// Path is the file, as it shall be named in messages. Required.
	Path string
	// Explicit is set when the user chose Path. A default path may be absent: then
	// Environ is read instead.
	Explicit bool
	// Environ is the environment in the form of os.Environ. Nil means that no
	// variable is read.
	Environ []string
	// Types is the table of provider types. Required.
	Types map[string]providers.Type
}

// Loaded is the result of one successful load.
type Loaded struct {
	Config *Config
	// Warnings are things that work and should be changed, in the order of the file.
	Warnings []Finding
	// Source is "file <path>" or "environment".
	Source string
	// SHA256 is the hex digest of the source: the bytes of the file, or the sorted
	// variables that were read. It tells whether anything changed since a load; files
	// that the configuration names are not part of it.
	SHA256 string
}

// Loader loads the same configuration again and again. It is safe for concurrent
// use. It keeps no trace of a load but one: after a file was loaded, its absence
// is an error and never falls back to the environment.
type Loader struct {
	opts Options

	mu      sync.Mutex
	hadFile bool
}

// NewLoader returns a loader; it reads nothing yet.
func NewLoader(opts Options) *Loader { return &Loader{opts: opts} }

// Load is one load without a Loader.
func Load(opts Options) (*Loaded, error) { return NewLoader(opts).Load() }

// Load reads, decodes and checks the configuration. What is wrong with its
// content is a *LoadError that lists everything found.
func (l *Loader) Load() (*Loaded, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, err := readFile(l.opts.Path, maxFileBytes)
	switch {
	case err == nil:
		loaded, err := parse(l.opts, b)
		l.hadFile = l.hadFile || err == nil
		return loaded, err
	case errors.Is(err, fs.ErrNotExist) && !l.opts.Explicit && !l.hadFile:
		return fromEnvironment(l.opts)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: the configuration file does not exist: "+
			"name another with --config.file, or start from docs/example.yml", l.opts.Path)
	default:
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
}

// Parse decodes and checks the text of a configuration file. Relative paths start
// at the directory of path, which need not exist.
func Parse(path string, text []byte, types map[string]providers.Type) (*Loaded, error) {
	return parse(Options{Path: path, Types: types}, text)
}

func parse(opts Options, text []byte) (*Loaded, error) {
	d := newDecoder(opts.Path, filepath.Dir(opts.Path), opts.Types)
	root := d.document(text)
	c, err := d.config(root)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	loaded := &Loaded{Config: c, Source: "file " + opts.Path, SHA256: hex.EncodeToString(sum[:])}
	if w, ok := ignoredVariables(opts); ok {
		loaded.Warnings = append(loaded.Warnings, w)
	}
	loaded.Warnings = append(loaded.Warnings, sortFindings(d.warnings)...)
	return loaded, nil
}

// config turns the root node into a valid configuration. A nil node is an empty file.
func (d *decoder) config(root *yaml.Node) (*Config, error) {
	c := Default()
	if root != nil {
		d.mapping(root, "", valueOf(c))
	}
	if len(d.findings) == 0 {
		// The rules are for values that could be read: a misspelt key would only
		// bring a second message about what it left unset.
		d.check(c)
	}
	if len(d.findings) > 0 {
		return nil, &LoadError{Findings: capFindings(d.file, sortFindings(d.findings))}
	}
	return c, nil
}

// document parses YAML text to its root node; nil for an empty document.
func (d *decoder) document(text []byte) *yaml.Node {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		d.findings = append(d.findings, syntaxFinding(d.file, err))
		return nil
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		d.findings = append(d.findings, Finding{
			File: d.file, Line: second.Line,
			Msg: "holds more than one YAML document: remove the line --- and all after it",
		})
	}
	if len(doc.Content) == 0 {
		return nil
	}
	return doc.Content[0]
}

// syntaxFinding translates an error of the YAML parser. The few of its messages
// that repeat the text of the file are replaced: the text may be a secret.
func syntaxFinding(file string, err error) Finding {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	f := Finding{File: file}
	if m := regexp.MustCompile(`^line (\d+): (?s)(.*)$`).FindStringSubmatch(msg); m != nil {
		f.Line, _ = strconv.Atoi(m[1])
		msg = m[2]
	}
	switch {
	case strings.Contains(msg, "anchor '") || strings.Contains(msg, "cannot decode"):
		msg = "a value that begins with * or ! has a meaning of its own: put the value in quotes"
	case strings.Contains(msg, "cannot start any token"):
		msg += ": indent with spaces, never tabs, and put a value that begins with @, % or ` in quotes"
	case f.Line == 0 && !regexp.MustCompile(`UTF-|octet|surrogate|Unicode|control char`).MatchString(msg):
		f.Line = 1 // the parser counts from 0 and is silent about that; bytes it cannot read have no line
	}
	f.Msg = "is not valid YAML: " + msg
	return f
}

// readFile reads a file of at most limit bytes. Errors name the path as given.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return b, nil
}
