//! Round numbers for the ticks of an axis.

/// A tick: the number and its text, in which a minus is the typographic one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) label: String,
}

/// About `target` multiples of 1, 2 or 5 times a power of ten inside `[low, high]`, upwards.
pub(super) fn ticks(low: f64, high: f64, target: usize) -> Vec<Tick> {
    let rough = (high - low) / target.max(1) as f64;
    if !(rough.is_finite() && rough > 0.0) {
        return Vec::new();
    }
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0]
        .into_iter()
        .map(|factor| factor * power)
        // A few more than the target rather than many fewer.
        .find(|step| *step >= 0.6 * rough)
        .unwrap_or(10.0 * power);
    // `step` has one digit: its decimal exponent is how many places a label needs.
    let places = format!("{step:.0e}")
        .split_once('e')
        .and_then(|(_, digits)| digits.strip_prefix('-')?.parse().ok())
        .unwrap_or(0);
    let slack = 1e-9 * step; // so that a limit that is a multiple keeps its tick
    let first = ((low - slack) / step).ceil();
    (0..=2 * target.max(1) + 2)
        .map(|k| (first + k as f64) * step)
        .take_while(|value| *value <= high + slack)
        // Adding zero turns the negative zero of `-0.0 * step` into one without a sign.
        .map(|value| Tick { value, label: label(value + 0.0, places) })
        .collect()
}

/// Powers of ten inside `[low, high]`, both positive, at most about `target` of them. A range
/// without two of them has the ticks of a linear axis.
pub(super) fn log_ticks(low: f64, high: f64, target: usize) -> Vec<Tick> {
    let (first, last) = ((low.log10() - 1e-9).ceil(), (high.log10() + 1e-9).floor());
    if !(first.is_finite() && last.is_finite()) || first >= last {
        return ticks(low, high, target);
    }
    let stride = ((last - first) / target.max(1) as f64).ceil().max(1.0);
    (0..=target.max(1))
        .map(|k| first + k as f64 * stride)
        .take_while(|power| *power <= last)
        .map(|power| Tick { value: 10f64.powf(power), label: format!("10{}", superscript(power)) })
        .collect()
}

/// 1, 2 and 5 times the powers of ten inside `[low, high]`, both positive, where these are few, written
/// out; else as [`log_ticks`]. Numbers to count with, such as 10 to 200, are read more easily like this.
pub(super) fn fine_log_ticks(low: f64, high: f64, target: usize) -> Vec<Tick> {
    let (from, to) = (low.log10().floor(), high.log10().floor());
    if !(low >= 1.0 && high < 1e6 && to - from <= 2.0) || to <= from {
        return log_ticks(low, high, target);
    }
    (0..=2)
        .flat_map(|k| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powf(from + f64::from(k))))
        .filter(|value| (low * (1.0 - 1e-9)..=high * (1.0 + 1e-9)).contains(value))
        .map(|value| Tick { value, label: label(value, 0) })
        .collect()
}

/// 2, 3, ..., 9 times each power of ten, inside `[low, high]`, both positive: the ticks without a
/// number between those of a logarithmic axis. None where the powers are too many to tell apart.
pub(super) fn log_minor(low: f64, high: f64, target: usize) -> Vec<f64> {
    let (first, last) = (low.log10().floor(), high.log10().floor());
    let decades = last - first;
    if !(decades >= 0.0 && decades <= target as f64) {
        return Vec::new();
    }
    (0..=target)
        .flat_map(|k| (2..10).map(move |digit| (k, digit)))
        .map(|(k, digit)| f64::from(digit) * 10f64.powf(first + k as f64))
        .filter(|value| (low..=high).contains(value))
        .collect()
}

fn label(value: f64, places: usize) -> String {
    let text = if places > 4 || value.abs() >= 1e6 {
        format!("{value:.2e}")
    } else {
        format!("{value:.places$}")
    };
    text.replace('-', "\u{2212}")
}

/// `power`, a whole number, raised.
fn superscript(power: f64) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let digit = |c: char| c.to_digit(10).and_then(|d| DIGITS.get(usize::try_from(d).ok()?));
    format!("{power:.0}").chars().map(|c| digit(c).copied().unwrap_or('⁻')).collect()
}

#[cfg(test)]
mod tests {
    use super::{Tick, fine_log_ticks, log_minor, log_ticks, ticks};

    fn labels(ticks: Vec<Tick>) -> Vec<String> {
        ticks.into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_round_and_inside() {
        // Worked by hand: the step is the first of 1, 2, 5, 10 (times 10^k) from 0.6 (high - low) / n.
        assert_eq!(labels(ticks(-4.0, 4.0, 4)), ["−4", "−2", "0", "2", "4"], "step 2");
        assert_eq!(labels(ticks(0.03, 0.21, 4)), ["0.05", "0.10", "0.15", "0.20"], "step 0.05");
        assert_eq!(labels(ticks(-1250.0, 990.0, 3)), ["−1000", "−500", "0", "500"], "step 500");
        assert!(ticks(1.0, 1.0, 4).is_empty(), "an empty range has no ticks");
        assert!(ticks(f64::NAN, 1.0, 4).is_empty(), "nor has one that is not a number");
    }

    #[test]
    fn logarithmic_ticks_are_powers_of_ten() {
        assert_eq!(labels(log_ticks(0.01, 12.0, 6)), ["10⁻²", "10⁻¹", "10⁰", "10¹"], "all");
        assert_eq!(labels(log_ticks(1e-12, 1.0, 4)), ["10⁻¹²", "10⁻⁹", "10⁻⁶", "10⁻³", "10⁰"], "");
        assert_eq!(labels(log_ticks(2.0, 5.0, 3)), ["2", "3", "4", "5"], "no power inside");
    }

    #[test]
    fn counts_on_a_logarithmic_axis_are_written_out() {
        assert_eq!(labels(fine_log_ticks(10.0, 100.0, 6)), ["10", "20", "50", "100"], "1, 2, 5");
        assert_eq!(labels(fine_log_ticks(2.0, 5.0, 3)), ["2", "3", "4", "5"], "within a decade");
        assert_eq!(labels(fine_log_ticks(1.0, 1e4, 4)), labels(log_ticks(1.0, 1e4, 4)), "many");
    }

    #[test]
    fn minor_ticks_lie_between_powers() {
        assert_eq!(log_minor(0.75, 4.5, 6), [0.8, 0.9, 2.0, 3.0, 4.0], "around 10⁰");
        assert!(log_minor(1e-12, 1.0, 4).is_empty(), "none over twelve decades");
    }
}
