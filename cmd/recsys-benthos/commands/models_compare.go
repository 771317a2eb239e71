package commands

import (
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/plots"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
	"github.com/recsys-benthos/recsys-benthos/internal/terminal"
)

func modelsCompareCommand() *cli.Command {
	return &cli.Command{
		Name: "compare", Usage: "Compare two versions", ArgsUsage: "A B",
		Description: `Prints what both were made of and how each did on its own holdout. With --ratings both predict the same ratings, and the
difference comes with its standard error, paired over users; ratings that only one of them was trained on favour it. With --live
the champion is compared with all versions in shadow, on the ratings that came as requests since the topic of predictions begins.
--plot draws either: what B gains over A by user activity and the errors of both by predicted rating, or the confidence sequences over time.

  recsys-benthos models compare champion 20260102-150405-9f86d0
  recsys-benthos models compare --ratings newer.csv champion challenger:new
  recsys-benthos models compare --ratings newer.csv --plot compared.svg champion challenger:new
  recsys-benthos models compare --live --profile config/cluster.yaml`,
		Flags: append([]cli.Flag{registryFlag(), jsonFlag(), &cli.StringFlag{
			Name: "ratings", Usage: "file, archive or folder of ratings to score both on",
		}, plotFlag("with --ratings gains and errors, with --live confidence sequences,")}, liveFlags()...), Action: modelsCompare,
	}
}

// comparedModels is what models compare --json prints.
type comparedModels struct {
	registry.Compared
	OnRatings *eval.Comparison `json:"on_ratings,omitempty"` // A is its champion, B its challenger
}

func modelsCompare(c *cli.Context) error {
	if c.IsSet("plot") && c.Bool("live") == c.IsSet("ratings") {
		return usagef("--plot goes with either --ratings FILE or --live: what is drawn is how versions do on ratings")
	}
	if err := checkPlot(c); err != nil {
		return err
	}
	if c.Bool("live") {
		return modelsCompareLive(c)
	}
	args, err := arguments(c, 2)
	if err != nil {
		return err
	}
	versions, err := openRegistry(c)
	if err != nil {
		return err
	}
	var compared comparedModels
	if compared.Compared, err = versions.Compare(args[0], args[1]); err != nil {
		return err
	}
	if path := c.String("ratings"); path != "" {
		if compared.OnRatings, err = compareOn(c, versions, path, [2]registry.Manifest{compared.A, compared.B}); err != nil {
			return err
		}
	}
	if c.Bool("json") {
		return printJSON(compared)
	}
	return printCompared(compared)
}

// compareOn has both versions predict the ratings at path, and draws it if that is
// asked for.
func compareOn(c *cli.Context, versions *registry.Registry, path string, manifests [2]registry.Manifest) (*eval.Comparison, error) {
	test, err := readRatings(path)
	if err != nil {
		return nil, err
	}
	var models [2]*model.Model
	for i, manifest := range manifests {
		if models[i], _, err = versions.Model(manifest.Version); err != nil {
			return nil, err
		}
	}
	shown := newProgress("predicting", "ratings", int64(len(test)))
	var predict [2]eval.Predictor
	for i, m := range models {
		predict[i] = func(user, movie int64) float64 { return float64(m.Predict(user, movie).Value) }
	}
	champion := predict[0]
	predict[0] = func(user, movie int64) float64 {
		shown.add(1)
		return champion(user, movie)
	}
	comparison, err := eval.Compare(predict[0], predict[1], test)
	shown.end()
	if err != nil {
		return nil, err
	}
	err = drawn(c, func(path string) error {
		defer busy("drawing")()
		contrast, err := eval.NewContrast(models[0], models[1], test)
		if err != nil {
			return err
		}
		return plots.Comparison(path, manifests[0].Version, manifests[1].Version, contrast)
	})
	return &comparison, err
}

func printCompared(c comparedModels) error {
	table := terminal.NewTable(terminal.Column{Name: ""}, terminal.Column{Name: "", Fit: terminal.Wrapped}, terminal.Column{Name: "", Fit: terminal.Wrapped})
	row := func(name string, value func(m registry.Manifest) string) {
		a, b := value(c.A), value(c.B)
		if a != "" || b != "" {
			table.Row(name, a, b)
		}
	}
	stars := func(value float64) string {
		if value == 0 {
			return "not measured"
		}
		return fmt.Sprintf("%.4f", value)
	}
	row("version", func(m registry.Manifest) string { return m.Version })
	row("created", func(m registry.Manifest) string { return m.CreatedAt.Format(time.DateTime) })
	row("algorithm", func(m registry.Manifest) string { return m.Algorithm })
	row("RMSE on its holdout", func(m registry.Manifest) string { return stars(m.Metrics.RMSE) })
	row("RMSE of biases alone", func(m registry.Manifest) string { return stars(m.Metrics.BiasRMSE) })
	row("held out", func(m registry.Manifest) string { return fmt.Sprintf("%d ratings", m.Metrics.Holdout) })
	row("data", func(m registry.Manifest) string {
		return fmt.Sprintf("%d ratings, %d users, %d movies", m.Data.Ratings, m.Data.Users, m.Data.Movies)
	})
	row("newest rating", func(m registry.Manifest) string {
		if m.Data.Until.IsZero() {
			return "not known"
		}
		return m.Data.Until.Format(time.DateTime)
	})
	row("data is from", func(m registry.Manifest) string { return m.Data.Source })
	row("started from", func(m registry.Manifest) string { return m.StartedFrom })
	for _, d := range c.Parameters {
		table.Row(d.Name, d.A, d.B)
	}
	row("the gate", func(m registry.Manifest) string { return verdictLine(m.Gate, m.Verdict) })
	for i := range max(tests(c.A), tests(c.B)) {
		row(fmt.Sprintf("test %d", i+1), func(m registry.Manifest) string { return testLine(m.Gate, i) })
	}
	if err := printTable(table); err != nil {
		return err
	}
	if o := c.OnRatings; o != nil {
		fmt.Printf("\non the same %d ratings of %d users: RMSE %.4f and %.4f; B less A: %+.4f ± %.4f (standard error over users)\n",
			o.Ratings, o.Users, o.Champion, o.Challenger, o.Difference, o.StandardError)
	}
	return nil
}

func tests(m registry.Manifest) int {
	if m.Gate == nil {
		return 0
	}
	return len(m.Gate.Tests)
}

func verdictLine(v *message.Verdict, words string) string {
	if v == nil {
		return words
	}
	if strings.HasPrefix(v.Reason, v.Outcome) {
		return v.Reason
	}
	return strings.TrimSuffix(v.Outcome+": "+v.Reason, ": ")
}

func testLine(v *message.Verdict, i int) string {
	if v == nil || i >= len(v.Tests) {
		return ""
	}
	t := v.Tests[i]
	return fmt.Sprintf("%s, %s: %.4f against %.4f of %s, gain %+.4f (%.4f to %.4f): %s", t.Name, t.Head, t.Challenger, t.Champion, v.Against, t.Point, t.Gain.Low, t.Gain.High, t.Decision)
}
