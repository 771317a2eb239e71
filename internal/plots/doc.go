// Package plots draws evaluations with gonum's plot.
package plots
