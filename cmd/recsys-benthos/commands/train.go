package commands

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/gate"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/plots"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
	"github.com/recsys-benthos/recsys-benthos/internal/training"
)

func trainCommand() *cli.Command {
	return &cli.Command{
		Name:  "train",
		Usage: "Train a model version from a file of ratings",
		Description: `Reads ratings in any MovieLens format (csv with or without header, u.data, *.dat; zip or gz of them; or their folder), trains
a version on all of them and a twin without the holdout, and publishes the version. It becomes the champion if the gate finds that it
is not worse than the present one, or better if it was made in another way; if that cannot be decided it becomes a challenger in shadow.

  recsys-benthos train --ratings ml-latest-small/ratings.csv --registry file://./registry
  recsys-benthos train --ratings ml-1m.zip --rank 32 --json
  recsys-benthos train --ratings ml-latest-small --tags ml-latest-small --warm-start --early-stop 0.05
  recsys-benthos train --ratings ml-latest-small --plot learning.svg`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "ratings", Usage: "file, archive or folder of ratings", Required: true},
			registryFlag(),
			&cli.Float64Flag{Name: "holdout", Usage: "share of the ratings that a twin of the version is not trained on, to measure it by", Value: 0.1},
			&cli.StringFlag{Name: "tags", Usage: "file, archive or folder of tags, which count for the head that ranks"},
			&cli.BoolFlag{Name: "warm-start", Usage: "start from the champion, if its algorithm and rank are the same, and take half the iterations; of als_vb and als_bayes only the head that ranks does"},
			&cli.Float64Flag{Name: "early-stop", Usage: "share of the training ratings by which to find the best number of iterations, 0 to take all"},
			&cli.IntFlag{Name: "early-stop-patience", Usage: "iterations without gain after which to stop", Value: 2},
			&cli.Float64Flag{Name: "tolerance", Usage: "RMSE in stars by which a new champion may be worse, if it was made by the same recipe of newer data", Value: gate.Margin},
			plotFlag("the learning curve of both heads, with errors on the holdout after each iteration,"),
			&cli.BoolFlag{Name: "force", Usage: "promote the version whatever the gate finds, which is recorded"},
			jsonFlag(),
		}, parameterFlags()...),
		Action: trainAction,
	}
}

// trained is what train --json prints.
type trained struct {
	Version    string          `json:"version"`
	Algorithm  string          `json:"algorithm"`
	Parameters json.RawMessage `json:"parameters"`
	Metrics    message.Metrics `json:"metrics"`
	Promoted   bool            `json:"promoted"`
	Verdict    string          `json:"verdict"`
	SHA256     string          `json:"sha256"`
	Seconds    struct {
		Read  float64 `json:"read"`
		Train float64 `json:"train"`
	} `json:"seconds"`
}

// readLog reads ratings, and tags where they are asked for.
func readLog(c *cli.Context) (log ratings.Log, err error) {
	if log.Ratings, err = readRatings(c.String("ratings")); err != nil || !c.IsSet("tags") {
		return log, err
	}
	tags, err := ratings.ReadTags(c.String("tags"))
	for _, tag := range tags {
		log.Choices = append(log.Choices, ratings.Choice{User: tag.User, Movie: tag.Movie, Kind: ratings.Tagged, Time: tag.Time})
	}
	return log, err
}

// trainingJob is what the flags ask for.
func trainingJob(c *cli.Context) (training.Job, error) {
	p, err := parameters(c)
	if err != nil {
		return training.Job{}, err
	}
	job := training.Job{
		Parameters: p, Holdout: c.Float64("holdout"), Tolerance: c.Float64("tolerance"), Force: c.Bool("force"),
		Source: c.String("ratings"), Tool: "recsys-benthos " + version,
		EarlyStop: training.EarlyStop{Share: c.Float64("early-stop"), Patience: c.Int("early-stop-patience")},
	}
	if !(job.Holdout >= 0 && job.Holdout < 1) {
		return job, usagef("--holdout %v does not lie between 0 and 1", job.Holdout)
	}
	if math.IsNaN(job.Tolerance) || math.IsInf(job.Tolerance, 0) {
		return job, usagef("--tolerance %v is not a number of stars", job.Tolerance)
	}
	if c.IsSet("plot") {
		job.Curve = &training.Curve{}
	}
	if err := job.EarlyStop.Validate(p.Algorithm); err != nil {
		return job, err
	}
	return job, checkPlot(c)
}

func trainAction(c *cli.Context) error {
	collectOften()
	if err := noArguments(c); err != nil {
		return err
	}
	job, err := trainingJob(c)
	if err != nil {
		return err
	}
	versions, err := registry.Open(c.String("registry"))
	if err != nil {
		return err
	}
	started := time.Now()
	log, err := readLog(c)
	if err != nil {
		return err
	}
	var result trained
	result.Seconds.Read = seconds(started)
	tell, told := between("measuring and comparing", iterations())
	defer told()
	job.Progress = tell
	if c.Bool("warm-start") {
		var why string
		if job, why, err = job.WarmStart(versions); err != nil {
			return err
		}
		if why != "" {
			fmt.Fprintf(os.Stderr, "training from scratch: %s\n", why)
		}
	}
	candidate, err := job.Train(c.Context, log)
	if err != nil {
		return err
	}
	outcome, err := job.Publish(c.Context, versions, candidate)
	told()
	undrawn := drawn(c, func(path string) error { return plots.Learning(path, *job.Curve) }) // which costs nobody the version
	if err != nil {
		return errors.Join(err, undrawn)
	}
	m := outcome.Manifest
	result.Version, result.Algorithm, result.Parameters, result.Metrics = m.Version, m.Algorithm, m.Parameters, m.Metrics
	result.Promoted, result.Verdict, result.SHA256, result.Seconds.Train = outcome.Promoted, m.Verdict, m.SHA256, m.Seconds
	if c.Bool("json") {
		return errors.Join(printJSON(result), undrawn)
	}
	fmt.Printf("version     %s\nholdout     RMSE %.4f on %d ratings (biases alone %.4f)\ntrained on  %d ratings in %.2f s\nverdict     %s\n",
		m.Version, m.Metrics.RMSE, m.Metrics.Holdout, m.Metrics.BiasRMSE, m.Metrics.Ratings, m.Seconds, m.Verdict)
	return undrawn
}
