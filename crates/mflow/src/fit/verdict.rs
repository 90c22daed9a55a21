//! What is said of attempts at a manifold.
use mflow_train::Attempt;
use std::time::Duration;

/// How an attempt at a manifold ended, if it failed.
#[must_use]
pub fn failure(attempt: &Attempt) -> Option<String> {
    let Attempt { stage, attempt: number, error, limit, failed, updates, seconds, .. } = attempt;
    let reason = match limit {
        Some(limit) if error > limit => {
            format!("above {limit:.2e}, what a manifold that was found stays below")
        }
        _ => "more than 5 times that of the best attempt".to_owned(),
    };
    failed.then(|| {
        format!(
            "warning: {stage}, attempt {}: the manifold was not found: reconstruction error \
             {error:.2e} on held-out rows, {reason}; it took {updates} updates, {}",
            number + 1,
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
            "note: {stage}: there are too few held-out rows to tell whether the manifold was found, and to \
             start anew if not; their reconstruction error is {error:.2e}"
        )
    })
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
