// Package rules holds the alerting rules of aispend for Prometheus, as files for
// those who run Prometheus and embedded for the daemon and the tests.
package rules

import "embed"

// The names of the rule files.
const (
	// CapsFile alerts on spend limits.
	CapsFile = "aispend.caps.rules.yml"
	// HealthFile alerts on what the limits are judged by, and on the daemon itself.
	HealthFile = "aispend.health.rules.yml"
)

// Files holds CapsFile and HealthFile as they are shipped; it is never written.
//
//go:embed aispend.caps.rules.yml aispend.health.rules.yml
var Files embed.FS
