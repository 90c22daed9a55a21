//! Numbers for figures: few digits, and `null` for what is not finite.
use serde_json::Value;

/// `x` with five significant digits, more than a screen shows; `null` if it is not finite.
pub(super) fn rounded(x: f64) -> Value {
    let short = format!("{x:.4e}").parse::<f64>().unwrap_or(f64::NAN);
    // JSON has no other way to say it, and plotly leaves such points out.
    serde_json::Number::from_f64(short).map_or(Value::Null, Value::Number)
}

/// All of `values`, rounded.
pub(super) fn array(values: impl IntoIterator<Item = f64>) -> Value {
    Value::Array(values.into_iter().map(rounded).collect())
}

/// A number for a table: four significant digits, with an exponent where it is very small or large.
pub(super) fn short(x: f64) -> String {
    let text = format!("{x:.3e}");
    let exponent = text.split_once('e').and_then(|(_, e)| e.parse::<i32>().ok()).unwrap_or(0);
    match usize::try_from(3 - exponent) {
        Ok(places) if x != 0. && places <= 6 => format!("{x:.places$}"),
        _ if x == 0. => "0".to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::{rounded, short};

    #[test]
    fn numbers_keep_few_digits_and_what_is_not_finite_is_null() {
        assert_eq!(rounded(-1.234_567).to_string(), "-1.2346");
        assert_eq!(rounded(1.234_56e-9).to_string(), "1.2346e-9");
        assert_eq!(rounded(f64::NAN).to_string(), "null");
        assert_eq!(rounded(f64::INFINITY).to_string(), "null");
        let shown = [0., 1.5, -0.006_82, 123_456., 12_346., 0.734_29, 7.372e-8, 999.96];
        let expected =
            ["0", "1.500", "-0.006820", "1.235e5", "1.235e4", "0.7343", "7.372e-8", "1000"];
        assert_eq!(shown.map(short), expected.map(str::to_owned));
    }
}
