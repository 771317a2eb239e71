package commands

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/gate"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
	"github.com/recsys-benthos/recsys-benthos/internal/spark"
	"github.com/recsys-benthos/recsys-benthos/internal/training"
)

// Formats of import and export.
const (
	ownFormat   = "version"
	sparkFormat = "spark"
)

func formatFlag(own string) cli.Flag {
	return &cli.StringFlag{Name: "format", Usage: ownFormat + ", " + own + ", or " + sparkFormat + ", the folder of an ALSModel", Value: ownFormat}
}

// sparkImportFlags are of import --format spark alone.
func sparkImportFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "ratings", Usage: "with spark: file, archive or folder of ratings to measure it by and compare it with the champion on"},
		&cli.StringFlag{Name: "trained-until", Usage: "with spark: time of the newest rating that it was trained on, as 2026-01-02 or 2026-01-02T15:04:05Z", DefaultText: "when it was saved"},
		&cli.BoolFlag{Name: "implicit", Usage: "with spark: it was trained with implicitPrefs, which its folder does not say: it ranks, and predicts no ratings"},
		&cli.Float64Flag{Name: "lambda", Usage: "with spark: its regParam, by which users and movies are folded in", Value: als.DefaultParameters(als.Spark).Lambda},
		&cli.Float64Flag{Name: "preference-alpha", Usage: "with spark, of an implicit one: its alpha, by which users are folded in", Value: als.DefaultPreference().Alpha},
		&cli.Float64Flag{Name: "preference-lambda", Usage: "with spark, of an implicit one: regularization of a user who is folded in", Value: als.DefaultPreference().Lambda},
	}
}

// checkFormat tells whether the format is Spark's. Flags that the other one does not
// have are refused with it.
func checkFormat(c *cli.Context, ofSpark []cli.Flag) (isSpark bool, err error) {
	switch format := c.String("format"); format {
	case sparkFormat:
		return true, nil
	case ownFormat:
	default:
		return false, usagef("--format %q is neither %s nor %s", format, ownFormat, sparkFormat)
	}
	for _, flag := range ofSpark {
		if name := flag.Names()[0]; c.IsSet(name) {
			return false, usagef("--%s goes with --format %s", name, sparkFormat)
		}
	}
	return false, nil
}

func importFromSpark(c *cli.Context, versions *registry.Registry, url string) error {
	where, _, _ := strings.Cut(url, "?")
	head := als.DefaultPreference()
	head.Alpha, head.Lambda = c.Float64("preference-alpha"), c.Float64("preference-lambda")
	p := als.DefaultParameters(als.Spark)
	p.Lambda, p.Preference = c.Float64("lambda"), &head
	if err := p.Validate(); err != nil {
		return usageError{err}
	}
	files, err := registry.Files(c.Context, url)
	if err != nil {
		return fmt.Errorf("importing %s: %w", where, err)
	}
	done := busy("reading " + where)
	saved, err := spark.Read(c.Context, files)
	done()
	if err != nil {
		return fmt.Errorf("importing %s: %w", where, err)
	}
	until := saved.Saved
	if text := c.String("trained-until"); text != "" {
		if until, err = parseDay(text); err != nil {
			return usagef("--trained-until %q is no time; give it as 2026-01-02 or 2026-01-02T15:04:05Z", text)
		}
	}
	var log ratings.Log
	if path := c.String("ratings"); path != "" {
		if log.Ratings, err = readRatings(path); err != nil {
			return err
		}
	}
	m, err := importedModel(c, saved, training.KnownTo(log, until), p)
	if err != nil {
		return fmt.Errorf("importing %s: %w", where, err)
	}
	m.Until = until
	job := training.Job{Holdout: holdoutOfImport, Tolerance: gate.Margin, Source: where, Tool: "recsys-benthos " + version}
	done = busy("measuring and comparing")
	outcome, isNew, err := job.Import(c.Context, versions, m, log)
	done()
	if err != nil {
		return fmt.Errorf("importing %s: %w", where, err)
	}
	if c.Bool("json") {
		return printJSON(outcome.Manifest)
	}
	printImported(versions, outcome, isNew)
	return nil
}

// holdoutOfImport is the share of the ratings that a model is measured on if none is
// newer than it: as many as train takes.
const holdoutOfImport = 0.1

