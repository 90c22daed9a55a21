//! What can be asked of a model, and the computation of it.
use super::super::model::Opened;
use super::super::output::{latent_names, precision, values};
use super::answer::{Answer, Field};
use super::question::{Inputs, Question};
use anyhow::Result;
use mflow::ask::{Draws, Scores, by_rows};
use mflow::core::ModelSignature;
use mflow::core::candle::Tensor;
use mflow::train::Pool;

/// A question to a model: a verb of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Score,
    Encode,
    Project,
    Decode,
    Sample,
}

impl Task {
    pub(super) const ALL: [Self; 5] =
        [Self::Score, Self::Encode, Self::Project, Self::Decode, Self::Sample];

    /// The name of the verb, which is the path.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Encode => "encode",
            Self::Project => "project",
            Self::Decode => "decode",
            Self::Sample => "sample",
        }
    }

    /// Numbers in a row of the answer.
    pub(super) fn width(self, signature: &ModelSignature) -> usize {
        self.fields(signature).iter().map(|field| field.cols.unwrap_or(1)).sum()
    }

    /// What the answer holds, in the order of its columns.
    pub(super) fn fields(self, signature: &ModelSignature) -> Vec<Field> {
        let latent = || Field { name: "latent", cols: Some(latent_names(signature).len()) };
        match self {
            Self::Score => {
                let columns = Scores::of(signature);
                let mut all: Vec<Field> =
                    columns.names().map(|name| Field { name, cols: None }).collect();
                if signature.is_generative() {
                    all.extend([Field { name: "reconstruction_error", cols: None }, latent()]);
                }
                all
            }
            Self::Encode => vec![latent()],
            Self::Project | Self::Decode | Self::Sample => {
                vec![Field { name: "x", cols: Some(signature.data_dim) }]
            }
        }
    }

    /// The answer. `check` is called now and then, and ends the work where it fails.
    pub(super) fn answer(
        self,
        question: &Question,
        opened: &Opened,
        pool: &Pool,
        check: &(dyn Fn() -> Result<()> + Sync),
    ) -> Result<Answer> {
        let signature = opened.signature();
        let result = match question {
            Question::Rows(inputs) => self.of_rows(inputs, opened, pool, check)?,
            Question::Draw(draws) => drawn(draws, opened, pool, check)?,
        };
        Ok(Answer {
            fields: self.fields(signature),
            width: self.width(signature),
            dtype: precision(&result),
            values: values(&result)?,
        })
    }

    fn of_rows(
        self,
        inputs: &Inputs,
        opened: &Opened,
        pool: &Pool,
        check: &(dyn Fn() -> Result<()> + Sync),
    ) -> Result<Tensor> {
        let (model, columns) = (opened.model(), Scores::of(opened.signature()));
        by_rows(pool, &inputs.rows, inputs.context.as_ref(), |x, c| {
            check()?;
            Ok(match self {
                Self::Encode => model.encode(x, c),
                Self::Project => model.project(x, c),
                Self::Decode => model.decode(x, c),
                Self::Score | Self::Sample => columns.of_rows(model, x, c),
            }?)
        })
    }
}

/// All points of a draw, `[n, D]`.
fn drawn(
    draws: &Draws,
    opened: &Opened,
    pool: &Pool,
    check: &(dyn Fn() -> Result<()> + Sync),
) -> Result<Tensor> {
    let mut all = vec![];
    draws.draw(opened.model(), pool, check, &mut |points| {
        all.push(points.clone());
        Ok(())
    })?;
    Ok(Tensor::cat(&all, 0)?)
}
