//! Numbers to be read beside their uncertainty.

/// `x` with as many decimals as the first `digits` digits of `width` need; with an exponent where it is large.
///
/// ```
/// use mflow_eval::to_digits_of;
/// assert_eq!(to_digits_of(-10_000.27, 1.5, 2), "-10000.3");
/// assert_eq!(to_digits_of(0.123_456, 0.0217, 3), "0.1235");
/// assert_eq!(to_digits_of(-0.001, 0.4, 2), "0.00");
/// ```
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "clamped to a few decimals")]
pub fn to_digits_of(x: f64, width: f64, digits: u8) -> String {
    const MOST: f64 = 12.0;
    let first = width.abs().max(f64::MIN_POSITIVE).log10().floor();
    let decimals = (f64::from(digits) - 1.0 - first).clamp(0.0, MOST) as usize;
    let text = match x.abs() {
        1e7.. => format!("{x:.4e}"),
        _ => format!("{x:.decimals$}"),
    };
    // No sign before nothing but zeros.
    match text.contains(|c: char| ('1'..='9').contains(&c)) {
        true => text,
        false => text.trim_start_matches('-').to_owned(),
    }
}
