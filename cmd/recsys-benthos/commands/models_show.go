package commands

import (
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
	"github.com/recsys-benthos/recsys-benthos/internal/terminal"
)

func modelsShowCommand() *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "Show the manifest of a version (default: the champion)", ArgsUsage: "[VERSION]",
		Description: "  recsys-benthos models show\n  recsys-benthos models show --json 20260102-150405-9f86d0\n  recsys-benthos models show --diagnose challenger:new",
		Flags: []cli.Flag{registryFlag(), jsonFlag(), &cli.BoolFlag{
			Name: "diagnose", Usage: "look into the model too: spectra and conditioning of its matrices, noise, and what is odd",
		}}, Action: modelsShow,
	}
}

func modelsShow(c *cli.Context) error {
	name, err := oneArgument(c)
	if err != nil {
		return err
	}
	versions, err := openRegistry(c)
	if err != nil {
		return err
	}
	if name == "" {
		name = registry.Champion
	}
	if name, err = versions.Resolve(name); err != nil {
		return err
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
	table := terminal.NewTable(terminal.Column{Name: ""}, terminal.Column{Name: "ROWS"}, terminal.Column{Name: "UNRATED"}, terminal.Column{Name: "1–4 RATINGS"}, terminal.Column{Name: "BIAS"},
		terminal.Column{Name: "MEAN NORM"}, terminal.Column{Name: "GREATEST"}, terminal.Column{Name: "EFFECTIVE RANK"}, terminal.Column{Name: "CONDITION"})
	for _, side := range []struct {
		name string
		of   model.SideDiagnosis
	}{{"users", d.Users}, {"movies", d.Movies}} {
		s := side.of
		table.Row(append(cells(side.name, s.Rows, s.Unrated, s.Few), fmt.Sprintf("%.2f to %.2f", s.Bias[0], s.Bias[1]), fmt.Sprintf("%.3f", s.Norm),
			fmt.Sprintf("%.3f", s.Greatest), fmt.Sprintf("%.1f", s.Spectrum.EffectiveRank), fmt.Sprintf("%.3g", s.Spectrum.Condition))...)
	}
	if err := printTable(table); err != nil {
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
