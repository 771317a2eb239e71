package commands

import (
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/plots"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

func evalCommand() *cli.Command {
	return &cli.Command{
		Name:  "eval",
		Usage: "Measure how well an algorithm predicts and ranks",
		Description: `Trains on one part of the ratings and measures on the other: RMSE and MAE over all test ratings, cold ones included; rankings of
all unseen movies, as they would be served and by predicted rating alone (relevant: 4 stars or more). Baselines stand beside.

  recsys-benthos eval --ratings ml-latest-small/ratings.csv --split random:0.2 --seed 42
  recsys-benthos eval --ratings ml-latest-small --split numpy:0.2 --splits 5
  recsys-benthos eval --ratings ml-latest-small --split time:0.2 --rank 32 --json
  recsys-benthos eval --train u1.base --test u1.test
  recsys-benthos eval --ratings ml-latest-small --plot evaluation.svg

With --tune parameters are chosen by cross-validation inside the training part first; those that are given are where it
starts. With --replay the newest ratings, a share of 0.2 or that of --split time:P, are predicted one after the other, each
before it is learned, with users folded in from all that they rated before.

  recsys-benthos eval --ratings ml-latest-small --tune
  recsys-benthos eval --ratings ml-latest-small --replay --retrain-every 2000 --fold-movies`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "ratings", Usage: "file, archive or folder of ratings to split"},
			&cli.StringFlag{Name: "split", Usage: "random:P holds out a share P by a hash of (seed, user, movie); numpy:P by numpy's default_rng(seed).permutation; time:P the newest", Value: "random:0.2"},
			&cli.IntFlag{Name: "splits", Usage: "number of random splits, of seed, seed+1 and so on", Value: 1},
			&cli.StringFlag{Name: "train", Usage: "ratings to train on, with --test, instead of a split"},
			&cli.StringFlag{Name: "test", Usage: "ratings to measure on, with --train"},
			&cli.BoolFlag{Name: "tune", Usage: "choose parameters inside the training part first"},
			&cli.IntFlag{Name: "tune-candidates", Usage: "how many are tried of each head, with --tune", Value: 18},
			&cli.BoolFlag{Name: "replay", Usage: "predict the newest ratings one by one, learning each"},
			&cli.IntFlag{Name: "retrain-every", Usage: "train anew after so many ratings, with --replay; 0 never"},
			&cli.BoolFlag{Name: "fold-movies", Usage: "fold in new movies with five raters too, with --replay"},
			plotFlag("errors by user activity, calibration, precision and recall of lists, and intervals"),
			jsonFlag(),
		}, parameterFlags()...),
		Action: evalAction,
	}
}

// foldMoviesEvery is after how many ratings a replay folds new movies in.
const foldMoviesEvery = 200

func evalAction(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	if err := checkEvalFlags(c); err != nil {
		return err
	}
	p, err := parameters(c)
	if err != nil {
		return err
	}
	switch {
	case c.Bool("replay"):
		return evalReplay(c, p)
	case c.Int("splits") != 1:
		return evalSplits(c, p)
	}
	return evalOnce(c, p)
}

// checkEvalFlags refuses flags that have no part in what is asked for.
func checkEvalFlags(c *cli.Context) error {
	for _, pair := range []struct{ flag, needs string }{
		{"retrain-every", "replay"}, {"fold-movies", "replay"}, {"tune-candidates", "tune"},
	} {
		if c.IsSet(pair.flag) && !c.Bool(pair.needs) {
			return usagef("--%s goes with --%s", pair.flag, pair.needs)
		}
	}
	if every := c.Int("retrain-every"); every < 0 {
		return usagef("--retrain-every is %d, want 0 (never) or more", every)
	}
	several := c.Int("splits") != 1
	if c.IsSet("plot") && (several || c.Bool("replay")) {
		return usagef("--plot goes with one split")
	}
	if err := checkPlot(c); err != nil {
		return err
	}
	switch {
	case c.Bool("replay") && (several || c.Bool("tune")):
		return usagef("--replay has one order: it goes neither with --splits nor with --tune")
	case several && c.Bool("tune"):
		return usagef("--tune goes with one split: choose parameters there, and give them with --splits")
	case (several || c.Bool("replay")) && !c.IsSet("ratings"):
		return usagef("--splits and --replay need --ratings FILE")
	case (several || c.Bool("replay")) && (c.IsSet("train") || c.IsSet("test")):
		return usagef("give either --ratings with --split, or --train with --test")
	}
	return nil
}

