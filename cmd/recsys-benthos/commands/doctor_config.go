package commands

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/config"
	"github.com/recsys-benthos/recsys-benthos/internal/secret"
	"github.com/recsys-benthos/recsys-benthos/pipelines"
)

// configurationFiles returns the profile, config/service.yaml and the pipelines: those
// of the current folder if it has both folders, as up does, else the binary's.
func (d *doctor) configurationFiles() (map[string][]byte, error) {
	files := map[string][]byte{}
	text, err := profileText(d.profile)
	if err == nil { // else the check of the profile says so
		files[d.profile] = text
	}
	from := map[string]fs.FS{"pipelines": pipelines.Files, "config": config.Files}
	if isFolder("pipelines") && isFolder("config") {
		from = map[string]fs.FS{"pipelines": os.DirFS("pipelines"), "config": os.DirFS("config")}
	}
	if service, err := fs.ReadFile(from["config"], "service.yaml"); err == nil {
		files["config/service.yaml"] = service
	}
	return files, fs.WalkDir(from["pipelines"], ".", func(name string, entry fs.DirEntry, err error) error {
		isPipeline := strings.HasSuffix(name, ".yaml") && !strings.HasSuffix(name, "_benthos_test.yaml")
		if err != nil || entry.IsDir() || !isPipeline {
			return err
		}
		text, err := fs.ReadFile(from["pipelines"], name)
		files[path.Join("pipelines", name)] = text
		return err
	})
}

// checkConfiguration lints the profile and the pipelines.
func (d *doctor) checkConfiguration() {
	files, err := d.configurationFiles()
	if err != nil {
		d.say("config", trouble, "give the user who runs this the right to read it", "%v", err)
	}
	linter := schema().NewStreamConfigLinter()
	var variables environment
	linter.SetEnvVarLookupFunc(variables.lookup)
	found := 0
	for _, name := range slices.Sorted(maps.Keys(files)) {
		mend := fmt.Sprintf("correct it, and look again with: recsys-benthos lint -r %s %s", d.profile, name)
		lints, err := linter.LintYAML(files[name])
		if err != nil {
			d.say("config", trouble, mend, "%s: %v", name, err)
			found++
		}
		for _, lint := range lints {
			mend := mend
			if strings.Contains(lint.What, "environment variables") {
				mend = "set them, or give them a default in the file: ${NAME:default}"
			}
			d.say("config", trouble, mend, "%s, line %d: %s", name, lint.Line, lint.What)
			found++
		}
	}
	if found == 0 {
		d.say("config", fine, "", "%s and %d files with it are correct", d.profile, len(files)-1)
	}
}

// ourPrefixes are those of environment variables that nobody else sets.
var ourPrefixes = []string{"RECSYS_", "KAFKA_", "CASSANDRA_", "ELASTICSEARCH_", "KIBANA_"}

// otherVariables are read by the code itself, or by the tests.
var otherVariables = []string{
	"RECSYS_ACCEPTANCE", adminPassword, "RECSYS_API_ADMIN_KEY", "RECSYS_API_READ_KEY", "RECSYS_API_WRITE_KEY", "RECSYS_BENCH", "RECSYS_CLUSTER_MESSAGES", "RECSYS_DATA", "RECSYS_KERNEL", "RECSYS_LONG", "RECSYS_OLD_BINARY",
	"RECSYS_REGISTRY", "RECSYS_REQUIRE_SERVERS", "RECSYS_SCREENSHOTS", "RECSYS_SEED",
}

// checkVariables finds variables that are set and that nothing reads: a typo, most
// likely.
func (d *doctor) checkVariables() {
	files, _ := d.configurationFiles() // what cannot be read is said already
	known := slices.Clone(otherVariables)
	for _, name := range []string{"embedded.yaml", "cluster.yaml"} {
		files[name+" of the binary"], _ = fs.ReadFile(config.Files, name) // it is there
	}
	for _, text := range files {
		for _, match := range variable.FindAllSubmatch(text, -1) {
			known = append(known, string(match[1]))
		}
	}
	for _, command := range ownCommands() {
		known = append(known, variablesOf(command)...)
	}
	unknown := 0
	for _, setting := range slices.Sorted(slices.Values(os.Environ())) {
		name, _, _ := strings.Cut(setting, "=")
		ours := slices.ContainsFunc(ourPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		if !ours || slices.Contains(known, name) || slices.Contains(known, strings.TrimSuffix(name, secret.FileSuffix)) {
			continue
		}
		mend := "unset it if it is left over"
		if meant := nearest(name, known); meant != "" {
			mend = "set " + meant + " if that is what is meant, or unset it"
		}
		d.say("variables", warning, mend, "%s is set, and nothing reads it", name)
		unknown++
	}
	if unknown == 0 {
		d.say("variables", fine, "", "every variable that is set for this program is one that it reads")
	}
}

func variablesOf(command *cli.Command) (names []string) {
	for _, f := range command.Flags {
		if documented, ok := f.(cli.DocGenerationFlag); ok {
			names = append(names, documented.GetEnvVars()...)
		}
	}
	for _, sub := range command.Subcommands {
		names = append(names, variablesOf(sub)...)
	}
	return names
}

// setting is a string field of the profile's resource of a plugin, else what is given.
func (d *doctor) setting(plugin, field, otherwise string) string {
	if d.resources == nil {
		return otherwise
	}
	node, ok := d.resources.resources[plugin]
	if !ok {
		return otherwise
	}
	var fields map[string]any
	if err := node.Decode(&fields); err != nil {
		return otherwise // lint says so
	}
	text, _ := fields[field].(string)
	return cmp.Or(text, otherwise)
}
