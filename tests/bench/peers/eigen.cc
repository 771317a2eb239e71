// Explicit ALS (Zhou et al. 2008), as one would write it with Eigen: gathered
// rows in blocks, a rank update of the lower triangle, LLᵀ.
#include <Eigen/Dense>
#include "matrix.h"

using Factors = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic>;  // [rank × rows]

static void half(const Side& side, const Factors& fixed, Factors& out, float lambda) {
  const int rank = fixed.rows(), block = 128;
  std::vector<Factors> packed(2, Factors(rank, block)), gram(2, Factors(rank, rank));
  std::vector<Eigen::VectorXf> values(2, Eigen::VectorXf(block)), right(2, Eigen::VectorXf(rank));
  forRows(side.rows(), [&](int w, int64_t row) {
    const int64_t from = side.start[row], to = side.start[row + 1];
    gram[w].setZero();
    right[w].setZero();
    for (int64_t at = from; at < to; at += block) {
      const int n = std::min<int64_t>(block, to - at);
      for (int k = 0; k < n; k++) {
        packed[w].col(k) = fixed.col(side.others[at + k]);
        values[w][k] = side.values[at + k];
      }
      gram[w].selfadjointView<Eigen::Lower>().rankUpdate(packed[w].leftCols(n));
      right[w].noalias() += packed[w].leftCols(n) * values[w].head(n);
    }
    gram[w].diagonal().array() += lambda * (to - from);
    Eigen::LLT<Eigen::Ref<Factors>, Eigen::Lower> llt(gram[w]);
    out.col(row) = llt.solve(right[w]);
  });
}

int main(int argc, char** argv) {
  Matrix m = readMatrix(argv[1]);
  const int rank = atoi(argv[2]);
  Factors users = Factors::Random(rank, m.users.rows()) * 0.1f, movies = Factors::Zero(rank, m.movies.rows());
  timeIterations(atoi(argv[3]), [&] {
    half(m.movies, users, movies, 0.05f);
    half(m.users, movies, users, 0.05f);
  });
}
