package commands

import (
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
		Description: `Asks the admin server, as a container's health check does. With --check it also asks the servers of a profile whether
they have what the pipelines need: what stops a pipeline (a topic or table that is missing) is not ready, the rest is a warning.

  recsys-benthos health
  recsys-benthos health --admin 127.0.0.1:4196 --check --profile config/cluster.yaml`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "admin", Usage: "address of the admin server", Value: "127.0.0.1:4196", EnvVars: []string{"RECSYS_ADMIN"}},
			&cli.BoolFlag{Name: "check", Usage: "ask the profile's servers too"},
			profileFlag(), sessionFlag(),
			&cli.DurationFlag{Name: "timeout", Usage: "how long to wait for the answer", Value: 2 * time.Second},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			err := askReady(c)
			if c.Bool("check") { // also where it is not ready: this may be why
				err = errors.Join(err, checkServers(c))
			}
			switch {
			case err != nil:
				return err
			case c.Bool("json"):
				return printJSON(map[string]any{"ready": true})
			}
			fmt.Println("ready")
			return nil
		},
	}
}

// askReady fails if the instance does not say that it is ready.
func askReady(c *cli.Context) error {
	client := http.Client{Timeout: c.Duration("timeout")}
	request, err := http.NewRequestWithContext(c.Context, http.MethodGet, "http://"+c.String("admin")+"/ready", nil)
	if err != nil {
		return fmt.Errorf("--admin %s: %w; give it as host:port", c.String("admin"), err)
	}
	if err := authenticate(request); err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("not healthy: %w", err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s: %s", response.Status, strings.TrimSpace(string(body)))
	}
	return nil
}

// checkServers fails if the servers of the profile lack what the pipelines need.
func checkServers(c *cli.Context) error {
	s, err := profileServers(c.String("profile"))
	if err != nil {
		return err
	}
	var fatal []string
	for _, p := range s.check(c.Context, c.Duration("timeout"), c.Duration("session-timeout"), 1) {
		if p.fatal {
			fatal = append(fatal, p.String())
		} else {
			fmt.Fprintln(os.Stderr, "warning:", p)
		}
	}
	if len(fatal) > 0 {
		return fmt.Errorf("not ready: %s", strings.Join(fatal, "\n"))
	}
	return nil
}
