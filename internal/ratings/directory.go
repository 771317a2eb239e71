package ratings

import "context"

// Directory is what a Store tells of movies and users beside ratings. All methods
// are safe for concurrent use.
type Directory interface {
	// Items returns what was entered of movies, one item for each, in no order.
	Items(ctx context.Context) ([]Item, error)

	// Choices returns one user's tags and views, by movies.
	Choices(ctx context.Context, user int64) ([]Tag, []View, error)

	// Profile returns what was entered of a user; ok is false for nothing.
	Profile(ctx context.Context, user int64) (profile Profile, ok bool, err error)

	// Users returns at most n users who have a profile or a rating, those that
	// follow the user after in the store's own order; nil is the beginning.
	Users(ctx context.Context, after *int64, n int) ([]int64, error)
}
