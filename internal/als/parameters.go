package als

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// ErrBadParameters says that parameters of a solver are out of their range.
var ErrBadParameters = errors.New("parameters out of range")

const (
	maxRank       = 1024
	maxJointRank  = 127 // of solvers that hold a covariance matrix for each row: 64 KB at 127, 1 KB at 15
	minLambda     = 1e-6
	maxLambda     = 1e6
	maxNu         = 2
	maxIterations = 10_000
)

// Parameters of a solver. Those that its algorithm does not have are left out.
type Parameters struct {
	Algorithm  string  `json:"algorithm"`         // one of Algorithms
	Rank       int     `json:"rank"`              // columns of the factor matrices, 1 to 1024
	Lambda     float64 `json:"lambda"`            // λ of the regularization λ·n^ν, 1e-6 to 1e6
	Nu         float64 `json:"nu"`                // ν of the regularization λ·n^ν, 0 to 2; 1 is ALS-WR
	Iterations int     `json:"iterations"`        // of one movie and one user half-step each, at least 1
	BurnIn     int     `json:"burn_in,omitempty"` // of als_bayes: the first sweeps, which are forgotten
	Seed       uint64  `json:"seed"`              // of the starting factors, and of all samples
	Threads    int     `json:"-"`                 // 0 means one per CPU; it never changes the result

	Preference *PreferenceParameters `json:"preference,omitempty"` // of the head that ranks, nil for none
}

// DefaultParameters of an algorithm: one rule for all data sets. Those of an
// unknown algorithm are those of ALS, with its name, which Validate refuses. All
// train the head that ranks too.
func DefaultParameters(algorithm string) Parameters {
	head := DefaultPreference()
	p := Parameters{Algorithm: algorithm, Rank: 64, Lambda: 1.25, Nu: 0.5, Iterations: 10, Seed: 42, Preference: &head}
	switch algorithm {
	case Implicit:
		p.Rank, p.Iterations = head.Rank, head.Iterations
	case Bayes:
		p.Rank, p.Iterations, p.BurnIn = 15, 120, 20 // with the bias 16 dimensions: one vector
	case Spark: // Spark's own defaults
		p.Rank, p.Lambda, p.Nu = 10, 0.1, 1
	case VB:
		p.Rank, p.Iterations = 15, 10
	}
	return p
}

// Validate returns an error that wraps ErrBadParameters and says which
// parameter is wrong, and what it may be.
func (p Parameters) Validate() error {
	switch {
	case solvers[p.Algorithm] == nil:
		return fmt.Errorf("algorithm is %q, want one of %s: %w", p.Algorithm, strings.Join(Algorithms(), ", "), ErrBadParameters)
	case p.Rank < 1 || p.Rank > maxRank:
		return fmt.Errorf("rank is %d, want 1 to %d: %w", p.Rank, maxRank, ErrBadParameters)
	case p.Rank > maxJointRank && (p.Algorithm == VB || p.Algorithm == Bayes):
		return fmt.Errorf("rank is %d, want 1 to %d for %s, which holds a covariance matrix for each user and movie; %s takes more: %w",
			p.Rank, maxJointRank, p.Algorithm, ALS, ErrBadParameters)
	case p.Iterations < 1 || p.Iterations > maxIterations:
		return fmt.Errorf("iterations is %d, want 1 to %d: %w", p.Iterations, maxIterations, ErrBadParameters)
	case p.BurnIn < 0 || p.BurnIn >= p.Iterations:
		return fmt.Errorf("burn_in is %d, want 0 to %d, less than iterations, which is %d: %w", p.BurnIn, p.Iterations-1, p.Iterations, ErrBadParameters)
	case p.Threads < 0:
		return fmt.Errorf("threads is %d, want 0 (one per CPU) or more: %w", p.Threads, ErrBadParameters)
	}
	if p.Preference != nil {
		if err := p.Preference.Validate(); err != nil {
			return err
		}
	}
	return validateRegularization(p.Lambda, p.Nu)
}

func validateRegularization(lambda, nu float64) error {
	if !(lambda >= minLambda && lambda <= maxLambda) {
		return fmt.Errorf("lambda is %v, want %v to %v (with 0 a row of few ratings has no unique solution): %w",
			lambda, minLambda, maxLambda, ErrBadParameters)
	}
	if !(nu >= 0 && nu <= maxNu) {
		return fmt.Errorf("nu is %v, want 0 to %v: %w", nu, maxNu, ErrBadParameters)
	}
	return nil
}

// regularization is λ·n^ν.
func regularization(lambda, nu float64, n int) float64 {
	switch nu { // the usual ones without math.Pow
	case 0:
		return lambda
	case 0.5:
		return lambda * math.Sqrt(float64(n))
	case 1:
		return lambda * float64(n)
	}
	return lambda * math.Pow(float64(n), nu)
}
