//! Bodies of requests, read against what the model takes.
use super::super::model::Opened;
use super::refusal::Refusal;
use super::task::Task;
use mflow::ask::Draws;
use mflow::core::ModelSignature;
use mflow::core::candle::{DType, Device, Tensor};
use mflow::data::io::read_npy_bytes;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The name of rows of data, as in an .npz file.
pub(super) const POINTS: &str = "x";
const LATENTS: &str = "latent";
const CONTEXT: &str = "context";
/// What errors call the body.
const BODY: &str = "body";

/// A question whose numbers fit the model.
#[derive(Debug)]
pub(super) enum Question {
    Rows(Inputs),
    Draw(Draws),
}

/// Rows, and the context of each if the model has one.
#[derive(Debug)]
pub(super) struct Inputs {
    /// `[B, D]`, or latents `[B, N]`.
    pub(super) rows: Tensor,
    /// `[B, C]`.
    pub(super) context: Option<Tensor>,
}

impl Question {
    /// How many rows the answer has.
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Rows(inputs) => inputs.rows.dims().first().copied().unwrap_or(0),
            Self::Draw(draws) => draws.rows,
        }
    }

    /// From JSON.
    pub(super) fn from_json(task: Task, body: &[u8], opened: &Opened) -> Result<Self, Refusal> {
        let signature = opened.signature();
        let mut reader = serde_json::Deserializer::from_slice(body);
        let said = Fields { task, signature }.deserialize(&mut reader);
        let said = said.and_then(|said| reader.end().map(|()| said));
        said.map_err(|e| Refusal::bad(format_args!("{BODY}: {e}")))?.check(task, signature)
    }

    /// From an array whose last columns are the context.
    pub(super) fn from_npy(task: Task, body: &[u8], opened: &Opened) -> Result<Self, Refusal> {
        let signature = opened.signature();
        let (name, cols) = rows_of(task, signature).ok_or_else(|| {
            Refusal::bad(format_args!(
                "{BODY}: expected JSON for /sample, as {{\"n\": 100}}, found an array"
            ))
        })?;
        let table = read_npy_bytes(body, BODY).map_err(Refusal::bad)?;
        let context = signature.context_dim.unwrap_or(0);
        if table.cols() != cols + context {
            let beside = match context {
                0 => String::new(),
                c => format!(" and then {c} of the context"),
            };
            return Err(Refusal::bad(format_args!(
                "{BODY}: expected {} columns, {cols} of `{name}`{beside}, found {}",
                cols + context,
                table.cols()
            )));
        }
        let shape = opened.loaded.card.layout.shape.as_deref().filter(|_| name == POINTS);
        if let (Some(found), Some(expected)) = (table.row_shape(), shape)
            && found != expected
        {
            return Err(Refusal::bad(format_args!(
                "{BODY}: expected rows of the shape {expected:?}, those of the model, found {found:?}"
            )));
        }
        let (rows, values) = (table.rows(), table.into_values());
        let part = |range: std::ops::Range<usize>| {
            let of_row = |row: &'_ [f64]| row.get(range.clone()).unwrap_or_default().to_vec();
            values.chunks_exact(cols + context).flat_map(of_row).collect()
        };
        let numbers = Numbers { rows, values: part(0..cols) };
        let context = Numbers { rows, values: part(cols..cols + context) };
        let said = Said {
            rows: Some(numbers),
            context: signature.context_dim.map(|_| context),
            ..Said::default()
        };
        said.check(task, signature)
    }
}

/// The field that has the rows of a question, and how many numbers one of them has.
fn rows_of(task: Task, signature: &ModelSignature) -> Option<(&'static str, usize)> {
    match task {
        Task::Score | Task::Encode | Task::Project => Some((POINTS, signature.data_dim)),
        Task::Decode => Some((LATENTS, signature.latent_dim())),
        Task::Sample => None,
    }
}

/// Row after row.
#[derive(Debug, Default)]
struct Numbers {
    rows: usize,
    values: Vec<f64>,
}

