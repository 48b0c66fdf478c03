package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/aispend/aispend/internal/secret"
)

const canary = "sk-canary-0123456789"

type holder struct {
	Name    string
	Pointer *secret.Value `yaml:"pointer"`
	Value   secret.Value  `yaml:"value"`
	Any     any           `yaml:"any"`
	hidden  secret.Value
	private *secret.Value
	list    []secret.Value
}

// carriers are all the ways in which a secret may travel.
func carriers() map[string]any {
	v := secret.New(canary)
	h := holder{
		Name: "acme", Pointer: v, Value: *v, Any: *v, hidden: *v, private: v, list: []secret.Value{*v},
	}
	return map[string]any{
		"pointer":        v,
		"value":          *v,
		"struct":         h,
		"struct pointer": &h,
		"slice":          []secret.Value{*v},
		"pointer slice":  []*secret.Value{v},
		"map":            map[string]secret.Value{"k": *v},
		"nested":         struct{ In struct{ H *holder } }{struct{ H *holder }{&h}},
	}
}

func TestValueIsNeverPrinted(t *testing.T) {
	for name, c := range carriers() {
		for _, verb := range []string{
			"%v", "%+v", "%#v", "%q", "%s", "%x", "%X", "%d", "% x", "%10.3v",
			"%T %v", "%p",
		} {
			args := []any{c}
			if strings.HasPrefix(verb, "%T") {
				args = append(args, c)
			}
			refuseCanary(t, name+" as "+verb, fmt.Sprintf(verb, args...))
		}
		refuseCanary(t, name+" in Sprint", fmt.Sprint(c))
		refuseCanary(t, name+" in an error", fmt.Errorf("opening %v: %w", c, errors.New("x")).Error())
	}
}

func TestValueIsNeverEncoded(t *testing.T) {
	for name, c := range carriers() {
		out, err := json.Marshal(c)
		refuseCanary(t, name+" as JSON", fmt.Sprint(string(out), err))
		out, err = yaml.Marshal(c)
		refuseCanary(t, name+" as YAML", fmt.Sprint(string(out), err))
		out, err = xml.Marshal(c)
		refuseCanary(t, name+" as XML", fmt.Sprint(string(out), err))
		var buf bytes.Buffer
		err = gob.NewEncoder(&buf).Encode(c)
		refuseCanary(t, name+" as gob", fmt.Sprint(buf.String(), err))
	}
}

func TestValueIsNeverLogged(t *testing.T) {
	for name, c := range carriers() {
		var buf bytes.Buffer
		opts := &slog.HandlerOptions{AddSource: true}
		for _, h := range []slog.Handler{slog.NewTextHandler(&buf, opts), slog.NewJSONHandler(&buf, opts)} {
			l := slog.New(h).With("with", c)
			l.Info("message", "k", c, slog.Group("g", "k", c), "err", fmt.Errorf("x: %v", c))
		}
		refuseCanary(t, name+" in slog", buf.String())
	}
}

func refuseCanary(t *testing.T, what, got string) {
	t.Helper()
	if got == "" {
		t.Errorf("%s: no output at all", what)
	}
	for _, form := range []string{
		canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary),
		fmt.Sprintf("% x", canary),
	} {
		if strings.Contains(got, form) {
			t.Errorf("%s shows the secret: %s", what, got)
		}
	}
}

// What is shown instead is the mask; an unset secret shows nothing.
func TestValueShowsMask(t *testing.T) {
	set, unset := secret.New(canary), secret.New("  ")
	file := secret.FromFile("/run/key")
	for _, got := range []string{
		set.String(), fmt.Sprint(set), fmt.Sprint(*set), fmt.Sprintf("%#v", set), fmt.Sprintf("%q", *set),
		file.String(),
	} {
		if got != secret.Mask {
			t.Errorf("shown as %q, want %q", got, secret.Mask)
		}
	}
	if got := fmt.Sprintf("%v|%s|%#v", unset, *unset, unset); got != "||" {
		t.Errorf("unset is shown as %q", got)
	}
	var none *secret.Value
	if got := fmt.Sprint(none); got != "<nil>" {
		t.Errorf("nil is shown as %q", got)
	}
	out, err := yaml.Marshal(holder{Pointer: set})
	if err != nil || !strings.Contains(string(out), "pointer: <secret>\n") ||
		!strings.Contains(string(out), `value: ""`) {
		t.Errorf("YAML is %q, %v", out, err)
	}
}

func TestValueFromConfiguration(t *testing.T) {
	var h holder
	if err := yaml.Unmarshal([]byte("pointer: ' a b '\nvalue: x\n"), &h); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Pointer.Get(); err != nil || got != "a b" {
		t.Errorf("pointer = %q, %v, want %q", got, err, "a b")
	}
	if got, err := h.Value.Get(); err != nil || got != "x" {
		t.Errorf("value = %q, %v, want x", got, err)
	}
}

func TestGet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	v := secret.FromFile(path)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := v.Get(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for _, text := range []string{"first\n", "\r\n rotated \n"} {
		write(text)
		if got, err := v.Get(); err != nil || got != strings.TrimSpace(text) {
			t.Errorf("Get() = %q, %v, want the trimmed %q", got, err, text)
		}
	}
	write(" \n")
	if _, err := v.Get(); !errors.Is(err, secret.ErrEmpty) || !strings.Contains(err.Error(), path) {
		t.Errorf("empty file: %v, want ErrEmpty with the path", err)
	}
	write(canary + strings.Repeat(" ", 1<<16))
	if _, err := v.Get(); !errors.Is(err, secret.ErrTooLarge) || strings.Contains(err.Error(), canary) {
		t.Errorf("large file: %v, want ErrTooLarge", err)
	}
	for _, v := range []*secret.Value{nil, {}, secret.New(""), secret.New(" \n")} {
		if got, err := v.Get(); !errors.Is(err, secret.ErrEmpty) || got != "" || v.Set() {
			t.Errorf("not set: Get() = %q, %v, Set() = %t", got, err, v.Set())
		}
	}
}

func TestEqual(t *testing.T) {
	a, b := secret.New("a"), secret.New("b")
	for _, tt := range []struct {
		x, y *secret.Value
		want bool
	}{
		{a, a, true},
		{a, secret.New(" a\n"), true},
		{a, b, false},
		{a, nil, false},
		{nil, a, false},
		{nil, &secret.Value{}, true},
		{a, secret.FromFile("a"), false},
		{secret.FromFile("a"), secret.FromFile("a"), true},
		{secret.FromFile("a"), secret.FromFile("b"), false},
	} {
		if got := tt.x.Equal(tt.y); got != tt.want {
			t.Errorf("%p.Equal(%p) = %t, want %t", tt.x, tt.y, got, tt.want)
		}
	}
	if diff := cmp.Diff(a, b); diff == "" || strings.Contains(diff, `"b"`) {
		t.Errorf("cmp.Diff = %q, want a difference that shows nothing", diff)
	}
}
