//! DATA of a fit, with its context, joint scores and ratios: in memory, or on disk until its rows are needed.
use super::exit::Usage;
use super::input;
use super::output::message;
use anyhow::{Result, bail};
use mflow::bijectors::FeatureAffineConfig;
use mflow::core::candle::{DType, Device};
use mflow::core::{ModelParts, standardize, standardize_blocks};
use mflow::data::Place;
use mflow::data::io::{NpyFile, Table, npz_names, read_npz_array, read_table, read_table_or_array};
use mflow::fit::FitConfig;
use mflow::train::{RowSource, Rows, Stored};
use std::path::{Path, PathBuf};

/// A table of numbers.
pub(super) enum Numbers {
    /// In memory.
    Table(Table),
    /// On disk.
    File(NpyFile),
}

impl Numbers {
    /// Rows of a file; `array` says which array of an .npz file goes before `x`.
    fn read(path: &Path, array: Option<&str>, stream: bool) -> Result<Self> {
        if !stream {
            return Ok(Self::Table(match array {
                Some(array) => read_table_or_array(path, array)?,
                None => read_table(path)?,
            }));
        }
        if !has_extension(path, "npy") {
            bail!(Usage(format!(
                "{}: expected a .npy file to --stream rows from; other files are read whole",
                path.display()
            )));
        }
        Ok(Self::File(NpyFile::open(path)?))
    }

    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Table(table) => table.rows(),
            Self::File(file) => file.rows(),
        }
    }
    pub(super) fn cols(&self) -> usize {
        match self {
            Self::Table(table) => table.cols(),
            Self::File(file) => file.cols(),
        }
    }
    /// Names of the columns, if they have names.
    pub(super) fn columns(&self) -> Option<&[String]> {
        match self {
            Self::Table(table) => table.columns(),
            Self::File(_) => None,
        }
    }
    /// Mean and standard deviation of each column.
    pub(super) fn standardize(&self) -> Result<FeatureAffineConfig> {
        match self {
            Self::Table(table) => Ok(standardize(table.values(), table.cols())?),
            Self::File(file) => {
                let pass = |see: &mut dyn FnMut(&[f64])| file.for_each_block(see);
                Ok(standardize_blocks(file.rows(), file.cols(), pass)?)
            }
        }
    }
    fn check_columns(&self, path: &Path, expected: usize, what: &str) -> Result<()> {
        input::check_columns(path, self.cols(), expected, what)
    }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension))
}

/// The array of contexts in an .npz file.
pub(super) const CONTEXT: &str = "theta";
/// The array of joint scores in an .npz file.
const SCORES: &str = "score";

/// The array called `array` beside `x` in an .npz file, if there is one, with what to call it in messages.
fn beside_x(path: &Path, array: &str) -> Result<Option<(PathBuf, Table)>> {
    if !has_extension(path, "npz") {
        return Ok(None);
    }
    let names = npz_names(path)?;
    if !["x", array].iter().all(|name| names.iter().any(|n| n == name)) {
        return Ok(None);
    }
    let label = Place::archive(path, array).to_string().into();
    Ok(Some((label, read_npz_array(path, array)?)))
}

/// What to read.
pub(super) struct Files<'a> {
    pub(super) data: &'a Path,
    pub(super) context: Option<&'a Path>,
    pub(super) scores: Option<&'a Path>,
    /// The option that names the file of scores.
    pub(super) scores_option: &'static str,
    pub(super) ratios: Option<&'a Path>,
    /// Whether rows are read as they are needed.
    pub(super) stream: bool,
}

/// Data, their context, joint scores and ratios, as read.
pub(super) struct Tables {
    path: PathBuf,
    pub(super) data: Numbers,
    context: Option<(PathBuf, Numbers)>,
    scores: Option<(PathBuf, Table)>,
    scores_option: &'static str,
    /// Log-ratios and labels.
    ratios: Option<(PathBuf, Table)>,
}

