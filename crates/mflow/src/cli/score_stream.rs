//! `mflow score --stream`: rows that do not fit in memory, and hours of work that may be interrupted.
use super::evaluate::NonFinite;
use super::exit::Done;
use super::model::Opened;
use super::on_disk::OnDisk;
use super::options::Resume;
use super::output::{latent_names, message, result, values};
use super::score::{Options, tell_of_none};
use super::{input, interrupt, progress, threads};
use anyhow::{Context, Result, bail};
use mflow::ask::Scores;
use mflow::bijectors::fnv1a;
use mflow::core::candle::{DType, Device, Tensor};
use mflow::core::{create_folder, is_part, remove_parts, write_atomically};
use mflow::data::io::{Columns as Which, GrowingNpy};
use mflow::train::Pool;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Numbers of the data that are in memory at a time.
const NUMBERS: usize = 1 << 22;
/// Rows that are scored at a time, at most.
const ROWS: usize = 1 << 16;
/// How much work is lost at most, and how often one hears of it where no terminal is.
const SAVE_EVERY: Duration = Duration::from_secs(15);
/// The file that says how far the work is; it goes when all is done.
const PROGRESS: &str = "progress.json";

/// How far the work is, and of what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Progress {
    /// Rows that are scored.
    scored: NonFinite,
    work: Work,
}

/// What must be the same when the work goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Work {
    model: String,
    data: String,
    context: String,
    dtype: String,
}

impl Work {
    /// What differs first: its name, what it was, and what it is now.
    fn difference<'a>(&'a self, now: &'a Self) -> Option<(&'static str, &'a str, &'a str)> {
        let all = [
            ("the model", &self.model, &now.model),
            ("DATA", &self.data, &now.data),
            ("--context", &self.context, &now.context),
            ("--dtype", &self.dtype, &now.dtype),
        ];
        let differs = all.into_iter().find(|(_, was, now)| was != now);
        differs.map(|(what, was, now)| (what, was.as_str(), now.as_str()))
    }
}

pub(super) fn run(options: &Options) -> Result<Done> {
    let opened = Opened::from_options(&options.model.fitted)?;
    let data = Rows::open(&options.data, &options.part.over_columns(opened.fitted_columns())?)?;
    let signature = opened.signature();
    input::check_columns(&data.path, data.file.cols(), signature.data_dim, "those of the model")?;
    input::check_names(&data.path, data.file.columns().as_deref(), opened.columns())?;
    let shape = opened.loaded.card.layout.shape.as_deref();
    input::check_shape(&data.path, data.file.row_shape(), shape)?;
    let context = AtContext::open(&opened, options.model.context.as_deref(), data.file.rows())?;
    let work = Work {
        model: format!("{:016x}", fnv1a(&read(&opened.path)?)),
        data: data.identity()?,
        context: context.identity(options.model.context.as_deref())?,
        dtype: signature.dtype.as_str().to_owned(),
    };
    let folder = options.out.path();
    let (progress, lock) = start(folder, work, options.resume)?;
    let pool = threads::pool(options.model.fitted.threads)?;
    let stop = interrupt::flag()?;
    let columns = Scores::of(signature);
    tell_of_none(&columns, signature);
    Scoring { opened: &opened, pool: &pool, columns, data, context, folder, lock, progress }
        .run(&|| stop.load(Ordering::Relaxed))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}

/// A file whose rows are read when they are needed.
struct Rows {
    path: PathBuf,
    file: OnDisk,
}

impl Rows {
    fn open(path: &Path, columns: &Which) -> Result<Self> {
        Ok(Self { path: path.to_owned(), file: OnDisk::open(path, columns)? })
    }

    /// What tells it from other files: its size and some of its rows.
    fn identity(&self) -> Result<String> {
        let (rows, cols) = (self.file.rows(), self.file.cols());
        let mut bytes = vec![];
        for first in [0, rows / 2, rows.saturating_sub(1000)] {
            let values = self.file.read_rows(first, 1000)?;
            bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        }
        Ok(format!("{rows} x {cols}, {:016x}", fnv1a(&bytes)))
    }

    /// Some rows for the model, `[count, cols]`.
    #[expect(
        clippy::indexing_slicing,
        clippy::integer_division_remainder_used,
        reason = "a file has a column or more, and blocks have the columns of all files side by side"
    )]
    fn tensor(&self, first: usize, count: usize, dtype: DType, device: &Device) -> Result<Tensor> {
        let values = self.file.read_rows(first, count)?;
        let cols = self.file.cols();
        if dtype == DType::F32
            && let Some(i) = values.iter().position(|v| v.abs() > f64::from(f32::MAX))
        {
            bail!(
                "{}: row {}, column {}: {} is too large for single precision; use --dtype f64",
                self.path.display(),
                first + i / cols,
                i % cols,
                values[i]
            );
        }
        let rows = values.len() / cols;
        let t = Tensor::from_vec(values, (rows, cols), &Device::Cpu)?;
        Ok(t.to_dtype(dtype)?.to_device(device)?)
    }
}

