//! Wrong manifolds, each caught by the law that it breaks: a suite that lets one pass is no suite.
use crate::numbers::{device, numbers, tensor};
use mflow_bijectors::{Domain, Dual, Params, host};
use mflow_core::candle::{DType, Tensor};
use mflow_core::laws::embedding::{Law, Options, check, check_law};
use mflow_core::{Embedding, Error, Hypersphere, Result};
use std::sync::Arc;

/// What is wrong with a cylinder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mistake {
    Nothing,
    /// The volume is 5 % too large.
    VolumeOff,
    /// Points off the cylinder are projected at a slant.
    NotNearest,
    /// Coordinates are off by a per mille.
    CoordinatesOff,
    /// The tangent along the second coordinate is lost.
    LostTangent,
    /// The context is declared and not used.
    ContextIgnored,
    /// The result depends on the other rows.
    MixesRows,
    /// NaN becomes 0.
    HidesNan,
    /// No gradient reaches the coordinates.
    Detached,
    /// Far out there is no point.
    Ends,
    /// The cylinder is a spiral, whose turns are not the same point.
    Spiral,
    /// Arguments in f32 are taken for f64.
    Casts,
    /// In f32 it is another one.
    OtherInSingle,
}

/// A cylinder of radius 1.5: `x = (1.5 cos φ, 1.5 sin φ, 1.3 z + 0.5 c)` with an angle `φ`, a real `z` and a context `c`.
#[derive(Clone, Debug)]
pub(crate) struct Cylinder {
    circle: Hypersphere,
    dtype: DType,
    mistake: Mistake,
}

impl Cylinder {
    pub(crate) fn new(mistake: Mistake, dtype: DType) -> Result<Self> {
        let circle = Hypersphere::new(1, 1.5, &[0., 0.], dtype, device())?;
        Ok(Self { circle, dtype, mistake })
    }
    fn is(&self, mistake: Mistake) -> bool {
        self.mistake == mistake
    }
    /// As its methods see it.
    fn argument(&self, t: &Tensor, columns: usize) -> Result<Tensor> {
        let mut t = t.clone();
        if self.is(Mistake::Casts) {
            t = t.to_dtype(self.dtype)?;
        }
        match t.dims() {
            [_, found] if *found == columns && t.dtype() == self.dtype => {}
            found => {
                let (op, arg, expected) = ("cylinder", "rows", format!("[B, {columns}]"));
                return Err(Error::Shape { op, arg, expected, found: found.to_vec() });
            }
        }
        if self.is(Mistake::HidesNan) && numbers(&t).iter().any(|v| v.is_nan()) {
            let values = numbers(&t).into_iter().map(|v| if v.is_nan() { 0. } else { v });
            t = tensor(values.collect(), t.dims());
        }
        Ok(t)
    }
    fn column(t: &Tensor, k: usize) -> Result<Tensor> {
        Ok(t.narrow(1, k, 1)?.contiguous()?)
    }
    /// What the context adds to the height.
    fn height(&self, context: Option<&Tensor>, rows: usize) -> Result<Tensor> {
        let expected = 1;
        let missing = mflow_bijectors::Error::MissingContext { op: "cylinder", expected };
        let context = context.ok_or(missing)?;
        let factor = if self.is(Mistake::ContextIgnored) { 0. } else { 0.5 };
        if rows == 0 {
            return Ok(host::zeros((0, 1), self.dtype, device())?);
        }
        Ok((context * factor)?)
    }
}