/// Columns of a table of ratios: log-ratio and label.
const OF_RATIOS: usize = 2;

impl Tables {
    /// Read data, context, scores and ratios. An .npz file may have the context of its rows beside them.
    pub(super) fn read(files: &Files<'_>) -> Result<Self> {
        let Files { data: path, stream, scores_option, .. } = *files;
        let data = Numbers::read(path, None, stream)?;
        let context = match files.context {
            Some(path) => Some((path.to_owned(), Numbers::read(path, Some(CONTEXT), stream)?)),
            None => match beside_x(path, CONTEXT)? {
                Some((label, table)) => {
                    message(format_args!(
                        "note: {} has the array `{CONTEXT}`, which is taken for the context; --context names \
                         another one, and a file with `x` alone has none",
                        path.display()
                    ));
                    Some((label, Numbers::Table(table)))
                }
                None => None,
            },
        };
        let scores = files
            .scores
            .map(|path| anyhow::Ok((path.to_owned(), read_table_or_array(path, SCORES)?)))
            .transpose()?;
        if stream && files.ratios.is_some() {
            bail!(Usage("expected --ratios without --stream: they are held in memory".to_owned()));
        }
        let ratios = files
            .ratios
            .map(|path| anyhow::Ok((path.to_owned(), read_table(path)?)))
            .transpose()?;
        let tables = Self { path: path.to_owned(), data, context, scores, scores_option, ratios };
        if let Some((path, table)) = &tables.context {
            tables.check_rows(path, table.rows())?;
        }
        for (path, table) in tables.scores.iter().chain(&tables.ratios) {
            tables.check_rows(path, table.rows())?;
        }
        Ok(tables)
    }

    fn check_rows(&self, path: &Path, found: usize) -> Result<()> {
        let expected = self.data.rows();
        if found != expected {
            let (path, data) = (path.display(), self.path.display());
            bail!("{path}: expected {expected} rows, as many as {data}, found {found}");
        }
        Ok(())
    }

    /// Where training needs joint scores and no file was named, take those beside the data in an .npz file.
    pub(super) fn find_scores(&mut self, config: &FitConfig) -> Result<()> {
        if self.scores.is_none()
            && config.train.uses_scores()
            && let Some((label, table)) = beside_x(&self.path, SCORES)?
        {
            self.check_rows(&label, table.rows())?;
            self.scores = Some((label, table));
        }
        Ok(())
    }

    /// Number of context features, 0 for none.
    pub(super) fn context_dim(&self) -> usize {
        self.context.as_ref().map_or(0, |(_, table)| table.cols())
    }

    /// Refuse what cannot work before a folder is made for it.
    pub(super) fn check(&self, config: &FitConfig) -> Result<()> {
        let (dtype, sizes): (DType, _) = (config.dtype.into(), &config.model.sizes);
        let in_range = |path: &Path, numbers: &Numbers| match numbers {
            Numbers::Table(table) => input::check_range(path, table, dtype),
            // Looked at when it becomes a source of rows.
            Numbers::File(_) => Ok(()),
        };
        in_range(&self.path, &self.data)?;
        self.data.check_columns(&self.path, sizes.data_dim, "`model.data_dim`")?;
        self.check_scores(config)?;
        self.check_ratios(config)?;
        match (&self.context, sizes.context_dim) {
            (Some((path, context)), c) => {
                context.check_columns(path, c, "`model.context_dim`")?;
                in_range(path, context)
            }
            (None, 0) => Ok(()),
            (None, c) => bail!(Usage(format!(
                "expected a context for {}, as `model.context_dim` is {c}; found none",
                self.path.display()
            ))),
        }
    }

