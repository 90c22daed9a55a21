//! The page "Write your own map" says what happens: its report is what the laws print, its table is that of the laws, and its
//! code is that of the example.
use mflow::bijectors::laws::{self, Law, Options};
use mflow::bijectors::{Bijector, Diff, Direction, Layer, Mapped, Params, Result, Signature};
use std::sync::Arc;

const PAGE: &str = include_str!("../../../../docs/write-your-own-map.md");
const EXAMPLE: &str = include_str!("../../examples/e3_your_own_map.rs");
const THIS: &str = include_str!("your_own_map.rs");

/// The first attempt of the page, whose way back cancels for negative numbers.
#[derive(Debug)]
struct Sinh(Signature);

impl Layer for Sinh {
    fn signature(&self) -> &Signature {
        &self.0
    }
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        match direction {
            Direction::Forward => {
                let (up, down) = (x.exp()?, x.neg()?.exp()?);
                let (sinh, cosh) = (up.sub(&down)?.scale(0.5)?, up.add(&down)?.scale(0.5)?);
                Ok(Mapped { value: sinh, log_abs_det: cosh.ln()?.sum_last()? })
            }
            Direction::Inverse => {
                // asinh(y) = ln(y + sqrt(y² + 1)), as in every table of formulas
                let root = x.mul(x)?.shift(1.)?.sqrt()?;
                let value = x.add(&root)?.ln()?;
                Ok(Mapped { value, log_abs_det: root.ln()?.neg()?.sum_last()? })
            }
        }
    }
}

fn sinh(params: &mut Params<'_>) -> Result<Arc<dyn Bijector>> {
    Ok(Arc::new(Sinh(Signature::vector(3, params.dtype(), params.device()))))
}

/// Words alone: code is indented elsewhere.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_report_is_what_the_laws_print() {
    let broken = laws::check("sinh", &sinh, &Options::default().reach(300.)).unwrap_err();
    assert!(PAGE.contains(&broken.to_string()), "the page should say:\n{broken}");
}

#[test]
fn the_table_is_that_of_the_laws() {
    for law in Law::ALL {
        let line = format!("| {} | {} |", law.name(), law.statement());
        assert!(PAGE.lines().any(|l| l == line), "the page should have the line {line}");
    }
    let lines = PAGE.lines().filter(|l| l.starts_with("| ")).count();
    assert_eq!(lines, 1 + Law::ALL.len(), "a law and the head each have a line, and nothing else");
}

#[test]
fn its_code_is_compiled_here_and_in_the_example() {
    let blocks: Vec<&str> = PAGE.split("```rust\n").skip(1).collect();
    let compiled = words(&format!("{EXAMPLE}{THIS}"));
    assert_eq!(blocks.len(), 4, "blocks of Rust on the page");
    for block in blocks {
        let code = block.split("```").next().unwrap_or_default();
        // The macro makes tests, and is tried where it is declared.
        if !code.starts_with("mflow_bijectors::laws!") {
            assert!(compiled.contains(&words(code)), "nowhere compiled:\n{code}");
        }
    }
}
