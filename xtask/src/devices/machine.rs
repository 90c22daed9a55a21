//! What the machine is, and how fast it multiplies and copies.

use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use super::cases::Preset;
use super::child::run_until;
use super::programs::Programs;
use super::record::{Book, Ceilings, Machine, Record};
use crate::bench::{self, worker::Worker};
use crate::number;

/// Writes down the machine, and measures its ceilings.
pub(super) fn run(
    programs: &Programs,
    device: &str,
    preset: Preset,
    until: Instant,
    book: &mut Book,
) -> Result<()> {
    let read = |command: &mut Command| match run_until(command, until) {
        Ok(ended) if ended.is_success() => ended.output,
        Ok(ended) => format!("{}: {}{}", ended.end(), ended.output, ended.complaints),
        Err(error) => format!("{error:#}"),
    };
    let query = "--query-gpu=name,driver_version,memory.total";
    let list = run_until(Command::new("nvidia-smi").args([query, "--format=csv,noheader"]), until);
    let list = list.ok().filter(|ended| ended.is_success()).map(|ended| ended.output);
    let machine = Machine {
        gpus: list.unwrap_or_default().lines().map(|line| line.trim().to_owned()).collect(),
        smi: read(&mut Command::new("nvidia-smi")),
        info: read(Command::new(&programs.mflow).arg("info")),
    };
    println!("{}\n{}", machine.gpus.join("\n"), machine.info);
    book.write(&Record::Machine(machine))?;

    // Enough work that nothing but the work counts.
    let size = match preset {
        Preset::Full => 4096,
        Preset::Toy => 512,
    };
    let mut worker = Worker::start("ceilings", &mut bench::without_own_threads(&programs.worker))?;
    worker.set_deadline(until);
    let rates = worker.ceilings(device, size)?;
    println!(
        "{device}: {} TFLOP/s in f32 products of {size}, {} GB/s in copies",
        number::short(rates.flops / 1e12),
        number::short(rates.bytes / 1e9),
    );
    let (flops, bytes) = (rates.flops, rates.bytes);
    book.write(&Record::Ceilings(Ceilings { size, flops, bytes }))
}
