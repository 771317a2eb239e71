package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/plugins/cassandra"
)

// Loading writes this many rows of the rating store at a time, and so many such
// pieces at once.
const (
	loadPiece   = 2000
	loadWriters = 8
)

func loadCommand() *cli.Command {
	return &cli.Command{
		Name:  "load",
		Usage: "Load MovieLens files into the Cassandra of a profile",
		Description: `Writes ratings, tags, movies and links of a MovieLens folder or archive into the tables of the profile's cassandra_ratings, in parallel.
Files that the format does not have are left out. Loading again changes nothing: every row carries its own event time.

  recsys-benthos load --data ml-latest-small
  recsys-benthos load --data ml-25m.zip --profile my/cluster.yaml --json`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "data", Usage: "MovieLens folder or archive", Required: true},
			profileFlag(), jsonFlag(),
		},
		Action: loadAction,
	}
}

// dataset is what is loaded.
type dataset struct {
	ratings []ratings.Rating
	tags    []ratings.Tag
	movies  []ratings.Movie
	links   []ratings.Link
}

func (d dataset) rows() int { return len(d.ratings) + len(d.tags) + len(d.movies) + len(d.links) }

func loadAction(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	p, err := readProfile(c.String("profile"))
	if err != nil {
		return err
	}
	text, ok, err := p.fields("cassandra_ratings")
	switch {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("the profile %s has no cassandra_ratings to load into", c.String("profile"))
	}
	settings, options, err := cassandra.ParseSettings(text)
	if err != nil {
		return err
	}
	data, err := readDataset(c.String("data"))
	if err != nil {
		return err
	}
	store, err := cassandra.OpenStore(c.Context, settings, options, nil)
	if err != nil {
		return err
	}
	defer store.Close(context.WithoutCancel(c.Context))
	started := time.Now()
	if err := load(c.Context, store, data); err != nil {
		return err
	}
	took := time.Since(started)
	if c.Bool("json") {
		return printJSON(map[string]any{
			"ratings": len(data.ratings), "tags": len(data.tags), "movies": len(data.movies), "links": len(data.links),
			"seconds": seconds(started),
		})
	}
	fmt.Printf("%d ratings, %d tags, %d movies and %d links in %.1f s (%.0f rows/s)\n",
		len(data.ratings), len(data.tags), len(data.movies), len(data.links), took.Seconds(), float64(data.rows())/took.Seconds())
	return nil
}

// readDataset reads what the source has.
func readDataset(path string) (d dataset, err error) {
	if d.ratings, err = readRatings(path); err != nil {
		return d, err
	}
	for _, read := range []func() error{
		func() (err error) { d.tags, err = ratings.ReadTags(path); return err },
		func() (err error) { d.movies, err = ratings.ReadMovies(path); return err },
		func() (err error) { d.links, err = ratings.ReadLinks(path); return err },
	} {
		if err := read(); err != nil && !errors.Is(err, ratings.ErrNoFile) {
			return d, err
		}
	}
	// By user, so that a piece has few partitions, each with many rows.
	slices.SortFunc(d.ratings, func(a, b ratings.Rating) int { return cmp.Compare(a.User, b.User) })
	slices.SortFunc(d.tags, func(a, b ratings.Tag) int { return cmp.Compare(a.User, b.User) })
	return d, nil
}

// load writes all rows, movies first: they are what titles wait for.
func load(ctx context.Context, store *cassandra.Store, d dataset) error {
	p := newProgress("loading", "rows", int64(d.rows()))
	defer p.end()
	done := p.add
	if err := store.PutMovies(ctx, d.movies, done); err != nil {
		return err
	}
	if err := store.PutLinks(ctx, d.links, done); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(loadWriters)
	apply := func(changes ratings.Changes, n int) {
		group.Go(func() error {
			if err := store.Apply(ctx, changes); err != nil {
				return err
			}
			done(n)
			return nil
		})
	}
	for piece := range slices.Chunk(d.ratings, loadPiece) {
		apply(ratings.Changes{Ratings: piece}, len(piece))
	}
	for piece := range slices.Chunk(d.tags, loadPiece) {
		apply(ratings.Changes{Tags: piece}, len(piece))
	}
	return group.Wait()
}
