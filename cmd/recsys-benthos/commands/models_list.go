package commands

import (
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"
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
	table := table()
	fmt.Fprintln(table, "VERSION\tCREATED\tROLE\tRMSE\tBIASES\tRATINGS\tVERDICT")
	for _, r := range rows {
		role := r.Role
		if r.Share > 0 {
			role += fmt.Sprintf(" (%g %%)", 100*r.Share)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%.4f\t%.4f\t%d\t%s\n",
			r.Version, r.CreatedAt.Format(time.DateTime), role, r.RMSE, r.BiasRMSE, r.Ratings, r.Verdict)
	}
	return errors.Join(table.Flush(), problems)
}
