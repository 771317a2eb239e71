// Package client asks a recsys-benthos server by HTTP: for lists of movies,
// predicted ratings and reasons, and tells it what users did.
//
// It needs the standard library only. A Client is safe for concurrent use.
// Answers other than the one asked for are a *Problem, which says what would
// mend it. What is safe to repeat is repeated a few times where the server says
// that it may succeed later: see Config.Retries.
package client
