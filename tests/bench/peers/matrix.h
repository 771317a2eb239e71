// Reads the file that the bench writes: counts of users, movies and ratings
// (int64), then by user and by movie where each row starts (int64), the rows of
// the other side (int32), and the ratings (float32).
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

struct Side {
  std::vector<int64_t> start;
  std::vector<int32_t> others;
  std::vector<float> values;
  int64_t rows() const { return (int64_t)start.size() - 1; }
};

struct Matrix {
  Side users, movies;
};

template <typename T>
void readAll(FILE* file, std::vector<T>& to, size_t count) {
  to.resize(count);
  if (fread(to.data(), sizeof(T), count, file) != count) {
    fprintf(stderr, "the file of ratings is cut\n");
    exit(1);
  }
}

inline Matrix readMatrix(const char* path) {
  FILE* file = fopen(path, "rb");
  if (!file) {
    perror(path);
    exit(1);
  }
  std::vector<int64_t> counts;
  readAll(file, counts, 3);
  Matrix m;
  for (auto side : {std::pair(&m.users, counts[0]), std::pair(&m.movies, counts[1])}) {
    readAll(file, side.first->start, side.second + 1);
    readAll(file, side.first->others, counts[2]);
    readAll(file, side.first->values, counts[2]);
  }
  fclose(file);
  return m;
}

// forRows calls fn(worker, row) for all rows on two threads.
inline void forRows(int64_t rows, const std::function<void(int, int64_t)>& fn) {
  std::atomic<int64_t> next{0};
  auto work = [&](int worker) {
    for (;;) {
      int64_t from = next.fetch_add(8);
      if (from >= rows) return;
      for (int64_t row = from; row < std::min(from + 8, rows); row++) fn(worker, row);
    }
  };
  std::thread other(work, 1);
  work(0);
  other.join();
}

// timeIterations prints the milliseconds of each iteration after the first.
inline void timeIterations(int iterations, const std::function<void()>& iterate) {
  for (int k = 0; k <= iterations; k++) {
    auto began = std::chrono::steady_clock::now();
    iterate();
    std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - began;
    if (k > 0) printf("%f\n", took.count());
  }
}
