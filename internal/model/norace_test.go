//go:build !race

package model

// UnderRace is for tests in both packages.
const UnderRace = false
