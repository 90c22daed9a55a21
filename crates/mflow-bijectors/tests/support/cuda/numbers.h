// Numbers from the standard input, and to the standard output.
#pragma once
#include <cstdio>
#include <vector>

template <class T>
std::vector<T> numbers(long long n) {
  std::vector<T> all(n);
  for (T &one : all) {
    double v = 0;
    if (std::scanf("%lf", &v) != 1) std::fprintf(stderr, "too few numbers\n");
    one = T(v);
  }
  return all;
}

template <class T>
void print(const std::vector<T> &all) {
  for (T v : all) std::printf("%.17g\n", double(v));
}
