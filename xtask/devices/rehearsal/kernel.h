// Kernels by their names, as the driver calls them.
#pragma once
#include <array>
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

struct Kernel {
  // Bytes of each parameter, and which are pointers.
  std::vector<size_t> sizes;
  std::vector<bool> pointers;
  void (*call)(const void *function, void **parameters);
  const void *function;
};

void fake_register(const char *name, Kernel kernel);

template <class... A, size_t... I>
void fake_call(const void *function, void **parameters, std::index_sequence<I...>) {
  ((void (*)(A...))function)(*(const std::remove_const_t<A> *)parameters[I]...);
}
template <class... A>
void fake_register_function(const char *name, void (*function)(A...)) {
  fake_register(name, Kernel{{sizeof(A)...},
                             {std::is_pointer_v<A>...},
                             [](const void *f, void **p) { fake_call<A...>(f, p, std::index_sequence_for<A...>()); },
                             (const void *)function});
}
