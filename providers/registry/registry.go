// Package registry is the table of providers: the one place that names every
// vendor. It is apart from package providers, whose contract the vendors import.
package registry

import (
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/anthropic"
	"github.com/aispend/aispend/providers/openai"
	"github.com/aispend/aispend/providers/vertex"
)

// Types returns the provider types by the name the configuration uses. The map is
// the caller's own.
func Types() map[string]providers.Type {
	return map[string]providers.Type{
		anthropic.Name: anthropic.Type(),
		openai.Name:    openai.Type(),
		vertex.Name:    vertex.Type(),
	}
}
