package commands

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/catalog"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// servingFlags say what predict and recommend work with.
func servingFlags() []cli.Flag {
	return []cli.Flag{
		registryFlag(),
		&cli.StringFlag{Name: "version", Usage: "model version (default: the champion)"},
		&cli.StringFlag{Name: "data", Usage: "MovieLens folder or archive: titles, genres, and what the user has rated", EnvVars: []string{"RECSYS_DATA"}},
		&cli.Int64Flag{Name: "user", Usage: "user id", Required: true},
		jsonFlag(),
	}
}

// served is what predict and recommend work with.
type served struct {
	model   *model.Model
	version string
	movies  *catalog.Catalog // nil without --data
	data    string
}

func openServed(c *cli.Context) (s served, err error) {
	versions, err := registry.Open(c.String("registry"))
	if err != nil {
		return s, err
	}
	if s.version = c.String("version"); s.version == "" {
		if s.version, err = champion(versions); err != nil {
			return s, err
		}
	}
	if s.model, _, err = versions.Model(s.version); err != nil {
		return s, err
	}
	if s.data = c.String("data"); s.data == "" {
		return s, nil
	}
	s.movies, err = catalog.Open(s.data)
	return s, err
}

// movie returns title and genres, empty where they are not known.
func (s served) movie(id int64) ratings.Movie {
	if s.movies == nil {
		return ratings.Movie{ID: id, Genres: []string{}}
	}
	movie, known := s.movies.Movie(id)
	if !known || movie.Genres == nil {
		movie.Genres = []string{}
	}
	return movie
}

func recommendCommand() *cli.Command {
	return &cli.Command{
		Name:  "recommend",
		Usage: "Recommend movies to a user",
		Description: `Lists the movies that the user would most like to see, without those the user has rated (known from --data).

  recsys-benthos recommend --user 1 --n 10 --data ./ml-latest-small`,
		Flags:  append(servingFlags(), &cli.IntFlag{Name: "n", Usage: "how many", Value: 10}),
		Action: recommendAction,
	}
}

// recommendation is one row of recommend --json.
type recommendation struct {
	MovieID    int64    `json:"movie_id"`
	Score      float32  `json:"score"`      // what the list is ordered by
	Prediction float32  `json:"prediction"` // rating, in stars
	Title      string   `json:"title"`
	Genres     []string `json:"genres"`
}

func recommendAction(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	n := c.Int("n")
	if n < 1 {
		return fmt.Errorf("--n %d is less than 1", n)
	}
	s, err := openServed(c)
	if err != nil {
		return err
	}
	user := c.Int64("user")
	seen := map[int64]bool{}
	if s.data != "" {
		rated, err := ratings.ReadRatings(s.data)
		if err != nil {
			return err
		}
		for _, r := range rated {
			if r.User == user {
				seen[r.Movie] = true
			}
		}
	}
	rows := []recommendation{}
	for _, item := range s.model.TopN(user, n, func(movie int64) bool { return seen[movie] }) {
		movie := s.movie(item.Movie)
		rows = append(rows, recommendation{item.Movie, item.Score, item.Prediction, movie.Title, movie.Genres})
	}
	if c.Bool("json") {
		return printJSON(struct {
			UserID       int64            `json:"user_id"`
			Items        []recommendation `json:"items"`
			ModelVersion string           `json:"model_version"`
		}{user, rows, s.version})
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SCORE\tRATING\tMOVIE\tTITLE\tGENRES")
	for _, r := range rows {
		fmt.Fprintf(table, "%.3f\t%.2f\t%d\t%s\t%s\n", r.Score, r.Prediction, r.MovieID, r.Title, strings.Join(r.Genres, ", "))
	}
	return table.Flush()
}
