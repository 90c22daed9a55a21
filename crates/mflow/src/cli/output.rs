//! What goes out: results on the standard output, messages on the standard error, arrays in files.
use super::exit::Usage;
use anyhow::{Result, bail};
use mflow::bijectors::{host, printable};
use mflow::core::candle::{DType, Tensor};
use mflow::core::{ModelCard, ModelSignature};
use mflow::data::io::{Array, Dtype, NpyWriter, write_array};
use std::fmt::Arguments;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this process leaves all words to another one.
static IS_SILENT: AtomicBool = AtomicBool::new(false);

/// Whether only warnings and complaints are wanted beside results.
static IS_QUIET: AtomicBool = AtomicBool::new(false);

/// Keep progress and notes to oneself from now on.
pub(super) fn be_quiet() {
    IS_QUIET.store(true, Ordering::Relaxed);
}

/// Whether nobody wants progress and notes.
pub(super) fn is_quiet() -> bool {
    IS_QUIET.load(Ordering::Relaxed)
}

/// Say nothing from now on but complaints: another process speaks for this one.
#[cfg(feature = "mpi")]
pub(super) fn fall_silent() {
    IS_SILENT.store(true, Ordering::Relaxed);
}

/// A line of results.
pub(super) fn result(line: Arguments<'_>) -> Result<()> {
    if IS_SILENT.load(Ordering::Relaxed) {
        return Ok(());
    }
    Ok(writeln!(std::io::stdout().lock(), "{}", printable(&line.to_string()))?)
}

/// Results that are no line.
pub(super) fn bytes(text: &[u8]) -> Result<()> {
    Ok(std::io::stdout().lock().write_all(text)?)
}

/// A line to whoever runs the program; what is more than a note begins with `warning: `. That nobody listens is no failure.
pub(super) fn message(line: Arguments<'_>) {
    if IS_SILENT.load(Ordering::Relaxed) {
        return;
    }
    if is_quiet() {
        let text = line.to_string();
        let warnings = text.find("warning: ").and_then(|at| text.get(at..));
        warnings.into_iter().for_each(|text| complain(format_args!("{text}")));
        return;
    }
    complain(line);
}

/// A line about what went wrong, which is said in any case.
pub(super) fn complain(line: Arguments<'_>) {
    // Names of files and columns are those of whoever made them: no terminal is to obey them.
    writeln!(std::io::stderr().lock(), "{}", printable(&line.to_string())).ok();
}

/// Whether the reader of the results has gone.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
}

/// A file for arrays or a figure, whose extension and folder are checked before the work begins.
#[derive(Clone, Debug)]
pub(super) struct OutFile(PathBuf);

impl OutFile {
    /// For clap: an array by itself.
    pub(super) fn array(text: &str) -> Result<Self, String> {
        Self::parse(text, &["npy", "npz", "csv"])
    }
    /// For clap: several arrays, or a folder for a file of each.
    pub(super) fn arrays(text: &str) -> Result<Self, String> {
        match Path::new(text).extension() {
            None => Ok(Self(PathBuf::from(text))),
            Some(_) => Self::parse(text, &["npz", "csv"]),
        }
    }
    /// For clap: a figure.
    pub(super) fn figure(text: &str) -> Result<Self, String> {
        Self::parse(text, &["png", "svg"])
    }

    fn parse(text: &str, known: &[&str]) -> Result<Self, String> {
        let path = PathBuf::from(text);
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        if known.contains(&extension.as_str()) {
            return Ok(Self(path));
        }
        let known: Vec<String> = known.iter().map(|e| format!(".{e}")).collect();
        let found = if extension.is_empty() { "none".into() } else { format!(".{extension}") };
        Err(format!("expected the extension {}, found {found}", known.join(" or ")))
    }

    /// The path.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Whether it is a folder, which has no extension.
    pub(super) fn is_folder(&self) -> bool {
        self.0.extension().is_none()
    }

    /// Whether it is a .csv file.
    pub(super) fn is_csv(&self) -> bool {
        self.0.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"))
    }

    /// Refuse a file that cannot be written, before hours of work for it.
    pub(super) fn check(&self) -> Result<()> {
        let folder = self.0.parent().filter(|p| !p.as_os_str().is_empty());
        if let Some(folder) = folder
            && !folder.is_dir()
        {
            bail!("{}: there is no folder {} to write to", self.0.display(), folder.display());
        }
        if self.0.is_dir() {
            bail!(Usage(format!("{}: expected a file to write, found a folder", self.0.display())));
        }
        Ok(())
    }