func evalOnce(c *cli.Context, p als.Parameters) error {
	started := time.Now()
	train, test, err := trainAndTest(c)
	if err != nil {
		return err
	}
	read := seconds(started)
	var tuning *eval.Tuning
	if c.Bool("tune") {
		tuner := eval.Tuner{Candidates: c.Int("tune-candidates"), Progress: tuneBar()}
		chosen, how, err := tuner.Tune(c.Context, train, p)
		if err != nil {
			return err
		}
		p, tuning = chosen, &how
	}
	result, err := eval.RunWatched(c.Context, train, test, p, eval.Watch{Training: iterations(), Ranking: listsBar()})
	if err != nil {
		return err
	}
	result.Seconds.Read, result.Tuning = read, tuning
	if err := drawn(c, func(path string) error { return plots.Evaluation(path, result) }); err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(result)
	}
	if tuning != nil {
		printTuning(*tuning)
	}
	printResult(result)
	return nil
}

func parseSplit(c *cli.Context) (eval.Split, error) {
	split, err := eval.ParseSplit(c.String("split"))
	if err != nil {
		return split, usageError{err}
	}
	return split, nil
}

func evalSplits(c *cli.Context, p als.Parameters) error {
	split, err := parseSplit(c)
	if err != nil {
		return err
	}
	all, err := readRatings(c.String("ratings"))
	if err != nil {
		return err
	}
	count := c.Int("splits")
	done, bar := 0, countBar("splits", "splits")
	result, err := eval.RunSplits(c.Context, all, split, c.Uint64("seed"), count, p, func(eval.SplitResult) {
		done++
		bar(done, count)
	})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(result)
	}
	printRepeated(result)
	return nil
}

func evalReplay(c *cli.Context, p als.Parameters) error {
	replay := eval.Replay{Parameters: p, Share: 0.2, RetrainEvery: c.Int("retrain-every"), Progress: countBar("replay", "ratings")}
	if c.IsSet("split") {
		split, err := parseSplit(c)
		if err != nil {
			return err
		}
		if split.Seeded() {
			return usagef("--replay goes by time: give --split time:%g, not %s", split.Part, split)
		}
		replay.Share = split.Part
	}
	if c.Bool("fold-movies") {
		replay.FoldMoviesEvery = foldMoviesEvery
	}
	started := time.Now()
	all, err := readRatings(c.String("ratings"))
	if err != nil {
		return err
	}
	read := seconds(started)
	result, err := replay.Run(c.Context, all)
	if err != nil {
		return err
	}
	result.Seconds.Read = read
	if c.Bool("json") {
		return printJSON(result)
	}
	printReplay(result)
	return nil
}

// countBar returns a function that shows how many are done.
func countBar(what, unit string) func(done, total int) {
	var p *progress
	return func(done, total int) {
		if p == nil {
			p = newProgress(what, unit, int64(total))
		}
		p.set(int64(done))
		if done >= total {
			p.end()
		}
	}
}

// listsBar shows how many lists are measured, of one kind after the other.
func listsBar() func(done, total int) {
	var mu sync.Mutex
	var p *progress
	told := 0
	return func(_, total int) {
		mu.Lock()
		defer mu.Unlock()
		if p == nil {
			p, told = newProgress("measuring lists", "lists", int64(total)), 0
		}
		told++
		if p.set(int64(told)); told == total {
			p.end()
			p = nil
		}
	}
}

// tuneBar shows the progress of one head after the other.
func tuneBar() func(eval.TuneProgress) {
	bars := map[string]func(done, total int){}
	return func(p eval.TuneProgress) {
		if bars[p.Head] == nil {
			bars[p.Head] = countBar("tuning "+p.Head, "measurements")
		}
		bars[p.Head](p.Done, p.Total)
	}
}

// trainAndTest reads two files, or one and splits it.
func trainAndTest(c *cli.Context) (train, test []ratings.Rating, err error) {
	one, two := c.IsSet("ratings"), c.IsSet("train") || c.IsSet("test")
	switch {
	case one && two:
		return nil, nil, usagef("give either --ratings with --split, or --train with --test")
	case two && !(c.IsSet("train") && c.IsSet("test")):
		return nil, nil, usagef("--train and --test go together")
	case two:
		if train, err = readRatings(c.String("train")); err != nil {
			return nil, nil, err
		}
		test, err = readRatings(c.String("test"))
		return train, test, err
	case !one:
		return nil, nil, usagef("nothing to measure on: give --ratings FILE, or --train FILE --test FILE")
	}
	split, err := parseSplit(c)
	if err != nil {
		return nil, nil, err
	}
	all, err := readRatings(c.String("ratings"))
	if err != nil {
		return nil, nil, err
	}
	train, test = split.Apply(all, c.Uint64("seed"))
	return train, test, nil
}