/// The context of rows.
enum AtContext {
    None,
    /// One for all, `[1, C]`.
    Same(Tensor),
    Rows(Rows),
}

impl AtContext {
    fn open(opened: &Opened, path: Option<&Path>, rows: usize) -> Result<Self> {
        let Some(path) = path.filter(|_| opened.signature().context_dim.is_some()) else {
            // What is missing or too much is told there.
            return Ok(opened.context(path, 1)?.map_or(Self::None, Self::Same));
        };
        let of = OnDisk::is_one(path).then(|| Rows::open(path, &Which::All)).transpose()?;
        let Some(of) = of.filter(|of| of.file.rows() > 1) else {
            return Ok(opened.context(Some(path), 1)?.map_or(Self::None, Self::Same));
        };
        let c = opened.signature().context_dim.unwrap_or(0);
        input::check_columns(path, of.file.cols(), c, "the context features of the model")?;
        match of.file.rows() {
            found if found == rows => Ok(Self::Rows(of)),
            found => bail!(
                "{}: expected {rows} rows of context, one for each row, or 1 for all; found {found}",
                path.display()
            ),
        }
    }

    fn identity(&self, path: Option<&Path>) -> Result<String> {
        match (self, path) {
            (Self::Rows(rows), _) => rows.identity(),
            (Self::Same(_), Some(path)) => Ok(format!("{:016x}", fnv1a(&read(path)?))),
            _ => Ok("none".to_owned()),
        }
    }

    fn of(
        &self,
        first: usize,
        count: usize,
        dtype: DType,
        device: &Device,
    ) -> Result<Option<Tensor>> {
        Ok(match self {
            Self::None => None,
            Self::Same(one) => Some(one.broadcast_as((count, one.dim(1)?))?.contiguous()?),
            Self::Rows(rows) => Some(rows.tensor(first, count, dtype, device)?),
        })
    }
}

/// Where the work starts: at its beginning in a new folder, or where it was interrupted; and the folder, open and locked.
fn start(folder: &Path, work: Work, resume: Option<Resume>) -> Result<(Progress, Option<File>)> {
    create_folder(folder)?;
    let lock = lock(folder)?;
    let path = folder.join(PROGRESS);
    if !path.is_file() {
        // A process that was killed before it wrote how far it was leaves parts of that.
        let is_own = |name: &OsStr| is_part(name) && name.to_string_lossy().starts_with(PROGRESS);
        if fs::read_dir(folder).map_or(true, |mut entries| {
            entries.any(|entry| !entry.is_ok_and(|entry| is_own(&entry.file_name())))
        }) {
            bail!(
                "{}: expected a new or empty folder for the scores, found something there; choose another --out",
                folder.display()
            );
        }
        remove_parts(folder)?;
        let progress = Progress { scored: NonFinite::default(), work };
        progress.save(folder)?;
        return Ok((progress, lock));
    }
    if resume.is_none() {
        bail!(
            "{}: holds scores that are not finished; go on with --resume auto, or choose another --out",
            folder.display()
        );
    }
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let progress: Progress =
        serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    if let Some((what, was, now)) = progress.work.difference(&work) {
        bail!(
            "{}: these scores were begun differently: {what} was {was}, now it is {now}; choose another --out",
            folder.display()
        );
    }
    remove_parts(folder)?;
    Ok((progress, lock))
}

/// Locks the folder itself, as nothing but scores is to be in it; none where the system cannot do that.
fn lock(folder: &Path) -> Result<Option<File>> {
    let Ok(file) = File::open(folder) else { return Ok(None) };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            bail!("{}: is in use by another process", folder.display())
        }
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(file)),
    }
}

impl Progress {
    fn save(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        Ok(write_atomically(&folder.join(PROGRESS), |file| writeln!(file, "{text}"))?)
    }
}

/// Scores on their way to files.
struct Scoring<'a> {
    opened: &'a Opened,
    pool: &'a Pool,
    columns: Scores,
    data: Rows,
    context: AtContext,
    folder: &'a Path,
    /// The folder itself, open and locked.
    lock: Option<File>,
    progress: Progress,
}

