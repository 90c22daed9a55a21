// Runs the kernels of optimizer.cu on the CPU: reads one update from the standard input, writes the norm of the gradient,
// the parameters and the buffers after it.
#include "cuda_on_cpu.h"

#include "../../../src/kernel/cuda/optimizer.cu"

#include <algorithm>
#include <string>

#include "numbers.h"

// Threads of a block, a power of two, and the most blocks for an entry: few, so that threads go round.
constexpr unsigned THREADS = 4, MOST_BLOCKS = 3;

template <class T, class Squares, class Norm, class Adam, class Sgd>
int run(const std::string &rule, Squares squares, Norm norm, Adam adam, Sgd sgd) {
  int count, buffers;
  if (std::scanf("%d %d", &count, &buffers) != 2) return 1;
  // Of each parameter: its length, and whether it has a gradient.
  std::vector<long long> lens;
  std::vector<bool> given;
  long long all = 0;
  for (int k = 0; k < count; k++) {
    long long len;
    int is_given;
    if (std::scanf("%lld %d", &len, &is_given) != 2) return 1;
    lens.push_back(len);
    given.push_back(is_given != 0);
    all += len;
  }
  const std::vector<double> c = numbers<double>(rule == "adam" ? 8 : 5);
  std::vector<T> theta = numbers<T>(all), first = numbers<T>(buffers > 0 ? all : 0);
  std::vector<T> second = numbers<T>(buffers > 1 ? all : 0);
  const std::vector<T> gradient = numbers<T>(all);

  // The tables of parameters, and those of gradients alone, as optimizer.rs cuts them.
  std::vector<Table<T>> tables, of_gradients;
  const auto next = [](std::vector<Table<T>> &tables, int k) -> Entry<T> & {
    if (k % ENTRIES == 0) tables.push_back({});
    return tables.back().of[k % ENTRIES];
  };
  int gradients = 0;
  long long offset = 0;
  for (int k = 0; k < count; k++) {
    const T *of_k = given[k] ? gradient.data() + offset : nullptr;
    next(tables, k) = {theta.data() + offset, of_k, offset, lens[k]};
    if (of_k) next(of_gradients, gradients++) = {nullptr, of_k, 0, lens[k]};
    offset += lens[k];
  }
  // One launch for each table; the kernel is told how many blocks came before. How many there were.
  const auto launch_tables = [&](std::vector<Table<T>> &tables, int entries, const auto &kernel) {
    int done = 0;
    for (Table<T> &table : tables) {
      table.first = buffers > 0 ? first.data() : nullptr;
      table.second = buffers > 1 ? second.data() : nullptr;
      const unsigned high = std::min(entries, ENTRIES);
      long long longest = 0;
      for (unsigned k = 0; k < high; k++) longest = std::max(longest, table.of[k].len);
      const unsigned wide = std::min((unsigned)((longest + THREADS - 1) / THREADS), MOST_BLOCKS);
      launch_blocks({wide, high, 1}, THREADS, [&] { kernel(table, done); });
      entries -= high;
      done += wide * high;
    }
    return done;
  };

  std::vector<double> sums(MOST_BLOCKS * count, NAN), found(1, NAN);
  const int blocks = launch_tables(of_gradients, gradients,
                                   [&](const Table<T> &table, int done) { squares(table, done, sums.data()); });
  launch_blocks({1, 1, 1}, THREADS, [&] { norm(blocks, sums.data(), found.data()); });
  launch_tables(tables, count, [&](const Table<T> &table, int) {
    if (rule == "adam") adam(table, c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]);
    if (rule == "sgd") sgd(table, c[0], c[1], c[2], c[3], c[4] != 0);
  });
  print(found);
  print(theta);
  print(first);
  print(second);
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  const std::string rule = argv[1];
  if (std::string(argv[2]) == "f32") return run<float>(rule, gradient_squares_f32, gradient_norm_f32, adam_f32, sgd_f32);
  return run<double>(rule, gradient_squares_f64, gradient_norm_f64, adam_f64, sgd_f64);
}
