//! Writes the valid inputs of all targets into `corpus`: `cargo run --profile ci -p mflow-fuzz --bin seeds`.

use mflow_fuzz::{corpus, seeds};

fn main() -> std::io::Result<()> {
    for seed in seeds::all() {
        let folder = corpus::folder().join(seed.target);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(seed.name), seed.bytes)?;
    }
    Ok(())
}
