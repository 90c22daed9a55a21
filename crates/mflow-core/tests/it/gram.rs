//! The log-determinant of a Gram matrix. Oracle: elimination on `T Tᵀ`, differences, scaling laws.
use crate::device::has_kernels;
use crate::numbers::{close, device, gram, log_abs_det, matrices, normal, numbers, tensor};
use mflow_core::candle::{DType, Tensor, Var};
use mflow_core::{Error, gram_log_det};

fn oracle(rows: &Tensor) -> Vec<f64> {
    matrices(rows).iter().map(|t| log_abs_det(&gram(t))).collect()
}

#[test]
fn it_is_the_determinant_of_the_products_of_rows() {
    for n in 1..=5 {
        for d in [n, n + 1, 2 * n + 3] {
            let rows = normal(&format!("rows {n} {d}"), &[20, n, d]);
            let found = numbers(&gram_log_det(&rows).unwrap());
            close(&format!("{n} rows in {d} dimensions"), &found, &oracle(&rows), 1e-9);
        }
    }
}

#[test]
fn strided_rows_are_read_as_they_are() {
    let wide = normal("wide", &[4, 5, 3]);
    let rows = wide.transpose(1, 2).unwrap();
    close("transposed", &numbers(&gram_log_det(&rows).unwrap()), &oracle(&rows), 1e-10);
    let part = wide.narrow(0, 1, 2).unwrap().narrow(1, 2, 2).unwrap();
    close("narrowed", &numbers(&gram_log_det(&part).unwrap()), &oracle(&part), 1e-10);
}

#[test]
fn rows_times_c_add_twice_their_number_of_logarithms() {
    let rows = normal("scaling", &[10, 3, 5]);
    let plain = numbers(&gram_log_det(&rows).unwrap());
    for c in [1e-80, 0.01, 7., 1e80] {
        let found = numbers(&gram_log_det(&(&rows * c).unwrap()).unwrap());
        let expected: Vec<f64> = plain.iter().map(|v| v + 6. * f64::ln(c)).collect();
        close(&format!("rows times {c:e}"), &found, &expected, 1e-12);
    }
}

#[test]
fn its_gradient_is_its_differences() {
    for (n, d) in [(1, 3), (2, 3), (3, 6), (4, 4)] {
        let values = numbers(&normal(&format!("gradient {n} {d}"), &[3, n, d]));
        let weights = tensor(vec![0.7, -1.3, 2.1], &[3]);
        let total = |values: Vec<f64>| {
            let log_det = gram_log_det(&tensor(values, &[3, n, d])).unwrap();
            numbers(&(log_det * &weights).unwrap()).iter().sum::<f64>()
        };
        let var = Var::from_tensor(&tensor(values.clone(), &[3, n, d])).unwrap();
        let weighted = (gram_log_det(&var).unwrap() * &weights).unwrap();
        let gradients = weighted.sum_all().unwrap().backward().unwrap();
        let found = numbers(gradients.get(&var).unwrap());
        let step = 1e-5;
        let expected: Vec<f64> = (0..values.len())
            .map(|i| {
                let moved = |by| {
                    let mut values = values.clone();
                    values[i] += by;
                    total(values)
                };
                (moved(step) - moved(-step)) / (2. * step)
            })
            .collect();
        close(&format!("gradient of {n} rows in {d} dimensions"), &found, &expected, 1e-6);
    }
}

#[test]
fn dependent_rows_have_no_volume() {
    let third = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| 0.3 * a - 1.7 * b).collect();
    for seed in 0..50 {
        let values = numbers(&normal(&format!("dependent {seed}"), &[2, 4]));
        let (a, b) = values.split_at(4);
        let sum: Vec<f64> = third(a, b);
        for (what, rows) in [
            ("a row twice", vec![a, a]),
            ("a combination", vec![a, b, &sum]),
            ("a row of zeros", vec![a, &[0.; 4]]),
        ] {
            let t = tensor(rows.concat(), &[1, rows.len(), 4]);
            let found = numbers(&gram_log_det(&t).unwrap())[0];
            assert_eq!(found, f64::NEG_INFINITY, "{what}, seed {seed}");
        }
    }
}

#[test]
fn nearly_dependent_rows_keep_their_volume() {
    // Rows e1 and e1 + s e2: the determinant is s².
    for s in [1e-2, 1e-4, 1e-6] {
        let rows = tensor(vec![1., 0., 0., 1., s, 0.], &[1, 2, 3]);
        let found = numbers(&gram_log_det(&rows).unwrap())[0];
        let expected = 2. * f64::ln(s);
        // Rounding of 1 + s² by 1e-16 is a relative 1e-16 / s² of the determinant.
        let tolerance = 1e-15 / (s * s) + 1e-12;
        assert!((found - expected).abs() < tolerance, "angle {s}: {found}, expected {expected}");
    }
}

#[test]
fn nan_stays_nan() {
    for place in 0..6 {
        let mut values = vec![1., 0.5, -0.2, 0.3, 1., 0.4];
        values[place] = f64::NAN;
        values.extend([1., 0., 0., 0., 1., 0.]);
        let found = numbers(&gram_log_det(&tensor(values, &[2, 2, 3])).unwrap());
        assert!(found[0].is_nan(), "NaN at {place} gives {}", found[0]);
        assert_eq!(found[1], 0., "the other point is not touched");
    }
}

#[test]
fn f32_rows_are_computed_in_f64() {
    let rows = normal("single", &[50, 3, 5]).to_dtype(DType::F32).unwrap();
    let found = gram_log_det(&rows).unwrap();
    assert_eq!(found.dtype(), DType::F32, "the dtype is kept");
    // The rows are exact in f64, so only the result is rounded: half a unit in the last place.
    let [tolerance, of_gradient] = if has_kernels() { [1.2e-7, 1e-6] } else { [1e-6, 1e-5] };
    close("f32", &numbers(&found), &oracle(&rows.to_dtype(DType::F64).unwrap()), tolerance);
    let var = Var::from_tensor(&rows).unwrap();
    let of = |t: &Tensor, var: &Var| {
        let total = gram_log_det(t).unwrap().sum_all().unwrap();
        numbers(total.backward().unwrap().get(var).unwrap())
    };
    let double = Var::from_tensor(&rows.to_dtype(DType::F64).unwrap()).unwrap();
    close("f32 gradient", &of(&var, &var), &of(&double, &double), of_gradient);
}

#[test]
fn other_shapes_and_dtypes_are_errors() {
    for shape in [&[6][..], &[2, 3], &[1, 1, 2, 3]] {
        let result = gram_log_det(&Tensor::zeros(shape, DType::F64, device()).unwrap());
        assert!(matches!(result, Err(Error::Tensor(_))), "shape {shape:?} gave {result:?}");
    }
    let result = gram_log_det(&Tensor::zeros((1, 2, 3), DType::U32, device()).unwrap());
    assert!(matches!(result, Err(Error::Tensor(_))), "u32 gave {result:?}");
}
