//! The law at the ends of the domain.
use super::super::inputs::Inputs;
use super::{Failure, Trial};
use candle_core::Tensor;
use mflow_bijectors::laws::compare::{Limit, close};
use mflow_bijectors::laws::{differs, of_feature, tensor};
use mflow_bijectors::{Domain, host};
use std::f64::consts::{PI, TAU};

/// The ends of a coordinate.
fn ends(domain: &Domain, reach: f64) -> [f64; 2] {
    match domain {
        Domain::Positive => [1e-6, reach],
        Domain::Interval { low, high } => [*low, *high],
        Domain::Angle => [-PI, PI],
        _ => [-reach, reach],
    }
}

/// With one coordinate at an end, or all: points are finite, volumes are numbers or the end of them, projections lead back, and
/// coordinates stay in their domain. An angle and one that is a turn farther are the same.
pub(super) fn edges(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let (embedding, domain) = (trial.embedding, trial.embedding.domain());
    let n = embedding.manifold_dim();
    let inner = host::values_f64(&inputs.u.narrow(0, 0, 1)?)?;
    let mut u = vec![];
    for end in 0..2 {
        let at = |i: usize| ends(of_feature(&domain, i), trial.options.reach)[end];
        for k in 0..n {
            u.extend((0..n).map(|i| if i == k { at(i) } else { inner[i] }));
        }
        u.extend((0..n).map(at));
    }
    let rows = 2 * (n + 1);
    let u = tensor(u, &[rows, n], &trial.options.device)?;
    let context = inputs.repeated(rows)?.context;
    let context = context.as_ref();
    let x = embedding.embed(&u, context)?;
    let volume = embedding.log_volume(&u, context)?;
    for (b, point) in host::values_f64(&x)?.chunks(embedding.data_dim()).enumerate() {
        let what = |of: &str| -> Result<String, Failure> {
            Ok(format!("{of} of coordinates {:?}", host::values_f64(&u.narrow(0, b, 1)?)?))
        };
        if !point.iter().all(|v| v.is_finite()) {
            return differs(what("the point")?, format!("{point:?}"), "finite numbers");
        }
        let volume = host::values_f64(&volume.narrow(0, b, 1)?)?;
        if volume.iter().any(|v| v.is_nan() || *v == f64::INFINITY) {
            // At a pole there is no volume left.
            return differs(what("log_volume")?, format!("{volume:?}"), "a number or -inf");
        }
    }
    if embedding.inverts() {
        let back = embedding.coordinates(&x, context)?;
        contained(&back, &domain)?;
        let reason = "rounding in f64 at points far out, or where a manifold ends steeply";
        let limit = Limit::new(1e4 * trial.options.tolerances.exact, reason);
        let again = embedding.embed(&back, context)?;
        close("the projection of a point at an end", &again, &x, limit)?;
    }
    turns(trial, inputs)
}

/// Coordinates lie in the domain, its border included.
fn contained(u: &Tensor, domain: &Domain) -> Result<(), Failure> {
    let n = u.dim(1)?;
    for (i, v) in host::values_f64(u)?.into_iter().enumerate() {
        let of = of_feature(domain, i % n);
        let fits = match of {
            Domain::Positive => v >= 0.,
            Domain::Interval { low, high } => (*low..=*high).contains(&v),
            Domain::Angle => v.abs() <= PI * (1. + 4. * f64::EPSILON),
            _ => v.is_finite(),
        };
        if !fits {
            let expected = format!("in {of:?}");
            return differs(format!("coordinate {}", i % n), format!("{v:?}"), expected);
        }
    }
    Ok(())
}

/// A turn of an angle changes nothing.
fn turns(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let (embedding, domain) = (trial.embedding, trial.embedding.domain());
    let (n, context) = (embedding.manifold_dim(), inputs.context.as_ref());
    let limit = Limit::new(10. * trial.options.tolerances.exact, "rounding in f64");
    for k in (0..n).filter(|k| *of_feature(&domain, *k) == Domain::Angle) {
        let turn = (0..n).map(|i| if i == k { TAU } else { 0. }).collect();
        let turned = inputs.u.broadcast_add(&tensor(turn, &[1, n], &trial.options.device)?)?;
        let what = format!("after a turn of coordinate {k}");
        let (a, b) = (embedding.embed(&turned, context)?, embedding.embed(&inputs.u, context)?);
        close(&format!("the point {what}"), &a, &b, limit)?;
        let volume = |u: &Tensor| embedding.log_volume(u, context);
        close(&format!("log_volume {what}"), &volume(&turned)?, &volume(&inputs.u)?, limit)?;
    }
    Ok(())
}
