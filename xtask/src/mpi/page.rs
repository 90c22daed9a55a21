//! The page about processes that train together.

use std::path::Path;

use anyhow::Result;

use super::speed::{Measured, NETWORK};
use crate::files;
use crate::number::short;
use crate::provenance::Provenance;
use crate::table::Table;

/// Ranks of the forecast.
const RANKS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

/// Writes it.
pub(super) fn write(
    path: &Path,
    checked: &[String],
    measured: &[Measured],
    provenance: &Provenance,
) -> Result<()> {
    let tables = (speeds(measured), messages(measured), forecasts(measured));
    files::write(path, page(checked, &tables, provenance).as_bytes())?;
    println!(
        "\n{}\n{}\n{}\nsaved in {}",
        tables.0.text(),
        tables.1.text(),
        tables.2.text(),
        path.display()
    );
    Ok(())
}

fn name(measured: &Measured) -> String {
    let [d, n, batch] = measured.case;
    format!("D = {d}, N = {n}, {batch} rows")
}

fn milliseconds(seconds: f64) -> String {
    short(seconds * 1e3)
}

/// Updates by threads and by processes.
fn speeds(measured: &[Measured]) -> Table {
    let mut table = Table::new([
        "update of",
        "numbers in a gradient",
        "1 thread, ms",
        "2 threads, ms",
        "2 ranks, ms",
        "ranks / threads",
    ]);
    for m in measured {
        table.push([
            name(m),
            m.gradient.to_string(),
            milliseconds(m.one),
            milliseconds(m.threads),
            milliseconds(m.ranks),
            format!("{:.2}", m.ranks / m.threads),
        ]);
    }
    table
}

/// What messages cost on this machine.
fn messages(measured: &[Measured]) -> Table {
    let mut table = Table::new(["message between 2 ranks", "start, µs", "GB/s"]);
    let all = measured.iter().flat_map(|m| [("gathering", m.gather), ("exchange", m.exchange)]);
    for (what, cost) in all.take(2) {
        table.push([what.to_owned(), short(cost.start * 1e6), short(4e-9 / cost.number)]);
    }
    table
}

/// Updates by more ranks, on paper.
fn forecasts(measured: &[Measured]) -> Table {
    let mut table = Table::new([
        "update of",
        "ranks",
        "ms, here",
        "messages, here",
        "efficiency, here",
        "ms, network",
        "messages, network",
        "efficiency, network",
        "efficiency, network, 64 times the rows",
    ]);
    for m in measured {
        let rows = m.case[2] as f64;
        let (alone, _) = m.forecast(1., rows, None);
        let (alone_wide, _) = m.forecast(1., 64. * rows, None);
        for ranks in RANKS {
            let r = ranks as f64;
            let mut row = vec![name(m), ranks.to_string()];
            for network in [None, Some(NETWORK)] {
                let (seconds, messages) = m.forecast(r, rows, network);
                row.extend([
                    milliseconds(seconds),
                    format!("{:.0} %", 100. * messages / seconds),
                    format!("{:.0} %", 100. * alone / (r * seconds)),
                ]);
            }
            let (wide, _) = m.forecast(r, 64. * rows, Some(NETWORK));
            row.push(format!("{:.0} %", 100. * alone_wide / (r * wide)));
            table.push(row);
        }
    }
    table
}

fn page(
    checked: &[String],
    (speeds, messages, forecasts): &(Table, Table, Table),
    provenance: &Provenance,
) -> String {
    let Provenance { commit, dirty, date, machine, command } = provenance;
    let commit = Provenance::commit_text(commit, *dirty);
    let checks: String = checked.iter().map(|line| format!("- {line}\n")).collect();
    let (speeds, messages, forecasts) =
        (speeds.markdown(), messages.markdown(), forecasts.markdown());
    format!(
        "# Processes that train one model together

Written by `{command}` on {date}, commit {commit}, on {machine}.

How to start them is in the [guide](../how-to/several-machines.md); how gradients are summed, in
[architecture](../architecture.md#threads-and-determinism).

## Checked

{checks}
## Measured

The manifold phase of an M-flow with default networks, in f32. One process with two threads beside two processes with one
thread each, both with two shards; medians over rounds that take turns.

{speeds}
What two processes of this machine pay for a message, through shared memory:

{messages}
## On paper

For each row of a batch an update takes some time, and some for each update, whatever its rows; both are known from updates of
whole and of half batches. Of a gradient of G numbers each rank deals out G and gathers G, if there are as many shards as
ranks. *Here* has the cost of messages of this machine; *network* is {start} µs and 12.5 GB/s, as data sheets of 100 Gb/s
networks have it, which nobody measured. A rank has one core. Efficiency is the speed-up divided by the number of ranks. None
of it knows of ranks that wait for each other because one of them is slower.

{forecasts}
The more ranks share a batch, the more of an update is messages. The last column has 64 times as many rows in each
batch. With the rows of one rank below 50, cut further than shards go, the numbers are for comparison only.
",
        start = short(NETWORK.start * 1e6),
    )
}
