package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

func healthCommand() *cli.Command {
	return &cli.Command{
		Name:  "health",
		Usage: "Ask a running instance whether it is ready (exit code 0)",
		Description: `Asks the admin server, as a container's readiness probe does: whether inputs and outputs are connected, Kafka answers, a model
serves, and with --max-lag whether a pipeline is behind. With --check it also asks the servers of a profile whether they have what the
pipelines need: what stops a pipeline (a topic or table that is missing) is not ready, the rest is a warning.

Whether the process is alive is another question, which --alive asks: an outage makes a process not ready, and is no reason to start
it again.

  recsys-benthos health
  recsys-benthos health --max-lag 100000 --json
  recsys-benthos health --admin 127.0.0.1:4196 --check --profile config/cluster.yaml`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "admin", Usage: "address of the admin server", Value: "127.0.0.1:4196", EnvVars: []string{"RECSYS_ADMIN"}},
			&cli.Int64Flag{Name: "max-lag", Usage: "records that a pipeline may be behind in a topic, 0 for any number", EnvVars: []string{"RECSYS_MAX_LAG"}},
			&cli.BoolFlag{Name: "alive", Usage: "ask only whether the process is alive, as a liveness probe does"},
			&cli.BoolFlag{Name: "check", Usage: "ask the profile's servers too"},
			profileFlag(), sessionFlag(),
			&cli.DurationFlag{Name: "timeout", Usage: "how long to wait for the answer", Value: 2 * time.Second},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.Int64("max-lag") < 0 {
				return usagef("--max-lag %d is negative; give a number of records, or 0 for any", c.Int64("max-lag"))
			}
			if c.Bool("alive") {
				return askAlive(c)
			}
			reasons, err := askReady(c)
			if c.Bool("check") { // also where it is not ready: this may be why
				fatal, checking := checkServers(c)
				reasons, err = append(reasons, fatal...), errors.Join(err, checking)
			}
			if err != nil {
				for _, reason := range reasons {
					err = errors.Join(err, errors.New("not ready: "+reason))
				}
				return err
			}
			return tellHealth(reasons, c.Bool("json"))
		},
	}
}

// tellHealth prints the verdict, one line a reason, and fails if there is one.
func tellHealth(reasons []string, asJSON bool) error {
	if asJSON {
		if err := printJSON(map[string]any{"ready": len(reasons) == 0, "reasons": append([]string{}, reasons...)}); err != nil {
			return err
		}
	} else if len(reasons) == 0 {
		fmt.Println("ready")
	}
	if len(reasons) == 0 {
		return nil
	}
	if !asJSON {
		for _, reason := range reasons {
			fmt.Fprintln(os.Stderr, "not ready:", reason)
		}
	}
	return errFailed
}

// askAlive fails if the admin server does not answer.
func askAlive(c *cli.Context) error {
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	status, _, err := askAdmin(ctx, "http://"+c.String("admin")+"/ping")
	switch {
	case err != nil:
		return fmt.Errorf("not healthy: %w", err)
	case status != http.StatusOK:
		return fmt.Errorf("not healthy: /ping is answered with %d", status)
	case c.Bool("json"):
		return printJSON(map[string]any{"alive": true})
	}
	fmt.Println("alive")
	return nil
}

// askAgain is how soon Benthos is asked again whether it is ready: the first question
// makes it open the outputs that nothing was written to yet.
const askAgain = 200 * time.Millisecond

// askReady returns why the instance is not ready, if it is not.
func askReady(c *cli.Context) (reasons []string, err error) {
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	admin, again := "http://"+c.String("admin"), time.Now().Add(c.Duration("timeout")/2)
	for {
		status, body, err := askAdmin(ctx, admin+"/ready")
		switch {
		case err != nil:
			return nil, fmt.Errorf("not healthy: %w", err)
		case status == http.StatusUnauthorized:
			return nil, fmt.Errorf("not healthy: %s wants a password, and not the one that is set here (401); set %s and %s as the process has them", admin, adminPassword, adminUser)
		case status != http.StatusOK:
			reasons = []string{strings.TrimSpace(string(body))}
			if time.Now().Before(again) {
				time.Sleep(askAgain)
				continue
			}
		default:
			reasons = nil
		}
		break
	}
	status, body, err := askAdmin(ctx, admin+"/metrics")
	if err != nil || status != http.StatusOK {
		return reasons, nil // there is no exporter, or another one than Prometheus's
	}
	more, err := unready(bytes.NewReader(body), c.Int64("max-lag"))
	if err != nil && c.Int64("max-lag") > 0 {
		return reasons, err
	}
	return append(reasons, more...), nil
}

// maxMetrics bounds what is read of an answer, in bytes.
const maxMetrics = 64 << 20

func askAdmin(ctx context.Context, url string) (status int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("%w; give --admin as host:port", err)
	}
	if err := authenticate(request); err != nil {
		return 0, nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxMetrics))
	return response.StatusCode, body, err
}

// checkServers returns what the servers of the profile lack of what the pipelines need.
func checkServers(c *cli.Context) (fatal []string, err error) {
	s, err := profileServers(c.String("profile"))
	if err != nil {
		return nil, err
	}
	for _, p := range s.check(c.Context, c.Duration("timeout"), c.Duration("session-timeout"), 1) {
		if p.fatal {
			fatal = append(fatal, p.String())
		} else {
			fmt.Fprintln(os.Stderr, "warning:", p)
		}
	}
	return fatal, nil
}
