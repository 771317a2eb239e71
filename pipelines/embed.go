// Package pipelines carries the pipelines inside the binary: `up` runs them
// outside a checkout, `init` writes them out for editing.
package pipelines

import "embed"

// Files are the pipelines and their tests.
//
//go:embed *.yaml
var Files embed.FS
