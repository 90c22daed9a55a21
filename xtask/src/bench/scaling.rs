//! `cargo xtask bench --scaling`: how time and memory grow with the sizes of a model, with figures.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::compare::Cases;
use super::worker::Worker;
use crate::provenance::Provenance;
use crate::table::Table;
use crate::{files, number};

const AXES: &str = "xtask/compare/scaling.toml";
const PAGE: &str = "docs/results/scaling.md";

/// Threads of the two curves.
const THREADS: [usize; 2] = [1, 2];

/// Seconds that each point is repeated for.
const POINT_SECONDS: f64 = 1.0;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Axes {
    axis: Vec<Axis>,
}

/// A field that changes, and what does not.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Axis {
    name: String,
    field: String,
    label: String,
    title: String,
    values: Vec<u32>,
    set: Map<String, Value>,
}

/// One value of an axis.
#[derive(Clone, Copy, Debug)]
struct Point {
    value: f64,
    seconds: f64,
    /// Most resident memory of a process that does nothing else, where the system tells.
    bytes: Option<f64>,
}

/// Times all axes, draws them and writes the page.
pub(super) fn run() -> Result<()> {
    let axes: Axes =
        toml::from_str(&files::read(Path::new(AXES))?).with_context(|| format!("in {AXES}"))?;
    let defaults = Cases::read()?.defaults;
    let worker = super::build("worker")?;
    let curves = super::build("curves")?;
    let mut sections = Vec::new();
    for axis in &axes.axis {
        let mut all = Vec::new();
        for threads in THREADS {
            let point = |value: &u32| point(axis, &defaults, *value, threads, &worker);
            all.push(axis.values.iter().map(point).collect::<Result<Vec<_>>>()?);
        }
        let table = table(axis, &all);
        println!("\n{}\n\n{}", axis.title, table.text());
        let figure = format!("figures/scaling-{}.png", axis.name);
        draw(&curves, axis, &all, &Path::new("docs/results").join(&figure))?;
        sections.push(format!(
            "## {}\n\n![Milliseconds over the {}, logarithmic]({figure})\n\n{}\n{}\n",
            axis.title,
            axis.label,
            table.markdown(),
            growth(&all),
        ));
    }
    files::write(Path::new(PAGE), page(&sections, &Provenance::here()?).as_bytes())?;
    println!("saved in {PAGE}");
    Ok(())
}

/// A process of its own, so that its memory is that of the case.
fn point(
    axis: &Axis,
    defaults: &Map<String, Value>,
    value: u32,
    threads: usize,
    worker: &Path,
) -> Result<Point> {
    let mut case = defaults.clone();
    case.extend(axis.set.clone());
    case.insert(axis.field.clone(), value.into());
    case.insert("threads".to_owned(), threads.into());
    let mut worker = Worker::start("mflow", &mut super::without_own_threads(worker))?;
    if let Err(why) = worker.open(&Value::Object(case))? {
        anyhow::bail!("{}, {} {value}: {why}", axis.title, axis.field);
    }
    worker.time(2)?;
    let once = number::median(worker.time(3)?).context("no timings")?;
    let times = worker.time(super::turns::repetitions(POINT_SECONDS, once).max(5))?;
    let seconds = number::median(times).context("no timings")?;
    Ok(Point { value: value.into(), seconds, bytes: worker.memory()? })
}

fn table(axis: &Axis, all: &[Vec<Point>]) -> Table {
    let mut head = vec![axis.label.clone()];
    head.extend(THREADS.iter().map(|n| format!("ms, {n} thread(s)")));
    head.extend(["speed-up".to_owned(), "memory, MB".to_owned()]);
    let mut table = Table::new(head);
    for (one, two) in all[0].iter().zip(&all[1]) {
        table.push([
            one.value.to_string(),
            number::short(one.seconds * 1e3),
            number::short(two.seconds * 1e3),
            number::short(one.seconds / two.seconds),
            two.bytes.map_or("-".to_owned(), |bytes| number::short(bytes / 1e6)),
        ]);
    }
    table
}

/// The line through the first and the last point of the curve of two threads: what one more costs.
fn growth(all: &[Vec<Point>]) -> String {
    let points = &all[1];
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return String::new() };
    let slope = (last.seconds - first.seconds) / (last.value - first.value);
    let start = first.seconds - slope * first.value;
    let fit = |p: &Point| (p.seconds / (start + slope * p.value) - 1.0).abs();
    let off = points.iter().map(fit).fold(0.0, f64::max);
    format!(
        "With two threads, {} ms and {} ms for each, by the first and the last; the others are within {:.0} % \
         of this line.",
        number::short(start * 1e3),
        number::short(slope * 1e3),
        off * 100.0,
    )
}

fn draw(program: &Path, axis: &Axis, all: &[Vec<Point>], figure: &Path) -> Result<()> {
    let curve = |(threads, points): (&usize, &Vec<Point>)| {
        let points: Vec<[f64; 2]> = points.iter().map(|p| [p.value, p.seconds * 1e3]).collect();
        let name = if *threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") };
        json!({ "name": name, "points": points })
    };
    let mut series: Vec<Value> = THREADS.iter().zip(all).map(curve).collect();
    let memory: Vec<[f64; 2]> =
        all[1].iter().filter_map(|p| Some([p.value, p.bytes? / 1e6])).collect();
    if !memory.is_empty() {
        series.push(json!({ "name": "memory, MB", "points": memory }));
    }
    let figure_of = json!({
        "title": axis.title, "x_label": axis.label, "y_label": "ms, MB", "series": series,
    });
    let mut child = Command::new(program)
        .arg(figure)
        .stdin(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    if let Some(mut input) = child.stdin.take() {
        write!(input, "{figure_of}").context("handing the curves over")?;
    }
    ensure!(child.wait()?.success(), "{} was not drawn", figure.display());
    Ok(())
}

fn page(sections: &[String], provenance: &Provenance) -> String {
    let Provenance { commit, dirty, date, machine, command } = provenance;
    let commit = Provenance::commit_text(commit, *dirty);
    format!(
        "# How time and memory grow

Written by `{command}` on {date}, commit {commit}, on {machine}.

One size changes, everything else stays: conditioners of 2 residual blocks of width 100, splines of 10 bins, f32. A
step is loss, gradient, clipping and AdamW; times are medians. Memory is the most that a process was resident
with that did nothing else, with two threads, program and data included.

{}",
        sections.join("\n"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell;

    #[test]
    fn growth_is_that_of_a_line() {
        let point = |value: f64, ms: f64| Point { value, seconds: ms * 1e-3, bytes: None };
        let all = [vec![], vec![point(1.0, 3.0), point(2.0, 4.0), point(4.0, 9.0)]];
        let text = growth(&all);
        assert!(text.contains("1.0 ms and 2.0 ms") && text.contains("20 %"), "{text}");
    }

    #[test]
    fn the_axes_in_the_repository_are_read() {
        shell::enter_repository().unwrap();
        let axes: Axes = toml::from_str(&files::read(Path::new(AXES)).unwrap()).unwrap();
        for axis in axes.axis {
            assert!(axis.values.is_sorted() && axis.values.len() > 2, "{}", axis.name);
        }
    }
}
