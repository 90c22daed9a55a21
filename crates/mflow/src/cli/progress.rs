//! Progress of training: a bar on a terminal, else a line now and then.
use super::output::{is_quiet, message};
use indicatif::{ProgressBar, ProgressStyle};
use mflow::bijectors::printable;
use mflow::fit::{failure, in_words, unknown};
use mflow::tensorboard::EventFile;
use mflow::train::{Attempt, EpochMetrics, Observer, Progress};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Shows where training stands.
pub(super) struct Watch {
    /// None where nobody sees it.
    bar: Option<ProgressBar>,
    epochs: usize,
    steps: u64,
    total_steps: u64,
    /// Updates that the phase had behind it at `start`: more than 0 after a resume.
    first_step: u64,
    start: Instant,
    /// When an epoch was last told.
    told: Option<Instant>,
    /// What to try if the manifold was not found.
    advice: &'static str,
    /// Where `TensorBoard` reads.
    events: Option<EventFile>,
}

/// Between two lines: hundreds of short epochs are no news.
const NEWS: Duration = Duration::from_secs(2);

const BAR: &str = "{prefix} {wide_bar} {msg}, {eta} left in this phase";

impl Watch {
    /// To the standard error.
    pub(super) fn new(advice: &'static str, events: Option<EventFile>) -> Self {
        let bar = (std::io::stderr().is_terminal() && !is_quiet()).then(|| {
            let bar = ProgressBar::new(0);
            // The template is a constant; were it wrong, the default style would do.
            ProgressStyle::with_template(BAR).map(|style| bar.set_style(style)).ok();
            bar
        });
        let start = Instant::now();
        Self {
            bar,
            epochs: 0,
            steps: 0,
            total_steps: 0,
            first_step: 0,
            start,
            told: None,
            advice,
            events,
        }
    }

    /// Updates per second in this phase, in this process.
    fn rate(&self) -> f64 {
        let done = self.steps.saturating_sub(self.first_step).max(1) as f64;
        done / self.start.elapsed().as_secs_f64().max(1e-3)
    }

    /// Time until the end of the phase at this rate.
    fn left(&self) -> Duration {
        let left = self.total_steps.saturating_sub(self.steps) as f64;
        Duration::from_secs_f64((left / self.rate()).min(1e9))
    }

    /// Take the bar away.
    pub(super) fn close(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Watch {
    fn batch(&mut self, now: Progress<'_>) {
        // Phases that take turns are one to whoever waits.
        let new_phase = now.total_steps != self.total_steps || now.steps < self.steps;
        if new_phase {
            (self.first_step, self.start) = (now.steps, Instant::now());
        }
        (self.epochs, self.steps, self.total_steps) = (now.epochs, now.steps, now.total_steps);
        if let Some(bar) = &self.bar {
            let phase = printable(now.phase);
            bar.set_prefix(format!("{phase}: epoch {}/{}", now.epoch, now.epochs));
            bar.set_message(format!("loss {:.3e}, {}", now.loss, speed(self.rate())));
            if new_phase {
                bar.set_length(now.total_steps);
                bar.set_position(now.steps);
                bar.reset_eta();
            }
            bar.set_position(now.steps);
        }
    }

    fn attempt(&mut self, attempt: &Attempt) {
        let failed = failure(attempt).map(|verdict| format!("{verdict} {}", self.advice));
        if let Some(verdict) = failed.or_else(|| unknown(attempt)) {
            let say = || message(format_args!("{verdict}"));
            match &self.bar {
                Some(bar) => bar.suspend(say),
                None => say(),
            }
        }
    }

    fn epoch(&mut self, metrics: &EpochMetrics) {
        if let Some(events) = &mut self.events
            && let Err(error) = events.epoch(metrics)
        {
            // Training is worth more than its curves.
            message(format_args!("warning: no more losses for TensorBoard: {error}"));
            self.events = None;
        }
        if self.bar.is_some() {
            return;
        }
        let EpochMetrics { phase, epoch, train_loss, validation_loss, .. } = metrics;
        let is_news = self.told.is_none_or(|told| told.elapsed() >= NEWS);
        if !is_news && *epoch < self.epochs {
            return;
        }
        self.told = Some(Instant::now());
        message(format_args!(
            "{phase}: epoch {epoch}/{}, loss {train_loss:.3e}, validation {validation_loss:.3e}, \
             {}, {} left in this phase",
            self.epochs,
            speed(self.rate()),
            in_words(self.left())
        ));
    }
}

/// `120 updates/s`, `2.5 updates/s`, `1.7 s per update`.
fn speed(rate: f64) -> String {
    match rate {
        slow if slow < 1. => format!("{:.1} s per update", 1. / slow),
        some if some < 10. => format!("{some:.1} updates/s"),
        _ => format!("{rate:.0} updates/s"),
    }
}

/// A bar over `rows` that are evaluated; hidden unless a terminal sees it.
pub(super) fn of_rows(rows: usize) -> ProgressBar {
    of(rows, "rows")
}

/// A bar over so many of something, such as `rows`; hidden unless a terminal sees it.
pub(super) fn of(count: usize, what: &str) -> ProgressBar {
    if is_quiet() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(count as u64);
    let template = format!("{{wide_bar}} {{pos}}/{{len}} {what}, {{eta}} left");
    ProgressStyle::with_template(&template).map(|style| bar.set_style(style)).ok();
    bar
}
