//! MODEL: a run folder or a model file, and the context that goes with it.
use super::input;
use super::options::FittedOptions;
use super::output::message;
use super::reading::PartOptions;
use anyhow::{Result, bail};
use mflow::core::candle::{DType, Device, Tensor};
use mflow::core::{LoadedModel, Model, ModelSignature, load_model};
use mflow::data::io::{Choice, Columns, Loaded, ReadOptions, Table, align_rows};
use mflow::fit::MODEL_FILE;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// A model that was read.
#[derive(Debug)]
pub(super) struct Opened {
    /// The model file.
    pub(super) path: PathBuf,
    /// The model.
    pub(super) loaded: LoadedModel,
    /// How text is read.
    text: ReadOptions,
}

/// Read the model at `path` onto `device`, in its own precision or another.
pub(super) fn open(path: &Path, dtype: Option<DType>, device: &Device) -> Result<Opened> {
    let path = file(path)?;
    let loaded = load_model(&path, dtype, device)?;
    if !loaded.checked {
        let path = path.display();
        message(format_args!(
            "note: {path} is of an older mflow and has no checksum; that it is undamaged cannot be told"
        ));
    }
    Ok(Opened { path, loaded, text: ReadOptions::default() })
}

/// The model file in a run folder, or the path itself.
fn file(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let model = path.join(MODEL_FILE);
    if model.is_file() {
        return Ok(model);
    }
    if path.join("run.json").is_file() {
        bail!(
            "{}: training is unfinished; repeat its command with --resume auto, then ask again",
            path.display()
        );
    }
    bail!("{}: expected a model file or a run folder, found a folder without {MODEL_FILE}", {
        path.display()
    });
}

impl Opened {
    /// The model that the options name.
    pub(super) fn from_options(options: &FittedOptions) -> Result<Self> {
        let dtype = options.dtype.map(Into::into);
        // What the model file has instead is checked when it is read.
        let device = options.place.device.open(dtype.unwrap_or(DType::F32))?;
        Ok(Self { text: options.text.options(), ..open(&options.model, dtype, &device)? })
    }

    /// The model.
    pub(super) fn model(&self) -> &dyn Model {
        self.loaded.model.as_ref()
    }

    /// Sizes and precision.
    pub(super) fn signature(&self) -> &ModelSignature {
        self.model().signature()
    }