    fn check_scores(&self, config: &FitConfig) -> Result<()> {
        let option = self.scores_option;
        match (&self.scores, config.train.uses_scores()) {
            (None, false) => Ok(()),
            (None, true) => bail!(Usage(format!(
                "expected {option} T, the joint score of each row of {}, to fit scores to (`train.scandal`); found \
                 none",
                self.path.display()
            ))),
            (Some(_), false) => bail!(Usage(format!(
                "{option} has no effect by itself: expected --scandal beside it, `train.scandal` or a loss \
                 `score` in a config; found none"
            ))),
            (Some((path, scores)), true) => {
                let what = "one for each number of the context (`model.context_dim`)";
                input::check_columns(path, scores.cols(), config.model.sizes.context_dim, what)?;
                input::check_range(path, scores, config.dtype.into())
            }
        }
    }

    /// Ratios are for the model that learns from them, and it needs them.
    fn check_ratios(&self, config: &FitConfig) -> Result<()> {
        let needed = matches!(config.model.parts, ModelParts::Ratio { .. });
        match &self.ratios {
            None if needed => bail!(Usage(format!(
                "expected --context and --ratios for {}, with --validation-context and --validation-ratios if it is \
                 for validation: `ratio` learns from joint likelihood ratios and labels; found none",
                self.path.display()
            ))),
            Some((path, _)) if !needed => bail!(Usage(format!(
                "{}: ratios are for the model `ratio` alone, found `{}`; leave them out",
                path.display(),
                config.model.name()
            ))),
            Some((path, table)) => {
                let what = "the logarithm of the joint ratio and the label";
                input::check_columns(path, table.cols(), OF_RATIOS, what)?;
                let labels = table.values().iter().skip(1).step_by(OF_RATIOS);
                if let Some((row, label)) = labels.enumerate().find(|(_, y)| ![0., 1.].contains(*y))
                {
                    bail!(
                        "{}: expected the label 0 or 1 in the second column, found {label} in row {row}, counting from 0",
                        path.display()
                    );
                }
                input::check_range(path, table, config.dtype.into())
            }
            None => Ok(()),
        }
    }

    /// Refuse columns of `fitted` in another order, and warn of other ones.
    pub(super) fn check_names(&self, fitted: &Self) -> Result<()> {
        input::check_names(&self.path, self.data.columns(), fitted.data.columns())?;
        match (&self.context, &fitted.context) {
            (Some((path, found)), Some((_, expected))) => {
                input::check_names(path, found.columns(), expected.columns())
            }
            _ => Ok(()),
        }
    }

    /// What a trainer eats.
    pub(super) fn into_source(
        self,
        config: &FitConfig,
        device: &Device,
    ) -> Result<Box<dyn RowSource>> {
        let dtype: DType = config.dtype.into();
        let file = |numbers: Numbers| match numbers {
            Numbers::File(file) => Some(Box::new(file) as Box<dyn mflow::train::RowReader>),
            Numbers::Table(_) => None,
        };
        match self.data {
            Numbers::File(data) => {
                let context = self.context.and_then(|(_, numbers)| file(numbers));
                Ok(Box::new(Stored::new(Box::new(data), context, dtype, device)?))
            }
            Numbers::Table(table) => {
                let context = self.context.and_then(|(_, numbers)| match numbers {
                    Numbers::Table(table) => {
                        let cols = table.cols();
                        Some((table.into_values(), cols))
                    }
                    Numbers::File(_) => None,
                });
                let cols = table.cols();
                let rows = Rows::new(table.into_values(), cols, context, dtype, device)?;
                let rows = match self.scores {
                    Some((_, scores)) => rows.with_scores(scores.into_values())?,
                    None => rows,
                };
                let Some((_, ratios)) = self.ratios else { return Ok(Box::new(rows)) };
                let column = |k: usize| -> Vec<f64> {
                    ratios.values().iter().skip(k).step_by(OF_RATIOS).copied().collect()
                };
                Ok(Box::new(rows.with_ratios(&column(0), &column(1))?))
            }
        }
    }
}