impl Scoring<'_> {
    #[expect(
        clippy::integer_division_remainder_used,
        reason = "a file has a column or more, and blocks have the columns of all files side by side"
    )]
    fn run(mut self, is_stopped: &dyn Fn() -> bool) -> Result<Done> {
        let signature = self.opened.signature();
        let (rows, dtype, device) = (self.data.file.rows(), signature.dtype, &signature.device);
        let at_once = (NUMBERS / self.data.file.cols()).clamp(1, ROWS);
        let mut files = self.files()?;
        let bar = progress::of_rows(rows);
        bar.set_position(self.progress.scored.rows as u64);
        let (began, first_row, mut saved) =
            (Instant::now(), self.progress.scored.rows, Instant::now());
        while self.progress.scored.rows < rows {
            if is_stopped() {
                self.save(&files)?;
                bar.finish_and_clear();
                message(format_args!(
                    "interrupted after {} of {rows} rows, which are kept: go on with the same command and --resume auto",
                    self.progress.scored.rows
                ));
                return Ok(Done::Interrupted);
            }
            let first = self.progress.scored.rows;
            let count = at_once.min(rows - first);
            let x = self.data.tensor(first, count, dtype, device)?;
            let context = self.context.of(first, count, dtype, device)?;
            let model = self.opened.model();
            let of_block = self.pool.by_rows(device, count, |range| {
                let part = |t: &Tensor| t.narrow(0, range.start, range.len());
                let context = context.as_ref().map(part).transpose()?;
                self.columns.of_rows(model, &part(&x)?, context.as_ref())
            })?;
            self.append(&mut files, &of_block)?;
            bar.set_position(self.progress.scored.rows as u64);
            if saved.elapsed() >= SAVE_EVERY {
                self.save(&files)?;
                saved = Instant::now();
                if bar.is_hidden() {
                    let done = (self.progress.scored.rows - first_row) as f64;
                    let left = (rows - self.progress.scored.rows) as f64 / done
                        * began.elapsed().as_secs_f64();
                    let left = mflow::fit::in_words(Duration::from_secs_f64(left.min(1e9)));
                    message(format_args!(
                        "{} of {rows} rows, {left} left",
                        self.progress.scored.rows
                    ));
                }
            }
        }
        bar.finish_and_clear();
        self.finish(files)
    }

    /// Names of the files, and the columns of each; a vector has none.
    fn names(&self) -> Vec<(&'static str, Option<usize>)> {
        let signature = self.opened.signature();
        let mut names: Vec<_> = self.columns.names().map(|name| (name, None)).collect();
        if signature.is_generative() {
            names.push(("reconstruction_error", None));
            names.push(("latent", Some(latent_names(signature).len())));
        }
        names
    }

    fn files(&self) -> Result<Vec<GrowingNpy>> {
        let (rows, done) = (self.data.file.rows(), self.progress.scored.rows);
        let dtype = match self.opened.signature().dtype {
            DType::F64 => mflow::data::io::Dtype::F64,
            _ => mflow::data::io::Dtype::F32,
        };
        let open = |(name, cols): (&str, Option<usize>)| {
            let path = self.folder.join(format!("{name}.npy"));
            Ok(GrowingNpy::open(&path, rows, cols, dtype, done)?)
        };
        self.names().into_iter().map(open).collect()
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "a file has a column or more, and blocks have the columns of all files side by side"
    )]
    fn append(&mut self, files: &mut [GrowingNpy], of_block: &Tensor) -> Result<()> {
        let width = of_block.dim(1)?;
        let all = values(of_block)?;
        let mut start = 0;
        for (file, (_, cols)) in files.iter_mut().zip(self.names()) {
            let cols = cols.unwrap_or(1);
            let part =
                all.chunks_exact(width).flat_map(|row| row[start..start + cols].iter().copied());
            file.append(&part.collect::<Vec<_>>())?;
            start += cols;
        }
        self.progress.scored.see(of_block)
    }

    /// Rows first, then how many they are: after a power cut there are never less than that.
    fn save(&self, files: &[GrowingNpy]) -> Result<()> {
        for file in files {
            file.sync()?;
        }
        self.progress.save(self.folder)
    }

    fn finish(self, files: Vec<GrowingNpy>) -> Result<Done> {
        self.save(&files)?;
        for file in files {
            file.finish()?;
        }
        let path = self.folder.join(PROGRESS);
        fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        // Or a power cut brings it back, and finished scores are not finished.
        if let Some(folder) = &self.lock {
            folder.sync_all().ok();
        }
        self.progress.scored.warn();
        let rows = self.data.file.rows();
        let shapes: Vec<String> = self
            .names()
            .into_iter()
            .map(|(name, cols)| match cols {
                None => format!("{name}.npy [{rows}]"),
                Some(cols) => format!("{name}.npy [{rows}, {cols}]"),
            })
            .collect();
        result(format_args!("{}: {}", self.folder.display(), shapes.join(", ")))?;
        Ok(Done::Finished)
    }
}
