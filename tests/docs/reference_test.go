// Package docs checks that what the documentation says is true: the component
// reference is generated from the plugins' specs, and every command and YAML in
// the guides works.
package docs

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"

	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"

	_ "github.com/recsys-benthos/recsys-benthos/plugins/all"
)

var update = flag.Bool("update", false, "write the generated reference")

const referenceFolder = "../../docs/reference"

// refresh is what mends a reference that is out of date.
const refresh = "go test ./tests/docs -update"

func TestTheComponentReferenceIsUpToDate(t *testing.T) {
	pages := referencePages(t)
	if *update {
		writePages(t, pages)
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(referenceFolder, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("docs/reference/%s is out of date (%v); run: %s", name, err, refresh)
		}
	}
	entries, err := os.ReadDir(referenceFolder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if pages[entry.Name()] == nil {
			t.Errorf("docs/reference/%s belongs to no component; run: %s", entry.Name(), refresh)
		}
	}
}

func writePages(t *testing.T, pages map[string][]byte) {
	t.Helper()
	if err := os.RemoveAll(referenceFolder); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(referenceFolder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, page := range pages {
		if err := os.WriteFile(filepath.Join(referenceFolder, name), page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// ours are the components of this project: their versions begin with 0.
func ours(t *testing.T) []service.TemplateDataPlugin {
	t.Helper()
	var all []service.TemplateDataPlugin
	add := func(_ string, view *service.ConfigView) {
		data, err := view.TemplateData()
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(data.Version, "0.") {
			all = append(all, data)
		}
	}
	env := service.GlobalEnvironment()
	env.WalkInputs(add)
	env.WalkProcessors(add)
	env.WalkOutputs(add)
	env.WalkCaches(add)
	env.WalkMetrics(add)
	env.WalkTracers(add)
	slices.SortFunc(all, func(a, b service.TemplateDataPlugin) int { return strings.Compare(pageName(a), pageName(b)) })
	return all
}

func pageName(p service.TemplateDataPlugin) string { return p.Type + "_" + p.Name + ".md" }

func referencePages(t *testing.T) map[string][]byte {
	t.Helper()
	pages := map[string][]byte{}
	var index bytes.Buffer
	fmt.Fprintf(&index, "# Components\n\nGenerated from the plugins' specs by `%s`.\n\n| component | kind | what it does |\n| - | - | - |\n", refresh)
	for _, plugin := range ours(t) {
		pages[pageName(plugin)] = page(plugin)
		kind := plugin.Type
		if kind == "cache" {
			kind = "resource (under cache_resources)"
		}
		fmt.Fprintf(&index, "| [%s](%s) | %s | %s |\n", plugin.Name, pageName(plugin), kind, plugin.Summary)
	}
	pages["README.md"] = index.Bytes()
	return pages
}

func page(p service.TemplateDataPlugin) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s (%s)\n\n%s\n\n", p.Name, p.Type, strings.TrimSpace(p.Summary))
	if text := strings.TrimSpace(p.Description); text != "" {
		fmt.Fprintf(&b, "%s\n\n", text)
	}
	fmt.Fprintf(&b, "## Common fields\n\n```yaml\n%s\n```\n\n", strings.TrimSpace(p.CommonConfigYAML))
	if p.AdvancedConfigYAML != p.CommonConfigYAML {
		fmt.Fprintf(&b, "<details><summary>All fields</summary>\n\n```yaml\n%s\n```\n\n</details>\n\n", strings.TrimSpace(p.AdvancedConfigYAML))
	}
	for i, example := range p.Examples {
		if i == 0 {
			fmt.Fprintf(&b, "## Examples\n\n")
		}
		fmt.Fprintf(&b, "### %s\n\n", example.Title)
		if summary := strings.TrimSpace(example.Summary); summary != "" {
			fmt.Fprintf(&b, "%s\n\n", summary)
		}
		fmt.Fprintf(&b, "```yaml\n%s\n```\n\n", strings.TrimSpace(example.Config))
	}
	fmt.Fprintf(&b, "## Fields\n\n")
	for _, field := range p.Fields {
		fmt.Fprintf(&b, "### `%s`\n\n%s\n\nType: `%s`", field.FullName, strings.TrimSpace(field.Description), field.Type)
		if field.DefaultMarshalled != "" {
			fmt.Fprintf(&b, " · default: `%s`", field.DefaultMarshalled)
		}
		if field.IsInterpolated {
			fmt.Fprintf(&b, " · may hold [interpolations](https://docs.redpanda.com/redpanda-connect/configuration/interpolation/)")
		}
		if field.IsSecret {
			fmt.Fprintf(&b, " · secret")
		}
		if len(field.Options) > 0 {
			fmt.Fprintf(&b, " · one of `%s`", strings.Join(field.Options, "`, `"))
		}
		fmt.Fprintf(&b, "\n\n")
	}
	return append(bytes.TrimRight(b.Bytes(), "\n"), '\n')
}

func TestEveryComponentIsDocumentedWithAnExampleThatLints(t *testing.T) {
	linter := service.GlobalEnvironment().FullConfigSchema("", "").NewStreamConfigLinter()
	for _, plugin := range ours(t) {
		t.Run(plugin.Type+" "+plugin.Name, func(t *testing.T) {
			if plugin.Summary == "" || len(plugin.Examples) == 0 {
				t.Error("it needs a summary and a full example")
			}
			for _, field := range plugin.Fields {
				if strings.TrimSpace(field.Description) == "" && field.Type != "object" {
					t.Errorf("field %s has no description", field.FullName)
				}
			}
			for _, example := range plugin.Examples {
				lints, err := linter.LintYAML([]byte(example.Config))
				if err != nil {
					t.Errorf("example %q: %v", example.Title, err)
				}
				for _, lint := range lints {
					t.Errorf("example %q: %v", example.Title, lint)
				}
			}
		})
	}
}
