//! Images of faces from a trained generator, as data sets whose manifold is known.
//!
//! The example `generator` of mflow converts the weights and draws the images: xtask uses no mflow crate.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::sets::Set;
use crate::shell::{self, Lock};
use crate::{files, metadata};

/// The layers of the generator.
const GENERATOR: &str = include_str!("faces/generator.toml");
/// What is said of the files, beside them.
const README: &str = include_str!("faces/README.md");
/// The entry of the package's file that has the weights.
const KEY: &str = "netG_state_dict";

/// A data set: how many inputs are free, and what it has.
struct Images {
    folder: &'static str,
    arguments: &'static str,
}

/// As many images as Brehmer & Cranmer (2020) have of 2 and of 64 dimensions; with all inputs free, as many again.
const SETS: [Images; 3] = [
    Images { folder: "n2", arguments: "--free 2 --train 10000 --test 1000 --grid 9" },
    Images { folder: "n64", arguments: "--free 64 --train 20000 --test 1000 --parameter" },
    Images { folder: "n100", arguments: "--free 100 --train 20000 --test 1000" },
];

/// Converts the weights and draws the data sets that are not there.
pub(super) fn make(set: &Set, profile: &str) -> Result<()> {
    let folder = set.folder();
    let toml = folder.join("generator.toml");
    let weights = folder.join("generator.safetensors");
    files::write(&toml, GENERATOR.as_bytes())?;
    files::write(&folder.join("README.md"), README.as_bytes())?;
    let example = example(profile)?;
    if !weights.is_file() {
        let mut convert = Command::new(&example);
        convert.arg("convert").arg(set.source()).args(["--key", KEY, "--out"]).arg(&weights);
        shell::run(&mut convert)?;
    }
    for images in &SETS {
        let out = folder.join(images.folder);
        // It is written last.
        if out.join("data.json").is_file() {
            println!("{} is there, nothing is drawn", out.display());
            continue;
        }
        shell::run(&mut sample(&example, &toml, &out, images))?;
    }
    print!("{}", describe(set, &folder));
    Ok(())
}

fn sample(example: &Path, toml: &Path, out: &Path, images: &Images) -> Command {
    let mut sample = Command::new(example);
    sample.arg("sample").arg(toml).args(images.arguments.split(' '));
    sample.args(["--average", "2,4", "--seed", "1", "--out"]).arg(out);
    sample
}

/// The program that draws, built.
fn example(profile: &str) -> Result<PathBuf> {
    let mut build = shell::cargo("build -p mflow --example generator --profile", Lock::Free);
    shell::run(build.arg(profile))?;
    let name = format!("generator{}", std::env::consts::EXE_SUFFIX);
    let target = metadata::load(Lock::Free)?.target_directory;
    // cargo has `dev` in a folder of another name.
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target.join(folder).join("examples").join(name))
}

fn describe(set: &Set, folder: &Path) -> String {
    let Set { title, licence, package, .. } = set;
    let at = folder.display();
    let names = SETS.map(|images| images.folder).join(", ");
    format!(
        "{title}\n  source   {package}\n  licence  {licence}\n  images   {at}/{{{names}}}\n  \
         about    {at}/README.md\n  \
         distance cargo run --release -p mflow --example generator -- nearest {at}/n2/generator-64.toml \
         {at}/n2/test/x64.npy\n"
    )
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;
    use crate::shell;

    #[test]
    fn data_sets_are_drawn_with_stated_seeds_into_the_target_directory() {
        for images in &SETS {
            let out = Path::new("target/data/faces").join(images.folder);
            let line =
                shell::line(&sample(Path::new("generator"), Path::new("g.toml"), &out, images));
            assert!(line.starts_with("generator sample g.toml --free "), "{line}");
            assert!(line.contains("--seed 1 --out target/data/faces/n"), "{line}");
            assert!(README.contains(&format!("`{}`", images.folder)), "{}", images.folder);
        }
    }

    #[test]
    fn what_is_printed_tells_terms_and_files() {
        let text = describe(find("faces").unwrap(), Path::new("target/data/faces"));
        for part in ["gan-face-generate 1.1.1 (pip)", "MIT", "{n2, n64, n100}", "README.md"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    /// The counts and the layers of the file, which no test has.
    #[test]
    fn the_generator_has_every_layer_of_its_weights() {
        for layer in [0, 1, 3, 4, 6, 7, 9, 10, 12] {
            assert!(GENERATOR.contains(&format!("\"main.{layer}\"")), "{layer}");
        }
        assert_eq!(GENERATOR.matches("bias = false").count(), 5, "transposed convolutions");
    }
}
