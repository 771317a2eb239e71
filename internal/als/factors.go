package als

// Factors is a trained model of ratings,
//
//	r̂(u, i) = μ + b_u + b_i + x_u·y_i,
//
// as training returns it. Rows are in ascending order of ids. Slices are not to
// be changed after training.
type Factors struct {
	Rank         int       // number of columns of the factor matrices
	Mean         float32   // μ, the mean of the training ratings, in stars
	Users        []int64   // ids, ascending [users]
	Movies       []int64   // ids, ascending [movies]
	UserBias     []float32 // b_u [users]
	MovieBias    []float32 // b_i [movies]
	UserFactors  []float32 // x_u, row-major [users × rank]
	MovieFactors []float32 // y_i, row-major [movies × rank]
	UserCounts   []int32   // ratings of each user in training [users]
	MovieCounts  []int32   // ratings of each movie in training [movies]
	Lambda       float64   // λ of the regularization λ·n^ν
	Nu           float64   // ν of the regularization λ·n^ν
	Unbiased     bool      // μ and all biases are 0, also of users folded in: als_spark

	Posterior  *Posterior  // what Bayesian solvers know of uncertainty, nil of others
	Preference *Preference // the head that ranks, nil if there is none
}

// Posterior is what Bayesian solvers learn beyond the means, which are the
// Factors. Vectors of one row are joint: its factors and then its bias, D =
// rank+1; symmetric matrices are packed lower triangles, row by row, T =
// D·(D+1)/2 long. The priors of both sides have the mean 0.
type Posterior struct {
	Alpha           float64   // precision of the noise of a user with weight 1, 1/stars²
	Freedom         float64   // ν: weights are Gamma(ν/2, ν/2) over users
	UserWeight      []float32 // w_u: user u's noise has precision α·w_u [users]
	UserCovariance  []float32 // of (x_u, b_u) [users × T]
	MovieCovariance []float32 // of (y_i, b_i) [movies × T]
	UserPrecision   []float32 // prior of users [T]
	MoviePrecision  []float32 // prior of movies [T]
}

// Preference is a model of what a user would choose, x_u·y_i of factors of its
// own. Rows are those of the Factors it belongs to.
type Preference struct {
	Rank         int
	UserFactors  []float32 // row-major [users × rank]
	MovieFactors []float32 // row-major [movies × rank]
	Alpha        float64   // confidence of a rating of r stars is 1 + α·r
	Lambda       float64   // regularization
	Beta         float64   // ranking score = x·y + β·(r̂ − the user's mean prediction)
}

// Predict returns μ + b_u + b_i + x_u·y_i of a user row and a movie row, in
// stars and unclamped. A row of −1 is one that the model does not know: its
// bias and factors count as 0.
func (f *Factors) Predict(user, movie int) float64 {
	value := float64(f.Mean)
	if user >= 0 {
		value += float64(f.UserBias[user])
	}
	if movie >= 0 {
		value += float64(f.MovieBias[movie])
	}
	if user < 0 || movie < 0 {
		return value
	}
	y := f.MovieFactors[movie*f.Rank:][:f.Rank]
	for c, x := range f.UserFactors[user*f.Rank:][:f.Rank] {
		value += float64(x) * float64(y[c])
	}
	return value
}
