// Package plots draws evaluations, trainings and comparisons with gonum's plot. The
// same figures give the same bytes.
package plots
