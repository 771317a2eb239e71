// Package terminal draws on a terminal: tables that fit its width, and the live
// view of a running recommender.
package terminal
