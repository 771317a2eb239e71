package model

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
)

// Diagnosis tells how sound the numbers of a model are.
type Diagnosis struct {
	Rank      int                  `json:"rank"`
	Users     SideDiagnosis        `json:"users"`
	Movies    SideDiagnosis        `json:"movies"`
	Posterior *PosteriorDiagnosis  `json:"posterior,omitempty"`
	Ranking   *PreferenceDiagnosis `json:"ranking,omitempty"`
	Warnings  []string             `json:"warnings"`
}

// SideDiagnosis is of the users or the movies.
type SideDiagnosis struct {
	Rows     int      `json:"rows"`
	Unrated  int      `json:"unrated"`       // rows without ratings
	Few      int      `json:"few"`           // rows of one to four ratings
	Bias     [2]Stars `json:"bias"`          // least and greatest
	Norm     float64  `json:"norm"`          // mean Euclidean norm of a row's factors
	Greatest float64  `json:"greatest_norm"` // and the greatest
	Spectrum Spectrum `json:"spectrum"`
	StdDev   float64  `json:"std_dev,omitempty"` // mean over rows of √(trace of the covariance), where there is one
}

// Stars is a number of stars.
type Stars float64

// Spectrum is of the Gram matrix of factors, divided by the number of rows.
type Spectrum struct {
	Largest       float64 `json:"largest"`
	Smallest      float64 `json:"smallest"`
	Condition     float64 `json:"condition"`      // largest divided by smallest, 0 if that is 0
	EffectiveRank float64 `json:"effective_rank"` // exp of the entropy of the eigenvalues as shares (Roy & Vetterli 2007, "The Effective Rank")
}

// PosteriorDiagnosis is of the noise and the priors of a Bayesian model.
type PosteriorDiagnosis struct {
	Noise          Stars      `json:"noise"`           // standard deviation of a rating by a user of weight 1
	Weights        [2]float64 `json:"weights"`         // of users' precision, least and greatest
	UserCondition  float64    `json:"user_condition"`  // of the prior precision of users
	MovieCondition float64    `json:"movie_condition"` // and of movies
}

// PreferenceDiagnosis is of the head that ranks.
type PreferenceDiagnosis struct {
	Rank   int      `json:"rank"`
	Users  Spectrum `json:"users"`
	Movies Spectrum `json:"movies"`
}

const (
	worstCondition = 1e8     // of what float32 factors can tell apart
	leastShare     = 1.0 / 4 // of the rank that should be in effect
)

// Diagnose computes the spectra of all matrices with gonum, in float64: it takes
// about as long as an iteration of training.
func (m *Model) Diagnose() Diagnosis {
	f := m.factors
	d := Diagnosis{
		Rank:  f.Rank,
		Users: diagnoseSide(f.UserBias, f.UserFactors, f.UserCounts, f.Rank), Movies: diagnoseSide(f.MovieBias, f.MovieFactors, f.MovieCounts, f.Rank),
		Warnings: []string{},
	}
	d.warn("users", d.Users.Spectrum, f.Rank)
	d.warn("movies", d.Movies.Spectrum, f.Rank)
	if p := f.Posterior; p != nil {
		d.Users.StdDev, d.Movies.StdDev = meanDeviation(p.UserCovariance, f.Rank), meanDeviation(p.MovieCovariance, f.Rank)
		d.Posterior = diagnosePosterior(p, f.Rank)
		for side, condition := range map[string]float64{"users": d.Posterior.UserCondition, "movies": d.Posterior.MovieCondition} {
			if condition > worstCondition || condition == 0 {
				d.Warnings = append(d.Warnings, fmt.Sprintf("the prior of %s is nearly singular: condition %.3g", side, condition))
			}
		}
	}
	if p := f.Preference; p != nil {
		d.Ranking = &PreferenceDiagnosis{p.Rank, spectrumOf(p.UserFactors, p.Rank), spectrumOf(p.MovieFactors, p.Rank)}
		d.warn("users of the head that ranks", d.Ranking.Users, p.Rank)
		d.warn("movies of the head that ranks", d.Ranking.Movies, p.Rank)
	}
	return d
}

