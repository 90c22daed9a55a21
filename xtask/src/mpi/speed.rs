//! How fast processes train together, beside threads.

use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Programs, mpirun};
use crate::number::median;
use crate::shell;

/// Data dimension, manifold dimension and rows of a batch.
pub(super) const CASES: [[usize; 3]; 3] = [[3, 2, 1000], [3, 2, 4000], [40, 14, 1000]];
/// Each measurement is made so many times, in turns.
const ROUNDS: usize = 5;

/// What the example says; see there.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Line {
    pub(super) update: f64,
    pub(super) gradient: usize,
    messages: Vec<(usize, f64, f64)>,
}

/// One case.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) case: [usize; 3],
    /// Numbers of a gradient.
    pub(super) gradient: usize,
    /// Seconds of an update: of one thread, of one thread with half of the rows, of two threads, of two processes.
    pub(super) one: f64,
    pub(super) half: f64,
    pub(super) threads: f64,
    pub(super) ranks: f64,
    /// Of two processes.
    pub(super) gather: Cost,
    pub(super) exchange: Cost,
}

/// What a message costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Seconds of one of no length.
    pub(super) start: f64,
    /// Seconds of a number of four bytes.
    pub(super) number: f64,
}

/// All cases, measured in turns.
pub(super) fn run(programs: &Programs) -> Result<Vec<Measured>> {
    CASES.iter().map(|case| measure(programs, *case)).collect()
}

fn measure(programs: &Programs, case: [usize; 3]) -> Result<Measured> {
    let [d, n, batch] = case;
    let line = |ranks: usize, batch: usize, shards: usize, threads: usize| -> Result<Line> {
        let mut command: Command = mpirun(ranks, &programs.ranks);
        command.args([d, n, batch, shards, threads].map(|v| v.to_string()));
        // candle's own threads are not for matrices of this size.
        command.env("RAYON_NUM_THREADS", "1").env("CANDLE_NUM_THREADS", "1");
        let text = shell::read(&mut command)?;
        serde_json::from_str(text.trim()).with_context(|| format!("reading {text}"))
    };
    let mut rounds: Vec<[Line; 4]> = vec![];
    for _ in 0..ROUNDS {
        rounds.push([
            line(1, batch, 1, 1)?,
            line(1, batch / 2, 1, 1)?,
            line(1, batch, 2, 2)?,
            line(2, batch, 2, 1)?,
        ]);
    }
    let of = |which: usize| {
        median(rounds.iter().map(|round| round[which].update)).context("no measurement")
    };
    let cost = |seconds: fn(&(usize, f64, f64)) -> f64| -> Result<Cost> {
        let of = |numbers: usize| {
            let all = rounds.iter().flat_map(|round| &round[3].messages);
            median(all.filter(|m| m.0 == numbers).map(seconds)).context("no message was measured")
        };
        let [short, long] = [1, 1 << 20];
        let (start, long_seconds) = (of(short)?, of(long)?);
        Ok(Cost { start, number: (long_seconds - start).max(0.) / long as f64 })
    };
    let measured = Measured {
        case,
        gradient: rounds[0][0].gradient,
        one: of(0)?,
        half: of(1)?,
        threads: of(2)?,
        ranks: of(3)?,
        gather: cost(|m| m.1)?,
        exchange: cost(|m| m.2)?,
    };
    println!("{measured:?}");
    Ok(measured)
}

/// A network between machines, as data sheets have it.
pub(super) const NETWORK: Cost = Cost { start: 5e-6, number: 4. / 12.5e9 };

impl Measured {
    /// Seconds of an update by one process that do not depend on the rows, and of each row.
    pub(super) fn parts(&self) -> (f64, f64) {
        let rows = self.case[2] as f64;
        let row = (self.one - self.half) / (rows / 2.);
        ((self.one - row * rows).max(0.), row)
    }

    /// On paper: seconds of an update of `rows` rows by so many ranks of one core, with as many shards, and what of it is
    /// messages. An exchange has a message for each other rank, a gathering one for each doubling.
    pub(super) fn forecast(&self, ranks: f64, rows: f64, network: Option<Cost>) -> (f64, f64) {
        let (fixed, row) = self.parts();
        let (gather, exchange) = (network.unwrap_or(self.gather), network.unwrap_or(self.exchange));
        let sent = self.gradient as f64 * (ranks - 1.) / ranks;
        // Losses, whether to stop, and the sums of gradients.
        let gathered = 3. * gather.start * ranks.log2() + gather.number * sent;
        let exchanged = exchange.start * (ranks - 1.) + exchange.number * sent;
        let messages = gathered + exchanged;
        (fixed + row * rows / ranks + messages, messages)
    }
}
