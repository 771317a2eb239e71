// Package config carries the configuration inside the binary: `up` runs it
// outside a checkout, `init` writes it out for editing.
package config

import "embed"

// Files are the service's configuration and the profiles.
//
//go:embed *.yaml
var Files embed.FS
