//! Events.

use mflow_data::wbf::{Generator, Settings};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::time::Instant;

#[test]
#[ignore = "prints"]
fn explore() {
    let t = Instant::now();
    let g = Generator::new(Settings::default());
    println!("new {:?}", t.elapsed());
    println!("total {:?} {:?}", g.total().at([0.0, 0.0]), g.total().at([1.0, 0.0]));
    println!("selected {:?} excess {:e}", g.selected().at([0.0, 0.0]), g.excess());
    println!("mean {:?}", g.selected().mean());
    let rng = &mut ChaCha8Rng::seed_from_u64(3);
    for theta in [[0.0, 0.0], [1.0, 0.0], [-1.0, -1.0], [0.0, 1.0], [2.0, 2.0]] {
        let t = Instant::now();
        let mut trials = 0;
        for _ in 0..2000 {
            trials += g.draw(theta, rng).1;
        }
        println!("{theta:?}: {} trials an event, {:?}", trials as f64 / 2000.0, t.elapsed());
    }
}
