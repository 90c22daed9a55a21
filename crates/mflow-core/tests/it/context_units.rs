//! Contexts in units of their spread. Oracle: the same model without, at contexts that were divided by hand.
use crate::kinds::{Kind, configs, small_net};
use crate::numbers::{close, device, numbers};
use mflow_bijectors::FeatureAffineConfig;
use mflow_core::candle::{DType, Tensor};
use mflow_core::{Model, ModelConfig};

const SHIFT: [f64; 2] = [300., -0.02];
const SCALE: [f64; 2] = [1000., 0.005];

fn with_units(config: ModelConfig) -> ModelConfig {
    config.with_context_normalization(FeatureAffineConfig::new(SHIFT.to_vec(), SCALE.to_vec()))
}

/// `a + s c` of every row.
fn given(context: &Tensor) -> Tensor {
    let row = |values: [f64; 2]| Tensor::new(&values, device()).unwrap();
    context.broadcast_mul(&row(SCALE)).unwrap().broadcast_add(&row(SHIFT)).unwrap()
}

#[test]
fn every_model_is_the_one_without_at_divided_contexts() {
    let mut all = configs();
    all.push(ModelConfig::ratio(3, 2).with_networks(small_net()));
    let mut tried = 0;
    for config in all.into_iter().filter(|config| config.sizes.context_dim == 2) {
        let [plain, kind] = [config.clone(), with_units(config)].map(|c| Kind::new(c, 0.6));
        let inside = plain.context(6).unwrap();
        let outside = given(&inside);
        let x = plain.data(6);
        type Call<'a> = dyn Fn(&dyn Model, &Tensor) -> mflow_core::Result<Tensor> + 'a;
        let calls: [(&str, &Call<'_>); 5] = [
            ("encode", &|m, c| m.encode(&x, Some(c))),
            ("project", &|m, c| m.project(&x, Some(c))),
            ("log_prob", &|m, c| m.log_prob(&x, Some(c))),
            ("decode", &|m, c| m.decode(&plain.latent(6), Some(c))),
            ("score", &|m, c| m.score(&x, c)),
        ];
        for (name, call) in calls {
            let what = format!("{name} of {}", kind.what);
            match (call(plain.model.as_ref(), &inside), call(kind.model.as_ref(), &outside)) {
                (Ok(expected), Ok(found)) => {
                    let mut expected = numbers(&expected);
                    if name == "score" {
                        // Along the context as it is given.
                        expected.iter_mut().enumerate().for_each(|(i, v)| *v /= SCALE[i % 2]);
                    }
                    close(&what, &numbers(&found), &expected, 1e-8);
                    tried += 1;
                }
                (Err(expected), Err(found)) => {
                    assert_eq!(found.to_string(), expected.to_string(), "{what}");
                }
                (a, b) => panic!("{what}: {a:?} and {b:?}"),
            }
        }
    }
    assert!(tried > 100, "{tried} results were compared");
}

#[test]
fn units_of_another_number_of_features_are_refused() {
    let units = FeatureAffineConfig::new(vec![0.; 3], vec![1.; 3]);
    let config = ModelConfig::af(2).with_context(2).with_context_normalization(units);
    let mut store = mflow_bijectors::ParamStore::new(1, DType::F64, device());
    let error = config.build(&mut store, |_| true).unwrap_err().to_string();
    assert!(error.contains("`context_normalization`"), "{error}");
    assert!(error.contains("must have context_dim = 2 columns, found 3"), "{error}");
}
