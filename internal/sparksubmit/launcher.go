package sparksubmit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
	"github.com/recsys-benthos/recsys-benthos/internal/training"
)

// Launcher is how to start the job. It is safe for concurrent use.
type Launcher struct {
	Submit     string            // spark-submit: a path, or a name to find in PATH
	Master     string            // local[2], spark://host:7077, yarn, k8s://https://host:443; "" for Spark's own configuration
	Conf       map[string]string // Spark's configuration
	Packages   []string          // Maven coordinates of what the job reads with
	Script     string            // the job; "" for that of Scripts
	Scripts    fs.FS             // the job that belongs to this program
	Main       string            // its script among them
	Source     Source
	Blocks     int    // of users and of movies, 0 for the job's own choice
	Checkpoint string // folder that all executors reach, "" for none

	// Say is told what a person may want to know, in one line or several; nil for nobody.
	Say func(text string)
}

// Source says where the job reads the ratings: one of the first four.
type Source struct {
	Cassandra, Keyspace string // host or host:port, and keyspace
	Parquet             string // URL
	CSV                 string // URL
	Kafka, Topic        string // brokers, and topic of events
}

// ErrSource says that it is not clear where ratings are to be read.
var ErrSource = errors.New("one place to read ratings from is needed: cassandra, parquet, csv or kafka")

// Arguments are those of the job, or an error that wraps ErrSource.
func (s Source) Arguments() ([]string, error) {
	var found [][]string
	for _, way := range []struct {
		value string
		args  []string
	}{
		{s.Cassandra, []string{"--cassandra", s.Cassandra, "--keyspace", s.Keyspace}},
		{s.Parquet, []string{"--ratings-parquet", s.Parquet}},
		{s.CSV, []string{"--ratings-csv", s.CSV}},
		{s.Kafka, []string{"--kafka", s.Kafka, "--topic", s.Topic}},
	} {
		if way.value != "" {
			found = append(found, way.args)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%w; %d are given", ErrSource, len(found))
	}
	return found[0], nil
}

// Names of versions in the staging registry.
const (
	stagedVersion = "staged"
	stagedTwin    = stagedVersion + "-twin"
	startFile     = "start.safetensors"
)

// Fit is a training.Engine.
func (l *Launcher) Fit(ctx context.Context, fit training.Fit) (*training.Fitted, error) {
	staging, err := os.MkdirTemp("", "recsys-spark-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the Spark job: %w", err)
	}
	defer os.RemoveAll(staging)
	args, err := l.arguments(staging, fit)
	if err != nil {
		return nil, err
	}
	if err := l.follow(ctx, args, newFollower(fit.Progress)); err != nil {
		return nil, err
	}
	fitted, err := collect(staging, fit.Holdout > 0)
	if err != nil {
		return nil, fmt.Errorf("taking over what the Spark job wrote: %w", err)
	}
	return fitted, nil
}

// arguments of spark-submit. It puts into the staging folder what they name there.
func (l *Launcher) arguments(staging string, fit training.Fit) ([]string, error) {
	source, err := l.Source.Arguments()
	if err != nil {
		return nil, err
	}
	script, err := l.script(staging)
	if err != nil {
		return nil, fmt.Errorf("writing the Spark job into %s: %w", staging, err)
	}
	args := []string{"--deploy-mode", "client", "--name", "recsys-benthos training"}
	if l.Master != "" {
		args = append(args, "--master", l.Master)
	}
	for _, name := range slices.Sorted(maps.Keys(l.Conf)) {
		args = append(args, "--conf", name+"="+l.Conf[name])
	}
	if len(l.Packages) > 0 {
		args = append(args, "--packages", strings.Join(l.Packages, ","))
	}
	args = append(append(args, script), source...)
	p := fit.Parameters
	args = append(args, "--registry", "file://"+staging, "--version", stagedVersion, "--keep-twin",
		"--rank", strconv.Itoa(p.Rank), "--lambda", number(p.Lambda), "--nu", number(p.Nu), "--iterations", strconv.Itoa(p.Iterations),
		"--seed", strconv.FormatUint(p.Seed, 10), "--holdout", number(fit.Holdout), "--without", number(fit.Without))
	if fit.Before != nil {
		args = append(args, "--before="+boundary(*fit.Before)) // it may begin with a minus
	}
	if l.Blocks > 0 {
		args = append(args, "--blocks", strconv.Itoa(l.Blocks))
	}
	if l.Checkpoint != "" {
		args = append(args, "--checkpoint", l.Checkpoint)
	}
	if fit.Start == nil {
		return args, nil
	}
	start := filepath.Join(staging, startFile)
	if err := writeModel(start, fit.Start); err != nil {
		return nil, fmt.Errorf("writing the model to start from: %w", err)
	}
	return append(args, "--start", start), nil
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

func boundary(r ratings.Rating) string { return fmt.Sprintf("%d,%d,%d", r.Time, r.User, r.Movie) }

// script returns the path of the job.
func (l *Launcher) script(staging string) (string, error) {
	if l.Script != "" {
		return l.Script, nil
	}
	folder := filepath.Join(staging, "job")
	if err := os.CopyFS(folder, l.Scripts); err != nil {
		return "", err
	}
	return filepath.Join(folder, l.Main), nil
}

func writeModel(path string, factors *als.Factors) error {
	m, err := model.New(factors, model.MovieLensScale)
	if err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = m.WriteTo(file)
	return errors.Join(err, file.Close())
}

// collect reads what the job wrote.
func collect(staging string, hasTwin bool) (*training.Fitted, error) {
	staged, err := registry.Open("file://" + staging)
	if err != nil {
		return nil, err
	}
	m, manifest, err := staged.Model(stagedVersion)
	if err != nil {
		return nil, err
	}
	fitted := &training.Fitted{Factors: m.Factors(), Metrics: manifest.Metrics, Data: manifest.Data, Tool: manifest.Tool}
	if !hasTwin {
		return fitted, nil
	}
	twin, _, err := staged.Model(stagedTwin)
	if err != nil {
		return nil, err
	}
	fitted.Twin = twin.Factors()
	return fitted, nil
}
