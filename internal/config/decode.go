package config

import (
	"encoding"
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

// maxNodes bounds the walk, so that a file of aliases of aliases ends.
const maxNodes = 20_000

const fileSuffix = "_file"

// place is where a key was written: a line of the file or an environment variable.
type place struct {
	line int
	name string
}

// decoder fills settings structs from YAML nodes, strictly, and goes on after an
// error so that one load reports all of them. It remembers the place of every key
// for the rules that are checked afterwards. It is used for one load.
type decoder struct {
	file  string // for messages; empty: the nodes stand for the environment
	dir   string // relative paths start here
	types map[string]providers.Type
	vars  map[*yaml.Node]string // environment variables behind nodes

	places   map[string]place // by key path
	secrets  []secretFile
	unfit    map[*secret.Value]bool // secrets whose file is not worth reading
	findings []Finding
	warnings []Finding
	nodes    int
}

// secretFile is a secret given by path, to be looked at once all is decoded.
type secretFile struct {
	key   string // path of the key that names the file
	value *secret.Value
}

func newDecoder(file, dir string, types map[string]providers.Type) *decoder {
	return &decoder{
		file: file, dir: dir, types: types,
		vars: map[*yaml.Node]string{}, places: map[string]place{}, unfit: map[*secret.Value]bool{},
	}
}

// finding places a message at a key path, or at the nearest enclosing key that
// was written.
func (d *decoder) finding(key, format string, args ...any) Finding {
	f := Finding{File: d.file, Key: key, Msg: fmt.Sprintf(format, args...)}
	for at := key; at != ""; at = parentKey(at) {
		if p, ok := d.places[at]; ok {
			f.Line = p.line
			if p.name != "" {
				f.Key = p.name
			}
			break
		}
	}
	return f
}

func parentKey(key string) string {
	return key[:max(0, strings.LastIndexAny(key, ".["))]
}

func (d *decoder) errorf(key, format string, args ...any) {
	d.findings = append(d.findings, d.finding(key, format, args...))
}

func (d *decoder) warnf(key, format string, args ...any) {
	d.warnings = append(d.warnings, d.finding(key, format, args...))
}

// given reports whether the key was written.
func (d *decoder) given(key string) bool {
	_, ok := d.places[key]
	return ok
}

// value decodes n into v, which is settable and holds the default.
func (d *decoder) value(n *yaml.Node, key string, v reflect.Value) {
	n = d.deref(n, key)
	if n == nil {
		return
	}
	isMoney := v.Type() == reflect.TypeFor[spend.Money]()
	if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok && !isMoney {
		if s, ok := d.scalar(n, key); ok {
			if err := text.UnmarshalText([]byte(s)); err != nil {
				d.errorf(key, "%v", err)
			}
		}
		return
	}
	switch v.Interface().(type) {
	case time.Duration:
		set(d, n, key, v, parseDuration)
	case spend.Money:
		d.money(n, key, v)
	case []Provider:
		d.providers(n, key, v)
	default:
		d.kind(n, key, v)
	}
}

func (d *decoder) kind(n *yaml.Node, key string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(n, key, v)
	case reflect.Slice:
		d.list(n, key, v)
	case reflect.String:
		set(d, n, key, v, func(s string) (string, error) { return s, nil })
	case reflect.Bool:
		set(d, n, key, v, parseBool)
	case reflect.Int, reflect.Int64:
		set(d, n, key, v, parseInt)
	default:
		panic("config: no way to decode a field of type " + v.Type().String() + " at " + key)
	}
}

func parseBool(s string) (bool, error) {
	if s != "true" && s != "false" {
		return false, fmt.Errorf("%s must be true or false", quote(s))
	}
	return s == "true", nil
}

func parseInt(s string) (int64, error) {
	i, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is not a whole number: write digits only, such as 20000", quote(s))
	}
	return i, nil
}

// set decodes a scalar with parse.
func set[T any](d *decoder, n *yaml.Node, key string, v reflect.Value, parse func(string) (T, error)) {
	s, ok := d.scalar(n, key)
	if !ok {
		return
	}
	t, err := parse(s)
	if err != nil {
		d.errorf(key, "%v", err)
		return
	}
	v.Set(reflect.ValueOf(t).Convert(v.Type()))
}

func (d *decoder) money(n *yaml.Node, key string, v reflect.Value) {
	if isNull(n) {
		return // an empty amount means none
	}
	set(d, n, key, v, parseAmount)
}

