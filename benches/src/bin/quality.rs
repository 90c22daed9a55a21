//! mflow's side of `cargo xtask bench --quality`: an M-flow's experiment from its first update to its last
//! test row, timed, with the reconstruction error after each epoch of the manifold phase.
//!
//! `quality EXPERIMENT.toml FOLDER` needs an experiment whose first phase learns the manifold. Leaves its
//! data, `x.npy`, `context.npy`, `test.npy` and `test-context.npy`, and its resolved settings,
//! `config.toml`, in the folder, for `train_nflows.py` to do the same. Both print
//! `{"epoch", "seconds", "error"}` for each of these epochs and at last
//! `{"train", "evaluate", "error", "log_prob"}`; seconds are those so far, without the measuring of errors.
#![expect(clippy::print_stdout, reason = "results go to the standard output")]
#![allow(clippy::indexing_slicing, reason = "a benchmark that panics has failed")]

use mflow::data::io::{Array, Dtype, write_npy};
use mflow::experiment::{ExperimentConfig, test_data, training_data};
// For its allocator, which is the program's.
use candle_core::{DType, Device};
use mflow_benches as _;
use mflow_bijectors::{ParamStore, Stream};
use mflow_core::Model;
use mflow_eval::metrics::{Evaluated, reconstruction_error};
use mflow_train::{EpochMetrics, Observer, Outcome, Pool, Rows, RunDir, Trainer};
use serde_json::json;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Stops training after each epoch of the first phase, where the model is to be measured.
struct StopAfterEpoch<'a> {
    phase: &'a str,
    stop: &'a AtomicBool,
    epoch: usize,
}

impl Observer for StopAfterEpoch<'_> {
    fn epoch(&mut self, metrics: &EpochMetrics) {
        if metrics.phase == self.phase {
            self.epoch = metrics.epoch;
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(experiment), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: quality EXPERIMENT.toml FOLDER".into());
    };
    let mut config: ExperimentConfig = toml::from_str(&std::fs::read_to_string(experiment)?)?;
    config.train.resolve(&config.model)?;
    config.train.shards = 2;
    run(&config, &folder)
}

fn run(config: &ExperimentConfig, folder: &Path) -> Result<()> {
    let simulator = config.data.simulator()?;
    let (x, context) = training_data(config, simulator.as_ref())?;
    let (test, test_context) = test_data(config, simulator.as_ref())?;
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("config.toml"), toml::to_string(config)?)?;
    let (features, parameters) = (simulator.data_dim(), simulator.parameter_dim());
    for (name, values, cols) in [
        ("x.npy", &x, features),
        ("context.npy", &context, parameters),
        ("test.npy", &test, features),
        ("test-context.npy", &test_context, parameters),
    ] {
        let array = Array::matrix(values.len() / cols, cols, values, Dtype::F32)?;
        write_npy(&folder.join(name), &array)?;
    }

    let model_config = config.data.normalize.apply(config.model.clone(), &x, features, None)?;
    let dtype: DType = config.dtype.into();
    let data = Rows::new(x, features, Some((context, parameters)), dtype, &Device::Cpu)?;
    let pool = Pool::new(2)?;
    let run = RunDir::open(&folder.join("run"), false)?;
    let mut store = ParamStore::new(config.seed, dtype, &Device::Cpu);
    let stop = AtomicBool::new(false);
    let phase = &config.train.phases[0].name();
    let mut observer = StopAfterEpoch { phase, stop: &stop, epoch: 0 };
    let mut train = 0.;
    loop {
        let mut trainer = Trainer {
            model: &model_config,
            store: &mut store,
            data: &data,
            validation: None,
            config: &config.train,
            seed: config.seed,
            pool: &pool,
            run: Some(&run),
        };
        let start = Instant::now();
        let outcome = trainer.run(&mut observer, &stop)?;
        train += start.elapsed().as_secs_f64();
        if outcome == Outcome::Finished {
            break;
        }
        stop.store(false, Ordering::Relaxed);
        let model = model_config.build(&mut store, |_| false)?;
        let of = Evaluated { model: model.as_ref(), pool: &pool };
        let error = reconstruction_error(of, &test, &test_context)?.value;
        println!("{}", json!({ "epoch": observer.epoch, "seconds": train, "error": error }));
    }

    let model = model_config.build(&mut store, |_| false)?;
    let start = Instant::now();
    let (error, log_prob) = evaluate(config, model.as_ref(), &pool, (&test, &test_context))?;
    let evaluate = start.elapsed().as_secs_f64();
    let end = json!({
        "train": train, "evaluate": evaluate, "error": error, "log_prob": log_prob,
    });
    println!("{end}");
    Ok(())
}

/// Test rows projected, their exact densities, and samples: the error and the mean log-density.
fn evaluate(
    config: &ExperimentConfig,
    model: &dyn Model,
    pool: &Pool,
    (test, test_context): (&[f64], &[f64]),
) -> Result<(f64, f64)> {
    let of = Evaluated { model, pool };
    let error = reconstruction_error(of, test, test_context)?.value;
    let (x, context) = (of.tensor(test, model.signature().data_dim)?, of.context(test_context)?);
    let log_prob = of.by_rows(&x, context.as_ref(), |x, c| model.log_prob(x, c))?;
    let latent = model.sample_latent(log_prob.len(), &mut Stream::new(config.seed, "samples"))?;
    of.by_rows(&latent, context.as_ref(), |z, c| model.decode(z, c))?;
    Ok((error, log_prob.iter().sum::<f64>() / log_prob.len() as f64))
}
