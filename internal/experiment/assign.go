package experiment

import "hash/fnv"

// Experiment serves a share of the users: those whose place falls below it. A
// user's place is a hash of user and name alone, so that nobody changes sides
// when another experiment begins or ends, when processes restart, or when the
// share is raised, which only adds users. Places of one user under two names are
// independent.
type Experiment struct {
	seed  uint64
	share float64
}

// New returns the experiment of that name with a share of the users between 0,
// nobody, and 1, all. A share that is not a number is 0.
func New(name string, share float64) Experiment {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(name)) // never fails
	if !(share > 0) {
		share = 0
	}
	return Experiment{seed: mix(hash.Sum64()), share: share}
}

// Serves reports whether the user is among the share.
func (e Experiment) Serves(user int64) bool { return e.share > 0 && e.place(user) < e.share }

// Assign returns the index of the first experiment that serves the user, or -1
// if none does.
func Assign(user int64, experiments []Experiment) int {
	for i, e := range experiments {
		if e.Serves(user) {
			return i
		}
	}
	return -1
}

// place returns the user's place, from 0 to less than 1.
func (e Experiment) place(user int64) float64 {
	return float64(mix(mix(uint64(user))^e.seed)>>11) / (1 << 53)
}

// mix is the finalizer of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable
// pseudorandom number generators", variant 13 of Stafford). It must never change:
// users would change sides.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
