package commands

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"gopkg.in/yaml.v3"

	"github.com/recsys-benthos/recsys-benthos/config"
)

const defaultProfile = "config/cluster.yaml"

func profileFlag() cli.Flag {
	return &cli.StringFlag{Name: "profile", Aliases: []string{"r"}, Usage: "profile whose servers are meant", Value: defaultProfile}
}

func sessionFlag() cli.Flag {
	return &cli.DurationFlag{Name: "session-timeout", Usage: "of the consumers, for --check", Value: 6 * time.Second, EnvVars: []string{"RECSYS_SESSION_TIMEOUT"}}
}

// profile is what a profile such as config/cluster.yaml says of its resources.
type profile struct {
	path      string
	resources map[string]yaml.Node // by plugin: the fields of the first resource of it
}

// profileText returns the text of a profile. Those of config/ are in the binary too.
func profileText(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if name, ours := strings.CutPrefix(path, "config/"); ours && errors.Is(err, fs.ErrNotExist) {
		if embedded, err := fs.ReadFile(config.Files, name); err == nil {
			return embedded, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the profile: %w", err)
	}
	return data, nil
}

// readProfile reads a profile with its variables filled in.
func readProfile(path string) (*profile, error) {
	data, err := profileText(path)
	if err != nil {
		return nil, err
	}
	var file map[string]yaml.Node
	var variables environment
	data = fillVariables(data, variables.Lookup)
	if err := variables.Err(); err != nil {
		return nil, fmt.Errorf("reading the profile %s: %w", path, err)
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("reading the profile %s: %w", path, err)
	}
	p := &profile{path: path, resources: map[string]yaml.Node{}}
	for _, section := range []string{"cache_resources", "output_resources"} {
		var resources []map[string]yaml.Node
		node := file[section]
		if err := node.Decode(&resources); err != nil {
			return nil, fmt.Errorf("reading %s of the profile %s: %w", section, path, err)
		}
		for _, resource := range resources {
			for plugin, fields := range resource {
				if _, known := p.resources[plugin]; !known {
					p.resources[plugin] = fields
				}
			}
		}
	}
	return p, nil
}

// fields returns the fields of the profile's resource of the given plugin as
// YAML, and whether it has one.
func (p *profile) fields(plugin string) (text string, ok bool, err error) {
	node, ok := p.resources[plugin]
	if !ok {
		return "", false, nil
	}
	data, err := yaml.Marshal(&node)
	if err != nil {
		return "", false, fmt.Errorf("reading %s of the profile %s: %w", plugin, p.path, err)
	}
	return string(data), true, nil
}

// variable is ${NAME} or ${NAME:default}, as in Benthos.
var variable = regexp.MustCompile(`\$\{([A-Za-z0-9_]+)(:([^{}]*))?\}`)

func fillVariables(data []byte, lookup func(string) (string, bool)) []byte {
	return variable.ReplaceAllFunc(data, func(match []byte) []byte {
		parts := variable.FindSubmatch(match)
		if value, ok := lookup(string(parts[1])); ok && value != "" {
			return []byte(value)
		}
		return parts[3]
	})
}
