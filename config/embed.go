// Package config carries the configuration inside the binary: `up` runs it
// outside a checkout, `init` writes it out for editing.
package config

import "embed"

// Files are the service's configuration, the profiles, and the fixtures of the
// test profile.
//
//go:embed *.yaml fixtures
var Files embed.FS
