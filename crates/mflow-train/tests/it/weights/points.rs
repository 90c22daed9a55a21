//! The Sinkhorn divergence of weighted points.
use super::{TIMES, close, real};
use crate::toy::{device, numbers};
use mflow_bijectors::Stream;
use mflow_core::candle::{DType, Tensor};
use mflow_train::{Points, Pool, SinkhornConfig, sinkhorn};

#[test]
fn weighted_points_are_repeated_points() {
    let mut stream = Stream::new(1, "points");
    let pool = Pool::new(1).unwrap();
    let (mut a, mut b) = (stream.normal(12 * 3), stream.normal(12 * 3));
    // A point without weight is not there, however far it is.
    (a[3], b[15]) = (1e3, -1e3);
    for dtype in [DType::F64, DType::F32] {
        let tensor = |v: Vec<f64>, shape: &[usize]| {
            Tensor::from_vec(v, shape, device()).unwrap().to_dtype(dtype).unwrap()
        };
        let (x, y) = (tensor(a.clone(), &[12, 3]), tensor(b.clone(), &[12, 3]));
        let again = |v: &[f64]| {
            let rows = v.chunks(3).zip(TIMES);
            tensor(rows.flat_map(|(row, n)| row.repeat(n)).collect(), &[12, 3])
        };
        let weights = tensor(real(&TIMES).iter().map(|w| w * 1e-3).collect(), &[12]);
        let config = SinkhornConfig::default();
        let points = |x| Points { x, weights: Some(&weights) };
        let found = sinkhorn(&config, points(&x), points(&y), &pool).unwrap();
        let expected = sinkhorn(&config, &again(&a), &again(&b), &pool).unwrap();
        let tolerance = if dtype == DType::F64 { 1e-12 } else { 1e-5 };
        close("value", &[found.value], &[expected.value], tolerance);
        // Of each row the sum over its copies.
        let mut rows = numbers(&expected.gradient)
            .chunks(3)
            .map(<[f64]>::to_vec)
            .collect::<Vec<_>>()
            .into_iter();
        let of_row = TIMES.iter().flat_map(|n| {
            rows.by_ref()
                .take(*n)
                .fold(vec![0.; 3], |sum, row| sum.iter().zip(row).map(|(a, b)| a + b).collect())
        });
        let of_row: Vec<f64> = of_row.collect();
        close("gradient", &numbers(&found.gradient), &of_row, tolerance);
        let message = |weights: &[f64]| {
            let weights = tensor(weights.to_vec(), &[weights.len()]);
            let y = Points { x: &y, weights: Some(&weights) };
            sinkhorn(&config, &x, y, &pool).unwrap_err().to_string()
        };
        for (weights, part) in [
            (vec![1.; 11], "expected 12 values, one a point, found 11"),
            (vec![0.; 12], "expected one above 0, at least, found 0 in every row"),
            ([vec![1.; 11], vec![-0.5]].concat(), "not below 0, found -0.5 in row 11"),
            ([vec![f64::NAN], vec![1.; 11]].concat(), "not below 0, found NaN in row 0"),
        ] {
            assert!(message(&weights).contains(part), "{}", message(&weights));
        }
    }
}