// parseDay reads a time, or a day, of which all is meant.
func parseDay(text string) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.AddDate(0, 0, 1).Add(-time.Millisecond), nil
	}
	return time.Parse(time.RFC3339, text)
}

// importedModel makes a model of what Spark saved; known are the ratings that it may
// have been trained on.
func importedModel(c *cli.Context, saved *spark.Model, known ratings.Log, p als.Parameters) (m training.Imported, err error) {
	var rated *ratings.Matrix
	if len(known.Ratings) > 0 {
		if rated, err = ratings.NewMatrix(known.Ratings); err != nil {
			return m, err
		}
	}
	var f *als.Factors
	if m.Algorithm = als.Spark; c.Bool("implicit") {
		m.Algorithm = als.Implicit
		f, err = saved.Implicit(c.Context, rated, *p.Preference)
	} else {
		f = saved.Explicit(rated, p.Lambda)
	}
	if err != nil {
		return m, err
	}
	if m.Model, err = model.New(f, model.MovieLensScale); err != nil {
		return m, err
	}
	m.Parameters, err = json.Marshal(struct {
		Rank   int             `json:"rank"`
		Lambda float64         `json:"lambda"`
		Spark  json.RawMessage `json:"spark"`
	}{saved.Rank, p.Lambda, saved.Metadata})
	return m, err
}

func printImported(versions *registry.Registry, o training.Outcome, isNew bool) {
	m := o.Manifest
	switch {
	case !isNew:
		fmt.Printf("version %s was in %s already\n", m.Version, versions.URL())
		return
	case m.Metrics.Ratings == 0 && !o.Promoted && !o.Shadowed:
		fmt.Printf("version %s is in %s now; without --ratings nobody measured it here; it serves once it is promoted: recsys-benthos models promote --force --reason 'measured on Spark' %s\n",
			m.Version, versions.URL(), m.Version)
		return
	case o.Promoted:
		fmt.Printf("version %s is in %s now, and is the champion\n", m.Version, versions.URL())
	case o.Shadowed:
		fmt.Printf("version %s is in %s now, and is a challenger in shadow: live ratings tell (recsys-benthos models compare --live)\n", m.Version, versions.URL())
	default:
		fmt.Printf("version %s is in %s now, and was not promoted; to overrule that: recsys-benthos models promote --force --reason '…' %s\n", m.Version, versions.URL(), m.Version)
	}
	if m.Metrics.Holdout > 0 {
		fmt.Printf("holdout     RMSE %.4f on %d ratings (biases alone %.4f)\n", m.Metrics.RMSE, m.Metrics.Holdout, m.Metrics.BiasRMSE)
	}
	fmt.Printf("verdict     %s\n", m.Verdict)
	for _, warning := range m.Gate.Warnings {
		fmt.Println("note:", warning)
	}
}

// exportedToSpark is what models export --format spark --json prints.
type exportedToSpark struct {
	registry.Manifest
	SparkRank int      `json:"spark_rank"`
	Lost      []string `json:"lost"`
}

func sparkExportFlags() []cli.Flag {
	return []cli.Flag{&cli.BoolFlag{Name: "implicit", Usage: "with spark: the head that ranks, in place of the one that rates"}}
}

func exportToSpark(c *cli.Context, versions *registry.Registry, version, folder string) error {
	m, manifest, err := versions.Model(version)
	if err != nil {
		return err
	}
	f := m.Factors()
	ranking := c.Bool("implicit") || f.Rank == 0 && f.Preference != nil
	convert := spark.FromRatings
	if ranking {
		if f.Preference == nil {
			return usagef("--implicit: version %s has no head that ranks; leave --implicit out", version)
		}
		convert = spark.FromPreference
	}
	saved, err := convert(f, manifest.CreatedAt)
	if err != nil {
		return fmt.Errorf("exporting version %s: %w", version, err)
	}
	done := busy("exporting " + version)
	err = saved.Write(c.Context, folder)
	done()
	if err != nil {
		return fmt.Errorf("exporting version %s: %w", version, err)
	}
	lost := spark.Lost(f, ranking)
	if c.Bool("json") {
		return printJSON(exportedToSpark{manifest, saved.Rank, lost})
	}
	fmt.Printf("version %s is in %s, an ALSModel of rank %d with %d users and %d movies\nwithout %s\n",
		version, folder, saved.Rank, len(f.Users), len(f.Movies), strings.Join(lost, ", "))
	return nil
}
