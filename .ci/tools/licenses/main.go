// Command licenses lists what is in the binary and in its web page, with versions and
// licences, and makes a bill of materials (CycloneDX) of it. It fails if a licence is not
// permissive or cannot be told, and, with -check, if the list is not up to date:
//
//	go -C .ci/tools run ./licenses                   writes docs/licenses.md
//	go -C .ci/tools run ./licenses -check            compares it
//	go -C .ci/tools run ./licenses -sbom FILE        writes the bill of materials as well
//
// The same sources give the same bytes.
package main

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// permissive are the licences that ask for no more than to be named.
var permissive = []string{"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "Unlicense", "Zlib"}

// exceptions are licences that ask for more, with why that is met; by module, and no
// other's. A module without a licence that the tool knows has its own here.
var exceptions = map[string]struct{ licence, why string }{
	"codeberg.org/go-fonts/liberation":       {"OFL-1.1", "fonts in the plots, which gonum's plot embeds; they are not sold by themselves"},
	"github.com/ajstarks/svgo":               {"CC-BY-4.0", "named here; writes the plots that are SVG"},
	"github.com/golang/freetype":             {"FTL", "of FTL and GPL this is the choice: portions of this software are copyright © The FreeType Project (www.freetype.org), all rights reserved"},
	"github.com/hashicorp/golang-lru/v2":     {"MPL-2.0", "Benthos uses it; unchanged, its source is at its address"},
	"github.com/hashicorp/golang-lru/arc/v2": {"MPL-2.0", "as golang-lru"},
	"github.com/rcrowley/go-metrics":         {"BSD-2-Clause-Views", "BSD-2-Clause, with a sentence that views are the authors' own"},
	"modernc.org/sqlite":                     {"MPL-2.0", "its LICENSE-3RD-PARTY.md names it, for a module that is not compiled into it"},
}

// component is a module or package that the program is made of.
type component struct {
	ecosystem string // golang or npm
	name      string
	version   string
	sum       []byte // SHA-256, as go.sum has it; SHA-512, as npm has it
	licences  []string
}

func main() {
	root := flag.String("root", "../..", "folder of the repository")
	check := flag.Bool("check", false, "compare docs/licenses.md instead of writing it")
	sbom := flag.String("sbom", "", "file to write the bill of materials to, as CycloneDX JSON")
	flag.Parse()
	if err := run(*root, *check, *sbom); err != nil {
		fmt.Fprintln(os.Stderr, "licenses:", err)
		os.Exit(1)
	}
}

func run(root string, check bool, sbom string) error {
	modules, err := goModules(root)
	if err != nil {
		return err
	}
	packages, err := pagePackages(filepath.Join(root, "plugins", "dashboard", "web", "build", "package-lock.json"))
	if err != nil {
		return err
	}
	all := append(modules, packages...)
	slices.SortFunc(all, func(a, b component) int {
		return cmp.Or(cmp.Compare(a.ecosystem, b.ecosystem), cmp.Compare(a.name, b.name))
	})
	if err := judge(all); err != nil {
		return err
	}
	if sbom != "" {
		if err := writeSBOM(sbom, all); err != nil {
			return err
		}
	}
	path, text := filepath.Join(root, "docs", "licenses.md"), page(all)
	if !check {
		return os.WriteFile(path, text, 0o644)
	}
	there, err := os.ReadFile(path)
	if err == nil && !bytes.Equal(there, text) {
		err = errors.New("docs/licenses.md is not up to date; run: go -C .ci/tools run ./licenses")
	}
	return err
}

// judge fails for each licence that is neither permissive nor an exception, or not known.
func judge(all []component) error {
	var errs []error
	for i, c := range all {
		exception, excepted := exceptions[c.name]
		if excepted && len(c.licences) == 0 {
			all[i].licences = []string{exception.licence}
			continue
		}
		if len(c.licences) == 0 {
			errs = append(errs, fmt.Errorf("%s %s: no licence is found; read its files, and use another", c.name, c.version))
		}
		for _, licence := range c.licences {
			if !slices.Contains(permissive, licence) && licence != exception.licence {
				errs = append(errs, fmt.Errorf("%s %s: %s is not among the permissive licences; use another", c.name, c.version, licence))
			}
		}
	}
	return errors.Join(errs...)
}

// page is docs/licenses.md.
func page(all []component) []byte {
	var b bytes.Buffer
	b.WriteString("# Licences of what is inside\n\n" +
		"recsys-benthos itself is under Apache-2.0. The binary and its page hold the following. Licences are permissive but for the exceptions below, and CI fails for another.\n" +
		"Texts come with the modules (`go mod download -json MODULE` says where), those of the page beside it in `plugins/dashboard/web/charts.LICENSE` and `charts.NOTICE`.\n" +
		"Go's standard library is under BSD-3-Clause. Tools of the build and of tests are not in it.\n\n" +
		"`go -C .ci/tools run ./licenses` writes this page; with `-sbom FILE` it writes a bill of materials, as CycloneDX.\n\n" +
		"| | version | licence |\n| - | - | - |\n")
	for _, c := range all {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", c.name, c.version, strings.Join(c.licences, ", "))
	}
	b.WriteString("\n## Exceptions\n\n| | licence | why |\n| - | - | - |\n")
	for _, c := range all {
		if exception, ok := exceptions[c.name]; ok {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", c.name, exception.licence, exception.why)
		}
	}
	return b.Bytes()
}