impl Embedding for Cylinder {
    fn manifold_dim(&self) -> usize {
        2
    }
    fn data_dim(&self) -> usize {
        3
    }
    fn context_dim(&self) -> Option<usize> {
        Some(1)
    }
    fn domain(&self) -> Domain {
        Domain::Features(vec![Domain::Angle, Domain::Reals])
    }
    fn projects_to_nearest(&self) -> bool {
        true
    }
    fn embed(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let u = self.argument(u, 2)?;
        let height = self.height(context, u.dim(0)?)?;
        if u.dim(0)? == 0 {
            return Ok(host::zeros((0, 3), self.dtype, device())?);
        }
        let (angle, z) = (Self::column(&u, 0)?, Self::column(&u, 1)?);
        let mut height = ((z.clone() * 1.3)? + height)?;
        match self.mistake {
            Mistake::MixesRows => height = height.broadcast_add(&(z.mean_all()? * 1e-3)?)?,
            Mistake::Spiral => height = (height + (&angle * 1e-3)?)?,
            Mistake::Ends => {
                let far = z.abs()?.gt(100.)?.to_dtype(self.dtype)?;
                height = (height + (far * f64::MAX)?.sqr()?)?;
            }
            Mistake::OtherInSingle if self.dtype == DType::F32 => height = (height + 0.01)?,
            _ => {}
        }
        let x = Tensor::cat(&[&Embedding::embed(&self.circle, &angle, None)?, &height], 1)?;
        Ok(if self.is(Mistake::Detached) { x.detach() } else { x })
    }
    fn embed_with_jacobian(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Dual> {
        let x = self.embed(u, context)?;
        let u = self.argument(u, 2)?;
        let rows = u.dim(0)?;
        if rows == 0 {
            return Ok(Dual::new(x, host::zeros((0, 2, 3), self.dtype, device())?)?);
        }
        let round = Embedding::embed_with_jacobian(&self.circle, &Self::column(&u, 0)?, None)?;
        let round = round.tangents().unwrap().pad_with_zeros(2, 0, 1)?;
        let slope = if self.is(Mistake::LostTangent) { 0. } else { 1.3 };
        let up = Tensor::full(slope, (rows, 1, 1), device())?.to_dtype(self.dtype)?;
        let up = up.pad_with_zeros(2, 2, 0)?;
        Ok(Dual::new(x, Tensor::cat(&[&round, &up], 1)?)?)
    }
    fn coordinates(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let x = self.argument(x, 3)?;
        let height = self.height(context, x.dim(0)?)?;
        if x.dim(0)? == 0 {
            return Ok(host::zeros((0, 2), self.dtype, device())?);
        }
        let plane = x.narrow(1, 0, 2)?.contiguous()?;
        let mut angle = Embedding::coordinates(&self.circle, &plane, None)?;
        if self.is(Mistake::NotNearest) {
            let off = (plane.sqr()?.sum_keepdim(1)?.sqrt()? - 1.5)?;
            angle = (angle + (off * 0.1)?)?;
        }
        let mut z = ((Self::column(&x, 2)? - height)? / 1.3)?;
        if self.is(Mistake::CoordinatesOff) {
            z = ((z * 1.001)? + 1e-3)?;
        }
        Ok(Tensor::cat(&[&angle, &z], 1)?)
    }
    fn log_volume(&self, u: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        let u = self.argument(u, 2)?;
        let factor = if self.is(Mistake::VolumeOff) { 1.05 } else { 1. };
        if u.dim(0)? == 0 {
            return Ok(host::zeros(0, self.dtype, device())?);
        }
        Ok(((u.sum(1)? * 0.)? + f64::ln(1.5 * 1.3 * factor))?)
    }
}

fn options() -> Options {
    Options::default().on(device())
}

fn subject(mistake: Mistake) -> impl Fn(&mut Params<'_>) -> Result<Arc<dyn Embedding>> {
    move |params| Ok(Arc::new(Cylinder::new(mistake, params.dtype())?))
}

#[test]
fn the_right_manifold_keeps_every_law() {
    if let Err(broken) = check("right", &subject(Mistake::Nothing), &options()) {
        panic!("{broken}");
    }
}

#[test]
fn every_wrong_manifold_is_caught_by_its_law() {
    for (mistake, law) in [
        (Mistake::VolumeOff, Law::Volume),
        (Mistake::NotNearest, Law::Nearest),
        (Mistake::CoordinatesOff, Law::RoundTrip),
        (Mistake::CoordinatesOff, Law::Idempotent),
        (Mistake::LostTangent, Law::Tangents),
        (Mistake::ContextIgnored, Law::Context),
        (Mistake::MixesRows, Law::Rows),
        (Mistake::HidesNan, Law::Nan),
        (Mistake::Detached, Law::Gradients),
        (Mistake::Ends, Law::Edges),
        (Mistake::Spiral, Law::Edges),
        (Mistake::Casts, Law::Refusals),
        (Mistake::OtherInSingle, Law::Precision),
    ] {
        let Err(broken) = check_law(law, "wrong", &subject(mistake), &options()) else {
            panic!("{mistake:?} was not caught by {law}");
        };
        let text = broken.to_string();
        for part in [law.name(), law.statement(), "found:", "expected:", "at:"] {
            assert!(text.contains(part), "{mistake:?}: {part} is missing in {text}");
        }
        assert!(check("wrong", &subject(mistake), &options()).is_err(), "{mistake:?} passes");
    }
}

#[test]
fn the_input_that_breaks_a_law_is_simple() {
    let broken = check_law(Law::Nearest, "slant", &subject(Mistake::NotNearest), &options());
    let broken = broken.unwrap_err();
    let (u, _) = broken.input.split_once(';').unwrap();
    assert_eq!(u.split("], ").count(), 1, "one row is enough: {broken}");
    assert!(!broken.finding.tolerance.is_empty(), "it says how much is allowed, and why: {broken}");
}

#[test]
fn a_manifold_that_fails_is_told_so() {
    let failing = |_: &mut Params<'_>| -> Result<Arc<dyn Embedding>> {
        Err(mflow_bijectors::Error::config("radius", "must be positive").into())
    };
    let broken = check("failing", &failing, &options()).unwrap_err();
    assert!(broken.to_string().contains("`radius` must be positive"), "{broken}");
}
