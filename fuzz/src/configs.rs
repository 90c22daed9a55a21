//! Configs: what they say is read, written and read again; what is small is built and asked.

use mflow::bijectors::{BijectorConfig, Direction, Domain, ParamStore};
use mflow::core::ModelConfig;
use mflow::core::candle::{DType, Device, Tensor};
use mflow::experiment::ExperimentConfig;
use mflow::fit::FitConfig;
use mflow::train::TrainConfig;
use mflow::{Setting, with_settings};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{check, scratch};

/// Whole numbers of configs that are built, at most: a fuzzer is to try much, and not to compute.
const MOST: u64 = 12;
/// Numbers, texts and lists of configs that are built, at most.
const MOST_PARTS: usize = 300;

/// A config from JSON or TOML, the same after it was written and read again.
fn parsed<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.trim_start().starts_with('{') {
        return again(
            text,
            |text| serde_json::from_str(text).ok(),
            |config| serde_json::to_string(config).ok(),
        );
    }
    again(text, |text| toml::from_str(text).ok(), |config| toml::to_string(config).ok())
}

fn again<T>(
    text: &str,
    read: impl Fn(&str) -> Option<T>,
    write: impl Fn(&T) -> Option<String>,
) -> Option<T> {
    let config = read(text)?;
    // JSON has no NaN, TOML no number above that of an i64: what cannot be written is no file that we leave.
    if let Some(written) = write(&config)
        && let Some(read) = read(&written)
    {
        assert_eq!(write(&read).as_ref(), Some(&written), "a config that was written and read");
    }
    Some(config)
}

/// Whether a config is built at all.
fn is_small(config: &impl Serialize) -> bool {
    fn parts(value: &Value) -> Option<usize> {
        match value {
            Value::Number(number) => {
                number.as_u64().is_none_or(|number| number <= MOST).then_some(1)
            }
            Value::Array(items) => items.iter().map(parts).sum::<Option<usize>>().map(|n| n + 1),
            Value::Object(fields) => {
                fields.values().map(parts).sum::<Option<usize>>().map(|n| n + 1)
            }
            _ => Some(1),
        }
    }
    let value = serde_json::to_value(config).ok();
    value.is_some_and(|value| parts(&value).is_some_and(|parts| parts <= MOST_PARTS))
}

/// Whether all numbers are those of data in usual units: of others a density may be infinite.
fn is_usual(value: &Value) -> bool {
    match value {
        Value::Number(number) => number
            .as_f64()
            .is_some_and(|number| number == 0. || (0.05..=10.).contains(&number.abs())),
        Value::Array(items) => items.iter().all(is_usual),
        Value::Object(fields) => fields.values().all(is_usual),
        _ => true,
    }
}

/// Numbers between -1 and 1 that are not all the same.
pub(crate) fn points(shape: &[usize]) -> Option<Tensor> {
    let count: usize = shape.iter().product();
    let values: Vec<f64> = (0..count).map(|i| (i as f64 * 0.7 + 0.3).sin()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).ok()
}

fn finite(what: &str, values: &Tensor) {
    let values = values.flatten_all().and_then(|values| values.to_vec1::<f64>()).expect("numbers");
    assert!(values.iter().all(|value| value.is_finite()), "{what}: {values:?}");
}

/// Models: built, and two rows encoded, decoded and scored.
pub fn model_config(bytes: &[u8]) {
    let Some(config) = parsed::<ModelConfig>(bytes) else { return };
    let _ = (config.needs_double(), config.groups(), config.image());
    if !is_small(&config) {
        return;
    }
    let _ = (
        config.clone().place_charts(&[0., 1., 2., 4., 3., 5.]),
        config.clone().start_flat(&[0.5; 6]),
    );
    let written = serde_json::to_value(&config).unwrap_or_default();
    // Where all units of a layer are at rest the manifold has no volume, and the density is infinite; residual networks have a
    // way around.
    let decoder = written.get("decoder").and_then(|decoder| decoder.get("kind"));
    let may_be_flat = decoder.is_some_and(|kind| kind != "residual");
    let usual = is_usual(&written);
    let mut store = ParamStore::new(1, DType::F64, &Device::Cpu);
    let model = match config.build(&mut store, |_| false) {
        Ok(model) => model,
        Err(error) => return check::printable(&error.to_string()),
    };
    let signature = model.signature();
    let (Some(x), Some(u)) =
        (points(&[2, signature.data_dim]), points(&[2, signature.latent_dim()]))
    else {
        return;
    };
    let context = signature.context_dim.and_then(|c| points(&[2, c]));
    let context = context.as_ref();
    let answers = [
        ("log-density", model.log_prob(&x, context)),
        ("projection", model.project(&x, context)),
        ("latents", model.encode(&x, context)),
        ("decoded", model.decode(&u, context)),
        ("error", model.reconstruction_error(&x, context)),
    ];
    for (what, answer) in answers {
        match answer {
            Ok(values) if usual && !(may_be_flat && what == "log-density") => finite(what, &values),
            Ok(_) => {}
            Err(error) => check::printable(&error.to_string()),
        }
    }
}

