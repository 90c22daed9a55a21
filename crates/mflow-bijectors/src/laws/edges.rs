//! Laws at the ends of domains: far out, at bounds, next to nothing, and at NaN.
use super::compare::{Limit, close, largest};
use super::evaluate::{Probe, evaluate};
use super::finding::{Failure, Finding, differs};
use super::inputs::{inside, of_feature, side, tensor};
use super::inversion::jacobian;
use super::{Inputs, Trial};
use crate::{Domain, Stream, host};
use std::f64::consts::{PI, TAU};

/// Numbers of a domain at which arithmetic goes wrong first.
fn extreme(domain: &Domain) -> Vec<f64> {
    match domain {
        Domain::Positive => vec![1e-300, 5e-324, 1e-10, 1., 40., 1e6],
        Domain::Interval { low, high } => {
            let at = |share: f64| low + (high - low) * share;
            let all = [at(1e-300), at(1e-12), at(0.5), at(1. - 1e-12), at(1. - 1.2e-16)];
            all.into_iter().filter(|v| low < v && v < high).collect()
        }
        Domain::Angle => vec![-PI, PI, PI - 1e-15, 0., 5e-324, -1e-310, 3.1],
        // The pole of the inversion is the origin, that of the other one is not met by chance.
        Domain::RealsExceptPole => vec![1e6, -1e6, 1e3, -40., 0.01],
        _ => vec![
            1e6,
            -1e6,
            1e3,
            -40.,
            40.,
            0.,
            5e-324,
            -1e-310,
            2.5e-308,
            3.,
            -3.,
            3.000_000_000_000_001,
            -2.999_999_999_999_999_6,
            0.7,
            25.,
            -6.,
        ],
    }
}

/// Ordinary points with one extreme feature each, and points with nothing else.
fn points(trial: &Trial<'_>, inputs: &Inputs) -> Result<Inputs, Failure> {
    let options = trial.options;
    let (domain, shape) = side(trial.forms.map.signature(), trial.direction);
    let d = trial.size();
    let within = |v: f64| v.clamp(-options.reach, options.reach);
    let kind = |i| extreme(of_feature(domain, i)).into_iter().map(within).collect::<Vec<f64>>();
    let mut kinds: Vec<Vec<f64>> = (0..d).map(kind).collect();
    let most = kinds.iter().map(Vec::len).max().unwrap_or(0);
    kinds.iter_mut().for_each(|k| *k = k.iter().copied().cycle().take(most).collect());
    let normal = Stream::new(options.seed, "ordinary").normal(2 * most * d);
    let mut x: Vec<f64> = normal
        .into_iter()
        .enumerate()
        .map(|(i, v)| inside(domain, i % d, v * options.spread, options.spread))
        .collect();
    for n in 0..most {
        let feature = n % d;
        x[n * d + feature] = kinds[feature][n];
        for i in 0..d {
            x[(most + n) * d + i] = kinds[i][(n + i) % most];
        }
    }
    let rows = 2 * most;
    let others = inputs.repeated(rows.div_ceil(inputs.count()))?.narrow(0, rows)?;
    Ok(Inputs { x: tensor(x, &[&[rows], shape].concat(), &options.device)?, ..others })
}

fn contains(domain: &Domain, v: f64) -> bool {
    match domain {
        Domain::Positive => v >= 0.,
        Domain::Interval { low, high } => (*low..=*high).contains(&v),
        Domain::Angle => v.abs() <= PI * (1. + 4. * f64::EPSILON),
        _ => true,
    }
}

