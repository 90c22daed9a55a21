//! Angles on the unit sphere `S^n`: `x = (cos z_1, sin z_1 cos z_2, ..., sin z_1 ... sin z_n)`.

use super::number::Number;

/// The point at these angles.
pub(super) fn embed<T: Number>(z: &[T]) -> Vec<T> {
    let mut x = Vec::with_capacity(z.len() + 1);
    let mut sines = T::constant(1.0);
    for &angle in z {
        x.push(sines * angle.cos());
        sines = sines * angle.sin();
    }
    x.push(sines);
    x
}

/// The angles of the point of the sphere nearest to x, which need not be on it: those but the last from
/// 0 to pi, the last from -pi to pi.
pub(super) fn of(x: &[f64]) -> Vec<f64> {
    let n = x.len() - 1;
    let rest = |i: usize| x[i + 1..].iter().map(|x| x * x).sum::<f64>().sqrt();
    (0..n).map(|i| if i + 1 == n { x[n].atan2(x[i]) } else { rest(i).atan2(x[i]) }).collect()
}
