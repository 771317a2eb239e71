// Package gate decides whether a new version becomes the champion. Champion and
// challenger are scored as their users get them, folded in from all that they had
// rated by then, on ratings that neither was trained on; the difference has a
// studentised bootstrap interval over users (Efron & Tibshirani 1993, chapter 12),
// and the rule of the interval depends on whether the challenger was made in the
// same way as the champion or in another. See docs/decisions/016.
package gate
