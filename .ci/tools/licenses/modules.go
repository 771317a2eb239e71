package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// program is what is released, for these targets.
const program = "./cmd/recsys-benthos"

var targets = [][2]string{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "arm64"}}

// page is the npm package that the page's charts are made of.
const chartsPackage = "echarts"

// licenceFile is how files are named that hold a licence.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([-._].*)?$`)

// goModules are the modules whose packages are in the binary.
func goModules(root string) ([]component, error) {
	sums, err := moduleSums(filepath.Join(root, "go.sum"))
	if err != nil {
		return nil, err
	}
	found := map[string]component{}
	for _, target := range targets {
		list := exec.Command("go", "list", "-deps", "-json=Module", program)
		list.Dir = root
		list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+target[0], "GOARCH="+target[1], "GOFLAGS=")
		list.Stderr = os.Stderr
		text, err := list.Output()
		if err != nil {
			return nil, fmt.Errorf("listing the packages of %s: %w", program, err)
		}
		for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
			var p struct {
				Module *struct {
					Path, Version, Dir string
					Main               bool
				}
			}
			if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("reading the list of packages: %w", err)
			}
			if m := p.Module; m != nil && !m.Main && found[m.Path].name == "" {
				licences, err := licencesIn(m.Dir)
				if err != nil {
					return nil, err
				}
				found[m.Path] = component{ecosystem: "golang", name: m.Path, version: m.Version, sum: sums[m.Path+" "+m.Version], licences: licences}
			}
		}
	}
	var all []component
	for _, c := range found {
		all = append(all, c)
	}
	return all, nil
}

// licencesIn reads the licence files of a folder.
func licencesIn(folder string) (names []string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if entry.IsDir() || !licenceFile.MatchString(entry.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			return nil, err
		}
		for _, match := range licensecheck.Scan(text).Match {
			if name := match.ID; !match.IsURL && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

// moduleSums are the checksums of go.sum, by "path version".
func moduleSums(path string) (map[string][]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	sums := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 || strings.HasSuffix(fields[1], "/go.mod") {
			continue
		}
		sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(fields[2], "h1:"))
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		sums[fields[0]+" "+fields[1]] = sum
	}
	return sums, nil
}

// pagePackages are the npm packages in the page: the charts' and what they depend on.
func pagePackages(path string) ([]component, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var lock struct {
		Packages map[string]struct {
			Version, License, Integrity string
			Dependencies                map[string]string
		}
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	var all []component
	for todo := []string{chartsPackage}; len(todo) > 0; todo = todo[1:] {
		p, ok := lock.Packages["node_modules/"+todo[0]]
		if !ok {
			return nil, fmt.Errorf("%s has no package %s", path, todo[0])
		}
		sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(p.Integrity, "sha512-"))
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		all = append(all, component{ecosystem: "npm", name: todo[0], version: p.Version, sum: sum, licences: []string{p.License}})
		for name := range p.Dependencies {
			if !slices.ContainsFunc(all, func(c component) bool { return c.name == name }) && !slices.Contains(todo, name) {
				todo = append(todo, name)
			}
		}
	}
	return all, nil
}
