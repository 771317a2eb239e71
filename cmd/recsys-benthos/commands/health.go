package commands

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/urfave/cli/v2"
)

func healthCommand() *cli.Command {
	return &cli.Command{
		Name:  "health",
		Usage: "Ask a running instance whether it is ready (exit code 0)",
		Description: `Asks the admin server, as a container's health check does.

  recsys-benthos health
  recsys-benthos health --admin 127.0.0.1:4196`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "admin", Usage: "address of the admin server", Value: "127.0.0.1:4196", EnvVars: []string{"RECSYS_ADMIN"}},
			&cli.DurationFlag{Name: "timeout", Usage: "how long to wait for the answer", Value: 2 * time.Second},
		},
		Action: func(c *cli.Context) error {
			client := http.Client{Timeout: c.Duration("timeout")}
			response, err := client.Get("http://" + c.String("admin") + "/ready")
			if err != nil {
				return fmt.Errorf("not healthy: %w", err)
			}
			defer response.Body.Close()
			body, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
			if response.StatusCode != http.StatusOK {
				return fmt.Errorf("not ready: %s: %s", response.Status, body)
			}
			fmt.Println("ready")
			return nil
		},
	}
}
