package commands

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
)

func brokerCommand() *cli.Command {
	return &cli.Command{
		Name:  "broker",
		Usage: "Run the embedded Kafka broker",
		Description: `Runs a Kafka broker on loopback, with its data in the state folder and the topics of the pipelines, until it is stopped.

  recsys-benthos broker
  recsys-benthos broker --state ./recsys-data --address 127.0.0.1:9092`,
		Flags: []cli.Flag{
			stateFlag(),
			&cli.StringFlag{Name: "address", Usage: "loopback address to listen on", Value: broker.DefaultAddress},
			&cli.Int64Flag{Name: "max-bytes", Usage: "bound of all topics together, in bytes", Value: broker.DefaultMaxBytes},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			b, err := openBroker(c.String("state"), c.String("address"), c.Int64("max-bytes"))
			if err != nil {
				return err
			}
			if c.Bool("json") {
				if err := printJSON(map[string]any{"address": b.Addr(), "state": c.String("state")}); err != nil {
					return errors.Join(err, b.Close())
				}
			}
			fmt.Fprintf(os.Stderr, "Kafka broker on %s; stop it with Ctrl-C\n", b.Addr())
			stop := make(chan os.Signal, 1)
			signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
			<-stop
			return b.Close()
		},
	}
}

// partitions of each topic of the embedded broker: as many processes can share
// a consumer group's work.
const partitions = 4

// brokerTopics are the topics of the embedded broker.
func brokerTopics() (topics []broker.Topic) {
	for _, name := range []string{topicEvents, topicRequests, topicPredictions, topicRecommendations, topicUserFactors, topicDeadLetters} {
		topics = append(topics, broker.Topic{Name: name, Partitions: partitions})
	}
	for _, name := range []string{topicModels, topicMovies, topicTrain} {
		topics = append(topics, broker.Topic{Name: name, Partitions: 1})
	}
	return topics
}

// openBroker starts the embedded broker with the topics of the pipelines.
func openBroker(state, address string, maxBytes int64) (*broker.Broker, error) {
	b, err := broker.Open(broker.Config{
		Dir: filepath.Join(state, "broker"), Address: address, Topics: brokerTopics(), MaxBytes: maxBytes,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if errors.Is(err, broker.ErrLocked) {
		return nil, fmt.Errorf("%w; stop that process, or give this one a folder of its own with --state", err)
	}
	return b, err
}

// The topics of the pipelines.
const (
	topicEvents          = "events"
	topicRequests        = "requests"
	topicPredictions     = "predictions"
	topicRecommendations = "recommendations"
	topicUserFactors     = "user_factors"
	topicModels          = "models"
	topicMovies          = "movies"
	topicTrain           = "train"
	topicDeadLetters     = "dead_letters"
)
