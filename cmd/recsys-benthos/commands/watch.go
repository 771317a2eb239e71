package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/live"
	"github.com/recsys-benthos/recsys-benthos/internal/terminal"
	"github.com/recsys-benthos/recsys-benthos/plugins/kafka"
)

func watchCommand() *cli.Command {
	return &cli.Command{
		Name: "watch", Usage: "Watch predictions, error, models and dead letters live in the terminal",
		Description: `Follows the topics predictions, models and dead_letters as the live page does, from their beginning. q or Ctrl-C ends it, which is
success. Where standard output is no terminal it prints a line a second, with --json one snapshot a line.

  recsys-benthos watch
  recsys-benthos watch --once --json
  recsys-benthos watch --profile my/cluster.yaml`,
		Flags: []cli.Flag{
			profileFlag(),
			&cli.BoolFlag{Name: "once", Usage: "print what the topics hold now, and end"},
			&cli.DurationFlag{Name: "every", Usage: "time between two lines", Value: time.Second},
			jsonFlag(),
		},
		Action: watchAction,
	}
}

// frameEvery is how often the view is drawn.
const frameEvery = 250 * time.Millisecond

// watchedTopics are what the live view is made of.
var watchedTopics = []string{topicModels, topicPredictions, topicDeadLetters}

func watchAction(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	if c.Duration("every") <= 0 {
		return usagef("--every %s is not above 0", c.Duration("every"))
	}
	s, err := profileServers(c.String("profile"))
	if err != nil {
		return err
	}
	if s.kafka == nil {
		return fmt.Errorf("the profile %s has no kafka_cluster to watch; give one that has with --profile", c.String("profile"))
	}
	ctx, stop := signal.NotifyContext(c.Context, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if c.Bool("once") {
		return watchOnce(ctx, c, s.kafka)
	}
	w, err := follow(ctx, s.kafka)
	if err != nil {
		return err
	}
	defer w.close()
	if isTerminal(os.Stdout) && !c.Bool("json") {
		return w.draw(ctx)
	}
	return w.lines(ctx, c.Duration("every"), c.Bool("json"))
}

// watchOnce prints one snapshot of what the topics hold now.
func watchOnce(ctx context.Context, c *cli.Context, cluster *kafka.Cluster) error {
	w := &watcher{live: live.New(live.Config{}), source: strings.Join(cluster.Seeds(), ", ")}
	for _, topic := range watchedTopics {
		if _, err := eachRecord(ctx, cluster.Options(), topic, nil, w.take); err != nil {
			if ctx.Err() != nil {
				return stoppedError{syscall.SIGINT}
			}
			return fmt.Errorf("%w; is anything running there? recsys-benthos doctor looks", err)
		}
	}
	return w.print(c.Bool("json"))
}

// watcher follows the topics and keeps what is to be seen of them.
type watcher struct {
	live   *live.Aggregates
	source string
	client *kgo.Client
	done   sync.WaitGroup
	cancel context.CancelFunc

	mu   sync.Mutex
	away string // why nothing comes
}

// follow reads the topics until the watcher is closed. A broker that is away is
// waited for.
func follow(ctx context.Context, cluster *kafka.Cluster) (*watcher, error) {
	client, err := kgo.NewClient(append(cluster.Options(), kgo.ConsumeTopics(watchedTopics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(100*time.Millisecond))...)
	if err != nil {
		return nil, err
	}
	w := &watcher{live: live.New(live.Config{}), source: strings.Join(cluster.Seeds(), ", "), client: client, away: "connecting"}
	ctx, w.cancel = context.WithCancel(ctx)
	w.done.Go(func() { w.read(ctx) })
	w.done.Go(func() { w.ping(ctx) })
	return w, nil
}

func (w *watcher) close() {
	w.cancel()
	w.done.Wait()
	w.client.Close()
}

func (w *watcher) read(ctx context.Context) {
	for ctx.Err() == nil {
		fetches := w.client.PollRecords(ctx, 1000)
		fetches.EachRecord(w.take)
		fetches.EachError(func(topic string, _ int32, err error) {
			if !errors.Is(err, context.Canceled) {
				w.setAway(fmt.Sprintf("topic %s: %v", topic, err))
			}
		})
	}
}

// pingEvery is how soon the view says that the broker is away, or back.
const pingEvery = time.Second

func (w *watcher) ping(ctx context.Context) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		asking, cancel := context.WithTimeout(ctx, 5*pingEvery)
		err := w.client.Ping(asking)
		cancel()
		if err != nil {
			w.setAway(fmt.Sprintf("no broker answers at %s", w.source))
		} else {
			w.setAway("")
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (w *watcher) setAway(why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = why
}

// take adds one record. What cannot be read is a dead letter elsewhere.
func (w *watcher) take(r *kgo.Record) {
	if r.Value == nil && r.Topic != topicDeadLetters {
		return // a tombstone
	}
	switch r.Topic {
	case topicPredictions:
		_ = w.live.Prediction(r.Partition, r.Value)
	case topicModels:
		_ = w.live.Announcement(r.Value)
	case topicDeadLetters:
		headers := map[string]string{}
		for _, h := range r.Headers {
			headers[h.Key] = string(h.Value)
		}
		d := live.DeadLetter{
			At: r.Timestamp.UnixMilli(), Reason: headers["error"], Component: headers["component"],
			Topic: headers["topic"], Partition: headers["partition"], Offset: headers["offset"],
		}
		if d.Reason == "" {
			d.Reason = "no reason given"
		}
		w.live.DeadLetter(fmt.Sprintf("%d/%d", r.Partition, r.Offset), d)
	}
}

func (w *watcher) view() terminal.View {
	w.mu.Lock()
	defer w.mu.Unlock()
	return terminal.View{Snapshot: w.live.Snapshot(), Source: w.source, Away: w.away}
}

// print prints one snapshot as a line.
func (w *watcher) print(asJSON bool) error {
	view := w.view()
	if asJSON {
		return printJSON(view.Snapshot)
	}
	_, err := fmt.Println(view.Line())
	return err
}

// lines prints a line now and then, until ctx ends.
func (w *watcher) lines(ctx context.Context, every time.Duration, asJSON bool) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := w.print(asJSON); err != nil {
				return err
			}
		}
	}
}

// draw shows the view until q or Ctrl-C is pressed.
func (w *watcher) draw(ctx context.Context) error {
	screen, err := terminal.OpenScreen(os.Stdin, os.Stdout)
	if err != nil {
		return err
	}
	defer screen.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // it waits for a key, and ends with the program at the latest
		if screen.AwaitQuit() {
			cancel()
		}
	}()
	ticker := time.NewTicker(frameEvery)
	defer ticker.Stop()
	for {
		view := w.view()
		view.Colour = coloured(os.Stdout)
		if err := screen.Draw(view.Lines(screen.Size())); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
