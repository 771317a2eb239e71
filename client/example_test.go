package client_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/recsys-benthos/recsys-benthos/client"
)

func Example() {
	ctx := context.Background()
	c, err := client.New(server.Base, client.Config{Key: writeKey}) // http://127.0.0.1:4195; a key where keys are set
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	list, err := c.Recommend(ctx, 1, client.ListRequest{Selection: client.Selection{N: 3, Filters: client.Filters{Genres: []string{"Comedy"}}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, movie := range list.Items {
		fmt.Printf("%.2f stars: %s\n", movie.Prediction, movie.Title)
	}
	if _, err := c.InsertFeedback(ctx, client.Feedback{Type: client.Rate, User: 41, Movie: 318, Stars: 4.5}); err != nil {
		fmt.Println(err)
	}
	var problem *client.Problem
	if _, err = c.Item(ctx, 404); errors.As(err, &problem) {
		fmt.Println(problem.Status, problem.Detail)
	}
	// Output:
	// 4.75 stars: Pulp Fiction (1994)
	// 4.25 stars: Toy Story (1995)
	// 3.25 stars: Forrest Gump (1994)
	// 404 there is no movie 404 in the catalog; POST /api/item adds one
}
