//! `mflow events`: momenta of particles in a file of an event generator.
use super::exit::{Done, Usage};
use super::output::{message, result};
use anyhow::{Context, Result, bail};
use clap::Args;
use mflow::data::io::{Array, Dtype, LheEvent, LheReader, Species, write_csv, write_npy};
use std::path::PathBuf;

/// Take momenta from a Les Houches event file
///
/// Writes momenta.npy [n, 4 K], a row for each event: E, px, py, pz of the first particle asked for, then those of the
/// next. Of several particles of a kind, the one with the largest transverse momentum comes first. Events with too
/// few are left out, and counted. Weights of the same events go to weights.csv: the column `weight`, and one for each
/// further weight, called by its id.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mflow events events.lhe.gz --particles 22,22,jet,jet --out events"
)]
pub(super) struct Options {
    /// The events: .lhe, or .lhe.gz
    events: PathBuf,
    /// Particles in the final state, separated by commas: numbers of the Particle Data Group, like 22 for a photon
    /// and -11 for a positron, or `jet`, for quarks but the top, and gluons
    #[arg(
        long,
        value_name = "KINDS",
        value_delimiter = ',',
        required = true,
        allow_hyphen_values = true
    )]
    particles: Vec<Species>,
    /// Folder for the files; it is made if there is none
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn run(options: &Options) -> Result<Done> {
    let path = options.events.display();
    let mut chosen = Chosen::default();
    let mut read = 0_u64;
    for event in LheReader::open(&options.events)? {
        let event = event?;
        read += 1;
        if let Some(momenta) = event.momenta(&options.particles) {
            chosen.push(&event, momenta).with_context(|| format!("{path}, line {}", event.line))?;
        }
    }
    let kinds: Vec<String> = options.particles.iter().map(Species::to_string).collect();
    let kinds = kinds.join(", ");
    if chosen.rows == 0 {
        bail!(Usage(format!(
            "{path}: expected events with the particles {kinds} in the final state, found none in {read} events"
        )));
    }
    let out = &options.out;
    mflow::core::create_folder(out)?;
    let write = |file: &str, cols: usize, values: &[f64], names: Option<&[String]>| -> Result<()> {
        let path = out.join(file);
        let array = Array::matrix(chosen.rows, cols, values, Dtype::F64)?;
        match names {
            Some(names) => write_csv(&path, &array.with_columns(names)?)?,
            None => write_npy(&path, &array)?,
        }
        result(format_args!("{}: [{}, {cols}]", path.display(), chosen.rows))
    };
    write("momenta.npy", 4 * options.particles.len(), &chosen.momenta, None)?;
    write("weights.csv", chosen.names.len(), &chosen.weights, Some(&chosen.names))?;
    let kept = u64::try_from(chosen.rows)?;
    if kept < read {
        message(format_args!(
            "note: {} of {read} events are left out, as they have fewer particles than {kinds}",
            read - kept
        ));
    }
    Ok(Done::Finished)
}

/// What is kept of events.
#[derive(Default)]
struct Chosen {
    rows: usize,
    momenta: Vec<f64>,
    /// Names of the weights.
    names: Vec<String>,
    weights: Vec<f64>,
}

impl Chosen {
    fn push(&mut self, event: &LheEvent, momenta: Vec<[f64; 4]>) -> Result<()> {
        let further = event.weights.iter().map(|(name, _)| name.clone());
        let names: Vec<String> = ["weight".to_owned()].into_iter().chain(further).collect();
        if self.rows == 0 {
            self.names = names;
        } else if self.names != names {
            bail!(
                "expected the weights {}, which the first event has, found {}",
                self.names.join(", "),
                names.join(", ")
            );
        }
        self.rows += 1;
        self.momenta.extend(momenta.into_iter().flatten());
        self.weights.push(event.weight);
        self.weights.extend(event.weights.iter().map(|(_, weight)| weight));
        Ok(())
    }
}