func (d *Diagnosis) warn(what string, s Spectrum, rank int) {
	switch {
	case rank == 0:
	case s.Largest == 0:
		d.Warnings = append(d.Warnings, fmt.Sprintf("factors of %s are all 0: only biases predict", what))
	case s.Condition > worstCondition || s.Smallest <= 0:
		d.Warnings = append(d.Warnings, fmt.Sprintf("factors of %s do not span all %d dimensions: a lower rank would do", what, rank))
	case s.EffectiveRank < leastShare*float64(rank):
		d.Warnings = append(d.Warnings, fmt.Sprintf("factors of %s have the effective rank %.1f of %d: a lower rank would do nearly as well", what, s.EffectiveRank, rank))
	}
}

func diagnoseSide(bias, factors []float32, counts []int32, rank int) SideDiagnosis {
	d := SideDiagnosis{Rows: len(bias), Spectrum: spectrumOf(factors, rank)}
	for row, b := range bias {
		switch {
		case counts[row] == 0:
			d.Unrated++
		case counts[row] < 5:
			d.Few++
		}
		if row == 0 {
			d.Bias = [2]Stars{Stars(b), Stars(b)}
		}
		d.Bias = [2]Stars{min(d.Bias[0], Stars(b)), max(d.Bias[1], Stars(b))}
		norm := mat.Norm(mat.NewVecDense(max(rank, 1), widened(factors[row*rank:][:rank])), 2)
		d.Norm += norm / float64(len(bias))
		d.Greatest = max(d.Greatest, norm)
	}
	return d
}

// widened returns values in float64, at least one.
func widened(values []float32) []float64 {
	out := make([]float64, max(len(values), 1))
	for k, value := range values {
		out[k] = float64(value)
	}
	return out
}

func spectrumOf(factors []float32, rank int) Spectrum {
	rows := len(factors) / max(rank, 1)
	if rows == 0 || rank == 0 {
		return Spectrum{}
	}
	gram := mat.NewSymDense(rank, nil)
	for row := range rows {
		gram.SymRankOne(gram, 1/float64(rows), mat.NewVecDense(rank, widened(factors[row*rank:][:rank])))
	}
	values := eigenvalues(gram)
	s := Spectrum{Smallest: values[0], Largest: values[rank-1], Condition: conditionOf(values)}
	total, entropy := 0.0, 0.0
	for _, value := range values {
		total += max(value, 0)
	}
	for _, value := range values {
		if share := value / total; share > 0 {
			entropy -= share * math.Log(share)
		}
	}
	if total > 0 {
		s.EffectiveRank = math.Exp(entropy)
	}
	return s
}

// eigenvalues are ascending; zeros if they cannot be found.
func eigenvalues(s *mat.SymDense) []float64 {
	var eigen mat.EigenSym
	if !eigen.Factorize(s, false) {
		return make([]float64, s.SymmetricDim())
	}
	return eigen.Values(nil)
}

func conditionOf(eigenvalues []float64) float64 {
	smallest, largest := eigenvalues[0], eigenvalues[len(eigenvalues)-1]
	if smallest <= 0 {
		return 0
	}
	return largest / smallest
}

func diagnosePosterior(p *als.Posterior, rank int) *PosteriorDiagnosis {
	d := &PosteriorDiagnosis{
		Noise: Stars(1 / math.Sqrt(p.Alpha)), UserCondition: conditionOf(eigenvalues(unpacked(p.UserPrecision, rank+1))),
		MovieCondition: conditionOf(eigenvalues(unpacked(p.MoviePrecision, rank+1))),
	}
	for u, weight := range p.UserWeight {
		if u == 0 {
			d.Weights = [2]float64{float64(weight), float64(weight)}
		}
		d.Weights = [2]float64{min(d.Weights[0], float64(weight)), max(d.Weights[1], float64(weight))}
	}
	return d
}

// unpacked is the symmetric matrix of a packed lower triangle.
func unpacked(triangle []float32, dim int) *mat.SymDense {
	s := mat.NewSymDense(dim, nil)
	k := 0
	for a := range dim {
		for b := range a + 1 {
			s.SetSym(a, b, float64(triangle[k]))
			k++
		}
	}
	return s
}

func meanDeviation(covariances []float32, rank int) float64 {
	size := als.Triangle(rank + 1)
	rows := len(covariances) / size
	mean := 0.0
	for row := range rows {
		trace := 0.0
		for a := range rank + 1 {
			trace += float64(covariances[row*size+als.Triangle(a+1)-1])
		}
		mean += math.Sqrt(max(trace, 0)) / float64(rows)
	}
	return mean
}
