//! Wrong maps, each caught by the law that it breaks: a suite that lets one pass is no suite.
use crate::numbers::device;
use mflow_bijectors::candle::{DType, Tensor};
use mflow_bijectors::laws::{Law, Options, check, check_law};
use mflow_bijectors::{
    Bijector, Diff, Direction, Init, Layer, Mapped, Params, Piece, Result, Signature,
};
use std::sync::Arc;

/// `y_i = x_i exp(s + c w_i) + a_i x_0` for `i > 0`, with parameters `s`, `w`, `a` and one context feature `c`; `y_0` without the
/// last term.
#[derive(Debug)]
struct Right {
    signature: Signature,
    /// `s`, `w_0 .. w_2`, `a_1`, `a_2`.
    parameters: Tensor,
    mistake: Mistake,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mistake {
    Nothing,
    /// The log-det has the other sign.
    SignOfLogDet,
    /// The log-det is that of two of the three features.
    LostEntry,
    /// The context is declared and not used.
    ContextIgnored,
    /// The context is used, and the log-det has forgotten it.
    ContextNotInLogDet,
    /// The inverse is off by 1e-4.
    InverseOff,
    /// Beyond 100 the way there is another map than the way back leads from.
    WrongFarTail,
    /// The result depends on the other rows.
    MixesRows,
    /// Tangents pass by a part of the map.
    LostTangent,
    /// A gradient does not reach a parameter.
    Detached,
    /// NaN becomes 0.
    HidesNan,
    /// It says to preserve angles.
    SaysConformal,
    /// Computed in f32 whatever the dtype is.
    LosesDigits,
    /// A parameter is not stored.
    NotStored,
}

const DIM: usize = 3;

impl Right {
    fn build(mistake: Mistake, params: &mut Params<'_>) -> Result<Arc<dyn Bijector>> {
        let signature = Signature::vector(DIM, params.dtype(), params.device());
        let signature = signature.with_context(1);
        let signature = signature.with_conformal(mistake == Mistake::SaysConformal);
        let init = Init::uniform(1.);
        let mut parameters = if mistake == Mistake::NotStored {
            // Another one with each call.
            static CALLS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
            let calls = CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let all = Tensor::full(0.01 * f64::from(calls), 6, params.device())?;
            all.to_dtype(params.dtype())?
        } else {
            params.flat(vec![Piece::vector("all", 6, init)])?
        };
        if mistake == Mistake::Detached {
            parameters = parameters.detach();
        }
        Ok(Arc::new(Self { signature, parameters, mistake }))
    }

