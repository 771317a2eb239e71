package commands

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"
)

func modelsExportCommand() *cli.Command {
	return &cli.Command{
		Name: "export", Usage: "Write a version to a .tar file, or to a folder; or for Apache Spark", ArgsUsage: "VERSION PATH",
		Description: `With --format spark it writes a folder that Spark's ALSModel.load reads, which must not exist or be empty, and says what is lost.

  recsys-benthos models export champion champion.tar
  recsys-benthos models export 20260102-150405-9f86d0 ./version
  recsys-benthos models export --format spark champion ./als-model`,
		Flags: append([]cli.Flag{registryFlag(), jsonFlag(), formatFlag("what import reads")}, sparkExportFlags()...), Action: modelsExport,
	}
}

func modelsExport(c *cli.Context) error {
	args, err := arguments(c, 2)
	if err != nil {
		return err
	}
	forSpark, err := checkFormat(c, sparkExportFlags())
	if err != nil {
		return err
	}
	versions, err := openRegistry(c)
	if err != nil {
		return err
	}
	version, err := versions.Resolve(args[0])
	if err != nil {
		return err
	}
	if forSpark {
		return exportToSpark(c, versions, version, args[1])
	}
	done := busy("exporting " + version)
	manifest, err := versions.Export(c.Context, version, args[1])
	done()
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(manifest)
	}
	fmt.Printf("version %s, %s, is in %s\n", version, humanize.IBytes(uint64(manifest.Bytes)), args[1])
	return nil
}

func modelsImportCommand() *cli.Command {
	return &cli.Command{
		Name: "import", Usage: "Add a version from what export wrote, from a bare model.safetensors, or from Apache Spark", ArgsUsage: "PATH",
		Description: `Checksum, names and sizes are verified first. It serves only once it is promoted. With --format spark PATH is the folder of a
saved ALSModel, on this machine or at s3://. With --ratings it is compared with the champion as train does, and then may
become it; on ratings that it may have been trained on it becomes a challenger in shadow at best.

  recsys-benthos models import champion.tar
  recsys-benthos models import --registry 's3://models/movies?region=eu-central-1' ./version/model.safetensors
  recsys-benthos models import --format spark --ratings ratings.csv 's3://models/als?region=eu-central-1'`,
		Flags: append([]cli.Flag{registryFlag(), jsonFlag(), formatFlag("what export wrote")}, sparkImportFlags()...), Action: modelsImport,
	}
}

func modelsImport(c *cli.Context) error {
	args, err := arguments(c, 1)
	if err != nil {
		return err
	}
	ofSpark, err := checkFormat(c, sparkImportFlags())
	if err != nil {
		return err
	}
	versions, err := openRegistry(c)
	if err != nil {
		return err
	}
	if ofSpark {
		return importFromSpark(c, versions, args[0])
	}
	done := busy("importing " + args[0])
	manifest, isNew, err := versions.Import(c.Context, args[0], "recsys-benthos "+version, time.Now())
	done()
	if err != nil {
		return err
	}
	switch {
	case c.Bool("json"):
		return printJSON(manifest)
	case isNew:
		fmt.Printf("version %s is in %s now; it serves once it is promoted: recsys-benthos models promote %s\n", manifest.Version, versions.URL(), manifest.Version)
	default:
		fmt.Printf("version %s was in %s already\n", manifest.Version, versions.URL())
	}
	return nil
}

func modelsVerifyCommand() *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "Read everything in a registry and tell what is wrong",
		Description: "Exit code 1 if there is a problem; what is left over from writers that died is no problem.\n\n  recsys-benthos models verify\n  recsys-benthos models verify --registry file://./registry --json",
		Flags:       []cli.Flag{registryFlag(), jsonFlag()}, Action: modelsVerify,
	}
}

func modelsVerify(c *cli.Context) error {
	if _, err := arguments(c, 0); err != nil {
		return err
	}
	versions, err := openRegistry(c)
	if err != nil {
		return err
	}
	done := busy("verifying " + versions.URL())
	report, err := versions.Verify(c.Context)
	done()
	if err != nil {
		return err
	}
	if c.Bool("json") {
		err = printJSON(report)
	} else {
		for _, warning := range report.Warnings {
			fmt.Println("note:", warning)
		}
		for _, problem := range report.Problems {
			fmt.Println("problem:", problem)
		}
		fmt.Printf("%d versions and %d promotions in %s: %d problems\n", report.Versions, report.Promotions, versions.URL(), len(report.Problems))
	}
	if err == nil && len(report.Problems) > 0 {
		return errFailed
	}
	return err
}

func modelsPruneCommand() *cli.Command {
	return &cli.Command{
		Name: "prune", Usage: "Remove old versions",
		Description: `Keeps the newest N versions and those that had a role in the last N promotions, and never touches the log. What was left
unfinished an hour ago or before goes too.

  recsys-benthos models prune --keep 10 --dry-run
  recsys-benthos models prune --keep 3 --registry file://./registry`,
		Flags: []cli.Flag{
			registryFlag(), jsonFlag(), &cli.IntFlag{Name: "keep", Usage: "how many", Required: true},
			&cli.BoolFlag{Name: "dry-run", Usage: "only say what would be removed"},
		}, Action: modelsPrune,
	}
}

func modelsPrune(c *cli.Context) error {
	if _, err := arguments(c, 0); err != nil {
		return err
	}
	if c.Int("keep") < 1 {
		return usagef("--keep has to be at least 1")
	}
	versions, err := openRegistry(c)
	if err != nil {
		return err
	}
	pruned, problems := versions.Prune(c.Context, c.Int("keep"), c.Bool("dry-run"))
	if c.Bool("json") {
		return errors.Join(printJSON(pruned), problems)
	}
	did := "removed"
	if c.Bool("dry-run") {
		did = "would remove"
	}
	for _, kind := range []struct {
		name string
		of   []string
	}{{"version", pruned.Versions}, {"unfinished version", pruned.Unfinished}, {"temporary file", pruned.Temporary}} {
		for _, name := range kind.of {
			fmt.Fprintf(os.Stdout, "%s %s %s\n", did, kind.name, name)
		}
	}
	fmt.Printf("%s %s; %d versions stay\n", did, humanize.IBytes(uint64(pruned.Bytes)), pruned.Kept)
	return problems
}
