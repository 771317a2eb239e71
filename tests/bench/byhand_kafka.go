package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// handWritten are the yardsticks: programs that somebody would write for the same
// work. They are hidden commands of this one so that they are processes too.
func handWritten() []*cli.Command {
	common := []cli.Flag{
		&cli.StringFlag{Name: "brokers"}, &cli.StringFlag{Name: "topic"}, &cli.StringFlag{Name: "out"}, &cli.StringFlag{Name: "group"},
		&cli.StringFlag{Name: "registry"}, &cli.StringFlag{Name: "data"}, &cli.StringFlag{Name: "servers"},
		&cli.StringFlag{Name: "listen"}, &cli.StringFlag{Name: "bodies"}, &cli.StringFlag{Name: "variant"}, &cli.IntFlag{Name: "workers"},
	}
	var commands []*cli.Command
	for name, action := range map[string]cli.ActionFunc{
		"raw": rawLoop, "by-hand": predictByHand, "cassandra-by-hand": cassandraByHand, "elasticsearch-by-hand": elasticsearchByHand,
		"bare-http": bareHTTP,
	} {
		commands = append(commands, &cli.Command{Name: name, Hidden: true, Flags: common, Action: action})
	}
	return commands
}

// consumer is a member of the group of a yardstick.
func consumer(c *cli.Context, opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(c.String("brokers")), kgo.ConsumeTopics(c.String("topic")), kgo.ConsumerGroup(c.String("group")),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(60 * time.Second),
	}, opts...)...)
}

// rawLoop copies records: what no pipeline can be faster than.
func rawLoop(c *cli.Context) error {
	return copyLoop(c, func(r *kgo.Record) ([]byte, error) { return r.Value, nil })
}

// copyLoop writes what transform makes of each record to another topic, and
// commits by franz-go's default, which is at most once for what is under way:
// less than our pipeline promises.
func copyLoop(c *cli.Context, transform func(*kgo.Record) ([]byte, error)) error {
	ctx, stop := signal.NotifyContext(c.Context, syscall.SIGTERM)
	defer stop()
	client, err := consumer(c, kgo.ProducerLinger(0))
	if err != nil {
		return err
	}
	defer client.Close()
	var failed error // promises are called one after the other
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			flush, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			return client.Flush(flush)
		}
		if err := fetches.Err(); err != nil || failed != nil {
			return fmt.Errorf("copying: %w, %w", err, failed)
		}
		for iter := fetches.RecordIter(); !iter.Done(); {
			r := iter.Next()
			value, err := transform(r)
			if err != nil {
				return err
			}
			client.Produce(context.Background(), &kgo.Record{Topic: c.String("out"), Key: r.Key, Value: value}, func(_ *kgo.Record, err error) {
				if err != nil {
					failed = err
				}
			})
		}
	}
}

// predictor is what a programmer makes of a model without a library: maps.
type predictor struct {
	factors       *als.Factors
	version       string
	users, movies map[int64]int
	titles        map[int64]ratings.Movie
}

type event struct {
	Type      string `json:"event_type"`
	User      string `json:"user_id"`
	Movie     string `json:"movie_id"`
	Value     string `json:"value"`
	Timestamp string `json:"timestamp"`
}

type reply struct {
	RequestID    string    `json:"request_id"`
	User         int64     `json:"user_id"`
	Movie        int64     `json:"movie_id"`
	Prediction   float32   `json:"prediction"`
	ModelVersion string    `json:"model_version"`
	RequestedAt  time.Time `json:"requested_at"`
	PredictedAt  time.Time `json:"predicted_at"`
	Cold         []string  `json:"cold"`
	Actual       float32   `json:"actual"`
	Title        string    `json:"title"`
	Genres       []string  `json:"genres"`
}

// predictByHand does what pipelines/predict.yaml does, without checks, dead
// letters, current biases, model swaps and a promise of at least once.
func predictByHand(c *cli.Context) error {
	m, version, err := champion(c.String("registry"))
	if err != nil {
		return err
	}
	movies, err := ratings.ReadMovies(c.String("data"))
	if err != nil {
		return err
	}
	p := &predictor{m.Factors(), version, map[int64]int{}, map[int64]int{}, map[int64]ratings.Movie{}}
	for row, id := range p.factors.Users {
		p.users[id] = row
	}
	for row, id := range p.factors.Movies {
		p.movies[id] = row
	}
	for _, movie := range movies {
		p.titles[movie.ID] = movie
	}
	return copyLoop(c, p.predict)
}

func (p *predictor) predict(r *kgo.Record) ([]byte, error) {
	var e event
	if err := json.Unmarshal(r.Value, &e); err != nil {
		return nil, err
	}
	user, err := strconv.ParseInt(e.User, 10, 64)
	if err != nil {
		return nil, err
	}
	movie, err := strconv.ParseInt(e.Movie, 10, 64)
	if err != nil {
		return nil, err
	}
	actual, err := strconv.ParseFloat(e.Value, 32)
	if err != nil {
		return nil, err
	}
	cold := []string{}
	u, ok := p.users[user]
	if !ok {
		u, cold = -1, append(cold, "user")
	}
	i, ok := p.movies[movie]
	if !ok {
		i, cold = -1, append(cold, "movie")
	}
	title := p.titles[movie]
	return json.Marshal(reply{
		RequestID: r.Topic + "-" + strconv.Itoa(int(r.Partition)) + "-" + strconv.FormatInt(r.Offset, 10),
		User:      user, Movie: movie,
		Prediction:   float32(min(max(p.factors.Predict(u, i), 0.5), 5)),
		ModelVersion: p.version, RequestedAt: r.Timestamp.UTC(), PredictedAt: time.Now().UTC(),
		Cold: cold, Actual: float32(actual), Title: title.Title, Genres: title.Genres,
	})
}
