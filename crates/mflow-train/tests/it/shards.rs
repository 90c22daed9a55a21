//! Cuts and pools. Oracle: what a partition is.
use crate::device::device;
use mflow_core::candle::{Error, Tensor};
use mflow_train::{DEVICE_ROWS, EVALUATION_ROWS, MIN_SHARD_ROWS, Pool, cut, shards};

#[test]
fn cuts_partition_the_rows() {
    for rows in (0..60).chain([99, 100, 101, 1000, 12_345]) {
        for n in 1..=13 {
            let mut next = 0;
            for i in 0..n {
                let part = cut(rows, n, i);
                assert_eq!(
                    part.start, next,
                    "part {i} of {rows} rows in {n} begins at the last's end"
                );
                let even = part.len() == rows / n || part.len() == rows.div_ceil(n);
                assert!(even, "part {i} of {rows} rows in {n} has {} rows", part.len());
                next = part.end;
            }
            assert_eq!(next, rows, "{rows} rows in {n} parts are all there");
        }
    }
}

#[test]
fn shards_are_never_small_nor_too_many() {
    for rows in 0..1000 {
        for limit in 0..9 {
            let n = shards(rows, limit);
            assert!((1..=limit.max(1)).contains(&n), "{rows} rows, limit {limit}: {n}");
            let filled = n == 1 || (0..n).all(|i| cut(rows, n, i).len() >= MIN_SHARD_ROWS);
            assert!(filled, "{rows} rows, limit {limit}: {n} shards have enough rows");
            let more = n < limit && rows / (n + 1) >= MIN_SHARD_ROWS;
            assert!(!more, "{rows} rows, limit {limit}: {n} shards could be more");
        }
    }
}

#[test]
fn results_come_back_in_order() {
    for threads in 1..=4 {
        let pool = Pool::new(threads).unwrap();
        assert_eq!(pool.threads(), threads, "threads");
        let squares = pool.map(1000, |i| {
            // The first ones take longest.
            (0..(1000 - i) * 10).fold(0_u64, |a, b| a.wrapping_add(b as u64));
            i * i
        });
        assert_eq!(squares, (0..1000).map(|i| i * i).collect::<Vec<_>>(), "{threads} threads");
    }
}

#[test]
fn rows_are_put_back_together() {
    let pool = Pool::new(3).unwrap();
    let most = if device().is_cpu() { EVALUATION_ROWS } else { DEVICE_ROWS };
    for rows in [1, EVALUATION_ROWS - 1, EVALUATION_ROWS, EVALUATION_ROWS + 1, 1777] {
        let found = pool.by_rows(device(), rows, |range| -> Result<Tensor, Error> {
            assert!(range.len() <= most, "{rows} rows: a block of {range:?}");
            let values: Vec<f64> = range.clone().flat_map(|i| [i as f64, -(i as f64)]).collect();
            Tensor::from_vec(values, (range.len(), 2), device())
        });
        let found = found.unwrap().to_vec2::<f64>().unwrap();
        let expected: Vec<Vec<f64>> = (0..rows).map(|i| vec![i as f64, -(i as f64)]).collect();
        assert_eq!(found, expected, "{rows} rows");
    }
    let result = pool.by_rows(device(), 1000, |range| -> Result<Tensor, Error> {
        let whole = range.end < 1000;
        let shape = if whole { range.len() } else { 0 };
        if whole {
            Tensor::from_vec(vec![0.; shape], shape, device())
        } else {
            Err(Error::Msg("last".into()))
        }
    });
    assert!(matches!(result, Err(Error::Msg(m)) if m == "last"), "an error of a block comes back");
}