impl Numbers {
    fn tensor(self, name: &str, signature: &ModelSignature) -> Result<Tensor, Refusal> {
        let Self { rows, values } = self;
        let cols = values.len().checked_div(rows).unwrap_or(0);
        if signature.dtype == DType::F32
            && let Some(i) = values.iter().position(|v| v.abs() > f64::from(f32::MAX))
            && let (Some(row), Some(column)) = (i.checked_div(cols), i.checked_rem(cols))
        {
            return Err(Refusal::bad(format_args!(
                "`{name}`: row {row}, column {column}: the number is too large for single precision, which the model \
                 computes in"
            )));
        }
        let tensor = Tensor::from_vec(values, (rows, cols), &Device::Cpu)
            .and_then(|t| t.to_dtype(signature.dtype)?.to_device(&signature.device));
        tensor.map_err(|e| Refusal::of_model(e.into()))
    }
}

/// What a body says.
#[derive(Debug, Default)]
struct Said {
    rows: Option<Numbers>,
    context: Option<Numbers>,
    n: Option<u64>,
    seed: Option<u64>,
    on_manifold: Option<bool>,
}

impl Said {
    /// What it asks, if it fits the model.
    fn check(self, task: Task, signature: &ModelSignature) -> Result<Question, Refusal> {
        let context = match (self.context, signature.context_dim) {
            (None, None) => None,
            (Some(numbers), Some(_)) => Some((numbers.rows, numbers.tensor(CONTEXT, signature)?)),
            (None, Some(c)) => {
                return Err(Refusal::bad(format_args!(
                    "the model is conditional: expected `{CONTEXT}` of {c} numbers, found none"
                )));
            }
            (Some(_), None) => {
                return Err(Refusal::bad(format_args!(
                    "the model is unconditional: expected no `{CONTEXT}`, found one"
                )));
            }
        };
        let for_all = |rows: usize| match &context {
            None => Ok(None),
            Some((found, c)) if *found == rows || *found == 1 => Ok(Some(c.clone())),
            Some((found, _)) => Err(Refusal::bad(format_args!(
                "`{CONTEXT}`: expected {rows} rows, one for each, or 1 for all; found {found}"
            ))),
        };
        let Some((name, _)) = rows_of(task, signature) else {
            let said = self.n.map(usize::try_from).transpose();
            let said = said.map_err(|_| Refusal::too_large("`n`: too many points to count"))?;
            let rows = said.or(context.as_ref().map(|(rows, _)| *rows));
            let rows =
                rows.ok_or_else(|| Refusal::bad("expected `n`, the number of points; found none"))?;
            if rows == 0 {
                return Err(Refusal::bad("`n`: expected a point or more, found 0"));
            }
            return Ok(Question::Draw(Draws {
                rows,
                context: for_all(rows)?,
                seed: self.seed.unwrap_or(0),
                on_manifold: self.on_manifold.unwrap_or(false),
            }));
        };
        let Some(numbers) = self.rows else {
            return Err(Refusal::bad(format_args!(
                "expected `{name}`, an array of rows; found none"
            )));
        };
        let count = numbers.rows;
        let context = for_all(count)?.map(|c| match c.dims2()? {
            (1, cols) => c.broadcast_as((count, cols))?.contiguous(),
            _ => Ok(c),
        });
        let context = context.transpose().map_err(|e| Refusal::of_model(e.into()))?;
        Ok(Question::Rows(Inputs { rows: numbers.tensor(name, signature)?, context }))
    }
}