    /// What the model is, for other programs.
    pub(super) fn description(&self) -> Map<String, Value> {
        let (signature, card) = (self.signature(), &self.loaded.card);
        let density = signature.density.map(|density| format!("{density:?}").to_lowercase());
        let fields = [
            ("model", json!(signature.name)),
            ("mflow", json!(env!("CARGO_PKG_VERSION"))),
            ("data_dim", json!(signature.data_dim)),
            ("manifold_dim", json!(signature.manifold_dim)),
            ("charts", json!(signature.charts)),
            ("latent_dim", json!(signature.latent_dim())),
            ("context_dim", json!(signature.context_dim)),
            ("density", json!(density)),
            ("latent", json!(signature.latent)),
            ("dtype", json!(signature.dtype.as_str())),
            ("columns", json!(card.columns)),
            ("row_shape", json!(card.layout.shape)),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Refuse a model that has nothing but ratios of likelihoods; `what` is what it lacks.
    pub(super) fn check_generative(&self, what: &str) -> Result<()> {
        let signature = self.signature();
        match signature.is_generative() {
            true => Ok(()),
            false => bail!(
                "{}: `{}` estimates ratios of likelihoods: it has no {what}; ask `mflow score` for the ratios",
                self.path.display(),
                signature.name
            ),
        }
    }

    /// Names of the data columns.
    pub(super) fn columns(&self) -> Option<&[String]> {
        self.loaded.card.columns.as_deref()
    }

    /// The columns that the model was fitted to.
    pub(super) fn fitted_columns(&self) -> Columns {
        match &self.loaded.card.layout.chosen {
            None => Columns::All,
            Some(chosen) => Columns::As {
                names: self.loaded.card.columns.clone(),
                choice: Choice { positions: chosen.positions.clone(), of: chosen.of },
            },
        }
    }

    /// Data for the model, `[B, D]`.
    pub(super) fn data(&self, path: &Path, part: &PartOptions) -> Result<Tensor> {
        self.tensor(self.load_data(path, part)?.table)
    }

    /// Data for the model, `[B, D]`, and the context of each row, `[B, C]`; a row that was left out of one is left out of the
    /// other.
    pub(super) fn rows(
        &self,
        path: &Path,
        part: &PartOptions,
        context: Option<&Path>,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let data = self.load_data(path, part)?;
        let options = part.over(self.text.clone(), Columns::All).of_all_columns();
        let of_context = self.load_context(context, &options)?;
        let mut all =
            align_rows([Some(data), of_context].into_iter().flatten().collect())?.into_iter();
        let (data, of_context) = (all.next(), all.next());
        let Some(data) = data.map(|data| data.table) else { bail!("{}: not read", path.display()) };
        let rows = data.rows();
        let of_context = of_context.zip(context);
        let of_context = of_context.map(|(table, path)| self.repeat(table.table, path, rows));
        Ok((self.tensor(data)?, of_context.transpose()?))
    }

    fn load_data(&self, path: &Path, part: &PartOptions) -> Result<Loaded> {
        let signature = self.signature();
        let options = part.over(self.text.clone(), self.fitted_columns());
        let loaded = input::load(path, &options)?;
        let table = &loaded.table;
        input::check_range(path, table, signature.dtype)?;
        input::check_shape(path, table.row_shape(), self.loaded.card.layout.shape.as_deref())?;
        let what = match self.columns() {
            Some(columns) => format!("those of the model ({})", columns.join(", ")),
            None => "those of the model".to_owned(),
        };
        input::check_columns(path, table.cols(), signature.data_dim, &what)?;
        input::check_names(path, table.columns(), self.columns())?;
        Ok(loaded)
    }

    fn tensor(&self, table: Table) -> Result<Tensor> {
        let signature = self.signature();
        input::tensor(table, signature.dtype, &signature.device)
    }

    /// Latents for the model, `[B, N]`, of an atlas `[B, N + 1]`.
    pub(super) fn latents(&self, path: &Path) -> Result<Tensor> {
        let signature = self.signature();
        let table = input::read(path, &self.text, signature.dtype)?;
        let what = "the latent coordinates of the model";
        input::check_columns(path, table.cols(), signature.latent_dim(), what)?;
        self.tensor(table)
    }

    /// The context, as the file has it; none exactly if the model has none.
    pub(super) fn context_table(&self, path: Option<&Path>) -> Result<Option<Table>> {
        Ok(self.load_context(path, &self.text)?.map(|loaded| loaded.table))
    }

    fn load_context(&self, path: Option<&Path>, options: &ReadOptions) -> Result<Option<Loaded>> {
        let signature = self.signature();
        match (signature.context_dim, path) {
            (None, None) => Ok(None),
            (None, Some(path)) => bail!(
                "{}: expected no context, as the model {} is unconditional; leave out --context",
                path.display(),
                self.path.display()
            ),
            (Some(c), None) => bail!(
                "{}: the model is conditional: expected --context CTX, a table of {c} columns, \
                 found none",
                self.path.display()
            ),
            (Some(c), Some(path)) => {
                let loaded = input::load_context(path, options)?;
                let table = &loaded.table;
                input::check_range(path, table, signature.dtype)?;
                input::check_columns(path, table.cols(), c, "the context features of the model")?;
                Ok(Some(loaded))
            }
        }
    }

    /// The context of `rows` rows: `[rows, C]`, or `[1, C]` for all.
    pub(super) fn contexts(&self, path: Option<&Path>, rows: usize) -> Result<Option<Tensor>> {
        let table = self.context_table(path)?;
        table.zip(path).map(|(table, path)| self.one_or_all(table, path, rows)).transpose()
    }

    /// The context of `rows` rows, `[rows, C]`; a single row is repeated.
    pub(super) fn context(&self, path: Option<&Path>, rows: usize) -> Result<Option<Tensor>> {
        let table = self.context_table(path)?;
        table.zip(path).map(|(table, path)| self.repeat(table, path, rows)).transpose()
    }

    /// The context of `rows` rows, `[rows, C]`, from a table of as many rows or of one.
    fn repeat(&self, table: Table, path: &Path, rows: usize) -> Result<Tensor> {
        let c = table.cols();
        let tensor = self.one_or_all(table, path, rows)?;
        Ok(if tensor.dim(0)? == rows {
            tensor
        } else {
            tensor.broadcast_as((rows, c))?.contiguous()?
        })
    }

    /// A table of as many rows or of one.
    fn one_or_all(&self, table: Table, path: &Path, rows: usize) -> Result<Tensor> {
        match table.rows() {
            1 => self.tensor(table),
            found if found == rows => self.tensor(table),
            found => bail!(
                "{}: expected {rows} rows of context, one for each row, or 1 for all; found {found}",
                path.display()
            ),
        }
    }
}
