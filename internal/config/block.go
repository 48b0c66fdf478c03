package config

import (
	"errors"
	"maps"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/aispend/aispend/providers"
)

func valueOf(ptr any) reflect.Value { return reflect.ValueOf(ptr).Elem() }

// providers decodes the list of provider blocks.
func (d *decoder) providers(n *yaml.Node, key string, v reflect.Value) {
	items, ok := d.items(n, key)
	if !ok {
		return
	}
	blocks := make([]Provider, 0, len(items))
	for i, item := range items {
		at := d.item(item, key, i)
		if item = d.deref(item, at); item == nil {
			return
		}
		if p, ok := d.block(item, at); ok {
			blocks = append(blocks, p)
		}
	}
	v.Set(reflect.ValueOf(blocks))
}

// block decodes one provider block. Its type says which further keys it has, so
// nothing of a block is read before its type is known.
func (d *decoder) block(n *yaml.Node, key string) (Provider, bool) {
	if n.Kind != yaml.MappingNode {
		d.errorf(key, "must be a mapping of keys to values, beginning with type: %s", oneOf(d.typeNames()))
		return Provider{}, false
	}
	t, ok := d.blockType(n, key)
	if !ok {
		return Provider{}, false
	}
	p := defaultProvider()
	p.Sources = slices.Clone(t.Sources)
	p.Settings = t.NewSettings()
	d.mapping(n, key, valueOf(&p), valueOf(p.Settings))
	if s, ok := p.Settings.(providers.Selective); ok {
		p.Sources = s.Families()
	}
	return p, true
}

func (d *decoder) blockType(n *yaml.Node, key string) (providers.Type, bool) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != "type" {
			continue
		}
		at := key + ".type"
		d.places[at] = place{line: n.Content[i].Line, name: d.vars[n.Content[i+1]]}
		val := d.deref(n.Content[i+1], at)
		if val == nil {
			return providers.Type{}, false
		}
		name, ok := d.scalar(val, at)
		if !ok {
			return providers.Type{}, false
		}
		t, known := d.types[name]
		if !known {
			d.errorf(at, "%s is not a provider type: write %s", quote(name), oneOf(d.typeNames()))
		}
		return t, known
	}
	d.errorf(key, "has no type: write type: %s", oneOf(d.typeNames()))
	return providers.Type{}, false
}

func (d *decoder) typeNames() []string {
	return slices.Sorted(maps.Keys(d.types))
}

// vendorFinding places what a vendor's Validate said.
func (d *decoder) vendorFinding(key string, err error) {
	if fe, ok := errors.AsType[*providers.FieldError](err); ok {
		if fe.Key != "" {
			key += "." + fe.Key
		}
		d.errorf(key, "%s", fe.Msg)
		return
	}
	d.errorf(key, "%v", err)
}
