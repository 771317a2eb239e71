package commands

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// modelsTest is a registry with versions "bad", "good" and "old", of which old is
// the champion.
type modelsTest struct {
	*testing.T
	url string
}

func newModelsTest(t *testing.T) modelsTest {
	t.Helper()
	m := modelsTest{t, "file://" + t.TempDir()}
	r := m.registry()
	for i, v := range []struct {
		name    string
		mean    float32
		outcome string
	}{{"old", 3, ""}, {"good", 3.5, message.OutcomePromoted}, {"bad", 1, message.OutcomeRejected}} {
		made, err := model.New(&als.Factors{Mean: v.mean, Lambda: 1}, model.MovieLensScale)
		if err != nil {
			t.Fatal(err)
		}
		manifest := registry.Manifest{
			Version: v.name, CreatedAt: time.Unix(int64(1_600_000_000+i), 0).UTC(), Algorithm: "als", Parameters: json.RawMessage(`{"rank":` + "123"[i:i+1] + `,"same":1}`),
			Metrics: message.Metrics{RMSE: 0.9 - float64(i)/100, BiasRMSE: 0.95, Ratings: 100}, Verdict: "in words",
		}
		if v.outcome != "" {
			manifest.Gate = &message.Verdict{
				Outcome: v.outcome, Reason: "the gate found it " + v.name, Against: "old",
				Tests: []message.Test{{Name: "newest ratings", Head: "rating", Champion: 0.9, Challenger: 0.8, Point: 0.1, Decision: "better"}},
			}
		}
		if _, err := r.Publish(t.Context(), made, manifest); err != nil {
			t.Fatal(err)
		}
	}
	m.succeeds("promote", "old")
	return m
}

func (m modelsTest) registry() *registry.Registry {
	m.Helper()
	r, err := registry.Open(m.url)
	if err != nil {
		m.Fatal(err)
	}
	return r
}

// run runs a subcommand of models and returns what it prints.
func (m modelsTest) run(subcommand string, args ...string) (string, error) {
	m.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		m.Fatal(err)
	}
	printed := make(chan string)
	go func() {
		text, _ := io.ReadAll(reader)
		printed <- string(text)
	}()
	stdout := os.Stdout
	os.Stdout = writer
	app := &cli.App{Name: "recsys-benthos", Commands: []*cli.Command{modelsCommand()}, ExitErrHandler: func(*cli.Context, error) {}, Writer: io.Discard, ErrWriter: io.Discard}
	err = app.Run(append([]string{"recsys-benthos", "models", subcommand, "--registry", m.url}, args...))
	os.Stdout = stdout
	writer.Close()
	return <-printed, err
}

func (m modelsTest) succeeds(subcommand string, args ...string) string {
	m.Helper()
	out, err := m.run(subcommand, args...)
	if err != nil {
		m.Fatalf("%s %q: %v", subcommand, args, err)
	}
	return out
}

// refused expects an error that says all of it.
func (m modelsTest) refused(says []string, subcommand string, args ...string) {
	m.Helper()
	_, err := m.run(subcommand, args...)
	if err == nil {
		m.Errorf("%s %q was done", subcommand, args)
		return
	}
	for _, part := range says {
		if !strings.Contains(err.Error(), part) {
			m.Errorf("%s %q: %q does not say %q", subcommand, args, err, part)
		}
	}
}

func (m modelsTest) champion(want string) {
	m.Helper()
	if latest, _, err := m.registry().Latest(); err != nil || latest.Roles[registry.Champion] != want {
		m.Errorf("roles %v, %v; want champion %s", latest.Roles, err, want)
	}
}

func (m modelsTest) prints(out string, parts ...string) {
	m.Helper()
	for _, part := range parts {
		if !strings.Contains(out, part) {
			m.Errorf("it does not say %q:\n%s", part, out)
		}
	}
}

func TestPromoteRefusesWhatTheGateRejectedUnlessItIsForced(t *testing.T) {
	m := newModelsTest(t)
	m.refused([]string{"refused", "rejected", "the gate found it bad", "--force"}, "promote", "bad")
	m.refused([]string{"not found", "nothing"}, "promote", "nothing")
	m.refused([]string{"flags come before"}, "promote", "bad", "--force")
	m.refused([]string{"want VERSION"}, "promote")
	m.champion("old")
	m.prints(m.succeeds("promote", "good"), "promotion 2: good is champion in place of old")
	m.prints(m.succeeds("promote", "good"), "good is the champion already: nothing was recorded")
	m.succeeds("promote", "--force", "--reason", "I know better", "bad")
	m.champion("bad")
	p, _, err := m.registry().Latest()
	if err != nil || p.Sequence != 3 || !p.Forced || p.Reason != "I know better" || p.Verdict == nil || p.Verdict.Rule != message.RuleForced || len(p.Verdict.Warnings) != 1 {
		t.Errorf("recorded %+v with verdict %+v, %v", p, p.Verdict, err)
	}
	m.prints(m.succeeds("log"), "FORCED: I know better", "bad is champion in place of good")
}

