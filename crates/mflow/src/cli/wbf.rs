//! `mflow data wbf`: events of weak-boson fusion, with what lies behind each.
use super::data::{CONTEXT, LOG_PROB};
use super::exit::{Done, Usage};
use super::output::result;
use super::threads;
use anyhow::{Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use mflow::bijectors::Stream;
use mflow::data::io::NpyWriter;
use mflow::data::wbf::{
    COORDINATES, Cuts, Event, FeatureSet, Generator, Settings, WeakBosonFusion,
};
use mflow::data::{Result as DataResult, Simulator};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// What only these events have.
#[derive(Debug, Args)]
#[command(next_help_heading = "For wbf and wbf-48")]
pub(super) struct Options {
    /// Also write what lies behind each row, one file for each
    ///
    /// coordinates.npy [n, 14]: ln pT, eta and phi of two photons, ln pT, eta, phi and ln m of two jets. flavours.npy [n, 4]:
    /// PDG numbers of the partons that come in and go out. momenta.npy [n, 24]: E, px, py, pz of these partons and of the two
    /// photons, before they are measured, in GeV. coefficients.npy [n, 6]: the squared amplitude in 1/GeV^2 as a polynomial,
    /// its terms 1, t1, t2, t1^2, t1 t2, t2^2. weights.npy [n]: 1, or more for the few events beyond the largest weight that
    /// unweighting allows for.
    #[arg(long)]
    events: bool,
    /// Least invariant mass of the two jets, in GeV [default: 0]
    #[arg(long, value_name = "GEV", allow_negative_numbers = true)]
    min_jets_mass: Option<f64>,
    /// Least difference between the pseudorapidities of the two jets [default: 0]
    #[arg(long, value_name = "ETA", allow_negative_numbers = true)]
    min_delta_eta: Option<f64>,
}

impl Options {
    /// Refuse them for another simulator.
    pub(super) fn check_unused(&self, name: &str) -> Result<()> {
        let given = [
            ("--events", self.events),
            ("--min-jets-mass", self.min_jets_mass.is_some()),
            ("--min-delta-eta", self.min_delta_eta.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((option, _)) => bail!(Usage(format!(
                "{option} is for wbf and wbf-48, the simulators of collisions; leave it out for {name}"
            ))),
            None => Ok(()),
        }
    }

    /// The simulator of this name, if it is one of these.
    pub(super) fn simulator(&self, name: &str) -> Result<Option<WeakBosonFusion>> {
        let features = match name {
            WeakBosonFusion::NAME => FeatureSet::Smooth,
            WeakBosonFusion::NAME_WITH_AZIMUTHS => FeatureSet::WithAzimuths,
            _ => return Ok(None),
        };
        let least = |option: &str, value: Option<f64>| match value.unwrap_or(0.) {
            value if (0. ..f64::INFINITY).contains(&value) => Ok(value),
            value => Err(Usage(format!("{option}: expected a number from 0, found {value}"))),
        };
        let cuts = Cuts {
            jets_mass: least("--min-jets-mass", self.min_jets_mass)?,
            jets_delta_eta: least("--min-delta-eta", self.min_delta_eta)?,
            ..Cuts::default()
        };
        let settings = Settings { cuts, ..Settings::default() };
        Ok(Some(WeakBosonFusion::new(features, settings)))
    }
}

/// What all data have.
pub(super) struct Wanted<'a> {
    pub(super) rows: usize,
    /// The parameters of all events; none for draws from the prior.
    pub(super) at: &'a [f64],
    pub(super) seed: u64,
    pub(super) log_prob: bool,
    pub(super) threads: super::options::Threads,
    pub(super) out: &'a Path,
}

/// Events that are in memory at a time.
const AT_ONCE: usize = 64 * Generator::ROWS;

#[expect(clippy::indexing_slicing, reason = "two parameters for each row")]
pub(super) fn run(
    simulator: &WeakBosonFusion,
    options: &Options,
    wanted: &Wanted<'_>,
) -> Result<Done> {
    let Wanted { rows, out, .. } = *wanted;
    let pool = threads::pool(wanted.threads)?;
    let stream = &mut Stream::new(wanted.seed, "data");
    let parameters = match wanted.at {
        [] => simulator.sample_prior(rows, stream),
        at => at.repeat(rows),
    };
    let generator = pool.install(|| simulator.generator());
    if !wanted.at.is_empty() {
        // Parameters that are none are refused before there are files.
        simulator.sample(1, wanted.at, &mut Stream::new(0, "check"))?;
    }
    let theta = |row: usize| [parameters[2 * row], parameters[2 * row + 1]];
    mflow::core::create_folder(out)?;
    let mut files = Files::create(simulator, options, wanted)?;
    let key = Generator::key(stream);
    let bar = bar(rows);
    for start in (0..rows).step_by(AT_ONCE) {
        let end = (start + AT_ONCE).min(rows);
        let events = pool.install(|| generator.events_of(key, start..end, theta));
        pool.install(|| files.write(simulator, &events, &parameters[2 * start..2 * end]))?;
        if let Some(bar) = &bar {
            bar.set_position(end as u64);
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    files.finish()?;
    keep_features(simulator, out)?;
    let (rate, error) = generator.selected().at([0., 0.]);
    let line = "cross section after cuts, without operators and decay";
    result(format_args!("{line}: {rate:.3} +- {error:.3} pb"))?;
    Ok(Done::Finished)
}

/// Progress, on a terminal.
fn bar(rows: usize) -> Option<ProgressBar> {
    std::io::stderr().is_terminal().then(|| {
        let bar = ProgressBar::new(rows as u64);
        // The template is a constant; were it wrong, the default style would do.
        let style = ProgressStyle::with_template("events {wide_bar} {pos}/{len}, {eta} left");
        style.map(|style| bar.set_style(style)).ok();
        bar
    })
}

/// The files of `--events`.
const BEHIND: [&str; 5] =
    ["coordinates.npy", "flavours.npy", "momenta.npy", "coefficients.npy", "weights.npy"];

/// What a file has of some events at their parameters, row after row.
type Rows = fn(&WeakBosonFusion, &[Event], &[f64]) -> DataResult<Vec<f64>>;

/// The numbers of each event.
fn each<N: IntoIterator<Item = f64>>(
    events: &[Event],
    numbers: impl Fn(&Event) -> N,
) -> DataResult<Vec<f64>> {
    Ok(events.iter().flat_map(numbers).collect())
}

fn features(of: &WeakBosonFusion, events: &[Event], _: &[f64]) -> DataResult<Vec<f64>> {
    each(events, |e| of.embed(&e.coordinates))
}

fn scores(of: &WeakBosonFusion, events: &[Event], parameters: &[f64]) -> DataResult<Vec<f64>> {
    let rows = events.iter().zip(parameters.as_chunks().0);
    Ok(rows.flat_map(|(event, theta)| of.joint_score(event, *theta)).collect())
}

/// The files, each with a row for each event.
struct Files(Vec<(PathBuf, NpyWriter, Rows, Vec<usize>)>);

impl Files {
    fn create(
        simulator: &WeakBosonFusion,
        options: &Options,
        &Wanted { rows, out, log_prob, .. }: &Wanted<'_>,
    ) -> Result<Self> {
        let mut all: Vec<(&str, Option<usize>, Rows)> = vec![
            ("x.npy", Some(simulator.data_dim()), features),
            (CONTEXT, Some(2), |_, _, parameters| Ok(parameters.to_vec())),
            ("scores.npy", Some(2), scores),
        ];
        if log_prob {
            all.push((LOG_PROB, None, |of, events, parameters| {
                of.log_prob(&features(of, events, parameters)?, parameters)
            }));
        }
        if options.events {
            let behind: [(Option<usize>, Rows); 5] = [
                (Some(COORDINATES), |_, events, _| each(events, |e| e.coordinates)),
                (Some(4), |_, events, _| {
                    each(events, |e| {
                        let partons = [e.flavours.incoming, e.flavours.outgoing()].concat();
                        partons.into_iter().map(|parton| f64::from(parton.pdg()))
                    })
                }),
                (Some(24), |_, events, _| {
                    each(events, |e| {
                        let all = [e.incoming, e.outgoing, e.photons].concat();
                        all.into_iter().flat_map(|p| [p.e, p.x, p.y, p.z])
                    })
                }),
                (Some(6), |_, events, _| each(events, |e| e.squared_amplitude.0)),
                (None, |_, events, _| each(events, |e| [e.weight])),
            ];
            let named = BEHIND.into_iter().zip(behind);
            all.extend(named.map(|(name, (cols, rows))| (name, cols, rows)));
        }
        let written: Vec<&str> = all.iter().map(|(name, ..)| *name).collect();
        let stale = [LOG_PROB]
            .into_iter()
            .chain(BEHIND)
            .find(|name| !written.contains(name) && out.join(name).exists());
        if let Some(name) = stale {
            bail!(Usage(format!(
                "{}: there is a file of other data, which would not fit these events; remove it or choose another --out",
                out.join(name).display()
            )));
        }
        let open = |(name, cols, of): (&str, Option<usize>, Rows)| {
            let path = out.join(name);
            let writer = NpyWriter::create(&path, rows, cols)?;
            let shape = std::iter::once(rows).chain(cols).collect();
            Ok((path, writer, of, shape))
        };
        Ok(Self(all.into_iter().map(open).collect::<Result<_>>()?))
    }

    fn write(
        &mut self,
        simulator: &WeakBosonFusion,
        events: &[Event],
        parameters: &[f64],
    ) -> Result<()> {
        for (_, writer, rows, _) in &mut self.0 {
            writer.write(&rows(simulator, events, parameters)?)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        for (path, writer, _, shape) in self.0 {
            writer.finish()?;
            result(format_args!("{}: {shape:?}", path.display()))?;
        }
        Ok(())
    }
}

/// Write the names of the features, and what they were standardised with.
fn keep_features(simulator: &WeakBosonFusion, out: &Path) -> Result<()> {
    let features = simulator.features();
    let [means, scales] = features.standardization();
    let rows: Vec<serde_json::Value> = features
        .names()
        .into_iter()
        .zip(means.into_iter().zip(scales))
        .map(|(name, (mean, scale))| serde_json::json!({ "name": name, "mean": mean, "scale": scale }))
        .collect();
    let path = out.join("features.json");
    let text = serde_json::to_string_pretty(&rows)?;
    mflow::core::write_atomically(&path, |file| writeln!(file, "{text}"))?;
    result(format_args!("{}: mean and scale of each feature, GeV", path.display()))
}
