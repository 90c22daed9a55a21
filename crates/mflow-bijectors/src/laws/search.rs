//! The search for an input that breaks a law: drawn, then made as simple as can be.
use super::finding::Failure;
use proptest::strategy::Strategy;
use proptest::test_runner::{
    Config, FailurePersistence, FileFailurePersistence, RngSeed, TestCaseError, TestError,
    TestRunner,
};
use std::cell::RefCell;

/// How a law is tried on inputs that a strategy draws.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Number of inputs.
    pub cases: u32,
    /// The seed that they are drawn with.
    pub seed: u64,
    /// The source file whose `proptest-regressions` keep inputs that failed, to try them first from then on.
    pub source: Option<&'static str>,
}

impl Search {
    /// Try `attempt` on inputs until one fails, and shrink that one. A failure comes with the input as text.
    ///
    /// # Errors
    /// The failure of the simplest input that was found.
    pub fn run<S: Strategy>(
        self,
        strategy: &S,
        attempt: impl Fn(&S::Value) -> Result<(), (String, Failure)>,
    ) -> Result<(), (String, Failure)> {
        let persistence = self.source.map(|_| {
            Box::new(FileFailurePersistence::SourceParallel("proptest-regressions"))
                as Box<dyn FailurePersistence>
        });
        let mut runner = TestRunner::new(Config {
            cases: self.cases,
            rng_seed: RngSeed::Fixed(self.seed),
            failure_persistence: persistence,
            source_file: self.source,
            max_shrink_iters: 200,
            ..Config::default()
        });
        let last = RefCell::new(None);
        let run = runner.run(strategy, |value| {
            attempt(&value).map_err(|(input, failure)| {
                let what = failure.clone().finding().what;
                *last.borrow_mut() = Some((input, failure));
                TestCaseError::fail(what)
            })
        });
        let Err(error) = run else { return Ok(()) };
        // The last one that failed is the simplest.
        let of_error = || match error {
            TestError::Abort(reason) | TestError::Fail(reason, _) => {
                ("any".to_owned(), Failure::Error(reason.to_string()))
            }
        };
        Err(last.into_inner().unwrap_or_else(of_error))
    }
}