/// At the ends of the domain values are numbers of the codomain, log-dets are numbers, and the way back loses no more than
/// rounding times its steepness.
pub(super) fn far(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let inputs = points(trial, inputs)?;
    let (direction, c, d) = (trial.direction, inputs.context.as_ref(), trial.size());
    let signature = trial.forms.map.signature();
    let (domain, _) = side(signature, direction);
    let (codomain, _) = side(signature, direction.reversed());
    let x = host::values_f64(&inputs.x)?;
    for (route, map) in trial.routes() {
        let there = map.map(direction, &inputs.x, c)?;
        let back = map.map(direction.reversed(), &there.value, c)?;
        let slopes =
            jacobian(trial.forms.frozen.as_ref(), direction.reversed(), &inputs, &there.value)?;
        let (y, l) = (host::values_f64(&there.value)?, host::values_f64(&there.log_abs_det)?);
        let (way_back, l_back) =
            (host::values_f64(&back.value)?, host::values_f64(&back.log_abs_det)?);
        for (b, point) in x.chunks_exact(d).enumerate() {
            let row = b * d..(b + 1) * d;
            let (y, way_back) = (&y[row.clone()], &way_back[row]);
            let what = |of: &str| format!("{of} of {point:?}, {route}");
            if !y.iter().all(|v| v.is_finite()) || !l[b].is_finite() {
                let found = format!("{y:?}, log-det {}", l[b]);
                return differs(what("value and log-det"), found, "finite numbers");
            }
            if let Some((i, v)) =
                y.iter().enumerate().find(|(i, v)| !contains(of_feature(codomain, *i), **v))
            {
                let domain = of_feature(codomain, i);
                return differs(what("feature"), format!("{v:?}"), format!("in {domain:?}"));
            }
            let steepness = largest(&slopes[b * d * d..(b + 1) * d * d]);
            let size = 1. + largest(point).max(largest(y));
            // NaN where the way back has no slope left.
            let unit = if steepness.is_finite() { f64::EPSILON * steepness } else { f64::INFINITY };
            let allowed = size * (trial.options.tolerances.exact + 64. * d as f64 * unit);
            if allowed > 1e-3 * size {
                // Hardly a digit is left, and the derivative at the point says nothing about how few.
                continue;
            }
            let broken = |what: String, found: String, expected: String, allowed: f64| {
                let tolerance = format!("{allowed:.1e}: rounding, times how steep the way back is");
                Err(Failure::Broken(Finding { what, found, expected, tolerance }))
            };
            for (i, (a, back)) in point.iter().zip(way_back).enumerate() {
                let mut gap = (a - back).abs();
                if *of_feature(domain, i) == Domain::Angle {
                    gap = gap.min(TAU - gap);
                }
                if gap > allowed || gap.is_nan() {
                    let what = what(&format!("the way back, feature {i},"));
                    return broken(what, format!("{back:?}"), format!("{a:?}"), allowed);
                }
            }
            let gap = (l[b] + l_back[b]).abs();
            let allowed = allowed * (1. + l[b].abs()) * (1. + steepness);
            if gap > allowed || gap.is_nan() {
                let what = what("log-det of the way back");
                return broken(what, format!("{:?}", l_back[b]), format!("{:?}", -l[b]), allowed);
            }
        }
    }
    Ok(())
}

/// A NaN gives NaN, in its own row only: never a panic, a hang, an error or a number.
pub(super) fn nan(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    const ROWS: usize = 5;
    const POISONED: usize = 2;
    let clean = inputs.repeated(ROWS.div_ceil(inputs.count()))?.narrow(0, ROWS)?;
    let (forms, d) = (trial.forms, trial.size());
    for feature in [0, d.saturating_sub(1)] {
        let mut x = host::values_f64(&clean.x)?;
        x[POISONED * d + feature] = f64::NAN;
        let x = tensor(x, clean.x.dims(), &trial.options.device)?;
        let poisoned = Inputs { x, ..clean.clone() };
        for (kind, map) in
            [("tracked", &forms.map), ("frozen", &forms.frozen), ("composed", &forms.composed)]
        {
            for probe in [None, Some(Probe::X)] {
                let expected = evaluate(map.as_ref(), trial.direction, &clean, probe)?;
                let found = evaluate(map.as_ref(), trial.direction, &poisoned, probe)?;
                let what = format!("with NaN in feature {feature}, {kind}, {probe:?}");
                for ((name, a), (_, b)) in expected.iter().zip(&found) {
                    if *name == "value" {
                        let row = host::values_f64(&b.narrow(0, POISONED, 1)?)?;
                        if !row.iter().any(|v| v.is_nan()) {
                            let what = format!("its row, {what}");
                            return differs(what, format!("{row:?}"), "NaN in some feature");
                        }
                    }
                    let limit = Limit::new(trial.options.tolerances.exact, "rounding in f64");
                    for (start, len) in [(0, POISONED), (POISONED + 1, ROWS - POISONED - 1)] {
                        let part = |t: &candle_core::Tensor| t.narrow(0, start, len);
                        let what = format!("{name} of other rows, {what}");
                        close(&what, &part(b)?, &part(a)?, limit)?;
                    }
                }
            }
        }
    }
    Ok(())
}
