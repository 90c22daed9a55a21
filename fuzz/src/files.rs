//! Files that hold models, generators and runs.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use mflow::Finished;
use mflow::bijectors::{ParamStore, SplineFlowConfig};
use mflow::core::candle::{DType, Device};
use mflow::core::{Embedding, Generator, ModelConfig, load_model, read_tensors, save_model};
use mflow::train::{
    Identity, Loss, Phase, Pool, Rows, RunDir, Silent, TrainConfig, Trainer, WeightedLoss,
    read_attempts, read_metrics,
};

use crate::configs::points;
use crate::{check, scratch};

/// What parts of one input are divided by: no text of a config has it.
pub(crate) const BETWEEN: &[u8] = b"\0--\0";
/// Columns of models that are asked, at most.
const MOST: usize = 64;

/// Parts of an input; the last one is what is left.
fn parts<const N: usize>(bytes: &[u8]) -> [&[u8]; N] {
    let mut rest = bytes;
    std::array::from_fn(|i| {
        let at = rest.windows(BETWEEN.len()).position(|window| window == BETWEEN);
        let (part, next) = match at {
            Some(at) if i + 1 < N => (&rest[..at], &rest[at + BETWEEN.len()..]),
            _ => (rest, &[][..]),
        };
        rest = next;
        part
    })
}

/// Model files: what is loaded is the same after it was saved, and is asked about two rows.
pub fn model(bytes: &[u8]) {
    let path = scratch::file("x.safetensors", bytes);
    if let Err(error) = read_tensors(&path) {
        check::error(&error, "x.safetensors");
    }
    let loaded = match load_model(&path, None, &Device::Cpu) {
        Ok(loaded) => loaded,
        Err(error) => return check::error(&error, "x.safetensors"),
    };
    let again = scratch::folder().join("again.safetensors");
    save_model(&again, &loaded.card, &loaded.store).expect("a model that was loaded is saved");
    let same = load_model(&again, None, &Device::Cpu).expect("a model that was saved is loaded");
    let text = |card: &mflow::core::ModelCard| format!("{card:?}");
    assert_eq!(text(&same.card), text(&loaded.card), "what the file says");
    let signature = loaded.model.signature();
    if signature.data_dim > MOST {
        return;
    }
    let dtype = signature.dtype;
    let of = |columns| points(&[2, columns]).and_then(|x| x.to_dtype(dtype).ok());
    let context = signature.context_dim.filter(|c| *c <= MOST).and_then(of);
    if let (Some(x), Some(u)) = (of(signature.data_dim), of(signature.latent_dim())) {
        let _ = (
            loaded.model.log_prob(&x, context.as_ref()),
            loaded.model.decode(&u, context.as_ref()),
        );
    }
}

/// Generators: a TOML file, and behind it the weights.
pub fn generator(bytes: &[u8]) {
    let [text, weights] = parts(bytes);
    let path = scratch::file("generator.toml", text);
    scratch::file("weights.safetensors", weights);
    // What the fuzzer calls its weights is read as well, and may be anything in that folder.
    let built = match Generator::load(&path, DType::F64, &Device::Cpu) {
        Ok(built) => built,
        Err(error) => {
            let text = error.to_string();
            return check::printable(&text);
        }
    };
    if built.free_inputs() > MOST || built.data_dim() > 1 << 14 {
        return;
    }
    if let Some(u) = points(&[2, built.free_inputs()]) {
        let data = built.forward(&u);
        assert!(data.is_ok_and(|data| data.dims() == [2, built.data_dim()]), "two rows of data");
    }
}

/// The folder of a run that is done: `config.toml`, `result.json` or `held_out.json`, `metrics.jsonl`, `attempts.json`.
pub fn run_folder(bytes: &[u8]) {
    let [config, result, metrics, attempts] = parts(bytes);
    let folder = scratch::folder().join("run");
    std::fs::create_dir_all(&folder).expect("a folder in the temporary folder");
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.join(name), bytes).expect("a file in the temporary folder");
    };
    write("config.toml", config);
    write("result.json", result);
    write("held_out.json", result);
    write("metrics.jsonl", metrics);
    write("attempts.json", attempts);
    write("model.safetensors", crate::seeds::small_model());
    write("points.npy", crate::seeds::small_points());
    let named = |error: &(dyn std::error::Error + 'static)| check::error(error, "run");
    let read = [read_metrics(&folder).map(drop), read_attempts(&folder).map(drop)];
    read.iter().filter_map(|result| result.as_ref().err()).for_each(|error| named(error));
    match Finished::load(&folder, &Device::Cpu) {
        Ok(run) => {
            let _ = (run.title(), run.name());
            let _ =
                (run.seed(), run.model_config().name(), run.metrics().len(), run.attempts().len());
        }
        Err(error) => named(&error),
    }
}

/// A model of two columns and a schedule of three updates.
pub(crate) fn toy() -> (ModelConfig, TrainConfig, Rows) {
    let mut flow = SplineFlowConfig::default();
    (flow.layers, flow.bins, flow.hidden, flow.blocks) = (1, 3, 4, 1);
    let model = ModelConfig::m_flow(2, 1).with_outer(flow.clone()).with_inner(flow);
    let losses = vec![WeightedLoss { loss: Loss::coordinate_likelihood(), weight: 1. }];
    let mut phase = Phase::new("density", &["inner"], losses, 2);
    phase.batch_size = 6;
    let mut train = TrainConfig::new(vec![phase]);
    train.shards = 1;
    let values = (0..24).map(|i| (f64::from(i) * 0.7).sin()).collect();
    let rows = Rows::new(values, 2, None, DType::F64, &Device::Cpu).expect("rows");
    (model, train, rows)
}

/// Trains the toy in a folder, or goes on with it.
pub(crate) fn train(
    folder: &Path,
    resume: bool,
    stop: &AtomicBool,
) -> mflow::train::Result<mflow::train::Outcome> {
    let (model, config, data) = toy();
    let mut store = ParamStore::new(1, DType::F64, &Device::Cpu);
    let run = RunDir::open(folder, resume)?;
    let pool = Pool::new(1)?;
    let (data, validation) = (&data, None);
    let mut trainer = Trainer {
        model: &model,
        store: &mut store,
        data,
        validation,
        config: &config,
        seed: 1,
        pool: &pool,
        run: Some(&run),
    };
    trainer.run(&mut Silent, stop)
}

/// The folder of a run that was interrupted: `run.json`, `metrics.jsonl`, `attempts.json` and the checkpoint.
pub fn resumed(bytes: &[u8]) {
    let [identity, metrics, attempts, checkpoint] = parts(bytes);
    let folder = scratch::folder().join("resumed");
    std::fs::remove_dir_all(&folder).ok();
    std::fs::create_dir_all(&folder).expect("a folder in the temporary folder");
    let files = [
        ("run.json", identity),
        ("metrics.jsonl", metrics),
        ("attempts.json", attempts),
        ("checkpoint.safetensors", checkpoint),
    ];
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).expect("a file in the temporary folder");
    }
    if let Ok(text) = std::str::from_utf8(identity)
        && let Ok(found) = serde_json::from_str::<Identity>(text)
    {
        let run = RunDir::open(&folder, true).expect("a folder that is ours");
        run.identify(&found).expect("a run is the one that it is");
    }
    if let Err(error) = train(&folder, true, &AtomicBool::new(false)) {
        check::printable(&error.to_string());
    }
}
