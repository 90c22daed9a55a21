// The rational-quadratic spline, scalar arithmetic: mirrors univariate/rational_quadratic.rs, where its formulas and
// its reference are. Parameters are read where they lie, as often as they are needed, so that there is no limit to the
// number of bins and no local array.
#pragma once
#include "real.cuh"

struct RationalQuadratic {
  int bins;
  bool circular;
  bool inverse;
  double bound;
  double logit_scale;
};

// Smallest size of a bin as a share of the box, smallest slope of a knot; and what an angle can be by rounding.
constexpr double MIN_BIN = 1e-3;
constexpr double MIN_SLOPE = 1e-3;
constexpr double ROUNDING_OF_ANGLES = 1e-6;

// Where the parameters of an element lie.
template <class T>
struct Column {
  const T *at;
  long long stride;
  MFLOW_INLINE T operator()(int k) const { return at[k * stride]; }
};

// Parameters with a derivative each.
template <class T>
struct JetColumn {
  Column<T> v, d;
  MFLOW_INLINE Jet<T> operator()(int k) const { return {v(k), d(k)}; }
};

template <class R>
struct Point {
  R y, log_slope;
};

// A softmax over the logits of one axis: what its shares are computed from.
template <class R>
struct Shares {
  R top, factor;
};

template <class R>
struct Bin {
  int k;
  R xk, w, yk, h, s, d0, d1, raw0, raw1, theta;
  // Shares of this bin, and their sums below it.
  R pw, ph, below_w, below_h;
  Shares<R> widths, heights;
};

template <class R, class P>
MFLOW_INLINE R raw_share(const RationalQuadratic &map, const P &p, int i, R top) {
  return exp_of((p(i) - top) * constant<R>(map.logit_scale));
}

template <class R, class P>
MFLOW_INLINE Shares<R> shares(const RationalQuadratic &map, const P &p, int first) {
  R top = p(first);
  for (int i = 1; i < map.bins; i++) top = maximum(p(first + i), top);
  R total = constant<R>(0);
  for (int i = 0; i < map.bins; i++) total = total + raw_share<R>(map, p, first + i, top);
  return {top, constant<R>(1) / total};
}

