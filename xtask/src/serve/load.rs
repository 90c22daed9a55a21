//! Load, by `wrk`.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::hostile;
use super::service::{COLUMNS, Programs, Service};
use crate::{files, shell};

/// Rows of a question.
const BATCHES: [usize; 4] = [1, 100, 1000, 10_000];
/// Threads that compute.
const THREADS: usize = 2;
/// Connections that ask, each again when it is answered.
const CONNECTIONS: usize = 8;
/// Rows of a question while memory is watched.
const WATCHED_ROWS: usize = 100;
/// How often memory is looked at.
const WATCHED: Duration = Duration::from_secs(60);

/// Formats of bodies.
const FORMATS: [&str; 2] = ["json", "npy"];

/// Speeds with questions of so many rows.
#[derive(Debug)]
pub(super) struct Speed {
    pub(super) rows: usize,
    /// Questions a second of the library, which reads and writes none.
    pub(super) library: f64,
    /// Of the service, for each format.
    pub(super) service: [Load; FORMATS.len()],
}

/// What `wrk` measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Questions a second.
    pub(super) per_second: f64,
    /// Time to an answer, in milliseconds: the median and the 99th percentile.
    pub(super) median: f64,
    pub(super) p99: f64,
}

/// A line of the example `throughput`.
#[derive(Deserialize)]
struct Line {
    batch: usize,
    batches_per_second: f64,
}

/// The library and the service in turns.
pub(super) fn speeds(programs: &Programs, folder: &Path, seconds: u32) -> Result<Vec<Speed>> {
    let service =
        Service::start(&programs.mflow, folder, &format!("serve run --threads {THREADS}"))?;
    let mut speeds = vec![];
    for rows in BATCHES {
        let library = library(programs, folder, rows, seconds)?;
        let [json, npy] = FORMATS.map(|format| {
            let script = script(programs, folder, rows, format)?;
            load(&service, &script, Duration::from_secs(seconds.into()))
        });
        let speed = Speed { rows, library, service: [json?, npy?] };
        println!("{speed:?}");
        speeds.push(speed);
    }
    service.stop()?;
    Ok(speeds)
}

fn library(programs: &Programs, folder: &Path, rows: usize, seconds: u32) -> Result<f64> {
    let mut command = Command::new(&programs.throughput);
    command
        .current_dir(folder)
        .env("RAYON_NUM_THREADS", "1")
        .env("CANDLE_NUM_THREADS", "1")
        .args(["run/model.safetensors", "data/x.npy"])
        .args([seconds.to_string(), THREADS.to_string(), rows.to_string()]);
    let text = shell::read(&mut command)?;
    let line: Line =
        serde_json::from_str(text.trim()).with_context(|| format!("reading {text}"))?;
    ensure!(line.batch == rows, "expected batches of {rows}, found {}", line.batch);
    Ok(line.batches_per_second)
}

/// A script of wrk that asks about so many rows.
fn script(
    programs: &Programs,
    folder: &Path,
    rows: usize,
    format: &str,
) -> Result<std::path::PathBuf> {
    let name = format!("{rows}.{format}");
    let body = std::path::absolute(folder.join(&name))?;
    let media = if format == "json" { "application/json" } else { "application/x-npy" };
    // The program writes the rows in both formats: points that the model draws.
    let sample = format!("sample run -n {rows} --out {rows}.npy");
    let sample_csv = format!("sample run -n {rows} --out {rows}.csv");
    for arguments in [sample, sample_csv] {
        let mut command = Command::new(&programs.mflow);
        shell::read(command.current_dir(folder).args(arguments.split(' ')))?;
    }
    if format == "json" {
        let text = files::read(&folder.join(format!("{rows}.csv")))?;
        // With a header where columns have names.
        let lines = text.lines().filter(|line| line.split(',').all(|v| v.parse::<f64>().is_ok()));
        let lines: Vec<String> = lines.map(|line| format!("[{line}]")).collect();
        ensure!(
            lines.len() == rows,
            "expected {rows} rows of {COLUMNS} numbers, found {}",
            lines.len()
        );
        files::write(&body, format!("{{\"x\":[{}]}}", lines.join(",")).as_bytes())?;
    }
    let mut lua = String::new();
    writeln!(lua, "local file = io.open({:?}, \"rb\")", body.display().to_string())?;
    writeln!(lua, "wrk.body = file:read(\"*a\")\nwrk.method = \"POST\"")?;
    writeln!(lua, "wrk.headers[\"Content-Type\"] = \"{media}\"")?;
    // What is not answered well is counted by wrk, and fails the test.
    let path = folder.join(format!("{name}.lua"));
    files::write(&path, lua.as_bytes())?;
    Ok(path)
}

