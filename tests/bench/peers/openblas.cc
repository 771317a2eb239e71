// Explicit ALS (Zhou et al. 2008) on OpenBLAS: gathered rows in blocks, ssyrk,
// then sposv. Each of the two threads calls it for itself.
#include <cblas.h>
#include <cstring>
#include "matrix.h"

extern "C" {
void openblas_set_num_threads(int);
void sposv_(const char* uplo, const int* n, const int* columns, float* a, const int* lda, float* b, const int* ldb, int* info);
}

static void half(const Side& side, const std::vector<float>& fixed, std::vector<float>& out, int rank, float lambda) {
  const int block = 256;
  std::vector<std::vector<float>> packs(2, std::vector<float>(block * rank)), grams(2, std::vector<float>(rank * rank));
  forRows(side.rows(), [&](int w, int64_t row) {
    float *packed = packs[w].data(), *gram = grams[w].data(), *right = &out[row * rank];
    const int64_t from = side.start[row], to = side.start[row + 1];
    memset(gram, 0, sizeof(float) * rank * rank);
    memset(right, 0, sizeof(float) * rank);
    for (int64_t at = from; at < to; at += block) {
      const int n = std::min<int64_t>(block, to - at);
      for (int k = 0; k < n; k++) memcpy(packed + k * rank, &fixed[side.others[at + k] * (int64_t)rank], sizeof(float) * rank);
      cblas_ssyrk(CblasColMajor, CblasLower, CblasNoTrans, rank, n, 1, packed, rank, 1, gram, rank);
      cblas_sgemv(CblasColMajor, CblasNoTrans, rank, n, 1, packed, rank, &side.values[at], 1, 1, right, 1);
    }
    for (int c = 0; c < rank; c++) gram[c * rank + c] += lambda * (to - from);
    const int one = 1;
    int info;
    sposv_("L", &rank, &one, gram, &rank, right, &rank, &info);
  });
}

int main(int argc, char** argv) {
  openblas_set_num_threads(1);
  Matrix m = readMatrix(argv[1]);
  const int rank = atoi(argv[2]);
  std::vector<float> users(m.users.rows() * rank), movies(m.movies.rows() * rank);
  for (auto& x : users) x = 0.1f * (rand() / (float)RAND_MAX - 0.5f);
  timeIterations(atoi(argv[3]), [&] {
    half(m.movies, users, movies, rank, 0.05f);
    half(m.users, movies, users, rank, 0.05f);
  });
}