    /// Write the matrix `t: [B, K]` in its own precision; `columns` name it in a .csv file.
    pub(super) fn write(&self, t: &Tensor, columns: Option<&[String]>) -> Result<()> {
        self.write_rows(t, columns, None)
    }

    /// Write points of a model, `[B, D]`, as its data were: with the names of their columns, or the shape of their rows.
    pub(super) fn write_points(&self, t: &Tensor, card: &ModelCard) -> Result<()> {
        self.write_rows(t, card.columns.as_deref(), card.layout.shape.as_deref())
    }

    fn write_rows(
        &self,
        t: &Tensor,
        columns: Option<&[String]>,
        shape: Option<&[usize]>,
    ) -> Result<()> {
        let (rows, cols) = t.dims2()?;
        let array = values(t)?;
        self.write_array(Array::matrix(rows, cols, &array, precision(t))?, columns, shape)
    }

    fn write_array<'a>(
        &self,
        mut array: Array<'a>,
        columns: Option<&'a [String]>,
        shape: Option<&'a [usize]>,
    ) -> Result<()> {
        if let Some(columns) = columns {
            array = array.with_columns(columns)?;
        }
        if let Some(shape) = shape {
            array = array.with_row_shape(shape)?;
        }
        write_array(&self.0, &array)?;
        self.announce(format_args!("{:?}", array.shape()))
    }

    /// Say on the standard output what was written.
    pub(super) fn announce(&self, what: Arguments<'_>) -> Result<()> {
        result(format_args!("{}: {what}", self.0.display()))
    }
}

/// Points of a model that are written as they come: to a .npy file without being held in memory.
pub(super) struct Points<'a> {
    out: &'a OutFile,
    card: &'a ModelCard,
    /// Of all of them, `[n, D]`.
    shape: [usize; 2],
    dtype: Dtype,
    writer: Option<NpyWriter>,
    /// What cannot be written yet.
    held: Vec<f64>,
}

impl<'a> Points<'a> {
    /// For `rows` points of a model.
    pub(super) fn new(
        out: &'a OutFile,
        rows: usize,
        signature: &ModelSignature,
        card: &'a ModelCard,
    ) -> Result<Self> {
        let shape = [rows, signature.data_dim];
        let dtype = if signature.dtype == DType::F64 { Dtype::F64 } else { Dtype::F32 };
        let is_npy = out.0.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy"));
        let of_row = card.layout.shape.as_deref().unwrap_or(&shape[1..]);
        let whole = [&[rows], of_row].concat();
        let writer = is_npy.then(|| NpyWriter::create_as(&out.0, &whole, dtype)).transpose()?;
        Ok(Self { out, card, shape, dtype, writer, held: vec![] })
    }

    /// The next points, `[B, D]`.
    pub(super) fn push(&mut self, t: &Tensor) -> Result<()> {
        let values = values(t)?;
        match &mut self.writer {
            Some(writer) => writer.write(&values)?,
            None => self.held.extend(values),
        }
        Ok(())
    }

    /// Put the file in its place, with the names of the data's columns, or the shape of their rows.
    pub(super) fn finish(self) -> Result<()> {
        let Self { out, card, shape: [rows, cols], dtype, writer, held } = self;
        let of_row = card.layout.shape.as_deref();
        let Some(writer) = writer else {
            let array = Array::matrix(rows, cols, &held, dtype)?;
            return out.write_array(array, card.columns.as_deref(), of_row);
        };
        writer.finish()?;
        out.announce(format_args!("{:?}", [&[rows], of_row.unwrap_or(&[cols])].concat()))
    }
}

/// All values in row-major order.
pub(super) fn values(t: &Tensor) -> Result<Vec<f64>> {
    Ok(host::values_f64(t)?)
}

/// The precision in which a tensor is written: its own.
pub(super) fn precision(t: &Tensor) -> Dtype {
    if t.dtype() == DType::F64 { Dtype::F64 } else { Dtype::F32 }
}

/// `latent_0`, `latent_1`, ..
pub(super) fn latent_names(signature: &ModelSignature) -> Vec<String> {
    let chart = (signature.charts > 1).then(|| "chart".to_owned());
    (0..signature.manifold_dim).map(|i| format!("latent_{i}")).chain(chart).collect()
}
