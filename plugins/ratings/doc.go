// Package ratings holds the plugins through which rating and tag events travel:
// the movielens input that plays them, the rating_event processor that checks
// them, and the store_ratings output that puts them into the rating store.
package ratings