/// Invertible maps: built, and two points mapped in both directions.
pub fn bijector_config(bytes: &[u8]) {
    let Some(config) = parsed::<BijectorConfig>(bytes) else { return };
    if !is_small(&config) {
        return;
    }
    let usual = serde_json::to_value(&config).is_ok_and(|value| is_usual(&value));
    let map = match ParamStore::new(1, DType::F64, &Device::Cpu).create(&config) {
        Ok(map) => map,
        Err(error) => return check::printable(&error.to_string()),
    };
    let signature = map.signature();
    let shape = |shape: &[usize]| [&[2], shape].concat();
    let context = signature.context_dim.and_then(|c| points(&[2, c]));
    let Some(latent) = points(&shape(&signature.latent_shape)) else { return };
    let Ok(there) = map.map(Direction::Forward, &latent, context.as_ref()) else { return };
    assert_eq!(
        there.value.dims(),
        shape(&signature.data_shape),
        "data of the shape that is promised"
    );
    assert_eq!(there.log_abs_det.dims(), [2], "a log-determinant for each point");
    let is_real = |domain: &Domain| matches!(domain, Domain::Any | Domain::Reals);
    if !usual || !is_real(&signature.latent_domain) || !is_real(&signature.data_domain) {
        let _ = map.map(Direction::Inverse, &there.value, context.as_ref());
        return;
    }
    finite("forward", &there.value);
    let Ok(back) = map.map(Direction::Inverse, &there.value, context.as_ref()) else { return };
    finite("inverse", &back.value);
}

/// Schedules: resolved for a model, and checked.
pub fn train_config(bytes: &[u8]) {
    let Some(mut config) = parsed::<TrainConfig>(bytes) else { return };
    let _ = config.validate();
    let model = ModelConfig::m_flow(2, 1);
    match config.resolve(&model) {
        Ok(()) => {}
        Err(error) => return check::printable(&error.to_string()),
    }
    if let Err(error) = config.validate() {
        check::printable(&error.to_string());
    }
    let _ = (config.check_weights(&[1., 0.5]), config.uses_scores());
}

/// Experiments, and fits as their folders have them.
pub fn experiment(bytes: &[u8]) {
    if let Some(config) = parsed::<ExperimentConfig>(bytes) {
        let _ = (config.title(), config.train.validate());
    }
    let _ = parsed::<FitConfig>(bytes);
}

/// Settings over a config: the lines up to the first that is blank are `--set`, what follows is a file.
pub fn settings(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (lines, file) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut all = vec![];
    for line in lines.lines().take(8) {
        all.extend(line.parse::<Setting>());
    }
    match Setting::of_file(&scratch::file("settings.toml", file.as_bytes())) {
        Ok(settings) => all.splice(0..0, settings).for_each(drop),
        Err(error) => check::error(&error, "settings.toml"),
    }
    let config = FitConfig {
        seed: 1,
        dtype: mflow::fit::DTypeName::F32,
        device: mflow::core::DeviceName::Cpu,
        model: ModelConfig::m_flow(2, 1),
        train: TrainConfig::new(vec![mflow::train::Phase::new(
            "density",
            &["inner"],
            vec![mflow::train::WeightedLoss {
                loss: mflow::train::Loss::coordinate_likelihood(),
                weight: 1.,
            }],
            2,
        )]),
    };
    let base = toml::Table::try_from(&config).expect("a config as a table");
    match with_settings::<FitConfig>(&base, &all) {
        Ok(found) if all.is_empty() => assert_eq!(found, config, "nothing was set"),
        Ok(_) => {}
        Err(error) => check::printable(&error.to_string()),
    }
}
