// Package ratings holds what a recommender learns from: users' ratings and
// tags of movies, compact matrices of them, and readers of the MovieLens files.
package ratings

// Rating is one user's rating of one movie.
type Rating struct {
	User  int64
	Movie int64
	Value float32 // stars, 0.5 to 5
	Time  int64   // event time, Unix milliseconds
}

// Tag is a word or phrase that one user gave one movie.
type Tag struct {
	User  int64
	Movie int64
	Tag   string
	Time  int64 // event time, Unix milliseconds
}

// View says that a user watched or opened a movie.
type View struct {
	User  int64
	Movie int64
	Time  int64 // event time, Unix milliseconds
}