// deref follows aliases; nil means that the file is too large to go on.
func (d *decoder) deref(n *yaml.Node, key string) *yaml.Node {
	d.nodes++
	if d.nodes == maxNodes {
		d.errorf(key, "the configuration has too many values: more than %d", maxNodes)
	}
	if d.nodes >= maxNodes {
		return nil
	}
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func (d *decoder) scalar(n *yaml.Node, key string) (string, bool) {
	switch {
	case n.Kind == yaml.MappingNode:
		d.errorf(key, "must be a single value, not a mapping")
	case n.Kind == yaml.SequenceNode:
		d.errorf(key, "must be a single value, not a list")
	case isNull(n):
		d.errorf(key, "is empty: give a value or remove the key")
	default:
		return n.Value, true
	}
	return "", false
}

func (d *decoder) list(n *yaml.Node, key string, v reflect.Value) {
	items, ok := d.items(n, key)
	if !ok {
		return
	}
	out := reflect.MakeSlice(v.Type(), 0, len(items))
	for i, item := range items {
		at := d.item(item, key, i)
		e := reflect.New(v.Type().Elem()).Elem()
		if c, ok := e.Addr().Interface().(*Cap); ok {
			*c = defaultCap()
		}
		d.value(item, at, e)
		out = reflect.Append(out, e)
	}
	v.Set(out)
}

// items returns the entries of a list; an empty key is an empty list.
func (d *decoder) items(n *yaml.Node, key string) ([]*yaml.Node, bool) {
	if isNull(n) {
		return nil, false
	}
	if n.Kind != yaml.SequenceNode {
		d.errorf(key, "must be a list: start each entry with a dash, or write [a, b]")
		return nil, false
	}
	return n.Content, true
}

func (d *decoder) item(n *yaml.Node, key string, i int) string {
	at := fmt.Sprintf("%s[%d]", key, i)
	d.places[at] = place{line: n.Line, name: d.vars[n]}
	return at
}

// slot is one key that a mapping may have.
type slot struct {
	value  reflect.Value
	isPath bool // a path, relative to the configuration file
	secret bool
}

// mapping decodes n into structs that share its keys.
func (d *decoder) mapping(n *yaml.Node, key string, into ...reflect.Value) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.errorf(key, "must be a mapping of keys to values")
		return
	}
	slots := map[string]slot{}
	for _, v := range into {
		addSlots(slots, v)
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		d.entry(n.Content[i], n.Content[i+1], key, slots, seen)
	}
}

func (d *decoder) entry(k, val *yaml.Node, parent string, slots map[string]slot, seen map[string]int) {
	name := k.Value
	key := name
	if parent != "" {
		key = parent + "." + name
	}
	s, known := slots[name]
	if k.Kind != yaml.ScalarNode || !known {
		if quote(name) == "the value" || k.Kind != yaml.ScalarNode {
			name, key = "", parent
		}
		f := d.finding(key, "%s", unknownKey(name, keysOf(slots)))
		f.Line = k.Line
		d.findings = append(d.findings, f)
		return
	}
	if first, twice := seen[name]; twice {
		f := d.finding(key, "is given twice: the first is on line %d, keep one of them", first)
		f.Line = k.Line
		d.findings = append(d.findings, f)
		return
	}
	seen[name] = k.Line
	d.places[key] = place{line: k.Line, name: d.vars[val]}
	switch {
	case s.secret:
		d.secretValue(val, key, s, seen)
	case s.isPath:
		d.value(val, key, s.value)
		s.value.SetString(d.path(s.value.String()))
	default:
		d.value(val, key, s.value)
	}
}

// secretValue sets a secret from its key or from the twin that names a file.
func (d *decoder) secretValue(n *yaml.Node, key string, s slot, seen map[string]int) {
	twin := strings.TrimSuffix(key, fileSuffix)
	if !s.isPath {
		twin = key + fileSuffix
	}
	if _, both := seen[lastKey(twin)]; both {
		d.errorf(key, "excludes %s: give at most one of the two", lastKey(twin))
		return
	}
	n = d.deref(n, key)
	if n == nil {
		return
	}
	text, ok := d.scalar(n, key)
	if !ok {
		return
	}
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		d.errorf(key, "is empty: give a value or remove the key")
	case s.isPath:
		v := secret.FromFile(d.path(text))
		s.value.Set(reflect.ValueOf(v))
		d.secrets = append(d.secrets, secretFile{key, v})
	case strings.HasPrefix(text, "${") || strings.HasPrefix(text, "$("):
		d.errorf(key,
			"looks like a variable, and variables are not expanded: put the secret into a file and name it "+
				"in %s", lastKey(twin))
	default:
		s.value.Set(reflect.ValueOf(secret.New(text)))
	}
}

func lastKey(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

func (d *decoder) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(d.dir, p)
}

// addSlots lists the keys of a struct by its yaml tags. A secret brings its twin.
func addSlots(slots map[string]slot, v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case strings.Contains(opts, "inline"):
			addSlots(slots, v.Field(i))
		case name == "":
			panic("config: field " + v.Type().String() + "." + f.Name + " has no yaml tag")
		case f.Type == reflect.TypeFor[*secret.Value]():
			slots[name] = slot{value: v.Field(i), secret: true}
			slots[name+fileSuffix] = slot{value: v.Field(i), secret: true, isPath: true}
		default:
			isPath := f.Type.Kind() == reflect.String && strings.HasSuffix(name, fileSuffix)
			slots[name] = slot{value: v.Field(i), isPath: isPath}
		}
	}
}

func keysOf(slots map[string]slot) []string {
	keys := make([]string, 0, len(slots))
	for k := range slots {
		keys = append(keys, k)
	}
	return keys
}

// elsewhere returns the section of the file that has the key, or "".
func elsewhere(key string) string {
	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type.Kind() != reflect.Struct {
			continue
		}
		slots := map[string]slot{}
		addSlots(slots, reflect.New(f.Type).Elem())
		if _, ok := slots[key]; ok && key != "" {
			return f.Tag.Get("yaml")
		}
	}
	return ""
}
