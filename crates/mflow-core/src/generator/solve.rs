//! Damped normal equations.
#![expect(clippy::indexing_slicing, reason = "a Gram matrix of n by n and n numbers")]

/// The step `s` of Levenberg and Marquardt, `(G + λ diag G) s = b`, for `G` symmetric `[n, n]`; `None` where the
/// matrix is not positive.
pub(super) fn damped(gram: &[f64], b: &[f64], damping: f64) -> Option<Vec<f64>> {
    let n = b.len();
    let largest = (0..n).map(|i| gram[i * n + i]).fold(0., f64::max);
    let mut l = vec![0.; n * n];
    for i in 0..n {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| l[i * n + k] * l[j * n + k]).sum();
            let rest = gram[i * n + j] - known;
            l[i * n + j] = if i == j {
                // A direction that moves nothing has a diagonal of 0, and is damped too.
                let pivot = rest + damping * gram[i * n + i].max(1e-12 * largest);
                if pivot.is_nan() || pivot <= 0. {
                    return None;
                }
                pivot.sqrt()
            } else {
                rest / l[j * n + j]
            };
        }
    }
    let mut s = b.to_vec();
    for i in 0..n {
        let known: f64 = (0..i).map(|k| l[i * n + k] * s[k]).sum();
        s[i] = (s[i] - known) / l[i * n + i];
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| l[k * n + i] * s[k]).sum();
        s[i] = (s[i] - known) / l[i * n + i];
    }
    Some(s)
}

#[cfg(test)]
mod tests {
    use super::damped;

    #[test]
    fn the_equations_are_solved() {
        let (gram, b) = ([4., 1., 1., 3.], [1., 2.]);
        let s = damped(&gram, &b, 0.5).unwrap();
        assert!((6. * s[0] + s[1] - 1.).abs() < 1e-14, "{s:?}");
        assert!((s[0] + 4.5 * s[1] - 2.).abs() < 1e-14, "{s:?}");
        assert!(damped(&[0.; 4], &b, 1.).is_none(), "nothing moves");
        assert!(damped(&[f64::NAN; 4], &b, 1.).is_none(), "not a number");
    }
}
