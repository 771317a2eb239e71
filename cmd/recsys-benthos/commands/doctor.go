package commands

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/terminal"
)

// embeddedProfile is that of one machine.
const embeddedProfile = "config/embedded.yaml"

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name: "doctor", Usage: "Check configuration, servers, topics, schema, clocks, disk and model, and say how to mend each",
		Description: `Looks at all that a profile's pipelines need and changes nothing. Each finding is ok, a warning or a problem, with how to mend it.
Nothing has to run: what is not there is said once. The exit code is 3 if there is a problem.

  recsys-benthos doctor
  recsys-benthos doctor -r config/cluster.yaml
  recsys-benthos doctor --state ./recsys-data --json`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "profile", Aliases: []string{"r"}, Usage: "profile of what is to be checked", Value: embeddedProfile},
			stateFlag(),
			&cli.StringFlag{Name: "admin", Usage: "address of the admin server", Value: "127.0.0.1:4196", EnvVars: []string{"RECSYS_ADMIN"}},
			&cli.StringFlag{Name: "listen", Usage: "address of the live page", Value: "127.0.0.1:4195", EnvVars: []string{"RECSYS_LISTEN"}},
			&cli.DurationFlag{Name: "timeout", Usage: "how long to wait for each server", Value: 5 * time.Second},
			&cli.DurationFlag{Name: "model-age", Usage: "age of the champion from which it is worth a warning", Value: 7 * 24 * time.Hour},
			sessionFlag(), replicasFlag(), jsonFlag(),
		},
		Action: doctorAction,
	}
}

// level is how bad a finding is.
type level string

const (
	fine    level = "ok"
	warning level = "warning"
	trouble level = "problem"
)

// finding is one line of what doctor says.
type finding struct {
	Area  string `json:"area"`
	Level level  `json:"level"`
	What  string `json:"what"`
	Mend  string `json:"mend,omitempty"` // what a person can do
}

// doctor is one round of checks.
type doctor struct {
	profile, state, admin, listen string
	timeout, session, modelAge    time.Duration
	replicas                      int // of each index

	resources *profile // nil if it cannot be read
	embedded  bool     // the profile is that of one machine
	findings  []finding
}

func (d *doctor) say(area string, level level, mend, format string, args ...any) {
	d.findings = append(d.findings, finding{area, level, fmt.Sprintf(format, args...), mend})
}

func doctorAction(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	d := &doctor{
		profile: c.String("profile"), state: c.String("state"), admin: c.String("admin"), listen: c.String("listen"),
		timeout: c.Duration("timeout"), session: c.Duration("session-timeout"), modelAge: c.Duration("model-age"), replicas: c.Int("index-replicas"),
	}
	if err := d.setEnvironment(); err != nil {
		return err
	}
	d.examine(c.Context)
	if err := d.report(c.Bool("json")); err != nil {
		return err
	}
	if d.count(trouble) > 0 {
		return errFound
	}
	return nil
}

// setEnvironment has the profile mean the state folder that is asked for, as up does.
func (d *doctor) setEnvironment() error {
	variables := map[string]string{"RECSYS_STATE": d.state, "RECSYS_REGISTRY": "file://" + filepath.ToSlash(filepath.Join(d.state, "registry"))}
	if archive := filepath.Join(d.state, "ml-latest-small.zip"); isFile(archive) {
		variables["RECSYS_MOVIES"] = archive
	}
	for name, value := range variables {
		if os.Getenv(name) != "" && name != "RECSYS_STATE" {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// examine makes all checks. One that fails keeps none of the others from being made.
func (d *doctor) examine(ctx context.Context) {
	d.checkConfiguration()
	d.checkVariables()
	var err error
	if d.resources, err = readProfile(d.profile); err != nil {
		d.say("profile", trouble, "give the path of a profile with -r, or write one out with: recsys-benthos init", "%v", err)
	} else {
		_, d.embedded = d.resources.resources["sqlite_ratings"]
		d.checkServers(ctx)
	}
	d.checkState()
	d.checkModel()
	d.checkAddresses(ctx)
}

func (d *doctor) count(of level) (n int) {
	for _, f := range d.findings {
		if f.Level == of {
			n++
		}
	}
	return n
}

func (d *doctor) report(asJSON bool) error {
	problems, warnings := d.count(trouble), d.count(warning)
	if asJSON {
		return printJSON(map[string]any{"profile": d.profile, "problems": problems, "warnings": warnings, "findings": d.findings})
	}
	table := terminal.NewTable(terminal.Column{}, terminal.Column{}, terminal.Column{Fit: terminal.Wrapped})
	for _, f := range d.findings {
		table.Row(string(f.Level), f.Area, f.What)
		if f.Mend != "" {
			table.Row("", "", "mend it: "+f.Mend)
		}
	}
	text := table.Text(outputWidth())
	if coloured(os.Stdout) {
		text = colourLevels(text)
	}
	fmt.Print(text)
	switch {
	case problems == 0 && warnings == 0:
		fmt.Println("\nEverything is as it should be.")
	default:
		fmt.Printf("\n%s and %s\n", counted(problems, "problem"), counted(warnings, "warning"))
	}
	return nil
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
