//! What an author of a map relies on: the operations of [`Diff`], and a [`Layer`] made of them.
use crate::cases::DIRECTIONS;
use crate::numbers::{close, device, gap, identity_rows, log_abs_det, normal, numbers, tensor};
use mflow_bijectors::candle::{DType, Tensor, Var};
use mflow_bijectors::{
    Bijector, Chain, Diff, Direction, Dual, Error, Inverted, Layer, Mapped, Result, Signature,
};
use std::sync::Arc;

/// A function of a batch `[4, 3]`, for values and for values with tangents.
trait Operation {
    fn call<T: Diff>(&self, x: &T) -> Result<T>;
}

/// Tangents of `f` against differences, and the gradient of the tangents against differences.
fn check<F: Operation>(name: &str, f: &F, x: &Tensor) {
    let step = 1e-6;
    let (x, rows) = (Var::from_tensor(x).unwrap(), normal("rows", &[4, 2, 3]));
    let at = x.as_tensor().copy().unwrap();
    let value = |x: &Tensor| f.call(x).unwrap();
    let push = |x: &Tensor| f.call(&Dual::new(x.clone(), rows.clone()).unwrap()).unwrap();
    let slope = |up: Tensor, down: Tensor| ((up - down).unwrap() / (2. * step)).unwrap();
    let moved = |v: &Tensor, sign: f64| at.broadcast_add(&(v * (sign * step)).unwrap()).unwrap();
    let dual = push(&at);
    close(&format!("{name}: value"), dual.value(), &value(&at), 1e-14);
    let tangents = dual.tangents().unwrap();
    assert_eq!(tangents.dim(1).unwrap(), 2, "{name}: as many rows as came in");
    for k in 0..2 {
        let row = |t: &Tensor| t.narrow(1, k, 1).unwrap().squeeze(1).unwrap();
        let expected = slope(value(&moved(&row(&rows), 1.)), value(&moved(&row(&rows), -1.)));
        close(&format!("{name}: tangent {k}"), &row(tangents), &expected, 1e-7);
    }
    // Reverse mode through value and tangents: a directional derivative of a weighted sum.
    let loss = |x: &Tensor| {
        let dual = push(x);
        let weighted =
            |t: &Tensor, name: &str| (t * normal(name, t.dims())).unwrap().sum_all().unwrap();
        (weighted(dual.value(), "a") + weighted(dual.tangents().unwrap(), "b")).unwrap()
    };
    let gradients = loss(x.as_tensor()).backward().unwrap();
    let along = normal("along", &[4, 3]);
    let gradient = gradients.get(&x).unwrap();
    let found = numbers(&(gradient * &along).unwrap()).iter().sum::<f64>();
    let [up, down] = [1., -1.].map(|sign| numbers(&loss(&moved(&along, sign)))[0]);
    let expected = (up - down) / (2. * step);
    let error = (found - expected).abs() / (1. + expected.abs());
    assert!(error < 1e-6, "{name}: gradient {found} where differences give {expected}");
    // A constant stays one.
    let constant = f.call(&Dual::constant(&at)).unwrap();
    assert!(constant.tangents().is_none(), "{name}: a constant has no tangents");
}

macro_rules! operations {
    ($($name:ident: |$x:ident| $body:expr;)*) => {
        $(#[test]
        fn $name() {
            struct Op;
            impl Operation for Op {
                fn call<T: Diff>(&self, $x: &T) -> Result<T> {
                    $body
                }
            }
            check(stringify!($name), &Op, &normal("x", &[4, 3]));
        })*
    };
}

fn index(values: &[u32]) -> Tensor {
    Tensor::from_vec(values.to_vec(), values.len(), device()).unwrap()
}

operations! {
    square: |x| x.mul(x);
    sum_and_difference: |x| x.mul(x)?.add(&x.exp()?)?.sub(x);
    negative_multiple: |x| x.neg()?.scale(2.5)?.shift(1.)?.exp();
    quotient: |x| x.div(&x.mul(x)?.shift(1.)?);
    exponential_and_logarithm: |x| x.exp()?.shift(0.3)?.ln();
    square_root: |x| x.mul(x)?.shift(0.5)?.sqrt();
    rectifier: |x| x.relu()?.mul(x);
    hyperbolic_tangent: |x| x.tanh();
    sine: |x| x.scale(2.)?.sin();
    cosine: |x| x.scale(2.)?.cos();
    logistic: |x| x.sigmoid();
    silu: |x| x.silu();
    softplus: |x| x.softplus();
    softplus_far_out: |x| x.scale(60.)?.softplus()?.scale(0.1);
    softmax: |x| x.softmax();
    sum: |x| x.mul(x)?.sum_last();
    selection: |x| x.mul(x)?.select(&index(&[2, 0, 2, 1]));
    narrowing: |x| x.mul(x)?.narrow(1, 2);
    concatenation: |x| T::cat(&[&x.mul(x)?, x, &T::constant(&normal("c", &[4, 2]))]);
    product_with_a_matrix: |x| x.mul(x)?.matmul(&normal("w", &[3, 5]));
    masking: |x| x.mul(x)?.masked(&x.value().gt(0.2)?);
    a_factor_per_feature: |x| x.mul(x)?.mul(&T::constant(&normal("s", &[3])));
    a_factor_per_feature_on_the_left: |x| T::constant(&normal("s", &[3])).mul(&x.mul(x)?);
    a_factor_per_point: |x| x.mul(&T::constant(&normal("s", &[4, 1])));
    an_offset_per_feature: |x| x.mul(x)?.add(&T::constant(&normal("s", &[3])));
    an_event_axis: |x| {
        let x = x.unsqueeze_last()?;
        let pairs = T::cat(&[&x, &x.mul(&x)?])?;
        pairs.gather(&Tensor::ones((4, 3, 1), DType::U32, device())?)
    };
}