/// Reads the fields of a question.
struct Fields<'a> {
    task: Task,
    signature: &'a ModelSignature,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = Said;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Said, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Said;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match rows_of(self.task, self.signature) {
            Some((name, _)) => write!(f, "an object with the field `{name}`"),
            None => f.write_str("an object with the field `n`"),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Said, A::Error> {
        let (mut said, of_rows) = (Said::default(), rows_of(self.task, self.signature));
        while let Some(name) = map.next_key::<String>()? {
            match (name.as_str(), of_rows) {
                (field, Some((rows, cols))) if field == rows => {
                    once(&mut said.rows, rows, map.next_value_seed(Rows { name: rows, cols })?)?;
                }
                (CONTEXT, _) => {
                    // Of a model without one, of any width: that it has none is told later.
                    let cols = self.signature.context_dim.unwrap_or(1);
                    once(
                        &mut said.context,
                        CONTEXT,
                        map.next_value_seed(Rows { name: CONTEXT, cols })?,
                    )?;
                }
                ("n", None) => once(&mut said.n, "n", map.next_value()?)?,
                ("seed", None) => once(&mut said.seed, "seed", map.next_value()?)?,
                ("on_manifold", None) => {
                    once(&mut said.on_manifold, "on_manifold", map.next_value()?)?;
                }
                (_, Some((rows, _))) => {
                    let known = format!("`{rows}` or `{CONTEXT}`");
                    return Err(unknown(&name, &known));
                }
                (_, None) => {
                    return Err(unknown(&name, "`n`, `seed`, `on_manifold` or `context`"));
                }
            }
        }
        Ok(said)
    }
}

fn unknown<E: de::Error>(found: &str, known: &str) -> E {
    let found: String = found.chars().take(100).collect();
    E::custom(format_args!("expected the field {known}, found {found:?}"))
}

/// Refuse to be told twice.
fn once<T, E: de::Error>(place: &mut Option<T>, name: &'static str, value: T) -> Result<(), E> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(name)),
    }
}

/// Reads rows of numbers, `[[1, 2], [3, 4]]`, or one row, `[1, 2]`.
struct Rows {
    name: &'static str,
    cols: usize,
}

impl Rows {
    fn wrong_width<E: de::Error>(&self, row: usize, found: impl fmt::Display) -> E {
        let Self { name, cols } = self;
        E::custom(format_args!("`{name}`: row {row}: expected {cols} numbers, found {found}"))
    }
}

impl<'de> DeserializeSeed<'de> for Rows {
    type Value = Numbers;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Numbers, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows {
    type Value = Numbers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`, an array of rows of {} numbers", self.name, self.cols)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Numbers, A::Error> {
        let mut all = Numbers::default();
        let mut bare = 0;
        loop {
            let entry = Entry { of: &self, row: all.rows, values: &mut all.values };
            match seq.next_element_seed(entry)? {
                None => break,
                Some(Kind::Row) => all.rows += 1,
                Some(Kind::Number) => bare += 1,
            }
            if bare > 0 && all.rows > 0 {
                return Err(de::Error::custom(format_args!(
                    "`{}`: expected rows, found rows and numbers between them",
                    self.name
                )));
            }
            if bare > self.cols {
                return Err(self.wrong_width(0, "more; write [[1], [2]] for rows of one number"));
            }
        }
        match (bare, all.rows) {
            (0, 0) => {
                Err(de::Error::custom(format_args!("`{}`: expected a row, found none", self.name)))
            }
            (0, _) => Ok(all),
            (bare, _) if bare == self.cols => Ok(Numbers { rows: 1, ..all }),
            (bare, _) => Err(self.wrong_width(0, bare)),
        }
    }
}

/// What stands in an array of rows.
enum Kind {
    Row,
    Number,
}

/// Reads a row, or a number of the only row, to the end of the values.
struct Entry<'a> {
    of: &'a Rows,
    row: usize,
    values: &'a mut Vec<f64>,
}

impl<'de> DeserializeSeed<'de> for Entry<'_> {
    type Value = Kind;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entry<'_> {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a row of {} numbers", self.of.cols)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Kind, E> {
        self.values.push(value);
        Ok(Kind::Number)
    }

    #[expect(clippy::cast_precision_loss, reason = "the nearest double is what is wanted")]
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Kind, E> {
        self.visit_f64(value as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "the nearest double is what is wanted")]
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Kind, E> {
        self.visit_f64(value as f64)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Kind, A::Error> {
        let Self { of, row, values } = self;
        let mut found = 0;
        while let Some(value) = seq.next_element::<f64>()? {
            found += 1;
            if found > of.cols {
                return Err(of.wrong_width(row, "more"));
            }
            values.push(value);
        }
        match found == of.cols {
            true => Ok(Kind::Row),
            false => Err(of.wrong_width(row, found)),
        }
    }
}