    /// A part of the parameters as a constant of the graph.
    fn part<T: Diff>(&self, start: usize, len: usize) -> Result<T> {
        Ok(T::constant(&self.parameters.narrow(0, start, len)?))
    }
}

impl Layer for Right {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn apply<T: Diff>(
        &self,
        direction: Direction,
        x: &T,
        context: Option<&T>,
    ) -> Result<Mapped<T>> {
        let Some(context) = context else {
            return Err(mflow_bijectors::Error::config("right", "is given a context"));
        };
        let mistake = self.mistake;
        let is_forward = direction == Direction::Forward;
        let mut exponent = context.mul(&self.part(1, DIM)?)?.add(&self.part(0, 1)?)?;
        if mistake == Mistake::ContextIgnored {
            exponent = T::constant(&exponent.value().zeros_like()?).add(&self.part(1, DIM)?)?;
        }
        let mut log_abs_det = exponent.sum_last()?;
        if mistake == Mistake::LostEntry {
            log_abs_det = exponent.narrow(0, 2)?.sum_last()?;
        }
        if mistake == Mistake::ContextNotInLogDet {
            let zeros = T::constant(&exponent.value().zeros_like()?);
            log_abs_det = zeros.add(&self.part(0, 1)?)?.sum_last()?;
        }
        if !is_forward {
            log_abs_det = log_abs_det.neg()?;
        }
        if mistake == Mistake::SignOfLogDet {
            log_abs_det = log_abs_det.neg()?;
        }
        // The first feature times `a`, for the others.
        let shear = |first: &T| -> Result<T> {
            let zero = first.scale(0.)?;
            T::cat(&[&zero, &first.mul(&self.part(4, 2)?)?])
        };
        let mut value = if is_forward {
            x.mul(&exponent.exp()?)?.add(&shear(&x.narrow(0, 1)?)?)?
        } else {
            let scale = exponent.neg()?.exp()?;
            let first = x.mul(&scale)?.narrow(0, 1)?;
            x.sub(&shear(&first)?)?.mul(&scale)?
        };
        match mistake {
            Mistake::InverseOff if !is_forward => value = value.shift(1e-4)?,
            Mistake::WrongFarTail if is_forward => {
                let far = x.value().abs()?.gt(100.)?;
                value = value.add(&x.masked(&far)?)?;
            }
            Mistake::MixesRows => {
                let mean = x.value().mean_keepdim(0)?.broadcast_as(x.value().shape())?;
                value = value.add(&T::constant(&(mean * 1e-3)?))?;
            }
            Mistake::LostTangent => {
                let bend = T::constant(&(x.value().tanh()? * 1e-2)?);
                value = if is_forward { value.add(&bend)? } else { value.sub(&bend)? };
            }
            Mistake::HidesNan => {
                let known = value.value().eq(value.value())?;
                let zeros = value.value().zeros_like()?;
                let cleaned = known.where_cond(value.value(), &zeros)?;
                if host_has_nan(value.value())? {
                    value = T::constant(&cleaned);
                }
            }
            Mistake::LosesDigits => {
                let short = value.value().to_dtype(DType::F32)?.to_dtype(value.value().dtype())?;
                let lost = T::constant(&(short - value.value())?);
                value = value.add(&lost)?;
            }
            _ => {}
        }
        Ok(Mapped { value, log_abs_det })
    }
}

fn host_has_nan(t: &Tensor) -> Result<bool> {
    Ok(mflow_bijectors::host::values_f64(t)?.iter().any(|v| v.is_nan()))
}

fn options() -> Options {
    Options::default().on(device()).gain(0.5).cases(2)
}

#[test]
fn the_right_map_keeps_every_law() {
    let right = |p: &mut Params<'_>| Right::build(Mistake::Nothing, p);
    if let Err(broken) = check("right", &right, &options()) {
        panic!("{broken}");
    }
}

#[test]
fn every_wrong_map_is_caught_by_its_law() {
    for (mistake, law) in [
        (Mistake::SignOfLogDet, Law::LogDet),
        (Mistake::LostEntry, Law::LogDet),
        (Mistake::ContextIgnored, Law::Context),
        (Mistake::ContextNotInLogDet, Law::Context),
        (Mistake::ContextNotInLogDet, Law::LogDet),
        (Mistake::InverseOff, Law::RoundTrip),
        (Mistake::WrongFarTail, Law::Far),
        (Mistake::MixesRows, Law::Rows),
        (Mistake::LostTangent, Law::Tangents),
        (Mistake::Detached, Law::Gradients),
        (Mistake::HidesNan, Law::Nan),
        (Mistake::SaysConformal, Law::Conformal),
        (Mistake::LosesDigits, Law::RoundTrip),
        (Mistake::NotStored, Law::Parameters),
    ] {
        let wrong = |p: &mut Params<'_>| Right::build(mistake, p);
        let Err(broken) = check_law(law, "wrong", &wrong, &options()) else {
            panic!("{mistake:?} was not caught by {law}");
        };
        let text = broken.to_string();
        for part in [law.name(), law.statement(), "found:", "expected:", "at:"] {
            assert!(text.contains(part), "{mistake:?}: {part} is missing in {text}");
        }
        assert!(check("wrong", &wrong, &options()).is_err(), "{mistake:?} passes");
    }
}

#[test]
fn the_input_that_breaks_a_law_is_simple() {
    // A tail that is wrong beyond 1: the simplest point is one row, with hardly more than one feature beyond.
    #[derive(Debug)]
    struct Tail(Signature);
    impl Layer for Tail {
        fn signature(&self) -> &Signature {
            &self.0
        }
        fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
            let log_abs_det = x.scale(0.)?.sum_last()?;
            let far = x.value().abs()?.gt(1.)?;
            let wrong = x.masked(&far)?.scale(1e-3)?;
            let value = if direction == Direction::Forward { x.add(&wrong)? } else { x.clone() };
            Ok(Mapped { value, log_abs_det })
        }
    }
    let tail = |p: &mut Params<'_>| -> Result<Arc<dyn Bijector>> {
        Ok(Arc::new(Tail(Signature::vector(3, p.dtype(), p.device()))))
    };
    let broken = check_law(Law::RoundTrip, "tail", &tail, &options().cases(20)).unwrap_err();
    let rows: Vec<&str> = broken.input.split("], ").collect();
    assert_eq!(rows.len(), 1, "one row is enough: {broken}");
    let values = broken.input.trim_matches(['[', ']']);
    let values: Vec<f64> = values.split(", ").map(|v| v.parse().unwrap()).collect();
    let beyond = values.iter().filter(|v| v.abs() > 1.).count();
    let largest = values.iter().fold(0_f64, |m, v| m.max(v.abs()));
    assert!(beyond == 1 && largest < 2., "one feature, near the edge: {broken}");
}

#[test]
fn a_map_that_fails_is_told_so() {
    let failing = |_: &mut Params<'_>| -> Result<Arc<dyn Bijector>> {
        Err(mflow_bijectors::Error::config("knots", "must increase"))
    };
    let broken = check("failing", &failing, &options()).unwrap_err();
    assert!(broken.to_string().contains("`knots` must increase"), "{broken}");
}
