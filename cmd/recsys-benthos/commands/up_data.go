package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/internal/movielens"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// dataSource is where ratings, tags and movies come from.
type dataSource struct {
	path        string // folder or archive
	description string // for people
	notice      string // for the page, where the ratings are not real
	simulated   bool
	events      int // ratings and tags
}

// findData gets MovieLens: what was asked for, else what is in the state folder,
// else a download, else a simulated sample.
func (u *up) findData(ctx context.Context) (dataSource, error) {
	if u.data != "" {
		path := u.data
		if nested := filepath.Join(path, "ml-latest-small"); isFolder(nested) {
			path = nested
		}
		return openData(path, false)
	}
	for _, name := range []string{"ml-latest-small", "ml-latest-small.zip"} {
		path := filepath.Join(u.state, name)
		if _, err := os.Stat(path); err == nil {
			return openData(path, false)
		}
	}
	sample := filepath.Join(u.state, "simulated-sample")
	if isFolder(sample) {
		return openData(sample, true)
	}
	archive := filepath.Join(u.state, "ml-latest-small.zip")
	done := u.report.bar("downloading MovieLens ml-latest-small", movielens.LatestSmall.Bytes)
	err := movielens.LatestSmall.Download(ctx, archive, done.set)
	done.end()
	if err == nil {
		return openData(archive, false)
	}
	if ctx.Err() != nil {
		return dataSource{}, errors.New("interrupted")
	}
	u.report.warn(fmt.Errorf("%w; going on with a simulated sample (give real data with --data)", err))
	if err := movielens.WriteSample(sample, movielens.DefaultSample); err != nil {
		return dataSource{}, fmt.Errorf("making a simulated sample: %w", err)
	}
	return openData(sample, true)
}

// openData reads all four tables once, so that a broken file is told before
// anything starts.
func openData(path string, simulated bool) (dataSource, error) {
	data := dataSource{path: path, simulated: simulated}
	rated, err := ratings.ReadRatings(path)
	if err != nil {
		return data, err
	}
	movies, err := ratings.ReadMovies(path)
	if err != nil {
		return data, err
	}
	tags, err := ratings.ReadTags(path)
	if err != nil && !errors.Is(err, ratings.ErrNoFile) {
		return data, err
	}
	if _, err := ratings.ReadLinks(path); err != nil && !errors.Is(err, ratings.ErrNoFile) {
		return data, err
	}
	data.events = len(rated) + len(tags)
	data.description = fmt.Sprintf("%s: %d ratings and %d tags of %d movies", filepath.Base(path), len(rated), len(tags), len(movies))
	if simulated {
		data.description = "simulated " + data.description
		data.notice = "Simulated data: the films are real, the ratings are generated."
	}
	return data, nil
}

// checkState refuses to play data into a state that other data began: the
// simulation would stand still at its checkpoint.
func (u *up) checkState(data dataSource) error {
	content, err := os.ReadFile(filepath.Join(u.state, "simulate.json"))
	if err != nil {
		return nil // nothing was played yet
	}
	if events := gjson.GetBytes(content, "events"); events.Exists() && events.Int() != int64(data.events) {
		return fmt.Errorf("the state folder %s belongs to other data (%d events, this has %d); give this data a folder of its own with --state",
			u.state, events.Int(), data.events)
	}
	return nil
}
