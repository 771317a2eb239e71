package commands

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/catalog"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
	"github.com/recsys-benthos/recsys-benthos/internal/terminal"
)

// servingFlags say what predict and recommend work with.
func servingFlags() []cli.Flag {
	return []cli.Flag{
		registryFlag(),
		&cli.StringFlag{Name: "version", Usage: "model version (default: the champion)"},
		&cli.StringFlag{Name: "data", Usage: "MovieLens folder or archive: titles, genres, and what the user has rated", EnvVars: []string{"RECSYS_DATA"}},
		jsonFlag(),
	}
}

func userFlag(required bool) cli.Flag {
	return &cli.Int64Flag{Name: "user", Usage: "user id", Required: required}
}

// served is what predict and recommend work with.
type served struct {
	model   *model.Model
	version string
	until   time.Time        // newest event that the version was trained on
	movies  *catalog.Catalog // nil without --data
	data    string
}

func openServed(c *cli.Context) (s served, err error) {
	versions, err := registry.Open(c.String("registry"))
	if err != nil {
		return s, err
	}
	if s.version = c.String("version"); s.version == "" {
		if s.version, err = versions.Resolve(registry.Champion); err != nil {
			return s, err
		}
	}
	var manifest registry.Manifest
	if s.model, manifest, err = versions.Model(s.version); err != nil {
		return s, err
	}
	s.until = manifest.Data.Until
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

// recommender answers from what the data say that users rated.
func (s served) recommender() (model.Recommender, error) {
	of := model.Recommender{Version: &model.Version{Model: s.model, Name: s.version, Until: s.until.UnixMilli()}, Users: model.NewUsers()}
	if s.data == "" {
		return of, nil
	}
	rated, err := readRatings(s.data)
	for _, r := range rated {
		of.Users.Learn(r)
	}
	return of, err
}

func recommendCommand() *cli.Command {
	return &cli.Command{
		Name:  "recommend",
		Usage: "Recommend movies to a user or to all users, or users to all movies",
		Description: `Lists the movies that the user would most like to see, as als_recommend does: without those the user has rated, and from
all of these ratings, also those that are newer than the model (both known from --data).

  recsys-benthos recommend --user 1 --n 10 --data ./ml-latest-small
  recsys-benthos recommend --all --n 10 --data ./ml-latest-small --out recs.jsonl

  recsys-benthos recommend --all --of movies --n 100 --ids 318,296 --data ./ml-latest-small --out audiences.csv

With --all it writes the lists of all users, those of the model and of --data, in the order of their ids: into a .jsonl file a line a
user, into a .csv or .parquet file a row a movie. With --of movies it writes for each movie the users who would like it most, as
als_audience does, without those who have rated it. --ids leaves out all users, or movies, but the given ones. A file that is there is
replaced once the new one is whole.`,
		Flags: append(servingFlags(), userFlag(false),
			&cli.IntFlag{Name: "n", Usage: "how many", Value: 10},
			&cli.BoolFlag{Name: "all", Usage: "for all users, or movies"},
			&cli.StringFlag{Name: "of", Usage: "with --all: users or movies", Value: "users"},
			&cli.StringFlag{Name: "ids", Usage: "with --all: the only users, or movies, as a list such as 1,514 or a file of ids"},
			&cli.StringFlag{Name: "out", Usage: "with --all: file to write, .jsonl, .csv or .parquet"}),
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

// recommendations are the list of one user.
type recommendations struct {
	UserID       int64            `json:"user_id"`
	Items        []recommendation `json:"items"`
	ModelVersion string           `json:"model_version"`
	Head         model.Head       `json:"head,omitempty"` // that ranked
	Basis        model.Basis      `json:"basis"`
}

func (s served) recommend(of model.Recommender, user int64, n int) recommendations {
	answer := of.Recommend(&model.Query{User: user, N: n, Popularity: -1})
	list := recommendations{UserID: user, Items: make([]recommendation, len(answer.Items)), ModelVersion: s.version, Head: answer.Head, Basis: answer.Basis}
	for k, item := range answer.Items {
		movie := s.movie(item.Movie)
		list.Items[k] = recommendation{item.Movie, item.Score, item.Prediction, movie.Title, movie.Genres}
	}
	return list
}

func recommendAction(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	n, out, whom := c.Int("n"), c.String("out"), c.String("of")
	switch {
	case n < 1:
		return usagef("--n %d is less than 1", n)
	case c.Bool("all") == c.IsSet("user"):
		return usagef("give either --user, or --all for all users")
	case c.Bool("all") != (out != ""):
		return usagef("--all and --out belong together: the file, .jsonl, .csv or .parquet, that the lists are written into")
	case whom != "users" && whom != "movies":
		return usagef("--of %s is neither users nor movies", whom)
	case out == "" && (c.IsSet("of") || c.IsSet("ids")):
		return usagef("--of and --ids belong to --all")
	}
	var ids []int64
	if out != "" {
		if err := listExtension(out); err != nil {
			return err
		}
		if text := c.String("ids"); c.IsSet("ids") {
			var err error
			if ids, err = readIDs(text); err != nil {
				return err
			}
		}
	}
	s, err := openServed(c)
	if err != nil {
		return err
	}
	of, err := s.recommender()
	if err != nil {
		return err
	}
	switch {
	case out != "" && whom == "movies":
		return writeAll(s.listsOfMovies(of, n, ids), s, n, out, c.Bool("json"))
	case out != "":
		return writeAll(s.listsOfUsers(of, n, ids), s, n, out, c.Bool("json"))
	}
	list := s.recommend(of, c.Int64("user"), n)
	if c.Bool("json") {
		return printJSON(list)
	}
	table := terminal.NewTable(terminal.Column{Name: "SCORE"}, terminal.Column{Name: "RATING"}, terminal.Column{Name: "MOVIE"}, terminal.Column{Name: "TITLE", Fit: terminal.Cut}, terminal.Column{Name: "GENRES", Fit: terminal.Cut})
	for _, r := range list.Items {
		table.Row(fmt.Sprintf("%.3f", r.Score), fmt.Sprintf("%.2f", r.Prediction), strconv.FormatInt(r.MovieID, 10), r.Title, strings.Join(r.Genres, ", "))
	}
	return printTable(table)
}
