// Prints the GFLOP/s that fused multiplications and additions of float32 reach in
// registers, on the given number of threads.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

typedef float vec __attribute__((vector_size(64)));

static volatile float sink;

static void work(long n) {
  vec s[16], a, b;
  for (int i = 0; i < 16; i++)
    for (int k = 0; k < 16; k++) s[i][k] = i + k;
  for (int k = 0; k < 16; k++) a[k] = 1.0f - 1e-7f * k, b[k] = 1e-9f * k;
  for (long j = 0; j < n; j++)
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) s[i] = s[i] * a + b;
  float total = 0;
  for (int i = 0; i < 16; i++)
    for (int k = 0; k < 16; k++) total += s[i][k];
  sink = total;
}

int main(int, char** argv) {
  const int threads = atoi(argv[1]);
  const long n = 20000000;
  for (int round = 0; round < 3; round++) {
    auto began = std::chrono::steady_clock::now();
    std::vector<std::thread> all;
    for (int t = 0; t < threads; t++) all.emplace_back(work, n);
    for (auto& t : all) t.join();
    std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    printf("%.1f\n", threads * 16.0 * 16 * 2 * n / took.count() / 1e9);
  }
}
