//! Medians, and numbers as text.

/// The median of the values that are finite, if there are any.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    sorted.get(sorted.len() / 2 - 1).map(|lower| lower.midpoint(upper))
}

/// Two significant digits, like `0.0042`, `-1.3`, `120` or `3.1e-7`; more only before the point.
pub(crate) fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    // The exponent after rounding, so that 9.96 is 10 and not 10.0.
    let scientific = format!("{value:.1e}");
    let exponent = scientific.split_once('e').and_then(|(_, e)| e.parse::<i32>().ok());
    match exponent {
        Some(exponent @ -4..=5) => {
            let decimals = usize::try_from(1 - exponent).unwrap_or(0);
            format!("{value:.decimals$}")
        }
        _ => scientific,
    }
}

/// Seconds, with a decimal where that matters.
pub(crate) fn seconds(value: f64) -> String {
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_leaves_out_what_is_not_finite() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, f64::NAN, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median([f64::INFINITY]), None);
        assert_eq!(median([]), None);
    }

    #[test]
    fn numbers_keep_two_digits_and_the_sign() {
        let cases = [
            (0.004_213, "0.0042"),
            (-0.0996, "-0.10"),
            (9.96, "10"),
            (1.253, "1.3"),
            (123.4, "123"),
            (0.0, "0"),
            (3.14e-7, "3.1e-7"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text, "{value}");
        }
    }
}
