// Package live keeps what a live page shows of a running recommender: rolling
// aggregates of predictions, models and dead letters, in bounded memory.
//
// It is fed one message at a time, and gives a Snapshot at any moment. Feeding
// a message again changes little: recent request ids are remembered.
package live
