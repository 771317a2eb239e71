package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/experiment"
	"github.com/recsys-benthos/recsys-benthos/internal/plots"
	"github.com/recsys-benthos/recsys-benthos/internal/terminal"
)

func liveFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "live", Usage: "compare the champion with all challengers on the ratings that came as requests"},
		&cli.StringFlag{Name: "topic", Usage: "with --live: of the predictions", Value: topicPredictions},
		&cli.DurationFlag{Name: "period", Usage: "with --live: of which a user's ratings make one value", Value: 24 * time.Hour, EnvVars: []string{"RECSYS_COMPARE_PERIOD"}},
		profileFlag(),
	}
}

// modelsCompareLive reads what the topic of predictions holds now, as the processor
// als_compare does, and prints what it says.
func modelsCompareLive(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return fmt.Errorf("%w; with --live all versions that predict are compared", err)
	}
	s, err := profileServers(c.String("profile"))
	if err != nil {
		return err
	}
	if s.kafka == nil {
		return fmt.Errorf("the profile %s has no kafka_cluster to read predictions from", c.String("profile"))
	}
	comparisons := experiment.NewComparisons(experiment.Config{Period: c.Duration("period")})
	var all []experiment.Rating // for the picture, which needs them in the order of time
	var shown *progress
	begin := func(total int64) { shown = newProgress("reading "+c.String("topic"), "records", total) }
	read, err := eachRecord(c.Context, s.kafka.Options(), c.String("topic"), begin, func(r *kgo.Record) {
		shown.add(1)
		record, ok, err := experiment.DecodeRecord(r.Value)
		if err != nil || !ok {
			return // a dead letter elsewhere, or nothing to compare
		}
		rating, ok := record.Rating()
		switch rating.Partition = r.Partition; {
		case !ok:
		case c.IsSet("plot"):
			all = append(all, rating)
		default:
			comparisons.Add(rating)
		}
	})
	if shown != nil {
		shown.end()
	}
	if err != nil {
		return err
	}
	histories := comparisons.Replay(all) // none without a picture
	results := comparisons.Results()
	if c.Bool("json") {
		err = printJSON(results)
	} else {
		err = printLive(results, read, c.String("topic"), c.Duration("period"))
	}
	return errors.Join(err, drawn(c, func(path string) error { return plots.Live(path, histories) }))
}

func printLive(results []experiment.Result, read int64, topic string, period time.Duration) error {
	if len(results) == 0 {
		fmt.Printf("none of %d predictions in topic %s has both an actual rating and a version in shadow beside it\n", read, topic)
		return nil
	}
	table := terminal.NewTable(terminal.Column{Name: "CHAMPION"}, terminal.Column{Name: "CHALLENGER"}, terminal.Column{Name: "ROLE", Fit: terminal.Cut}, terminal.Column{Name: "USERS"}, terminal.Column{Name: "GAIN"},
		terminal.Column{Name: "ALWAYS WITHIN"}, terminal.Column{Name: "E-VALUE"}, terminal.Column{Name: "SETTLED", Fit: terminal.Wrapped})
	for _, r := range results {
		settled := "undecided"
		if r.Settled != experiment.Undecided {
			settled = "the challenger is " + string(r.Settled)
		}
		table.Row(append(cells(r.Champion, r.Challenger, r.Role, r.Users), fmt.Sprintf("%+.4f", r.Gain), fmt.Sprintf("%+.4f to %+.4f", r.Low, r.High),
			fmt.Sprintf("%.3g", r.EValue), settled)...)
	}
	if err := printTable(table); err != nil {
		return err
	}
	fmt.Printf("\nGain is the champion's mean squared error less the challenger's, in stars², over users, each user's %s being one value.\n"+
		"Its 95 %% confidence sequence holds at all times at once: one may look as often as one likes.\n", period)
	return nil
}

// readTimeout is how long a topic may give nothing.
const readTimeout = 30 * time.Second

// eachRecord calls fn with the records that a topic holds now, and before that begin,
// which may be nil, with their number: marks of transactions count too.
func eachRecord(ctx context.Context, options []kgo.Opt, topic string, begin func(total int64), fn func(*kgo.Record)) (read int64, err error) {
	// The end of a partition may be the mark of a transaction.
	client, err := kgo.NewClient(append(options, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(100*time.Millisecond), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())...)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	asking, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	admin := kadm.NewClient(client)
	starts, err := admin.ListStartOffsets(asking, topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return 0, fmt.Errorf("reading topic %s: %w", topic, err)
	}
	ends, err := admin.ListEndOffsets(asking, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return 0, fmt.Errorf("reading topic %s: %w", topic, err)
	}
	total := int64(0)
	left := map[int32]bool{} // partitions that are not read to their end
	ends.Each(func(end kadm.ListedOffset) {
		if start, ok := starts.Lookup(topic, end.Partition); ok && start.Offset < end.Offset {
			left[end.Partition] = true
			total += end.Offset - start.Offset
		}
	})
	if begin != nil {
		begin(total)
	}
	for len(left) > 0 {
		polling, cancel := context.WithTimeout(ctx, readTimeout)
		fetches := client.PollFetches(polling)
		waited := polling.Err()
		cancel()
		if waited != nil {
			return read, errors.Join(ctx.Err(), fmt.Errorf("reading topic %s: nothing came for %s, with %d partitions not read to their end", topic, readTimeout, len(left)))
		}
		fetches.EachRecord(func(r *kgo.Record) {
			end, _ := ends.Lookup(topic, r.Partition)
			if r.Offset < end.Offset && !r.Attrs.IsControl() {
				fn(r)
				read++
			}
			if r.Offset >= end.Offset-1 {
				delete(left, r.Partition)
			}
		})
	}
	return read, nil
}
