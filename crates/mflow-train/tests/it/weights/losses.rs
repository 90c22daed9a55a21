//! Losses of weighted rows and their gradients, and what negative weights do in them.
use super::{TIMES, close, on, real, repeated, with_weights};
use crate::losses::{small, store, toy};
use crate::toy::{Record, Toy, device, numbers};
use mflow_bijectors::Stream;
use mflow_core::ModelConfig;
use mflow_core::candle::Tensor;
use mflow_train::{
    Compare, Distance, Error, Guide, Loss, Pool, RowSource, Silent, SinkhornConfig, WeightedLoss,
    sinkhorn,
};
use std::sync::atomic::AtomicBool;

/// Loss, validation loss and gradient in all parameters, of an update that subtracts the gradient.
fn update(toy: &Toy) -> (f64, f64, Vec<f64>) {
    let mut store = store(toy);
    let all = |store: &mflow_bijectors::ParamStore| -> Vec<f64> {
        store.parameters().flat_map(|p| numbers(p.var.as_tensor())).collect()
    };
    let before = all(&store);
    let mut record = Record::default();
    toy.train(&mut store, None, &mut record, &AtomicBool::new(false)).unwrap();
    let gradient = before.iter().zip(all(&store)).map(|(a, b)| a - b).collect();
    (record.losses[0], record.epochs[0].validation_loss, gradient)
}

/// All losses, with models that have them.
fn cases() -> Vec<(&'static str, ModelConfig, Vec<Loss>)> {
    let m = || small(ModelConfig::m_flow(3, 2));
    let conditional = |model: ModelConfig| small(model).with_context(1);
    let smooth = Loss::Reconstruction { distance: Distance::SmoothL1 { beta: 0.3 } };
    let sink = Loss::Sinkhorn { blur: 0.5, scaling: 0.8, compare: Compare::X };
    vec![
        ("reconstruction", m(), vec![Loss::reconstruction()]),
        ("smooth L1", m(), vec![smooth]),
        ("coordinates", m(), vec![Loss::coordinate_likelihood()]),
        ("exact likelihood", m(), vec![Loss::likelihood()]),
        (
            "joint",
            conditional(ModelConfig::m_flow(3, 2)),
            vec![Loss::reconstruction(), Loss::likelihood()],
        ),
        ("latents", m(), vec![Loss::LatentNorm {}]),
        ("guided", m(), vec![Loss::Guided { by: Guide::Isomap }]),
        ("AF", conditional(ModelConfig::af(3)), vec![Loss::likelihood()]),
        ("VAE", conditional(ModelConfig::vae(3, 2)), vec![Loss::surrogate()]),
        ("RIF", small(ModelConfig::rif(3, 2)), vec![Loss::surrogate()]),
        ("score", conditional(ModelConfig::m_flow(3, 2)), vec![Loss::Score {}]),
        ("ALICES", small(ModelConfig::ratio(3, 1)), vec![Loss::Ratio {}, Loss::Score {}]),
        ("divergence", m(), vec![sink, Loss::reconstruction()]),
    ]
}

fn problem(model: ModelConfig, losses: Vec<Loss>) -> Toy {
    let weighted: Vec<WeightedLoss> =
        losses.into_iter().enumerate().map(|(i, l)| l.weighted(1.5 + i as f64)).collect();
    toy(model, weighted, 1.)
}

#[test]
fn integer_weights_are_repeated_rows_in_every_loss() {
    for (what, model, losses) in cases() {
        // These draw noise for each row, or look at where rows lie: see the next test.
        if ["VAE", "RIF", "guided"].contains(&what) {
            continue;
        }
        let toy = problem(model, losses);
        // In any unit.
        let weights: Vec<f64> = real(&TIMES).iter().map(|w| 0.3 * w).collect();
        let (loss, validation, gradient) = update(&with_weights(&toy, &weights));
        let (by_rows, validation_by_rows, expected) =
            update(&on(&toy, repeated(&toy.data, &TIMES)));
        assert!(expected.iter().any(|g| g.abs() > 1e-3), "{what}: there is a gradient");
        close(what, &[loss], &[by_rows], 1e-10);
        close(&format!("{what}, gradient"), &gradient, &expected, 1e-10);
        // A divergence compares samples of models that have moved by rounding.
        let found = (validation, validation_by_rows);
        close(&format!("{what}, validation"), &[found.0], &[found.1], 1e-8);
        let (plain, _, _) = update(&toy);
        assert!((plain - loss).abs() > 1e-4, "{what}: weights tell, {plain} and {loss}");
    }
}

