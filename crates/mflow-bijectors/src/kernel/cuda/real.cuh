// The numbers that kernels compute with: float, double, and Jet of either, a value with one derivative.
// Mirrors real.rs and jet.rs; a comparison is by value.
#pragma once

#define MFLOW_INLINE __device__ __forceinline__

template <class T>
struct Jet {
  T v, d;
};

// The constant c as a T or Jet<T>.
template <class R>
struct Make {
  static MFLOW_INLINE R constant(double c) { return R(c); }
};
template <class T>
struct Make<Jet<T>> {
  static MFLOW_INLINE Jet<T> constant(double c) { return {T(c), T(0)}; }
};
template <class R>
MFLOW_INLINE R constant(double c) {
  return Make<R>::constant(c);
}

MFLOW_INLINE float value_of(float a) { return a; }
MFLOW_INLINE double value_of(double a) { return a; }
template <class T>
MFLOW_INLINE T value_of(Jet<T> a) {
  return a.v;
}

MFLOW_INLINE float exp_of(float a) { return expf(a); }
MFLOW_INLINE double exp_of(double a) { return exp(a); }
MFLOW_INLINE float ln_of(float a) { return logf(a); }
MFLOW_INLINE double ln_of(double a) { return log(a); }
MFLOW_INLINE float sqrt_of(float a) { return sqrtf(a); }
MFLOW_INLINE double sqrt_of(double a) { return sqrt(a); }

template <class T>
MFLOW_INLINE Jet<T> operator+(Jet<T> a, Jet<T> b) {
  return {a.v + b.v, a.d + b.d};
}
template <class T>
MFLOW_INLINE Jet<T> operator-(Jet<T> a, Jet<T> b) {
  return {a.v - b.v, a.d - b.d};
}
template <class T>
MFLOW_INLINE Jet<T> operator-(Jet<T> a) {
  return {-a.v, -a.d};
}
template <class T>
MFLOW_INLINE Jet<T> operator*(Jet<T> a, Jet<T> b) {
  return {a.v * b.v, a.d * b.v + a.v * b.d};
}
template <class T>
MFLOW_INLINE Jet<T> operator/(Jet<T> a, Jet<T> b) {
  T r = T(1) / b.v;
  T q = a.v * r;
  return {q, (a.d - q * b.d) * r};
}
template <class T>
MFLOW_INLINE Jet<T> exp_of(Jet<T> a) {
  T e = exp_of(a.v);
  return {e, a.d * e};
}
template <class T>
MFLOW_INLINE Jet<T> ln_of(Jet<T> a) {
  return {ln_of(a.v), a.d / a.v};
}
template <class T>
MFLOW_INLINE Jet<T> sqrt_of(Jet<T> a) {
  T s = sqrt_of(a.v);
  return {s, a.d / (s + s)};
}

template <class R>
MFLOW_INLINE bool at_least(R a, R b) {
  return value_of(a) >= value_of(b);
}
// The larger one; b where a is NaN.
template <class R>
MFLOW_INLINE R maximum(R a, R b) {
  return at_least(a, b) ? a : b;
}
// The logistic function by exp(-|x|): neither it nor its derivative overflows.
template <class R>
MFLOW_INLINE R sigmoid(R x) {
  R one = constant<R>(1);
  bool positive = at_least(x, constant<R>(0));
  R e = exp_of(positive ? -x : x);
  return (positive ? one : e) / (one + e);
}
// ln(1 + exp(x)); from 40 on it is x to the last digit of a double.
template <class R>
MFLOW_INLINE R softplus(R x) {
  return at_least(x, constant<R>(40)) ? x : ln_of(constant<R>(1) + exp_of(x));
}
