package commands

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
	"github.com/recsys-benthos/recsys-benthos/internal/training"
)

func trainCommand() *cli.Command {
	return &cli.Command{
		Name:  "train",
		Usage: "Train a model version from a file of ratings",
		Description: `Reads ratings in any MovieLens format (csv with or without header, u.data, *.dat; zip or gz of them; or their folder), holds a
part out, trains on the rest, and publishes the version. It becomes the champion if it is not worse than the present one.

  recsys-benthos train --ratings ml-latest-small/ratings.csv --registry file://./registry
  recsys-benthos train --ratings ml-1m.zip --rank 32 --json`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "ratings", Usage: "file, archive or folder of ratings", Required: true},
			registryFlag(),
			&cli.Float64Flag{Name: "holdout", Usage: "share of the ratings held out to judge by", Value: 0.1},
			&cli.Float64Flag{Name: "tolerance", Usage: "RMSE in stars by which a new champion may be worse"},
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

func trainAction(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	p, err := parameters(c)
	if err != nil {
		return err
	}
	holdout := c.Float64("holdout")
	if !(holdout >= 0 && holdout < 1) {
		return fmt.Errorf("--holdout %v does not lie between 0 and 1", holdout)
	}
	tolerance := c.Float64("tolerance")
	if math.IsNaN(tolerance) || math.IsInf(tolerance, 0) {
		return fmt.Errorf("--tolerance %v is not a number of stars", tolerance)
	}
	versions, err := registry.Open(c.String("registry"))
	if err != nil {
		return err
	}
	started := time.Now()
	all, err := ratings.ReadRatings(c.String("ratings"))
	if err != nil {
		return err
	}
	var result trained
	result.Seconds.Read = seconds(started)
	job := training.Job{
		Parameters: p, Holdout: holdout,
		Tolerance: tolerance, Source: c.String("ratings"), Tool: "recsys-benthos " + version,
		Progress: iterationBar(),
	}
	candidate, err := job.Train(c.Context, all)
	if err != nil {
		return err
	}
	outcome, err := job.Publish(c.Context, versions, candidate)
	if err != nil {
		return err
	}
	m := outcome.Manifest
	result.Version, result.Algorithm, result.Parameters, result.Metrics = m.Version, m.Algorithm, m.Parameters, m.Metrics
	result.Promoted, result.Verdict, result.SHA256, result.Seconds.Train = outcome.Promoted, m.Verdict, m.SHA256, m.Seconds
	if c.Bool("json") {
		return printJSON(result)
	}
	fmt.Printf("version     %s\nholdout     RMSE %.4f on %d ratings (biases alone %.4f)\ntrained on  %d ratings in %.2f s\nverdict     %s\n",
		m.Version, m.Metrics.RMSE, m.Metrics.Holdout, m.Metrics.BiasRMSE, m.Metrics.Ratings, m.Seconds, m.Verdict)
	return nil
}
