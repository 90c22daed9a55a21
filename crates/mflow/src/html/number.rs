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

/// The given percentiles (0 to 100) of the finite `values`, by the nearest rank; none if there are no such
/// values.
#[expect(clippy::cast_possible_truncation, reason = "the rank lies between 0 and the length")]
pub(super) fn percentiles<const K: usize>(
    values: impl IntoIterator<Item = f64>,
    percents: [f64; K],
) -> Option<[f64; K]> {
    let mut sorted: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some(percents.map(|p| sorted[((p / 100. * last as f64).round() as usize).min(last)]))
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