/// Load for a while, all of which must be answered well.
fn load(service: &Service, script: &Path, time: Duration) -> Result<Load> {
    let mut command = Command::new("wrk");
    command.args(["-t", "1", "-c", &CONNECTIONS.to_string(), "--latency", "--timeout", "60s"]);
    command.arg("-d").arg(format!("{}s", time.as_secs())).arg("-s").arg(script);
    command.arg(format!("http://{}/score", service.address));
    read(&shell::read(&mut command)?)
}

/// Reads what `wrk --latency` prints.
fn read(text: &str) -> Result<Load> {
    ensure!(
        !text.contains("Non-2xx") && !text.contains("Socket errors"),
        "expected good answers alone, found {text}"
    );
    let after = |name: &str| {
        let line = text.lines().map(str::trim).find_map(|line| line.strip_prefix(name));
        line.map(str::trim).with_context(|| format!("wrk does not say {name}: {text}"))
    };
    let per_second = after("Requests/sec:")?;
    Ok(Load {
        per_second: per_second.parse().with_context(|| format!("the number {per_second}"))?,
        median: milliseconds(after("50%")?)?,
        p99: milliseconds(after("99%")?)?,
    })
}

/// `1.2ms`, `350.00us` or `1.10s`.
fn milliseconds(text: &str) -> Result<f64> {
    let units = [("us", 1e-3), ("ms", 1.), ("s", 1e3), ("m", 6e4)];
    let found = units.iter().find_map(|(unit, factor)| {
        let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
        Some(number * factor)
    });
    found.with_context(|| format!("expected a time, found {text:?}"))
}

/// A service under load for long.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) minutes: f64,
    /// Memory in MiB, minute by minute.
    pub(super) memory: Vec<f64>,
    pub(super) answers: f64,
    /// Hostile requests that were refused.
    pub(super) hostile: usize,
}

/// Loads a service, sends it hostile requests in between, and watches its memory.
pub(super) fn watch(programs: &Programs, folder: &Path, time: Duration) -> Result<Watched> {
    let service =
        Service::start(&programs.mflow, folder, &format!("serve run --threads {THREADS}"))?;
    let scripts = FORMATS.map(|format| script(programs, folder, WATCHED_ROWS, format));
    let (start, mut memory, mut refused) = (Instant::now(), vec![], 0);
    for script in scripts.iter().cycle() {
        let script = script.as_ref().map_err(|e| anyhow::anyhow!("{e:#}"))?;
        load(&service, script, WATCHED.min(time))?;
        refused += hostile::send_all(&service)?;
        memory.push(service.memory()?);
        println!("{:.0} s: {:.1} MiB", start.elapsed().as_secs_f64(), memory.last().unwrap_or(&0.));
        if start.elapsed() >= time {
            break;
        }
    }
    let answers = service.metric("mflow_requests_total{path=\"score\",status=\"2xx\"}")?;
    let failed = service.metric("mflow_requests_total{path=\"score\",status=\"5xx\"}")?;
    ensure!(failed == 0., "{failed} questions failed");
    let minutes = start.elapsed().as_secs_f64() / 60.;
    service.stop()?;
    Ok(Watched { minutes, memory, answers, hostile: refused })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Running 2s test @ http://127.0.0.1:8077/score
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.70ms    0.30ms   9.00ms   90.00%
    Req/Sec     4.70k   100.00     5.00k    70.00%
  Latency Distribution
     50%    1.66ms
     75%    1.80ms
     90%    2.00ms
     99%  850.00us
  9400 requests in 2.00s, 2.00MB read
Requests/sec:   4700.12
Transfer/sec:      1.00MB
";

    #[test]
    fn the_report_of_wrk_is_read() {
        let load = read(TEXT).expect("a report");
        assert_eq!((load.per_second, load.median, load.p99), (4700.12, 1.66, 0.85));
    }

    #[test]
    fn bad_answers_are_no_speed() {
        let text = format!("{TEXT}  Non-2xx or 3xx responses: 3\n");
        let error = read(&text).expect_err("bad answers").to_string();
        assert!(error.contains("good answers alone"), "{error}");
    }

    #[test]
    fn times_have_units() {
        for (text, expected) in
            [("1.50s", 1500.), ("2.00ms", 2.), ("10.00us", 0.01), ("1.00m", 6e4)]
        {
            assert!((milliseconds(text).expect("a time") - expected).abs() < 1e-9, "{text}");
        }
        milliseconds("3").expect_err("no unit");
    }
}
