package commands

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/config"
	"github.com/recsys-benthos/recsys-benthos/pipelines"
)

func initCommand() *cli.Command {
	return &cli.Command{
		Name:      "init",
		Usage:     "Write the pipelines and their configuration out for editing",
		ArgsUsage: "[FOLDER]",
		Description: `Writes pipelines/ and config/ into a folder (default: the current one). In that folder, up runs your copies.
Files that exist and differ are never overwritten without --force.

  recsys-benthos init
  recsys-benthos init --force my-recommender`,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "force", Usage: "overwrite files that differ"}, jsonFlag()},
		Action: func(c *cli.Context) error {
			folder, err := oneArgument(c)
			if err != nil {
				return err
			}
			if folder == "" {
				folder = "."
			}
			written, err := writeConfiguration(folder, c.Bool("force"))
			if c.Bool("json") && err == nil {
				return printJSON(map[string]any{"written": written})
			}
			for _, path := range written {
				fmt.Println(path)
			}
			return err
		},
	}
}

// writeConfiguration writes the embedded pipelines and configuration below
// folder and returns the files written. Nothing is written if one of them
// exists with other content, unless force is set.
func writeConfiguration(folder string, force bool) (written []string, err error) {
	files, err := embeddedFiles(folder)
	if err != nil {
		return nil, err
	}
	paths := slices.Sorted(maps.Keys(files))
	if !force {
		for _, path := range paths {
			if existing, err := os.ReadFile(path); err == nil && !bytes.Equal(existing, files[path]) {
				return nil, fmt.Errorf("%s exists and differs; nothing was written (--force overwrites)", path)
			}
		}
	}
	for _, path := range paths {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return written, err
		}
		if err := os.WriteFile(path, files[path], 0o644); err != nil {
			return written, err
		}
		written = append(written, path)
	}
	return written, nil
}

// embeddedFiles returns the files inside the binary by their paths below folder.
func embeddedFiles(folder string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for name, embedded := range map[string]fs.FS{"pipelines": pipelines.Files, "config": config.Files} {
		err := fs.WalkDir(embedded, ".", func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := fs.ReadFile(embedded, path)
			files[filepath.Join(folder, name, filepath.FromSlash(path))] = content
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}
