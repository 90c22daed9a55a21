//! What is said of attempts at a manifold.
use mflow_eval::to_digits_of;
use mflow_train::Attempt;
use std::time::Duration;

/// How an attempt at a manifold ended, if it failed.
#[must_use]
pub fn failure(attempt: &Attempt) -> Option<String> {
    let Attempt { stage, attempt: number, error, limit, failed, updates, seconds, .. } = attempt;
    let reason = match limit {
        Some(limit) if error > limit => {
            format!("a good fit of these data stays below {}", two_digits(*limit))
        }
        _ => "that is more than 5 times the error of the best attempt".to_owned(),
    };
    failed.then(|| {
        format!(
            "warning: {stage}, attempt {}: the fit has not found the manifold. On held-out rows the error is {}; \
             {reason}. The attempt took {updates} updates, {}.",
            number + 1,
            two_digits(*error),
            in_words(Duration::from_secs_f64(seconds.clamp(0., 1e9)))
        )
    })
}

/// That an attempt at a manifold could not be judged.
#[must_use]
pub fn unknown(attempt: &Attempt) -> Option<String> {
    let Attempt { stage, attempt, error, limit, .. } = attempt;
    (limit.is_none() && *attempt == 0).then(|| {
        format!(
            "note: {stage}: there are too few held-out rows to tell whether the fit has found the manifold, so no \
             restart is tried. Their error is {}.",
            two_digits(*error)
        )
    })
}

fn two_digits(x: f64) -> String {
    to_digits_of(x, x, 2)
}

/// `12 s`, `3 min`, `1 h 5 min`.
#[must_use]
pub fn in_words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
