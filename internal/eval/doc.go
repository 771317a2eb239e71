// Package eval measures recommenders: splits of ratings into a training and a
// test part, the error of predicted ratings, the quality of rankings, and the
// baselines that have to be beaten.
//
// Rankings are measured over all movies that the user has not rated in
// training, never over a sample of them, which would rank recommenders wrongly
// (Krichene & Rendle 2020, "On Sampled Metrics for Item Recommendation").
package eval