// Finds the bin of x, which lies inside the box.
template <class R, class P>
MFLOW_INLINE Bin<R> locate(const RationalQuadratic &map, R x, const P &p) {
  const int n = map.bins;
  Bin<R> bin;
  bin.widths = shares<R>(map, p, 0);
  bin.heights = shares<R>(map, p, n);
  const int first_a = map.inverse ? n : 0, first_b = map.inverse ? 0 : n;
  const Shares<R> of_a = map.inverse ? bin.heights : bin.widths;
  const Shares<R> of_b = map.inverse ? bin.widths : bin.heights;
  const R zero = constant<R>(0), one = constant<R>(1), end = constant<R>(map.bound);
  const R least = constant<R>(2 * map.bound * MIN_BIN);
  const R rest = constant<R>(2 * map.bound * (1 - MIN_BIN * n));
  // Running knots of the two axes and sums of shares; then those of the bin.
  R a = -end, b = -end, sum_a = zero, sum_b = zero;
  R a_k = a, b_k = b, size_a = zero, size_b = zero, pa = zero, pb = zero, below_a = zero, below_b = zero;
  int k = 0;
  for (int i = 0; i < n; i++) {
    const R share_a = raw_share<R>(map, p, first_a + i, of_a.top) * of_a.factor;
    const R share_b = raw_share<R>(map, p, first_b + i, of_b.top) * of_b.factor;
    // The last knot is pinned to the bound, so that rounding leaves no gap to the tail.
    const bool last = i + 1 == n;
    const R da = last ? end - a : least + rest * share_a;
    const R db = last ? end - b : least + rest * share_b;
    if (at_least(x, a)) {
      k = i;
      a_k = a, b_k = b, size_a = da, size_b = db;
      pa = share_a, pb = share_b, below_a = sum_a, below_b = sum_b;
    }
    a = a + da, b = b + db, sum_a = sum_a + share_a, sum_b = sum_b + share_b;
  }
  R raw0 = zero, raw1 = zero;
  if (map.circular) {
    raw0 = p(2 * n + k);
    raw1 = p(2 * n + (k + 1 == n ? 0 : k + 1));
  } else {
    if (k > 0) raw0 = p(2 * n + k - 1);
    if (k + 1 < n) raw1 = p(2 * n + k);
  }
  R d0 = constant<R>(MIN_SLOPE) + softplus(raw0), d1 = constant<R>(MIN_SLOPE) + softplus(raw1);
  if (!map.circular) {
    if (k == 0) d0 = one;
    if (k + 1 == n) d1 = one;
  }
  bin.k = k;
  bin.xk = map.inverse ? b_k : a_k, bin.yk = map.inverse ? a_k : b_k;
  bin.w = map.inverse ? size_b : size_a, bin.h = map.inverse ? size_a : size_b;
  bin.pw = map.inverse ? pb : pa, bin.ph = map.inverse ? pa : pb;
  bin.below_w = map.inverse ? below_b : below_a, bin.below_h = map.inverse ? below_a : below_b;
  bin.d0 = d0, bin.d1 = d1, bin.raw0 = raw0, bin.raw1 = raw1;
  bin.s = bin.h / bin.w;
  R theta;
  if (map.inverse) {
    // The root of a θ² + b θ + c = 0 (eq. 6 to 8) in the form without cancellation.
    const R dy = x - bin.yk, s = bin.s;
    const R t = dy * (d0 + d1 - s - s);
    const R qa = t + bin.h * (s - d0), qb = bin.h * d0 - t, qc = -s * dy;
    const R root = sqrt_of(maximum(qb * qb - constant<R>(4) * qa * qc, zero));
    const bool positive = at_least(qb, zero);
    theta = (positive ? -(qc + qc) : root - qb) / (positive ? qb + root : qa + qa);
  } else {
    theta = (x - bin.xk) / bin.w;
  }
  // Rounding may leave the bin. zero * theta is 0, and NaN where theta is.
  theta = at_least(theta, zero) ? theta : zero * theta;
  bin.theta = at_least(one, theta) ? theta : one + zero * theta;
  return bin;
}

// A point of the axis: moved to 0 where it lies outside of the box, and whether it lies inside.
template <class R>
struct Clamped {
  R x;
  bool inside;
};

template <class R>
MFLOW_INLINE Clamped<R> clamp(const RationalQuadratic &map, R x) {
  const double reach = map.circular ? map.bound * (1 + ROUNDING_OF_ANGLES) : map.bound;
  const bool inside = at_least(x, constant<R>(-reach)) && at_least(constant<R>(reach), x);
  if (map.circular) {
    const R bound = constant<R>(map.bound);
    x = at_least(bound, x) ? (at_least(x, -bound) ? x : -bound) : bound;
  }
  return {inside ? x : constant<R>(0), inside};
}

template <class R, class P>
MFLOW_INLINE Point<R> value(const RationalQuadratic &map, R x, const P &p) {
  const Clamped<R> at = clamp(map, x);
  if (!at.inside) return {x, constant<R>(0)};
  const Bin<R> bin = locate<R>(map, at.x, p);
  const R one = constant<R>(1);
  const R s = bin.s, d0 = bin.d0, d1 = bin.d1, theta = bin.theta, rest = one - theta, u = theta * rest;
  const R d = s + (d0 + d1 - s - s) * u;
  const R m = d1 * theta * theta + (s + s) * u + d0 * rest * rest;
  const R r = s / d, l = ln_of(r * r * m);
  if (map.inverse) return {bin.xk + bin.w * theta, -l};
  return {bin.yk + bin.h * (s * theta * theta + d0 * u) / d, l};
}