#[test]
fn no_operation_overflows_far_out() {
    let x = tensor(vec![-1e4, 1e4, 0.], &[1, 3]);
    let dual = || Dual::new(x.clone(), tensor(vec![1.; 3], &[1, 1, 3])).unwrap();
    for (name, found, value, slope) in [
        ("softplus", dual().softplus(), [0., 1e4, 2_f64.ln()], [0., 1., 0.5]),
        ("sigmoid", dual().sigmoid(), [0., 1., 0.5], [0., 0., 0.25]),
        ("silu", dual().silu(), [0., 1e4, 0.], [0., 1., 0.5]),
        ("tanh", dual().tanh(), [-1., 1., 0.], [0., 0., 1.]),
        ("softmax", dual().softmax(), [0., 1., 0.], [0., 0., 0.]),
    ] {
        let found = found.unwrap();
        close(&format!("{name} far out"), found.value(), &tensor(value.to_vec(), &[1, 3]), 1e-15);
        let slopes = found.tangents().unwrap();
        close(&format!("{name}' far out"), slopes, &tensor(slope.to_vec(), &[1, 1, 3]), 1e-15);
    }
    let nan = numbers(&Diff::relu(&tensor(vec![f64::NAN, 1., -1.], &[1, 3])).unwrap());
    assert!(nan[0].is_nan() && nan[1..] == [1., 0.], "the rectifier keeps NaN: {nan:?}");
}

/// `y_i = x_i exp(s_i u)` with fixed numbers `s_i` and one context feature `u`: written by an author,
/// on the public interface only.
#[derive(Debug)]
struct Steepen {
    signature: Signature,
}

impl Steepen {
    fn new(dim: usize) -> Self {
        Self { signature: Signature::vector(dim, DType::F64, device()).with_context(1) }
    }
}

impl Layer for Steepen {
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
            return Err(Error::config("steepen", "is always given its context"));
        };
        let per_feature = T::constant(&tensor(vec![0.5, -1., 0.25], &[3]));
        let exponent = context.mul(&per_feature)?;
        let log_abs_det = exponent.sum_last()?;
        Ok(match direction {
            Direction::Forward => Mapped { value: x.mul(&exponent.exp()?)?, log_abs_det },
            Direction::Inverse => {
                Mapped { value: x.mul(&exponent.neg()?.exp()?)?, log_abs_det: log_abs_det.neg()? }
            }
        })
    }
}

#[test]
fn a_layer_from_outside_is_a_bijector() {
    let parts: Vec<Arc<dyn Bijector>> =
        vec![Arc::new(Steepen::new(3)), Arc::new(Inverted::new(Arc::new(Steepen::new(3))))];
    let identity = Chain::new(parts).unwrap();
    let (x, c) = (normal("x", &[4, 3]), normal("c", &[4, 1]));
    let mapped = identity.forward(&x, Some(&c)).unwrap();
    close("a map and its inverse", &mapped.value, &x, 1e-14);
    let zero = mapped.log_abs_det.zeros_like().unwrap();
    close("their log-dets", &mapped.log_abs_det, &zero, 1e-14);
    let layer = Steepen::new(3);
    for direction in DIRECTIONS {
        let there = layer.map(direction, &x, Some(&c)).unwrap();
        let eye = Dual::new(x.clone(), identity_rows(4, 3, DType::F64)).unwrap();
        let pushed = layer.push(direction, &eye, Some(&Dual::constant(&c))).unwrap();
        let jacobian = numbers(pushed.value.tangents().unwrap());
        for (j, expected) in jacobian.chunks_exact(9).zip(numbers(&there.log_abs_det)) {
            let j: Vec<Vec<f64>> = j.chunks_exact(3).map(<[f64]>::to_vec).collect();
            let error = (log_abs_det(&j) - expected).abs();
            assert!(error < 1e-13, "{direction:?}: log-det of the Jacobian is off by {error:.1e}");
        }
        let unit = Dual::new(c.clone(), tensor(vec![1.; 4], &[4, 1, 1])).unwrap();
        let asked = unit.clone().with_log_det();
        let pushed = layer.push(direction, &Dual::constant(&x), Some(&asked)).unwrap();
        let sign = if direction == Direction::Forward { 1. } else { -1. };
        let expected = tensor(vec![-0.25 * sign; 4], &[4, 1]);
        let found = pushed.log_abs_det.tangents().unwrap();
        assert!(gap(found, &expected) < 1e-14, "{direction:?}: d log-det / d context");
        let pushed = layer.push(direction, &Dual::constant(&x), Some(&unit)).unwrap();
        assert!(pushed.log_abs_det.tangents().is_none(), "{direction:?}: not asked, not given");
    }
    let wrong = layer.forward(&normal("x", &[4, 2]), Some(&c));
    assert!(matches!(wrong, Err(Error::Shape { .. })), "arguments are checked: {wrong:?}");
    let missing = layer.forward(&x, None);
    assert!(matches!(missing, Err(Error::MissingContext { .. })), "so is the context");
}
