package commands

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

func evalCommand() *cli.Command {
	return &cli.Command{
		Name:  "eval",
		Usage: "Measure how well an algorithm predicts and ranks",
		Description: `Trains on one part of the ratings and measures on the other: RMSE and MAE over all test ratings, cold ones included; rankings of
all unseen movies, as they would be served and by predicted rating alone (relevant: 4 stars or more). Baselines stand beside.

  recsys-benthos eval --ratings ml-latest-small/ratings.csv --split random:0.2 --seed 42
  recsys-benthos eval --ratings ml-latest-small --split numpy:0.2
  recsys-benthos eval --ratings ml-latest-small --split time:0.2 --rank 32 --json
  recsys-benthos eval --train u1.base --test u1.test`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "ratings", Usage: "file, archive or folder of ratings to split"},
			&cli.StringFlag{Name: "split", Usage: "random:P holds out a share P by a hash of (seed, user, movie); numpy:P what default_rng(seed).permutation does; time:P the newest", Value: "random:0.2"},
			&cli.StringFlag{Name: "train", Usage: "ratings to train on, with --test, instead of a split"},
			&cli.StringFlag{Name: "test", Usage: "ratings to measure on, with --train"},
			jsonFlag(),
		}, parameterFlags()...),
		Action: evalAction,
	}
}

func evalAction(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	p, err := parameters(c)
	if err != nil {
		return err
	}
	started := time.Now()
	train, test, err := trainAndTest(c)
	if err != nil {
		return err
	}
	read := seconds(started)
	result, err := eval.Run(c.Context, train, test, p, iterationBar())
	if err != nil {
		return err
	}
	result.Seconds.Read = read
	if c.Bool("json") {
		return printJSON(result)
	}
	printResult(result)
	return nil
}

// trainAndTest reads two files, or one and splits it.
func trainAndTest(c *cli.Context) (train, test []ratings.Rating, err error) {
	one, two := c.IsSet("ratings"), c.IsSet("train") || c.IsSet("test")
	switch {
	case one && two:
		return nil, nil, errors.New("give either --ratings with --split, or --train with --test")
	case two && !(c.IsSet("train") && c.IsSet("test")):
		return nil, nil, errors.New("--train and --test go together")
	case two:
		if train, err = ratings.ReadRatings(c.String("train")); err != nil {
			return nil, nil, err
		}
		test, err = ratings.ReadRatings(c.String("test"))
		return train, test, err
	case !one:
		return nil, nil, errors.New("nothing to measure on: give --ratings FILE, or --train FILE --test FILE")
	}
	split, err := eval.ParseSplit(c.String("split"))
	if err != nil {
		return nil, nil, err
	}
	all, err := ratings.ReadRatings(c.String("ratings"))
	if err != nil {
		return nil, nil, err
	}
	train, test = split.Apply(all, c.Uint64("seed"))
	return train, test, nil
}

// printResult prints a table of at most 80 columns.
func printResult(r eval.Result) {
	fmt.Printf("%s, trained on %d ratings, measured on %d (%d cold)\n\n", r.Algorithm, r.TrainRatings, r.TestRatings, r.ColdPairs)
	fmt.Printf("%-19s %8s %8s %8s   %s\n", "predicted ratings", r.Algorithm, "biases", "mean", "90 % interval over users")
	fmt.Printf("%-19s %8.4f %8.4f %8.4f   %s\n", "RMSE, all pairs", r.RMSE, r.Baselines.BiasOnly.RMSE, r.Baselines.GlobalMean.RMSE, interval(r.RMSE90))
	fmt.Printf("%-19s %8.4f\n", "RMSE, warm pairs", r.RMSEWarm)
	fmt.Printf("%-19s %8.4f\n\n", "MAE", r.MAE)
	fmt.Printf("%-19s %8s %8s %8s   %d users, all unseen movies\n", "rankings", "served", "by stars", "popular", r.Ranking.Users)
	for _, line := range []struct {
		name string
		of   func(eval.Ranking) float64
		note string
	}{
		{"NDCG@10", func(r eval.Ranking) float64 { return r.NDCG10 }, interval(r.NDCG90)},
		{"NDCG@100", func(r eval.Ranking) float64 { return r.NDCG100 }, ""},
		{"recall@20", func(r eval.Ranking) float64 { return r.Recall20 }, ""},
		{"precision@10", func(r eval.Ranking) float64 { return r.Precision10 }, ""},
		{"MAP@100", func(r eval.Ranking) float64 { return r.MAP100 }, ""},
		{"coverage@10", func(r eval.Ranking) float64 { return r.Coverage10 }, "of all movies"},
		{"novelty@10, bits", func(r eval.Ranking) float64 { return r.Novelty10 }, ""},
	} {
		text := fmt.Sprintf("%-19s %8.4f %8.4f %8.4f   %s", line.name, line.of(r.Ranking), line.of(r.RankingByRating), line.of(r.Baselines.Popularity), line.note)
		fmt.Println(strings.TrimRight(text, " "))
	}
	fmt.Printf("\nread %.2f s, train %.2f s, evaluate %.2f s\n", r.Seconds.Read, r.Seconds.Train, r.Seconds.Evaluate)
}

func interval(i eval.Interval) string { return fmt.Sprintf("%.4f to %.4f", i.Low, i.High) }
