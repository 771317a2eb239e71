package commands

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/plugins/cassandra"
	"github.com/recsys-benthos/recsys-benthos/plugins/elasticsearch"
	"github.com/recsys-benthos/recsys-benthos/plugins/kafka"
)

// problem is something on a server that breaks a promise of the pipelines.
type problem struct {
	Server string `json:"server"`
	Where  string `json:"where"`
	What   string `json:"what"`
	Mend   string `json:"mend"`
	fatal  bool   // a pipeline cannot work
}

func (p problem) String() string {
	if p.Mend == "" {
		return fmt.Sprintf("%s: %s: %s", p.Server, p.Where, p.What)
	}
	return fmt.Sprintf("%s: %s: %s\n    mend it with: %s", p.Server, p.Where, p.What, p.Mend)
}

// reportCheck prints what is wrong, and fails if anything is.
func reportCheck(c *cli.Context, s servers) error {
	problems := s.check(c.Context, c.Duration("timeout"), c.Duration("session-timeout"), c.Int("index-replicas"))
	if c.Bool("json") {
		if err := printJSON(map[string]any{"problems": problems}); err != nil {
			return err
		}
	} else {
		for _, p := range problems {
			fmt.Println(p)
		}
	}
	switch {
	case len(problems) > 0 && c.Bool("json"):
		return errFailed
	case len(problems) > 0:
		return fmt.Errorf("%d problems", len(problems))
	case !c.Bool("json"):
		fmt.Println("Everything is as the pipelines need it.")
	}
	return nil
}

// check looks at all servers; one that cannot be looked at is a problem too.
func (s servers) check(ctx context.Context, timeout, session time.Duration, replicas int) []problem {
	problems := []problem{}
	look := func(server string, f func(context.Context) ([]problem, error)) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		found, err := f(ctx)
		if err != nil {
			found = append(found, problem{Server: server, Where: "looking", What: err.Error(), fatal: true})
		}
		for _, p := range found {
			p.Server = server
			problems = append(problems, p)
		}
	}
	if s.kafka != nil {
		look("Kafka", func(ctx context.Context) (list []problem, err error) {
			found, err := kafka.CheckTopics(ctx, s.kafka, session)
			for _, p := range found {
				list = append(list, problem{Where: p.Where, What: p.What, Mend: p.Mend, fatal: p.Fatal})
			}
			return list, err
		})
	}
	if s.cassandra != nil {
		look("Cassandra", func(ctx context.Context) (list []problem, err error) {
			found, err := cassandra.Check(ctx, *s.cassandra)
			for _, p := range found {
				list = append(list, problem{Where: p.Where, What: p.What, Mend: p.Mend, fatal: p.Fatal})
			}
			return list, err
		})
	}
	if s.elasticsearch != nil {
		look("Elasticsearch", func(ctx context.Context) (list []problem, err error) {
			found, err := elasticsearch.Check(ctx, *s.elasticsearch, elasticsearch.CheckOptions{Replicas: &replicas})
			for _, p := range found {
				list = append(list, problem{Where: p.Object, What: p.What, Mend: p.Mend})
			}
			return list, err
		})
	}
	if s.kibana != nil {
		look("Kibana", s.kibana.check)
	}
	return problems
}
