// Package experiment compares model versions on live traffic: which users a
// challenger serves, and what the ratings that come in say about champion and
// challengers, in bounded memory and without a fixed end.
package experiment
