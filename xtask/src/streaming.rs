//! `cargo xtask streaming`: time and memory of files that need not fit in memory: docs/results/streaming.md.

mod page;
mod watched;

use std::path::Path;

use anyhow::Result;
use clap::Args;

use crate::provenance::Provenance;
use crate::{files, reproduce};

/// Where models and data are, which go when all is measured.
const FOLDER: &str = "target/streaming";
const PAGE: &str = "docs/results/streaming.md";
/// Each file has so many times the rows of the one before.
const STEP: u64 = 10;

/// Options of `cargo xtask streaming`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Rows of the largest file
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(10_000..))]
    rows: u64,
    /// Write the page
    #[arg(long)]
    save: bool,
}

/// What is measured, in this order, of a file of some rows.
const VERBS: [Verb; 3] = [
    Verb { name: "sample", command: "sample run -n ROWS --out x.npy" },
    Verb { name: "score --stream", command: "score run x.npy --stream --out scores" },
    Verb {
        name: "fit --stream, an epoch of each phase",
        command: "fit x.npy --stream --model m-flow --manifold-dim 2 --start random --epochs 2 --out fit",
    },
];

#[derive(Clone, Copy, Debug)]
struct Verb {
    name: &'static str,
    command: &'static str,
}

/// A verb and the rows of its file.
#[derive(Debug)]
struct Measured {
    verb: &'static str,
    rows: u64,
    seconds: f64,
    /// The most memory of the process, in MiB.
    memory: f64,
}

/// Measures, and writes the page.
pub(crate) fn run(options: &Options) -> Result<()> {
    let provenance = Provenance::here()?;
    let mflow = reproduce::program()?;
    let folder = Path::new(FOLDER);
    files::remove_folder(folder)?;
    std::fs::create_dir_all(folder)?;
    let first = "data polynomial-surface -n 10000 --out data";
    watched::run(&mflow, first, folder)?;
    // Its training does not matter: any weights take the same time.
    let model =
        "fit data/x.npy --model m-flow --manifold-dim 2 --start random --epochs 2 --out run";
    watched::run(&mflow, model, folder)?;
    let mut all = vec![];
    for rows in [options.rows / (STEP * STEP), options.rows / STEP, options.rows] {
        for verb in VERBS {
            let command = verb.command.replace("ROWS", &rows.to_string());
            let (seconds, memory) = watched::run(&mflow, &command, folder)?;
            let measured = Measured { verb: verb.name, rows, seconds, memory };
            println!("{measured:?}");
            all.push(measured);
        }
        for name in ["scores", "fit"] {
            files::remove_folder(&folder.join(name))?;
        }
    }
    files::remove_folder(folder)?;
    println!("\n{}", page::table(&all).text());
    match options.save {
        true => page::write(Path::new(PAGE), &all, &provenance),
        false => Ok(()),
    }
}
