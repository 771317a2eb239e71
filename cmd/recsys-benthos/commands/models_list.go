package commands

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

func modelsListCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "List the versions, oldest first",
		Description: "  recsys-benthos models list --registry file://./recsys-data/registry\n  recsys-benthos models list --registry 's3://models/movies?region=eu-central-1' --json",
		Flags:       []cli.Flag{registryFlag(), jsonFlag()}, Action: modelsList,
	}
}

// listedModel is one row of models list --json.
type listedModel struct {
	Version   string    `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	Role      string    `json:"role"` // "champion", "challenger:NAME", several with a comma, or ""
	Share     float64   `json:"share,omitempty"`
	RMSE      float64   `json:"rmse"`
	BiasRMSE  float64   `json:"bias_rmse"`
	Ratings   int64     `json:"ratings"`
	Algorithm string    `json:"algorithm"`
	Simulated bool      `json:"simulated,omitempty"`
	Verdict   string    `json:"verdict"`
}

func modelsList(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	versions, err := openRegistry(c)
	if err != nil {
		return err
	}
	latest, _, err := versions.Latest()
	if err != nil {
		return err
	}
	manifests, problems := versions.List()
	rows := []listedModel{}
	for _, m := range manifests {
		row := listedModel{
			Version: m.Version, CreatedAt: m.CreatedAt, RMSE: m.Metrics.RMSE, BiasRMSE: m.Metrics.BiasRMSE,
			Ratings: m.Metrics.Ratings, Algorithm: m.Algorithm, Simulated: m.Data.Simulated, Verdict: m.Verdict,
		}
		row.Role, row.Share = rolesOf(latest, m.Version)
		rows = append(rows, row)
	}
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

// rolesOf returns the roles of a version, and its share of the users in them.
func rolesOf(latest registry.Promotion, version string) (roles string, share float64) {
	var all []string
	for _, role := range slices.Sorted(maps.Keys(latest.Roles)) {
		if latest.Roles[role] == version {
			all, share = append(all, role), share+latest.Shares[role]
		}
	}
	return strings.Join(all, ", "), share
}