func TestRollbackGoesBackAndFurtherBack(t *testing.T) {
	m := newModelsTest(t)
	m.succeeds("promote", "good")
	m.succeeds("promote", "--force", "bad")
	m.refused([]string{"it is bad, not good"}, "rollback", "--expected", "good")
	m.prints(m.succeeds("rollback", "--reason", "worse"), "good is champion again in place of bad")
	m.succeeds("rollback")
	m.champion("old")
	m.refused([]string{"old is the first champion"}, "rollback")
	var log []registry.Promotion
	if err := json.Unmarshal([]byte(m.succeeds("log", "--json", "--last", "2")), &log); err != nil || len(log) != 2 || log[0].Reason != "worse" {
		t.Errorf("got %+v, %v", log, err)
	}
}

func TestChallengersComeAndGo(t *testing.T) {
	m := newModelsTest(t)
	m.prints(m.succeeds("challenge", "--name", "new", "--share", "0.25", "good"), "good is challenger:new of 25 % of the users")
	m.prints(m.succeeds("list"), "challenger:new (25 %)", "champion")
	m.prints(m.succeeds("challenge", "--name", "new", "--share", "shadow", "good"), "in shadow")
	m.refused([]string{"does not lie between 0 and 1"}, "challenge", "--name", "new", "--share", "2", "good")
	m.refused([]string{"neither a number"}, "challenge", "--name", "new", "--share", "0.1x", "good")
	m.refused([]string{"is not a challenger's name"}, "challenge", "--name", "New", "good")
	m.prints(m.succeeds("show", "challenger:new"), `"version": "good"`)
	m.prints(m.succeeds("withdraw", "new"), "good is challenger:new no more")
	m.refused([]string{"no version is challenger:new"}, "withdraw", "new")
	m.refused([]string{"no version is challenger:new"}, "show", "challenger:new")
}

func TestCompareShowsWhatDiffersAndScoresBothOnTheSameRatings(t *testing.T) {
	m := newModelsTest(t)
	m.prints(m.succeeds("compare", "champion", "good"), "0.9000", "0.8900", "rank", "promoted: the gate found it good", "gain +0.1000")
	if out := m.succeeds("compare", "champion", "good"); strings.Contains(out, "same") {
		t.Errorf("it shows a parameter that is the same:\n%s", out)
	}
	path := filepath.Join(t.TempDir(), "ratings.csv")
	// Of old, 3 stars, both ratings are off by a half; of good, 3.5 stars, one is right
	// and one is off by 1: √0.25 and √0.5.
	if err := os.WriteFile(path, []byte(csvHeader+"1,1,3.5,1\n2,1,2.5,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.prints(m.succeeds("compare", "--ratings", path, "old", "good"), "same 2 ratings of 2 users: RMSE 0.5000 and 0.7071; B less A: +0.2071 ±")
	var got comparedModels
	if err := json.Unmarshal([]byte(m.succeeds("compare", "--json", "old", "good")), &got); err != nil || got.B.Version != "good" || len(got.Parameters) != 1 || got.OnRatings != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	m.refused([]string{"want A B"}, "compare", "old")
}

func TestVersionsAreCarriedFromOneRegistryToAnother(t *testing.T) {
	from, to := newModelsTest(t), modelsTest{t, "file://" + t.TempDir()}
	path := filepath.Join(t.TempDir(), "good.tar")
	from.succeeds("export", "good", path)
	to.prints(to.succeeds("import", path), "version good", "models promote good")
	to.prints(to.succeeds("import", path), "already")
	to.prints(to.succeeds("verify"), "1 versions and 0 promotions", "0 problems")
	to.succeeds("promote", "good")
	to.refused([]string{path}, "import", path+".not")
}

func TestVerifyAndPrune(t *testing.T) {
	m := newModelsTest(t)
	m.prints(m.succeeds("prune", "--keep", "1", "--dry-run"), "would remove version good", "2 versions stay")
	m.prints(m.succeeds("prune", "--keep", "1"), "removed version good")
	m.refused([]string{"at least 1"}, "prune", "--keep", "0")
	m.succeeds("verify")
	folder := strings.TrimPrefix(m.url, "file://")
	if err := os.Truncate(filepath.Join(folder, "models", "old", "model.safetensors"), 9); err != nil {
		t.Fatal(err)
	}
	out, err := m.run("verify")
	m.prints(out, "problem: reading version old", "1 problems")
	if !errors.Is(err, errFailed) {
		t.Errorf("got %v", err)
	}
	var report registry.Report
	out, err = m.run("verify", "--json")
	if json.Unmarshal([]byte(out), &report) != nil || len(report.Problems) != 1 || !errors.Is(err, errFailed) {
		t.Errorf("got %s, %v", out, err)
	}
	m.refused([]string{"damaged"}, "promote", "--force", "old")
}

func TestEverySubcommandOfModelsHasAnExampleAndJSON(t *testing.T) {
	for _, sub := range modelsCommand().Subcommands {
		if !strings.Contains(sub.Description, "  recsys-benthos models "+sub.Name) {
			t.Errorf("%s has no example", sub.Name)
		}
		names := map[string]bool{}
		for _, flag := range sub.Flags {
			names[flag.Names()[0]] = true
		}
		if !names["registry"] || !names["json"] {
			t.Errorf("%s has the flags %v", sub.Name, names)
		}
	}
}
