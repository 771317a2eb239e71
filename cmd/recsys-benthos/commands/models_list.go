package commands

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/terminal"
)

func modelsListCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "List the versions, oldest first",
		Description: "  recsys-benthos models list --registry file://./recsys-data/registry\n  recsys-benthos models list --registry 's3://models/movies?region=eu-central-1' --json",
		Flags:       []cli.Flag{registryFlag(), jsonFlag()}, Action: modelsList,
	}
}

func modelsList(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	versions, err := openRegistry(c)
	if err != nil {
		return err
	}
	rows, problems := versions.Listing()
	if c.Bool("json") {
		return errors.Join(printJSON(rows), problems)
	}
	if len(rows) == 0 && problems == nil {
		fmt.Printf("no versions in %s yet\n", versions.URL())
		return nil
	}
	table := terminal.NewTable(terminal.Column{Name: "VERSION"}, terminal.Column{Name: "CREATED", Fit: terminal.Spare}, terminal.Column{Name: "ROLE", Fit: terminal.Wrapped}, terminal.Column{Name: "RMSE"},
		terminal.Column{Name: "BIASES"}, terminal.Column{Name: "RATINGS"}, terminal.Column{Name: "VERDICT", Fit: terminal.Cut})
	for _, r := range rows {
		role := r.Role
		if r.Share > 0 {
			role += fmt.Sprintf(" (%g %%)", 100*r.Share)
		}
		table.Row(r.Version, r.CreatedAt.Format(time.DateTime), role, fmt.Sprintf("%.4f", r.RMSE), fmt.Sprintf("%.4f", r.BiasRMSE),
			strconv.FormatInt(r.Ratings, 10), r.Verdict)
	}
	return errors.Join(printTable(table), problems)
}
