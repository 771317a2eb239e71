// Package als learns biased matrix factorizations of explicit ratings by
// alternating least squares,
//
//	r̂(u, i) = μ + b_u + b_i + x_u·y_i,
//
// where every step solves, for each row of one side while the other side is
// held fixed, one ridge regression of the row's bias and factors together:
//
//	argmin over (b, x) of Σ (r − μ − b_other − b − x·y)² + λ·n^ν·(b² + ‖x‖²)
//
// with n the row's number of ratings. Alternating least squares with a
// regularization that grows with n is Zhou et al. 2008, "Large-scale Parallel
// Collaborative Filtering for the Netflix Prize" (ALS-WR, ν = 1); the biases
// are those of Koren, Bell & Volinsky 2009, "Matrix Factorization Techniques
// for Recommender Systems".
//
// Beside it stand the same model as a posterior, by variational Bayes (als_vb, the
// default) and by Gibbs sampling (als_bayes), what Spark's ALS computes
// (als_spark), and the head that ranks (als_implicit).
//
// Where the processor multiplies bfloat16, als takes the rows of the other side
// rounded to that in all half-steps but the last, which costs half; the errors of
// rounding are independent, and regularization is larger than their sum.
//
// Train is the fast solver, TrainReference the same mathematics written plainly
// in float64 with gonum: the reference that Train is tested against.
package als
