package als

import "github.com/recsys-benthos/recsys-benthos/internal/ratings"

// Loss is what training the head minimizes,
//
//	Σ_ui c_ui·(p_ui − x_u·y_i)² + λ·(Σ‖x_u‖² + Σ‖y_i‖²)
//
// over all pairs of users and movies of choices, whose rows are the head's; see
// TrainPreference. Pairs that were not chosen are never looked at: their part is
// Σ_ui (x_u·y_i)² = tr(XᵀX·YᵀY) less that of the chosen ones (Hu, Koren & Volinsky
// 2008, section 4). It takes rank²·(users + movies) + rank·choices steps.
func (p *Preference) Loss(choices *ratings.Matrix) float64 {
	ofUsers, ofMovies := gram(p.UserFactors, p.Rank), gram(p.MovieFactors, p.Rank)
	loss := 0.0
	for k := range ofUsers {
		loss += ofUsers[k] * ofMovies[k]
	}
	for k := range p.Rank {
		loss += p.Lambda * (ofUsers[k*p.Rank+k] + ofMovies[k*p.Rank+k])
	}
	for u := range choices.Users {
		x := p.UserFactors[u*p.Rank:][:p.Rank]
		movies, values := choices.User(u)
		for k, i := range movies {
			score := 0.0
			for c, y := range p.MovieFactors[int(i)*p.Rank:][:p.Rank] {
				score += float64(x[c]) * float64(y)
			}
			confidence := 1 + p.Alpha*max(float64(values[k]), 0)
			loss += confidence*(1-score)*(1-score) - score*score
		}
	}
	return loss
}

// gram is XᵀX of row-major factors.
func gram(factors []float32, rank int) []float64 {
	sum := make([]float64, rank*rank)
	for ; len(factors) > 0; factors = factors[rank:] {
		row := factors[:rank]
		for a, x := range row {
			for b, y := range row {
				sum[a*rank+b] += float64(x) * float64(y)
			}
		}
	}
	return sum
}
