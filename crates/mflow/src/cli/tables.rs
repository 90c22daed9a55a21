//! DATA of a fit, with its context, joint scores, ratios and weights: in memory, or on disk until its rows are needed.
use super::exit::Usage;
use super::input;
use super::output::message;
use anyhow::{Context, Result, anyhow, bail};
use mflow::bijectors::{FeatureAffineConfig, Stream};
use mflow::core::candle::{DType, Device};
use mflow::core::{
    ChosenColumns, ModelParts, RowLayout, standardize, standardize_blocks, standardize_weighted,
    standardize_weighted_blocks,
};
use mflow::data::Place;
use mflow::data::io::{
    Columns, Loaded, Missing, NpyFile, Pick, ReadOptions, Table, align_rows, npz_names,
    read_npz_array,
};
use mflow::fit::{DataUnits, FitConfig, Planned};
use mflow::train::{RowReader, RowSource, Rows, Stored};
use std::path::{Path, PathBuf};

/// A table of numbers.
pub(super) enum Numbers {
    /// In memory.
    Table(Table),
    /// On disk.
    File(NpyFile),
}

impl Numbers {
    /// Rows of a file that stay there.
    fn open(path: &Path, columns: &Columns) -> Result<Self> {
        if !has_extension(path, "npy") {
            bail!(Usage(format!(
                "{}: expected a .npy file to --stream rows from, in any order; `mflow data array {} --out x.npy` makes one of a \
                 table, and `mflow data images` of images",
                path.display(),
                path.display()
            )));
        }
        Ok(Self::File(NpyFile::open_columns(path, columns)?))
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
    /// The shape of a row, if it has several dimensions.
    fn row_shape(&self) -> Option<&[usize]> {
        match self {
            Self::Table(table) => table.row_shape(),
            Self::File(file) => file.row_shape(),
        }
    }
    /// Mean and standard deviation of each column, of rows that count by their weights if they have some.
    fn standardize(&self, weights: Option<&[f64]>) -> Result<FeatureAffineConfig> {
        let cols = self.cols();
        match (self, weights) {
            (Self::Table(table), None) => Ok(standardize(table.values(), cols)?),
            (Self::Table(table), Some(weights)) => {
                Ok(standardize_weighted(table.values(), cols, weights)?)
            }
            (Self::File(file), None) => {
                Ok(standardize_blocks(file.rows(), cols, |see| file.for_each_block(see))?)
            }
            (Self::File(file), Some(weights)) => {
                let pass = |see: &mut dyn FnMut(&[f64])| {
                    file.for_each_block(see).map_err(anyhow::Error::from)
                };
                standardize_weighted_blocks(weights, cols, pass)
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
/// The array of weights in an .npz file.
const WEIGHTS: &str = "weight";
/// The array of joint scores in an .npz file.
const SCORES: &str = "score";

/// What to call the array `array` beside `x` in an .npz file, if there is one.
fn label_beside_x(path: &Path, array: &str) -> Result<Option<PathBuf>> {
    if !has_extension(path, "npz") {
        return Ok(None);
    }
    let names = npz_names(path)?;
    let has_both = ["x", array].iter().all(|name| names.iter().any(|n| n == name));
    Ok(has_both.then(|| Place::archive(path, array).to_string().into()))
}

/// The context beside `x` in an .npz file, with a note that it is taken.
fn context_beside(path: &Path, options: &ReadOptions) -> Result<Option<(PathBuf, Loaded)>> {
    let Some(label) = label_beside_x(path, CONTEXT)? else { return Ok(None) };
    message(format_args!(
        "note: {} has the array `{CONTEXT}`, which is taken for the context; --context names another one, and a file \
         with `x` alone has none",
        path.display()
    ));
    Ok(Some((label, input::load(path, &options.of_array(CONTEXT))?)))
}

/// Tables whose rows belong together, without the rows that one of them lacks.
fn together(tables: [Option<(PathBuf, Loaded)>; 5]) -> Result<[Option<(PathBuf, Table)>; 5]> {
    let (paths, loaded): (Vec<_>, Vec<_>) = tables.into_iter().map(Option::unzip).unzip();
    let is_there: Vec<bool> = loaded.iter().map(Option::is_some).collect();
    let mut aligned = align_rows(loaded.into_iter().flatten().collect())?.into_iter();
    let mut all = [const { None }; 5];
    for ((place, path), is_there) in all.iter_mut().zip(paths).zip(is_there) {
        let table = if is_there { aligned.next() } else { None };
        *place = path.zip(table.map(|loaded| loaded.table));
    }
    Ok(all)
}

/// What to read.
pub(super) struct Files<'a> {
    pub(super) data: &'a Path,
    pub(super) context: Option<&'a Path>,
    pub(super) scores: Option<&'a Path>,
    /// The option that names the file of scores.
    pub(super) scores_option: &'static str,
    pub(super) ratios: Option<&'a Path>,
    /// A file, or a column of the data.
    pub(super) weights: Option<&'a Path>,
    /// Whether rows are read as they are needed.
    pub(super) stream: bool,
    /// How tables are read; the columns are those of the data.
    pub(super) reading: &'a ReadOptions,
}

impl Files<'_> {
    /// Refuse what needs tables that are in memory.
    fn check_stream(&self) -> Result<()> {
        if self.ratios.is_some() {
            bail!(Usage("expected --ratios without --stream: they are held in memory".to_owned()));
        }
        if self.reading.missing == Missing::Drop {
            bail!(Usage(
                "expected --missing drop without --stream, which keeps all rows".to_owned()
            ));
        }
        Ok(())
    }
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
    /// What each row counts.
    weights: Option<(PathBuf, Table)>,
    /// Which rows of the file these are, if not all.
    is_kept: Option<Vec<bool>>,
    /// How a row of the data is taken from their file.
    pub(super) layout: RowLayout,
}

/// How the data are read beside their weights, and how the weights are.
struct Weighted {
    reading: ReadOptions,
    /// All columns of a file of their own, or one of the data, which is no feature then.
    weights: Option<ReadOptions>,
}

impl Weighted {
    fn of(files: &Files<'_>) -> Result<Self> {
        let reading = files.reading.clone();
        let Some(weights) = files.weights else { return Ok(Self { reading, weights: None }) };
        if weights.is_file() {
            let weights = Some(reading.of_all_columns());
            return Ok(Self { reading, weights });
        }
        let Some(name) = weights.to_str().filter(|_| !looks_like_a_file(weights)) else {
            bail!("{}: expected a file of weights, found none", weights.display());
        };
        let Ok(pick) = name.parse::<Pick>();
        let columns = match &reading.columns {
            Columns::All => Columns::Except(vec![pick.clone()]),
            Columns::Except(picks) => {
                Columns::Except([picks.as_slice(), std::slice::from_ref(&pick)].concat())
            }
            named => named.clone(),
        };
        let weights = Some(ReadOptions { columns: Columns::Only(vec![pick]), ..reading.clone() });
        Ok(Self { reading: ReadOptions { columns, ..reading }, weights })
    }
}

/// Whether somebody meant a file, not a column.
fn looks_like_a_file(path: &Path) -> bool {
    let extensions = ["npy", "npz", "csv", "tsv", "gz", "parquet"];
    path.components().count() > 1 || extensions.iter().any(|e| has_extension(path, e))
}

impl Planned for Tables {
    type Error = anyhow::Error;

    fn rows(&self) -> usize {
        self.data.rows()
    }
    fn columns(&self) -> usize {
        self.data.cols()
    }
    fn names(&self) -> Option<&[String]> {
        self.data.columns()
    }
    #[expect(clippy::indexing_slicing, reason = "rows of the table, as the plan asks for")]
    fn gather(&self, rows: &[usize]) -> Result<Vec<f64>> {
        match &self.data {
            Numbers::Table(table) => {
                let cols = table.cols();
                let row = |&i: &usize| &table.values()[i * cols..(i + 1) * cols];
                Ok(rows.iter().flat_map(row).copied().collect())
            }
            Numbers::File(file) => Ok(RowReader::read(file, rows).map_err(|e| anyhow!(e))?),
        }
    }
    fn weights(&self) -> Option<&[f64]> {
        self.weights.as_ref().map(|(_, table)| table.values())
    }
    fn units(&self) -> Result<DataUnits> {
        let weights = self.weights();
        let context = self.context.as_ref().map(|(_, table)| table.standardize(weights));
        Ok(DataUnits { data: self.data.standardize(weights)?, context: context.transpose()? })
    }
}

/// Columns of a table of ratios: log-ratio and label.
const OF_RATIOS: usize = 2;

impl Tables {
    /// Read data, context, scores and ratios. An .npz file may have the context of its rows beside them.
    pub(super) fn read(files: &Files<'_>) -> Result<Self> {
        let Files { data: path, stream, scores_option, .. } = *files;
        let label = Path::to_path_buf;
        let Weighted { reading, weights } = Weighted::of(files)?;
        let beside = reading.of_all_columns();
        let load = |path: &Path, array: Option<&str>| {
            let options = array.map_or_else(|| beside.clone(), |array| beside.of_array(array));
            anyhow::Ok((label(path), input::load(path, &options)?))
        };
        let weights = match weights {
            None => None,
            Some(options) if options.columns == Columns::All => {
                files.weights.map(|path| load(path, Some(WEIGHTS))).transpose()?
            }
            Some(options) => Some((label(path), input::load(path, &options)?)),
        };
        let (data, context, scores, ratios, weights, chosen) = if stream {
            files.check_stream()?;
            let open = |path: &Path| anyhow::Ok((label(path), Numbers::open(path, &Columns::All)?));
            let context = files.context.map(open).transpose()?;
            let data = Numbers::open(path, &reading.columns)?;
            let chosen = match &data {
                Numbers::File(file) => file.choice(),
                Numbers::Table(_) => None,
            };
            let weights = weights.map(|(path, loaded)| (path, loaded.table));
            (data, context, None, None, weights, chosen)
        } else {
            let data = (label(path), input::load(path, &reading)?);
            let context = match files.context {
                Some(path) => Some(load(path, Some(CONTEXT))?),
                None => context_beside(path, &beside)?,
            };
            let scores = files.scores.map(|path| load(path, Some(SCORES))).transpose()?;
            let ratios = files.ratios.map(|path| load(path, None)).transpose()?;
            let chosen = data.1.choice.clone();
            let all = [Some(data), context, scores, ratios, weights];
            let [data, context, scores, ratios, weights] = together(all)?;
            let numbers = |(path, table)| (path, Numbers::Table(table));
            let Some((_, data)) = data.map(numbers) else { bail!("{}: not read", path.display()) };
            (data, context.map(numbers), scores, ratios, weights, chosen)
        };
        let layout = RowLayout {
            chosen: chosen.map(|c| ChosenColumns { positions: c.positions, of: c.of }),
            shape: data.row_shape().map(<[usize]>::to_vec),
        };
        let path = path.to_owned();
        let is_kept = None;
        let tables =
            Self { path, data, context, scores, scores_option, ratios, weights, is_kept, layout };
        if let Some((path, table)) = &tables.context {
            tables.check_rows(path, table.rows())?;
        }
        for (path, table) in tables.scores.iter().chain(&tables.ratios).chain(&tables.weights) {
            tables.check_rows(path, table.rows())?;
        }
        if let Some((path, table)) = &tables.weights {
            input::check_columns(path, table.cols(), 1, "the weight of each row")?;
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
            && let Some(label) = label_beside_x(&self.path, SCORES)?
        {
            let table = read_npz_array(&self.path, SCORES)?;
            let table = match self.is_kept.as_deref() {
                Some(is_kept) if is_kept.len() == table.rows() => {
                    table.with_rows(is_kept).unwrap_or(table)
                }
                _ => table,
            };
            self.check_rows(&label, table.rows())?;
            self.scores = Some((label, table));
        }
        Ok(())
    }

    /// These tables without `fraction` of their rows, and those rows, drawn by `seed`. The rows of a stream stay together.
    #[expect(
        clippy::indexing_slicing,
        reason = "rows of the table, of which fewer are held out than there are"
    )]
    pub(super) fn held_out(self, fraction: f64, seed: u64) -> Result<(Self, Self)> {
        let rows = self.data.rows();
        if rows < 2 {
            bail!("{}: expected at least 2 rows to hold some out, found 1", self.path.display());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..=rows")]
        let count = ((rows as f64 * fraction).round() as usize).clamp(1, rows - 1);
        let mut is_kept = vec![true; rows];
        for row in &Stream::new(seed, "held-out rows").permutation(rows)[..count] {
            is_kept[*row] = false;
        }
        let others: Vec<bool> = is_kept.iter().map(|kept| !kept).collect();
        Ok((self.with_rows(&is_kept)?, self.with_rows(&others)?))
    }

    /// The rows that are to be kept, of all tables.
    fn with_rows(&self, is_kept: &[bool]) -> Result<Self> {
        let of = |table: &Table| {
            table
                .with_rows(is_kept)
                .ok_or_else(|| anyhow!("{}: no row is left", self.path.display()))
        };
        let numbers = |numbers: &Numbers| match numbers {
            Numbers::Table(table) => Ok(Numbers::Table(of(table)?)),
            Numbers::File(_) => bail!("{}: rows of a stream stay together", self.path.display()),
        };
        let beside = |table: &Option<(PathBuf, Table)>| -> Result<Option<(PathBuf, Table)>> {
            table.as_ref().map(|(path, table)| Ok((path.clone(), of(table)?))).transpose()
        };
        let context = self.context.as_ref();
        Ok(Self {
            path: self.path.clone(),
            data: numbers(&self.data)?,
            context: context.map(|(p, t)| anyhow::Ok((p.clone(), numbers(t)?))).transpose()?,
            scores: beside(&self.scores)?,
            scores_option: self.scores_option,
            ratios: beside(&self.ratios)?,
            weights: beside(&self.weights)?,
            is_kept: Some(is_kept.to_vec()),
            layout: self.layout.clone(),
        })
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
        if let Some((path, table)) = &self.weights {
            let checked = config.train.check_weights(table.values());
            checked.with_context(|| path.display().to_string())?;
        }
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
        input::check_shape(&self.path, self.data.row_shape(), fitted.data.row_shape())?;
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
            Numbers::File(file) => Some(Box::new(file) as Box<dyn RowReader>),
            Numbers::Table(_) => None,
        };
        match self.data {
            Numbers::File(data) => {
                let context = self.context.and_then(|(_, numbers)| file(numbers));
                let rows = Stored::new(Box::new(data), context, dtype, device)?;
                match self.weights {
                    Some((_, weights)) => Ok(Box::new(rows.with_weights(weights.values())?)),
                    None => Ok(Box::new(rows)),
                }
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
                let rows = match self.weights {
                    Some((_, weights)) => rows.with_weights(weights.values())?,
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
