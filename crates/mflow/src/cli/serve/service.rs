//! The model, what is asked of it, and the limits.
use super::super::model::Opened;
use super::answer::Answer;
use super::media::Media;
use super::metrics::Metrics;
use super::question::Question;
use super::refusal::Refusal;
use super::task::Task;
use anyhow::Result;
use hyper::StatusCode;
use hyper::body::Bytes;
use mflow::train::Pool;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// What a service may use.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Limits {
    /// Bytes of a question, and of the numbers of an answer.
    pub(in super::super) body: usize,
    /// For a question to arrive, and again to be answered.
    pub(in super::super) time: Duration,
    pub(in super::super) connections: usize,
}

/// Largest bodies that are in memory at a time.
const BODIES: usize = 4;
/// What a permit of the budget stands for, in bytes.
const UNIT: usize = 1 << 10;

/// A model that answers.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) opened: Opened,
    /// What a browser is shown.
    pub(super) page: Option<Bytes>,
    pub(super) pool: Pool,
    pub(super) limits: Limits,
    pub(super) metrics: Metrics,
    /// Memory for questions and for answers, in units; who wants more than there is waits. Who has memory for an answer waits for
    /// nothing else, so that two of them never wait for each other.
    pub(super) questions: Arc<Semaphore>,
    pub(super) answers: Arc<Semaphore>,
    /// Whether it answers what was asked, and no more.
    pub(super) is_stopping: AtomicBool,
}

/// Whether an answer is still wanted, and until when.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) until: Instant,
    pub(super) is_gone: Arc<AtomicBool>,
}

impl Service {
    pub(super) fn new(opened: Opened, page: Option<String>, pool: Pool, limits: Limits) -> Self {
        let budget = || Arc::new(Semaphore::new(BODIES.saturating_mul(units(limits.body))));
        let (questions, answers) = (budget(), budget());
        let is_stopping = AtomicBool::new(false);
        let (page, metrics) = (page.map(Bytes::from), Metrics::default());
        Self { opened, page, pool, limits, metrics, questions, answers, is_stopping }
    }

    /// Permits for a body of so many bytes.
    pub(super) fn units(&self, bytes: usize) -> u32 {
        u32::try_from(units(bytes.min(self.limits.body))).unwrap_or(u32::MAX)
    }

    /// What a body asks, and how many bytes the numbers of its answer have.
    pub(super) fn question(
        &self,
        task: Task,
        from: Media,
        body: &[u8],
    ) -> Result<(Question, usize), Refusal> {
        let (opened, signature) = (&self.opened, self.opened.signature());
        if task != Task::Score && !signature.is_generative() {
            return Err(Refusal::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                format_args!(
                    "`{}` estimates ratios of likelihoods: it answers /score alone",
                    signature.name
                ),
            ));
        }
        let question = match from {
            Media::Json => Question::from_json(task, body, opened)?,
            Media::Npy => Question::from_npy(task, body, opened)?,
        };
        let (rows, width) = (question.rows(), task.width(signature));
        let bytes = rows.saturating_mul(width).saturating_mul(size_of::<f64>());
        if bytes > self.limits.body {
            return Err(Refusal::too_large(format_args!(
                "{rows} rows of {width} numbers would be an answer of {bytes} bytes, more than {}; ask for fewer rows at a \
                 time, or raise --max-body",
                self.limits.body
            )));
        }
        Ok((question, bytes))
    }

    /// The answer, with its columns.
    pub(super) fn answer(
        &self,
        task: Task,
        question: &Question,
        to: Media,
        wanted: &Wanted,
    ) -> Result<(Vec<u8>, String), Refusal> {
        let check = || wanted.check(self.limits.time).map_err(anyhow::Error::from);
        check().map_err(Refusal::of_model)?;
        let answer =
            task.answer(question, &self.opened, &self.pool, &check).map_err(Refusal::of_model)?;
        self.metrics.count_rows(task, answer.rows(), answer.non_finite_rows());
        let bytes = self.written(&answer, to).map_err(Refusal::of_model)?;
        Ok((bytes, answer.columns()))
    }

    fn written(&self, answer: &Answer, to: Media) -> Result<Vec<u8>> {
        match to {
            Media::Json => answer.json(),
            Media::Npy => answer.npy(self.opened.loaded.card.layout.shape.as_deref()),
        }
    }

    /// What the model is, and what can be asked.
    pub(super) fn description(&self) -> Value {
        let signature = self.opened.signature();
        let tasks =
            Task::ALL.iter().filter(|task| **task == Task::Score || signature.is_generative());
        let tasks = tasks.map(|task| {
            let fields = task.fields(signature).into_iter().map(|field| {
                let shape = std::iter::once(json!("B")).chain(field.cols.map(|cols| json!(cols)));
                (field.name.to_owned(), shape.collect())
            });
            (task.name().to_owned(), Value::Object(fields.collect()))
        });
        let limits =
            json!({ "body_bytes": self.limits.body, "seconds": self.limits.time.as_secs() });
        let mut all = self.opened.description();
        all.extend([
            ("answers".to_owned(), Value::Object(tasks.collect())),
            ("limits".to_owned(), limits),
        ]);
        Value::Object(all)
    }
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT).max(1)
}

impl Wanted {
    /// Refuse to go on with what nobody wants any more.
    fn check(&self, time: Duration) -> Result<(), Refusal> {
        if self.is_gone.load(Ordering::Relaxed) {
            return Err(Refusal::busy("the connection was closed before the answer"));
        }
        if Instant::now() >= self.until {
            return Err(Refusal::busy(format_args!(
                "the answer took more than {} s; ask for fewer rows at a time, or raise --time-limit",
                time.as_secs()
            )));
        }
        Ok(())
    }
}
