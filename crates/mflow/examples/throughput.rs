//! How many rows of a table a model scores in a second, when they come in batches: `cargo xtask serve` compares a service with it.
//!
//! Its arguments are MODEL ROWS.npy SECONDS THREADS BATCH... It prints a line of JSON for each size of a batch. Batches
//! are scored on all threads side by side, each on one. Without arguments it takes a new model, for a moment.
#![expect(clippy::print_stdout, reason = "an example, whose output is its result")]
use mflow::bijectors::{ParamStore, Stream};
use mflow::core::candle::{DType, Device, Tensor};
use mflow::core::{Model, ModelConfig, load_model};
use mflow::data::io::read_npy;
use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (model, x): (Box<dyn Model>, Vec<f64>) = match &arguments[..] {
        [] => {
            let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
            let model = ModelConfig::m_flow(3, 2).build(&mut store, |_| false)?;
            (model, Stream::new(1, "rows").normal(300))
        }
        [model, rows, ..] => {
            let model = load_model(Path::new(model), None, &Device::Cpu)?.model;
            (model, read_npy(Path::new(rows))?.into_values())
        }
        _ => return Err("expected MODEL ROWS.npy SECONDS THREADS BATCH..".into()),
    };
    let toy = ["0.1", "2", "1", "100"].map(str::to_owned);
    let [seconds, threads, batches @ ..] = arguments.get(2..).unwrap_or(&toy) else {
        return Err("expected SECONDS THREADS BATCH.. behind MODEL ROWS.npy".into());
    };
    let (threads, length): (usize, f64) = (threads.parse()?, seconds.parse()?);
    let cols = model.signature().data_dim;
    for batch in batches {
        let batch: usize = batch.parse()?;
        let values = x.iter().copied().cycle().take(batch * cols).collect();
        let x = Tensor::from_vec(values, (batch, cols), &Device::Cpu)?;
        let x = x.to_dtype(model.signature().dtype)?;
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
