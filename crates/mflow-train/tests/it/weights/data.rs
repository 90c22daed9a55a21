//! Weights in memory and on disk.
use super::close;
use crate::toy::{Record, Toy, bits, density, device, manifold, numbers};
use mflow_bijectors::Stream;
use mflow_core::candle::DType;
use mflow_train::{
    Error, Outcome, Pool, RowReader, RowSource, Rows, RunDir, Silent, SourceError, Stored,
};
use std::sync::atomic::AtomicBool;

/// Numbers that are read when they are asked for.
#[derive(Debug)]
struct Table(Vec<f64>, usize);

impl RowReader for Table {
    fn rows(&self) -> usize {
        self.0.len() / self.1
    }
    fn cols(&self) -> usize {
        self.1
    }
    fn read(&self, rows: &[usize]) -> Result<Vec<f64>, SourceError> {
        Ok(rows.iter().flat_map(|r| self.0[r * self.1..][..self.1].to_vec()).collect())
    }
}

#[test]
fn weights_go_with_their_rows_wherever_these_are() {
    let x: Vec<f64> = (0..12).map(f64::from).collect();
    let plain = || Rows::new(x.clone(), 2, None, DType::F32, device()).unwrap();
    let weights = [1., 5., 0., 2., 3., 1.];
    let rows = plain().with_weights(&weights).unwrap();
    let stored = || Stored::new(Box::new(Table(x.clone(), 2)), None, DType::F32, device()).unwrap();
    let of_file = stored().with_weights(&weights).unwrap();
    assert_eq!(rows.fingerprint(), of_file.fingerprint(), "the same data");
    assert_eq!(rows.weights().unwrap(), [0.5, 2.5, 0., 1., 1.5, 0.5], "in units of their mean");
    assert_eq!(rows.weights(), of_file.weights(), "all of them");
    for source in [&rows as &dyn RowSource, &of_file] {
        let batch = source.gather(&[1, 4, 1, 0]).unwrap();
        let weights = batch.weights.as_ref().unwrap();
        assert_eq!((weights.dtype(), weights.dims()), (DType::F32, &[4][..]), "as the rows");
        assert_eq!(numbers(weights), [2.5, 1.5, 2.5, 0.5], "of these rows");
        let part = batch.narrow(1, 2).unwrap();
        assert_eq!(numbers(&part.weights.unwrap()), [1.5, 2.5], "of a part");
    }
    assert!(plain().weights().is_none() && plain().all().weights.is_none(), "none");
    // What a resumed run must share.
    let others = [
        plain().fingerprint(),
        plain().with_weights(&[1., 5., 0., 2., 3., 2.]).unwrap().fingerprint(),
    ];
    assert!(!others.contains(&rows.fingerprint()), "weights are part of the data");
    // Too small and too large for single precision, but their ratios are not.
    for unit in [1e-60, 1e60] {
        let rows = plain().with_weights(&weights.map(|w| w * unit)).unwrap();
        close("any unit", rows.weights().unwrap(), &[0.5, 2.5, 0., 1., 1.5, 0.5], 1e-14);
    }
    let bad = |weights: &[f64]| {
        let error = stored().with_weights(weights).unwrap_err().to_string();
        let in_memory = plain().with_weights(weights).unwrap_err();
        assert!(matches!(in_memory, Error::Data { what: "weights", .. }), "{in_memory:?}");
        assert_eq!(error, in_memory.to_string(), "the same message");
        error
    };
    for (weights, expected) in [
        (vec![1.; 5], "expected 6 values, one a row, found 5"),
        (vec![1., 1., 1., f64::NAN, 1., 1.], "expected finite numbers, found NaN in row 3"),
        (vec![f64::INFINITY; 6], "expected finite numbers, found inf in row 0"),
        (vec![0.; 6], "expected one that is not 0, at least, found 0 in every row"),
        (vec![1., 1., 1., -1., -1., -1.], "expected a positive and finite sum, found 0"),
        (vec![-1., 0., 0., 0., 0., 0.5], "expected a positive and finite sum, found -0.5"),
        (vec![1e308; 6], "expected a positive and finite sum, found inf"),
    ] {
        assert_eq!(bad(&weights), format!("data do not fit the model: weights: {expected}"));
    }
}

#[test]
fn rows_on_disk_train_as_those_in_memory() {
    let toy = Toy::parabola(90, vec![manifold(2), density(2)]);
    let weights = Stream::new(1, "weights").uniform(90, 0., 3.);
    let x = numbers(&toy.data.all().x);
    let stored = Stored::new(Box::new(Table(x, 2)), None, DType::F64, device()).unwrap();
    let stored = stored.with_weights(&weights).unwrap();
    let toy = Toy { data: toy.data.with_weights(&weights).unwrap(), ..toy };
    let (expected, record) = toy.finish();
    let (mut store, mut found) = (toy.store(), Record::default());
    let outcome = mflow_train::Trainer {
        model: &toy.model,
        store: &mut store,
        data: &stored,
        validation: None,
        config: &toy.config,
        seed: toy.seed,
        pool: &Pool::new(1).unwrap(),
        run: None,
    }
    .run(&mut found, &AtomicBool::new(false));
    assert_eq!(outcome.unwrap(), Outcome::Finished, "nobody stops it");
    assert_eq!(bits(&store, ""), bits(&expected, ""), "to the bit");
    assert_eq!(found.epochs, record.epochs, "and so are the losses");
}

#[test]
fn a_run_goes_on_with_the_same_weights_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let start = |weights: Option<f64>| {
        let toy = Toy::parabola(40, vec![density(1)]);
        let data = match weights {
            Some(first) => {
                let weights: Vec<f64> = (0..40).map(|i| if i == 0 { first } else { 1. }).collect();
                toy.data.clone().with_weights(&weights).unwrap()
            }
            None => toy.data.clone(),
        };
        let toy = Toy { data, ..toy };
        let run = RunDir::open(&path, true).unwrap();
        toy.train(&mut toy.store(), Some(&run), &mut Silent, &AtomicBool::new(false))
    };
    assert_eq!(start(Some(2.)).unwrap(), Outcome::Finished, "a run");
    assert_eq!(start(Some(2.)).unwrap(), Outcome::Finished, "the same again");
    for other in [Some(3.), None] {
        let error = start(other).unwrap_err();
        assert!(
            matches!(&error, Error::ResumeMismatch { field, .. } if field == "data"),
            "{error:?}"
        );
    }
}
