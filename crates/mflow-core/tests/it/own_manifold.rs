//! The page "Write your own manifold" says what happens: its report is what the laws print, its tables are those of the laws, and
//! its code is compiled here.
use crate::numbers::device;
use mflow_bijectors::{Diff, Domain, Params};
use mflow_core::candle::{DType, Tensor};
use mflow_core::laws::{Options, embedding, model};
use mflow_core::{Chart, Embedding, Result};
use std::sync::Arc;

const PAGE: &str = include_str!("../../../../docs/write-your-own-manifold.md");
const THIS: &str = include_str!("own_manifold.rs");

/// `x = (u, 2 u)`.
#[derive(Clone, Debug)]
struct Line(DType);

impl Chart for Line {
    fn coordinate_dim(&self) -> usize {
        1
    }
    fn data_dim(&self) -> usize {
        2
    }
    fn domain(&self) -> Domain {
        Domain::Reals
    }
    fn dtype(&self) -> DType {
        self.0
    }
    fn embed<T: Diff>(&self, u: &T) -> Result<T> {
        Ok(T::cat(&[u, &u.scale(2.)?])?)
    }
    fn coordinates(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.narrow(1, 0, 1)?.contiguous()?)
    }
    fn log_volume(&self, u: &Tensor) -> Result<Tensor> {
        Ok((u.zeros_like()?.squeeze(1)? + 0.5 * 5_f64.ln())?)
    }
}

/// The same with the nearest point.
#[derive(Clone, Debug)]
struct Nearest(Line);

impl Chart for Nearest {
    fn coordinate_dim(&self) -> usize {
        1
    }
    fn data_dim(&self) -> usize {
        2
    }
    fn domain(&self) -> Domain {
        Domain::Reals
    }
    fn dtype(&self) -> DType {
        self.0.dtype()
    }
    fn embed<T: Diff>(&self, u: &T) -> Result<T> {
        Chart::embed(&self.0, u)
    }
    fn coordinates(&self, x: &Tensor) -> Result<Tensor> {
        Ok(((x.narrow(1, 0, 1)? + (x.narrow(1, 1, 1)? * 2.)?)? / 5.)?)
    }
    fn log_volume(&self, u: &Tensor) -> Result<Tensor> {
        Chart::log_volume(&self.0, u)
    }
}

fn line(params: &mut Params<'_>) -> Result<Arc<dyn Embedding>> {
    Ok(Arc::new(Line(params.dtype())))
}

#[test]
fn the_report_is_what_the_laws_print() {
    let broken = embedding::check("line", &line, &Options::default()).unwrap_err();
    assert!(PAGE.contains(&broken.to_string()), "the page should say:\n{broken}");
    let right = |params: &mut Params<'_>| -> Result<Arc<dyn Embedding>> {
        Ok(Arc::new(Nearest(Line(params.dtype()))))
    };
    if let Err(broken) = embedding::check("line", &right, &Options::default().on(device())) {
        panic!("{broken}");
    }
}

#[test]
fn the_tables_are_those_of_the_laws() {
    let of_embeddings = embedding::Law::ALL.iter().map(|law| (law.name(), law.statement()));
    let of_models = model::Law::ALL.iter().map(|law| (law.name(), law.statement()));
    let mut laws = 0;
    for (name, statement) in of_embeddings.chain(of_models) {
        let line = format!("| {name} | {statement} |");
        assert!(PAGE.lines().any(|l| l == line), "the page should have the line {line}");
        laws += 1;
    }
    let lines = PAGE.lines().filter(|l| l.starts_with("| ")).count();
    assert_eq!(lines, 2 + laws, "a law and the heads each have a line, and nothing else");
}

#[test]
fn its_code_is_compiled_here() {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let blocks: Vec<&str> = PAGE.split("```rust\n").skip(1).collect();
    assert_eq!(blocks.len(), 4, "blocks of Rust on the page");
    for block in blocks {
        let code = block.split("```").next().unwrap_or_default();
        // The macros make tests, and are tried where they are declared.
        if !code.starts_with("mflow_core::") {
            assert!(words(THIS).contains(&words(code)), "nowhere compiled:\n{code}");
        }
    }
}