#[test]
fn gradients_are_linear_in_weights() {
    let weights = [0.5, 2., 0., 1.25, 0.75, 3., 1., 0.1, 2.5, 0.6, 1.5, 0.9];
    let rest = weights.map(|w| 4. - w);
    for (what, model, losses) in cases() {
        let is_divergence = losses.iter().any(|l| matches!(l, Loss::Sinkhorn { .. }));
        if is_divergence {
            continue;
        }
        let toy = problem(model, losses);
        let of = |weights: &[f64]| {
            let (loss, _, gradient) = update(&with_weights(&toy, weights));
            let total: f64 = weights.iter().sum();
            gradient.into_iter().chain([loss]).map(|v| v * total).collect::<Vec<f64>>()
        };
        let (loss, _, gradient) = update(&toy);
        let plain: Vec<f64> = gradient.into_iter().chain([loss]).map(|v| v * 48.).collect();
        let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + b).collect::<Vec<_>>();
        let parts = (of(&weights), of(&rest));
        close(what, &sum(&parts.0, &parts.1), &plain, 1e-10);
        let share = weights.iter().sum::<f64>() / 48.;
        let gap = parts.0.iter().zip(&plain).map(|(a, b)| (a - share * b).abs()).fold(0., f64::max);
        assert!(gap > 1e-2, "{what}: weights tell");
    }
}

#[test]
fn negative_weights_have_a_sign_in_densities_and_a_size_on_manifolds() {
    let weights = [0.5, 2., -1., 1.25, 0.75, 3., 1., -0.1, 2.5, 0.6, -1.5, 0.9];
    for (what, model, losses) in cases() {
        let toy = problem(model, losses);
        let signed = matches!(what, "coordinates" | "exact likelihood" | "AF" | "score");
        let by_size = matches!(what, "reconstruction" | "smooth L1" | "latents" | "guided");
        let allowed = toy.config.allows_negative_weights();
        assert_eq!(allowed, signed || by_size || what == "joint", "{what}");
        if signed {
            let of = |weights: &[f64]| {
                let (loss, _, gradient) = update(&with_weights(&toy, weights));
                let total: f64 = weights.iter().sum();
                gradient.into_iter().chain([loss]).map(|v| v * total).collect::<Vec<f64>>()
            };
            let expected: Vec<f64> = of(&weights.map(|w| w + 2.))
                .iter()
                .zip(of(&[2.; 12]))
                .map(|(a, b)| a - b)
                .collect();
            close(what, &of(&weights), &expected, 1e-10);
        } else if by_size {
            let (loss, validation, gradient) = update(&with_weights(&toy, &weights));
            let expected = update(&with_weights(&toy, &weights.map(f64::abs)));
            close(what, &[loss, validation], &[expected.0, expected.1], 1e-12);
            close(what, &gradient, &expected.2, 1e-12);
        } else if !allowed {
            let weighted = with_weights(&toy, &weights);
            let error = weighted
                .train(&mut store(&weighted), None, &mut Silent, &AtomicBool::new(false))
                .unwrap_err();
            let loss = toy.config.phases[0].phases()[0].losses[0].loss.name();
            let expected = |found: &str| {
                format!(
                    "data do not fit the model: weights: expected none below 0, for the loss `{loss}` of the \
                     phase `all`, found {found} in row 2"
                )
            };
            let of_config = toy.config.check_weights(&weights).unwrap_err();
            assert_eq!(of_config.to_string(), expected("-1"), "{what}, before a fit");
            assert!(matches!(error, Error::Data { what: "weights", .. }), "{error:?}");
            let relative = weighted.data.weights().unwrap()[2];
            let found = format!("{relative} times the mean size");
            assert_eq!(error.to_string(), expected(&found), "{what}");
        }
    }
}

/// By hand: samples at the contexts of rows count as much as the rows.
#[test]
fn samples_with_contexts_have_the_weights_of_their_rows() {
    let model = small(ModelConfig::m_flow(3, 2)).with_context(1);
    let loss = Loss::Sinkhorn { blur: 0.5, scaling: 0.8, compare: Compare::XAndContext };
    let toy = with_weights(&toy(model, vec![loss.weighted(2.)], 0.), &real(&TIMES));
    let (found, _, _) = update(&toy);
    let built = toy.model.build(&mut store(&toy), |_| false).unwrap();
    let order = Stream::new(toy.seed, "shuffle phase 0 epoch 0").permutation(12);
    let batch = toy.data.gather(&order).unwrap();
    let mut stream = Stream::new(toy.seed, "samples phase 0 step 0");
    let latent = built.sample_latent(12, &mut stream).unwrap();
    let context = batch.context.as_ref().unwrap();
    let samples = built.decode(&latent, Some(context)).unwrap();
    let with = |t: &Tensor| {
        let t = Tensor::cat(&[t, context], 1).unwrap();
        let rows = t.to_vec2::<f64>().unwrap().into_iter().zip(&order);
        let rows: Vec<f64> =
            rows.flat_map(|(row, i)| std::iter::repeat_n(row, TIMES[*i]).flatten()).collect();
        Tensor::from_vec(rows, (12, 4), device()).unwrap()
    };
    let (x, y, pool) = (with(&samples), with(&batch.x), Pool::new(1).unwrap());
    let expected = sinkhorn(&SinkhornConfig::new(0.5, 0.8), &x, &y, &pool).unwrap().value;
    close("divergence", &[found], &[2. * expected], 1e-10);
}