// Pulls the cotangent of (y, ln |dy/dx|) back: returns that of x, gives those of the parameters to put(k, g).
template <class R, class P, class Put>
MFLOW_INLINE R pullback(const RationalQuadratic &map, R x, const P &p, Point<R> cotangent, const Put &put) {
  const int n = map.bins;
  const R zero = constant<R>(0), one = constant<R>(1), two = constant<R>(2);
  const Clamped<R> at = clamp(map, x);
  if (!at.inside) {
    const int count = 3 * n - (map.circular ? 0 : 1);
    for (int i = 0; i < count; i++) put(i, zero);
    return cotangent.y;
  }
  const Bin<R> bin = locate<R>(map, at.x, p);
  const R w = bin.w, h = bin.h, s = bin.s, d0 = bin.d0, d1 = bin.d1, theta = bin.theta;
  const R g_y = cotangent.y;
  R g_l = cotangent.log_slope;
  const R rest = one - theta, u = theta * rest, curve = d0 + d1 - two * s;
  // y = yk + h n/d, dy/dx = s² m/d²
  const R d = s + curve * u, num = s * theta * theta + d0 * u;
  const R m = d1 * theta * theta + two * s * u + d0 * rest * rest;
  const R rd = one / d, rm = one / m, rw = one / w, du = one - two * theta;
  const R y_theta = h * ((two * s * theta + d0 * du) - num * rd * curve * du) * rd;
  const R m_theta = two * d1 * theta + two * s * du - two * d0 * rest;
  const R l_theta = m_theta * rm - two * curve * du * rd;
  // The inverse by implicit differentiation, as in the mirror.
  R g_out = g_y, g_in = zero;
  if (map.inverse) {
    g_in = (g_y - g_l * l_theta * rw) / (y_theta * rw);
    g_l = -g_l;
    g_out = -g_in;
  }
  const R g_num = g_out * h * rd;
  const R g_d = -(g_num * num + two * g_l) * rd;
  const R g_m = g_l * rm;
  const R g_s = g_num * theta * theta + g_d * (one - two * u) + g_m * two * u + two * g_l / s;
  const R g_d0 = (g_num + g_d) * u + g_m * rest * rest;
  const R g_d1 = g_d * u + g_m * theta * theta;
  const R g_theta = g_out * y_theta + g_l * l_theta;
  const R of_xk = -g_theta * rw;
  // Widths and heights are affine in the shares; knots are sums of those below.
  const R c = constant<R>(2 * map.bound * (1 - MIN_BIN * n));
  const R g_h = (g_out * num * rd + g_s * rw) * c, g_w = (of_xk * theta - g_s * s * rw) * c;
  const R g_xk = of_xk * c, g_yk = g_out * c;
  const R mean_w = g_w * bin.pw + g_xk * bin.below_w, mean_h = g_h * bin.ph + g_yk * bin.below_h;
  const R scale = constant<R>(map.logit_scale);
  for (int i = 0; i < n; i++) {
    const R pw = raw_share<R>(map, p, i, bin.widths.top) * bin.widths.factor;
    const R ph = raw_share<R>(map, p, n + i, bin.heights.top) * bin.heights.factor;
    const R of_w = i < bin.k ? g_xk : (i == bin.k ? g_w : zero);
    const R of_h = i < bin.k ? g_yk : (i == bin.k ? g_h : zero);
    put(i, scale * pw * (of_w - mean_w));
    put(n + i, scale * ph * (of_h - mean_h));
  }
  const R slope0 = g_d0 * sigmoid(bin.raw0), slope1 = g_d1 * sigmoid(bin.raw1);
  if (map.circular) {
    // Parameter i is the left slope of bin i and the right one of the bin before, which of the first is the last.
    const int next = bin.k + 1 == n ? 0 : bin.k + 1;
    for (int i = 0; i < n; i++) {
      put(2 * n + i, (i == bin.k ? slope0 : zero) + (i == next ? slope1 : zero));
    }
  } else {
    // Parameter i - 1 is the left slope of bin i and the right one of bin i - 1.
    for (int i = 1; i < n; i++) {
      put(2 * n + i - 1, i == bin.k ? slope0 : (i == bin.k + 1 ? slope1 : zero));
    }
  }
  return map.inverse ? g_in : g_theta * rw;
}
