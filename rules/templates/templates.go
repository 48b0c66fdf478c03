// Package templates holds the Alertmanager templates of aispend's alerts, so that
// the binary can write them beside the configuration that uses them.
package templates

import "embed"

// FS holds the *.tmpl files.
//
//go:embed *.tmpl
var FS embed.FS
