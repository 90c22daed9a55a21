//! Results on their way out, as JSON or in NumPy's format.
use super::question::POINTS;
use anyhow::Result;
use mflow::data::io::{Array, Dtype, npy_bytes};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

/// Some columns of an answer, by their name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    /// None for one number a row.
    pub(super) cols: Option<usize>,
}

/// Results of rows.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) fields: Vec<Field>,
    /// Numbers of a row.
    pub(super) width: usize,
    pub(super) dtype: Dtype,
    /// Row after row.
    pub(super) values: Vec<f64>,
}

impl Answer {
    pub(super) fn rows(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// Rows with a value that is not finite.
    pub(super) fn non_finite_rows(&self) -> usize {
        let rows = self.values.chunks_exact(self.width.max(1));
        rows.filter(|row| row.iter().any(|v| !v.is_finite())).count()
    }

    /// `{"log_prob": [..], "latent": [[..], ..]}`.
    pub(super) fn json(&self) -> Result<Vec<u8>> {
        Ok(serde_json::to_vec(self)?)
    }

    /// One array `[B, K]` of all fields next to each other; rows that are points have the shape of the data's rows.
    pub(super) fn npy(&self, row_shape: Option<&[usize]>) -> Result<Vec<u8>> {
        let mut array = Array::matrix(self.rows(), self.width, &self.values, self.dtype)?;
        if let Some(shape) = row_shape.filter(|_| self.fields.iter().all(|f| f.name == POINTS)) {
            array = array.with_row_shape(shape)?;
        }
        Ok(npy_bytes(&array)?)
    }

    /// Names of the columns.
    pub(super) fn columns(&self) -> String {
        let names = self.fields.iter().flat_map(|field| {
            let name = field.name;
            let numbered = (0..field.cols.unwrap_or(0)).map(move |i| format!("{name}_{i}"));
            let plain = field.cols.is_none().then(|| name.to_owned());
            plain.into_iter().chain(numbered)
        });
        names.collect::<Vec<_>>().join(",")
    }
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        let mut start = 0;
        for field in &self.fields {
            map.serialize_entry(field.name, &Part { of: self, start, cols: field.cols })?;
            start += field.cols.unwrap_or(1);
        }
        map.end()
    }
}

/// The columns of a field.
struct Part<'a> {
    of: &'a Answer,
    start: usize,
    cols: Option<usize>,
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { of, start, cols } = *self;
        let mut rows = serializer.serialize_seq(Some(of.rows()))?;
        for row in of.values.chunks_exact(of.width.max(1)) {
            let numbers = row.get(start..start + cols.unwrap_or(1)).unwrap_or_default();
            match (cols, numbers) {
                (None, &[value]) => rows.serialize_element(&Number { value, dtype: of.dtype })?,
                _ => rows.serialize_element(&Row { numbers, dtype: of.dtype })?,
            }
        }
        rows.end()
    }
}

/// A row of a field.
struct Row<'a> {
    numbers: &'a [f64],
    dtype: Dtype,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dtype = self.dtype;
        serializer.collect_seq(self.numbers.iter().map(|&value| Number { value, dtype }))
    }
}

/// A number with the digits that its precision has; what is not finite becomes null.
struct Number {
    value: f64,
    dtype: Dtype,
}

impl Serialize for Number {
    #[expect(clippy::cast_possible_truncation, reason = "it was single before")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.dtype {
            Dtype::F32 => serializer.serialize_f32(self.value as f32),
            Dtype::F64 => serializer.serialize_f64(self.value),
        }
    }
}
