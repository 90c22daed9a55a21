//! How many rows of a table a model scores in a second, when they come in batches: `cargo xtask serve` compares a service with it.
//!
//! Its arguments are MODEL ROWS.npy SECONDS THREADS BATCH... It prints a line of JSON for each size of a batch. Batches
//! are scored on all threads side by side, each on one.
#![expect(clippy::print_stdout, reason = "an example, whose output is its result")]
use mflow::core::candle::{Device, Tensor};
use mflow::core::load_model;
use mflow::data::io::read_npy;
use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, rows, seconds, threads, batches @ ..] = &arguments[..] else {
        return Err("expected MODEL ROWS.npy SECONDS THREADS BATCH..".into());
    };
    let model = load_model(Path::new(model), None, &Device::Cpu)?.model;
    let table = read_npy(Path::new(rows))?;
    let (threads, length): (usize, f64) = (threads.parse()?, seconds.parse()?);
    for batch in batches {
        let batch: usize = batch.parse()?;
        let shape = (batch, table.cols());
        let values = table.values().iter().copied().cycle().take(batch * table.cols()).collect();
        let x = Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(model.signature().dtype)?;
        // What `mflow score` and /score compute.
        let score = || -> Result<(), mflow::core::Error> {
            model.log_prob(&x, None)?;
            model.reconstruction_error(&x, None)?;
            model.encode(&x, None)?;
            Ok(())
        };
        score()?;
        let (start, done) = (Instant::now(), AtomicU64::new(0));
        let until = start + Duration::from_secs_f64(length);
        let work = || -> Result<(), mflow::core::Error> {
            while Instant::now() < until {
                score()?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            all.into_iter().try_for_each(|thread| {
                thread.join().map_err(|_| "a thread failed")?.map_err(|e| e.to_string())
            })
        })?;
        #[expect(clippy::cast_precision_loss, reason = "a count")]
        let per_second = done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
        println!(
            "{{\"batch\":{batch},\"threads\":{threads},\"batches_per_second\":{per_second:e}}}"
        );
    }
    Ok(())
}
