package commands

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func predictCommand() *cli.Command {
	return &cli.Command{
		Name:  "predict",
		Usage: "Predict what a user would rate a movie",
		Description: `A user or movie that the model does not know counts as average, and the answer says so.

  recsys-benthos predict --user 1 --movie 318 --data ./ml-latest-small
  recsys-benthos predict --user 1 --movie 318 --registry file://./registry --json`,
		Flags:  append(servingFlags(), userFlag(true), &cli.Int64Flag{Name: "movie", Usage: "movie id", Required: true}),
		Action: predictAction,
	}
}

func predictAction(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	s, err := openServed(c)
	if err != nil {
		return err
	}
	user, id := c.Int64("user"), c.Int64("movie")
	predicted, movie := s.model.Predict(user, id), s.movie(id)
	cold := []string{}
	if predicted.ColdUser {
		cold = append(cold, "user")
	}
	if predicted.ColdMovie {
		cold = append(cold, "movie")
	}
	if c.Bool("json") {
		return printJSON(struct {
			UserID       int64    `json:"user_id"`
			MovieID      int64    `json:"movie_id"`
			Prediction   float32  `json:"prediction"`
			Title        string   `json:"title"`
			Genres       []string `json:"genres"`
			ModelVersion string   `json:"model_version"`
			Cold         []string `json:"cold"`
		}{user, id, predicted.Value, movie.Title, movie.Genres, s.version, cold})
	}
	title := movie.Title
	if title == "" {
		title = fmt.Sprintf("movie %d", id)
	}
	fmt.Printf("user %d would rate %s %.2f stars (model %s)\n", user, title, predicted.Value, s.version)
	for _, what := range cold {
		fmt.Printf("the model does not know this %s: it counts as average\n", what)
	}
	return nil
}
