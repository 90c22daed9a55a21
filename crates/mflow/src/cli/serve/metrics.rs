//! What a service has done, as Prometheus reads it.
use super::task::Task;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper ends of the times that are counted together, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 5., 30.];

/// Classes of statuses: 2xx, 4xx and 5xx.
const CLASSES: [&str; 3] = ["2xx", "4xx", "5xx"];

/// Counts since the start.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    tasks: [OfTask; Task::ALL.len()],
    /// Requests of other paths, by class.
    others: [AtomicU64; CLASSES.len()],
    /// Rows of answers with a value that is not finite.
    pub(super) non_finite_rows: AtomicU64,
    /// Questions that are being read, computed or that wait.
    pub(super) in_flight: AtomicU64,
    pub(super) connections: AtomicU64,
}

#[derive(Debug, Default)]
struct OfTask {
    answers: [AtomicU64; CLASSES.len()],
    rows: AtomicU64,
    /// Answers by time, those that took longer than the last one of `SECONDS` at the end.
    times: [AtomicU64; SECONDS.len() + 1],
    microseconds: AtomicU64,
}

impl Metrics {
    /// A request of a path is over.
    pub(super) fn count(&self, task: Option<Task>, status: u16, took: Duration) {
        let class = match status {
            0..400 => 0,
            400..500 => 1,
            _ => 2,
        };
        let Some(task) = task.and_then(|task| self.of(task)) else {
            if let Some(count) = self.others.get(class) {
                count.fetch_add(1, Relaxed);
            }
            return;
        };
        if let Some(count) = task.answers.get(class) {
            count.fetch_add(1, Relaxed);
        }
        let seconds = took.as_secs_f64();
        let place = SECONDS.iter().position(|&end| seconds <= end).unwrap_or(SECONDS.len());
        if let Some(count) = task.times.get(place) {
            count.fetch_add(1, Relaxed);
        }
        task.microseconds.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// These rows were answered.
    pub(super) fn count_rows(&self, task: Task, rows: usize, non_finite: usize) {
        if let Some(of) = self.of(task) {
            of.rows.fetch_add(rows as u64, Relaxed);
        }
        self.non_finite_rows.fetch_add(non_finite as u64, Relaxed);
    }

    fn of(&self, task: Task) -> Option<&OfTask> {
        Task::ALL.iter().zip(&self.tasks).find(|(of, _)| **of == task).map(|(_, counts)| counts)
    }

    /// All of it, in the text format of Prometheus.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        self.write(&mut text).ok();
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let tasks = || Task::ALL.iter().map(|task| task.name()).zip(&self.tasks);
        heading(text, "mflow_requests_total", "counter", "Requests by path and class of status")?;
        let others = std::iter::once(("other", &self.others));
        for (path, counts) in tasks().map(|(path, of)| (path, &of.answers)).chain(others) {
            for (class, count) in CLASSES.iter().zip(counts) {
                let count = count.load(Relaxed);
                writeln!(
                    text,
                    "mflow_requests_total{{path=\"{path}\",status=\"{class}\"}} {count}"
                )?;
            }
        }
        heading(text, "mflow_rows_total", "counter", "Rows of answers")?;
        for (path, of) in tasks() {
            writeln!(text, "mflow_rows_total{{path=\"{path}\"}} {}", of.rows.load(Relaxed))?;
        }
        heading(text, "mflow_request_seconds", "histogram", "Time from a request to its answer")?;
        for (path, of) in tasks() {
            let mut sum = 0;
            let ends = SECONDS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
            for (end, count) in ends.zip(&of.times) {
                sum += count.load(Relaxed);
                writeln!(
                    text,
                    "mflow_request_seconds_bucket{{path=\"{path}\",le=\"{end}\"}} {sum}"
                )?;
            }
            let seconds = Duration::from_micros(of.microseconds.load(Relaxed)).as_secs_f64();
            writeln!(text, "mflow_request_seconds_sum{{path=\"{path}\"}} {seconds}")?;
            writeln!(text, "mflow_request_seconds_count{{path=\"{path}\"}} {sum}")?;
        }
        let mut plain = |name, kind, help, value: u64| {
            heading(text, name, kind, help)?;
            writeln!(text, "{name} {value}")
        };
        plain(
            "mflow_non_finite_rows_total",
            "counter",
            "Rows of answers with a value that is not finite",
            self.non_finite_rows.load(Relaxed),
        )?;
        plain(
            "mflow_requests_in_flight",
            "gauge",
            "Requests that are not answered yet",
            self.in_flight.load(Relaxed),
        )?;
        plain("mflow_connections", "gauge", "Open connections", self.connections.load(Relaxed))?;
        if let Some(bytes) = resident_bytes() {
            let help = "Memory of the process";
            plain("process_resident_memory_bytes", "gauge", help, bytes)?;
        }
        Ok(())
    }
}

fn heading(text: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

/// What this process has in memory, where the system tells.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Counts up while it lives.
pub(super) struct Counted<'a>(&'a AtomicU64);

impl<'a> Counted<'a> {
    pub(super) fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_add_up() {
        let metrics = Metrics::default();
        for (milliseconds, status) in [(1, 200), (3, 200), (40_000, 503), (4, 404)] {
            metrics.count(Some(Task::Encode), status, Duration::from_millis(milliseconds));
        }
        metrics.count(None, 200, Duration::ZERO);
        metrics.count_rows(Task::Encode, 7, 2);
        let text = metrics.text();
        for line in [
            "mflow_requests_total{path=\"encode\",status=\"2xx\"} 2",
            "mflow_requests_total{path=\"encode\",status=\"4xx\"} 1",
            "mflow_requests_total{path=\"encode\",status=\"5xx\"} 1",
            "mflow_requests_total{path=\"other\",status=\"2xx\"} 1",
            "mflow_request_seconds_bucket{path=\"encode\",le=\"0.001\"} 1",
            "mflow_request_seconds_bucket{path=\"encode\",le=\"0.005\"} 3",
            "mflow_request_seconds_bucket{path=\"encode\",le=\"30\"} 3",
            "mflow_request_seconds_bucket{path=\"encode\",le=\"+Inf\"} 4",
            "mflow_request_seconds_sum{path=\"encode\"} 40.008",
            "mflow_rows_total{path=\"encode\"} 7",
            "mflow_non_finite_rows_total 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }
}
