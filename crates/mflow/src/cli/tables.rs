//! DATA of a fit, with its context and ratios: in memory, or on disk until its rows are needed.
use super::exit::Usage;
use super::input;
use anyhow::{Result, bail};
use mflow::bijectors::FeatureAffineConfig;
use mflow::core::candle::{DType, Device};
use mflow::core::{ModelParts, standardize, standardize_blocks};
use mflow::data::io::{NpyFile, Table, read_table};
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
    fn read(path: &Path, stream: bool) -> Result<Self> {
        if !stream {
            return Ok(Self::Table(read_table(path)?));
        }
        if !path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy")) {
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

/// Data and their context, as read.
pub(super) struct Tables {
    path: PathBuf,
    pub(super) data: Numbers,
    context: Option<(PathBuf, Numbers)>,
    /// Log-ratios and labels.
    ratios: Option<(PathBuf, Table)>,
}

/// Columns of a table of ratios: log-ratio and label.
const OF_RATIOS: usize = 2;

impl Tables {
    /// Read data, context and ratios; with `stream` as their rows are needed.
    pub(super) fn read(
        path: &Path,
        context: Option<&Path>,
        ratios: Option<&Path>,
        stream: bool,
    ) -> Result<Self> {
        let data = Numbers::read(path, stream)?;
        let read =
            |path: &Path| Ok::<_, anyhow::Error>((path.to_owned(), Numbers::read(path, stream)?));
        let context = context.map(read).transpose()?;
        if stream && ratios.is_some() {
            bail!(Usage("expected --ratios without --stream: they are held in memory".to_owned()));
        }
        let table = |path: &Path| Ok::<_, anyhow::Error>((path.to_owned(), read_table(path)?));
        let ratios = ratios.map(table).transpose()?;
        let of_context = context.iter().map(|(path, table)| (path, table.rows()));
        let of_ratios = ratios.iter().map(|(path, table)| (path, table.rows()));
        for (other, found) in of_context.chain(of_ratios) {
            if found != data.rows() {
                bail!(
                    "{}: expected {} rows, as many as {}, found {found}",
                    other.display(),
                    data.rows(),
                    path.display()
                );
            }
        }
        Ok(Self { path: path.to_owned(), data, context, ratios })
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
                let Some((_, ratios)) = self.ratios else { return Ok(Box::new(rows)) };
                let column = |k: usize| -> Vec<f64> {
                    ratios.values().iter().skip(k).step_by(OF_RATIOS).copied().collect()
                };
                Ok(Box::new(rows.with_ratios(&column(0), &column(1))?))
            }
        }
    }
}
