package commands

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

func modelsCommand() *cli.Command {
	return &cli.Command{
		Name:  "models",
		Usage: "Look at the model versions of a registry",
		Subcommands: []*cli.Command{
			{
				Name: "list", Usage: "List the versions, oldest first",
				Description: "  recsys-benthos models list --registry file://./recsys-data/registry",
				Flags:       []cli.Flag{registryFlag(), jsonFlag()}, Action: modelsList,
			},
			{
				Name: "show", Usage: "Show the manifest of a version (default: the champion)", ArgsUsage: "[VERSION]",
				Description: "  recsys-benthos models show\n  recsys-benthos models show --json 20260102-150405-9f86d0\n  recsys-benthos models show --diagnose",
				Flags: []cli.Flag{registryFlag(), jsonFlag(), &cli.BoolFlag{
					Name: "diagnose", Usage: "look into the model too: spectra and conditioning of its matrices, noise, and what is odd",
				}}, Action: modelsShow,
			},
		},
	}
}

// listedModel is one row of models list --json.
type listedModel struct {
	Version   string    `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	Role      string    `json:"role"` // "champion", or ""
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
	versions, err := registry.Open(c.String("registry"))
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
		for role, version := range latest.Roles {
			if version == m.Version {
				row.Role = role
			}
		}
		rows = append(rows, row)
	}
	if c.Bool("json") {
		return errors.Join(printJSON(rows), problems)
	}
	if len(rows) == 0 && problems == nil {
		fmt.Printf("no versions in %s yet\n", versions.URL())
		return nil
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VERSION\tCREATED\tROLE\tRMSE\tBIASES\tRATINGS\tVERDICT")
	for _, r := range rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%.4f\t%.4f\t%d\t%s\n",
			r.Version, r.CreatedAt.Format(time.DateTime), r.Role, r.RMSE, r.BiasRMSE, r.Ratings, r.Verdict)
	}
	return errors.Join(table.Flush(), problems)
}

func modelsShow(c *cli.Context) error {
	name, err := oneArgument(c)
	if err != nil {
		return err
	}
	versions, err := registry.Open(c.String("registry"))
	if err != nil {
		return err
	}
	if name == "" {
		if name, err = champion(versions); err != nil {
			return err
		}
	}
	manifest, err := versions.Manifest(name)
	if err != nil {
		return err
	}
	if c.Bool("diagnose") {
		return diagnose(c, versions, manifest)
	}
	if c.Bool("json") {
		return printJSON(manifest)
	}
	text, err := json.MarshalIndent(manifest, "", "  ")
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", text)
	return nil
}

// diagnosed is what models show --diagnose --json prints.
type diagnosed struct {
	Manifest  registry.Manifest `json:"manifest"`
	Diagnosis model.Diagnosis   `json:"diagnosis"`
}

func diagnose(c *cli.Context, versions *registry.Registry, manifest registry.Manifest) error {
	m, _, err := versions.Model(manifest.Version)
	if err != nil {
		return err
	}
	d := m.Diagnose()
	if c.Bool("json") {
		return printJSON(diagnosed{manifest, d})
	}
	fmt.Printf("%s, %s of rank %d\n\n", manifest.Version, manifest.Algorithm, d.Rank)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tROWS\tUNRATED\t1–4 RATINGS\tBIAS\tMEAN NORM\tGREATEST\tEFFECTIVE RANK\tCONDITION")
	for _, side := range []struct {
		name string
		of   model.SideDiagnosis
	}{{"users", d.Users}, {"movies", d.Movies}} {
		s := side.of
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%.2f to %.2f\t%.3f\t%.3f\t%.1f\t%.3g\n", side.name, s.Rows, s.Unrated, s.Few,
			s.Bias[0], s.Bias[1], s.Norm, s.Greatest, s.Spectrum.EffectiveRank, s.Spectrum.Condition)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if p := d.Posterior; p != nil {
		fmt.Printf("\nnoise %.3f stars, weights of users %.2f to %.2f; uncertainty of users %.3f, of movies %.3f; condition of priors %.3g, %.3g\n",
			p.Noise, p.Weights[0], p.Weights[1], d.Users.StdDev, d.Movies.StdDev, p.UserCondition, p.MovieCondition)
	}
	if r := d.Ranking; r != nil {
		fmt.Printf("\nhead that ranks, rank %d: effective rank of users %.1f, of movies %.1f; condition %.3g, %.3g\n",
			r.Rank, r.Users.EffectiveRank, r.Movies.EffectiveRank, r.Users.Condition, r.Movies.Condition)
	}
	fmt.Println()
	for _, warning := range d.Warnings {
		fmt.Println("odd:", warning)
	}
	if len(d.Warnings) == 0 {
		fmt.Println("nothing odd")
	}
	return nil
}

// champion returns the champion's version.
func champion(versions *registry.Registry) (string, error) {
	latest, ok, err := versions.Latest()
	if err != nil {
		return "", err
	}
	if name := latest.Roles[registry.Champion]; ok && name != "" {
		return name, nil
	}
	return "", fmt.Errorf("%w: %s; train one with recsys-benthos train, or let recsys-benthos up do it", registry.ErrNoChampion, versions.URL())
}
