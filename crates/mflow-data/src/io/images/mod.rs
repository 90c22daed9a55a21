//! Images one after the other: of a folder, an idx file or an array, all of one shape.

mod decode;
mod folder;
mod picture;

use std::path::{Path, PathBuf};

use super::format::{Format, is_plain};
use super::idx::Idx;
use super::loaded::Incoming;
use super::{ImageOptions, Loaded, NpyFile, ReadOptions, Table, Warning};
use crate::{Error, Place, Result};
use folder::Folder;
use picture::{Picture, Unfit, prepared_shape};

/// Images that are read as they are needed, all of the shape `[H, W, C]`, with values from 0 to 255.
#[derive(Debug)]
pub struct Images {
    path: PathBuf,
    options: ImageOptions,
    source: Source,
    /// `[H, W, C]` of an array before it is cut and resampled.
    raw: [usize; 3],
    shape: [usize; 3],
    rows: usize,
}

#[derive(Debug)]
enum Source {
    Folder(Folder),
    Idx,
    File(NpyFile),
    Table(Table),
}

impl Images {
    /// Opens a folder of PNG and JPEG files, an idx file, or an array of bytes `[n, H, W]` or `[n, H, W, C]`.
    ///
    /// Of a folder the files are taken whose names end in `.png`, `.jpg` or `.jpeg`, in the order of their names; what lies
    /// in folders of it is left alone. A photograph is turned as its camera says. An alpha channel is dropped where all of
    /// it is opaque.
    ///
    /// # Errors
    ///
    /// [`Error::NoImages`] for a folder without any, [`Error::ImageFile`] and [`Error::Image`] for the first image if it
    /// cannot be used, with [`BadImages::Skip`](super::BadImages::Skip) [`Error::AllSkipped`] if none can; [`Error::NoImageShape`] for an
    /// array that has none; [`Error::ImageSetting`] for a size or a crop of 0; [`Error::Io`]; and those of
    /// [`read`](super::read).
    pub fn open(path: &Path, options: &ImageOptions) -> Result<Self> {
        for (what, side) in [("the side of images", options.size), ("the crop", options.crop)] {
            if side == Some(0) {
                let expected = "1 pixel or more".to_owned();
                return Err(Error::ImageSetting { what, expected, found: 0 });
            }
        }
        let (path, options) = (path.to_owned(), *options);
        let format = Format::to_read(&path)?;
        if format == Format::Folder {
            let folder = Folder::open(&path, &options)?;
            let (shape, rows) = (folder.shape(), folder.rows());
            let source = Source::Folder(folder);
            return Ok(Self { path, options, source, raw: shape, shape, rows });
        }
        let (source, rows, row_shape) = match format {
            Format::Idx => {
                let idx = Idx::open(&path)?;
                (Source::Idx, idx.rows, idx.row_shape)
            }
            Format::Npy if is_plain(&path) => {
                let file = NpyFile::open(&path)?;
                let (rows, shape) = (file.rows(), file.row_shape().map(<[usize]>::to_vec));
                (Source::File(file), rows, shape)
            }
            _ => {
                let table = super::read_table(&path)?;
                let (rows, shape) = (table.rows(), table.row_shape().map(<[usize]>::to_vec));
                (Source::Table(table), rows, shape)
            }
        };
        let raw = image_shape(&path, row_shape)?;
        let shape = prepared_shape(raw, &options).map_err(|unfit| unfit.of(&path))?;
        Ok(Self { path, options, source, raw, shape, rows })
    }

    /// The shape of each image: `[H, W, C]`, with 1 channel for grey and 3 for red, green and blue.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The number of images, without those that are left out.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The images that are left out, if there are any.
    #[must_use]
    pub fn warning(&self) -> Option<Warning> {
        let Source::Folder(folder) = &self.source else { return None };
        let skipped: Vec<String> = folder.skipped().map(|(_, why)| why.to_owned()).collect();
        let (place, of) = (Place::file(&self.path), folder.rows() + skipped.len());
        (!skipped.is_empty()).then_some(Warning::Images { place, skipped, of })
    }

    /// Shows all images to `see`, whole ones, several at a time, in order: their values one after the other, each row in the order
    /// height, width, channel.
    ///
    /// # Errors
    ///
    /// [`Error::ImageFile`] and [`Error::Image`] for the first image that cannot be used, [`Error::Pixel`] for a value
    /// of an array that is no byte, those of reading, and those of `see`.
    #[expect(
        clippy::integer_division_remainder_used,
        reason = "an image has a number or more: arrays without any were refused"
    )]
    pub fn for_each_block(&self, see: &mut dyn FnMut(&[f64]) -> Result<()>) -> Result<()> {
        let mut row = 0;
        let mut of_array = |block: &[f64]| {
            let changed = self.changed(block, row)?;
            row += block.len() / self.raw.iter().product::<usize>();
            see(&changed)
        };
        match &self.source {
            Source::Folder(folder) => folder.for_each_block(&self.options, see),
            Source::Idx => Idx::open(&self.path)?.for_each_block(&mut of_array),
            Source::Table(table) => {
                let at_once = table.cols() * AT_ONCE;
                table.values().chunks(at_once).try_for_each(of_array)
            }
            Source::File(file) => {
                let mut result = Ok(());
                file.for_each_block(&mut |block| {
                    if result.is_ok() {
                        result = of_array(block);
                    }
                })?;
                result
            }
        }
    }

    /// Images of an array, from the row `first` on, cut and resampled.
    fn changed(&self, block: &[f64], first: usize) -> Result<Vec<f64>> {
        let mut out = Vec::with_capacity(block.len());
        for (i, row) in block.chunks_exact(self.raw.iter().product()).enumerate() {
            let pixels = crate::pixels::bytes(row).map_err(|(value, found)| {
                let place = Place::file(&self.path);
                Error::Pixel { place, row: first + i, value, found }
            })?;
            let picture = Picture { shape: self.raw, pixels };
            let picture = picture.prepared(&self.options).map_err(|unfit| unfit.of(&self.path))?;
            out.extend(picture.pixels.into_iter().map(f64::from));
        }
        Ok(out)
    }
}

/// Images in memory at a time.
const AT_ONCE: usize = 64;

/// `[H, W, C]` of an array of images.
fn image_shape(path: &Path, row_shape: Option<Vec<usize>>) -> Result<[usize; 3]> {
    let found = row_shape.unwrap_or_default();
    match *found.as_slice() {
        [height, width] => Ok([height, width, 1]),
        [height, width, channels @ (1 | 3)] => Ok([height, width, channels]),
        _ => Err(Error::NoImageShape { place: Place::file(path), found }),
    }
}

impl Unfit {
    /// The error of the file at `path`.
    fn of(self, path: &Path) -> Error {
        let Self { expected, found } = self;
        Error::Image { path: path.to_path_buf(), expected, found }
    }
}

/// A folder of images as a table.
pub(super) fn load(path: &Path, options: &ReadOptions) -> Result<Loaded> {
    let images = Images::open(path, &options.images)?;
    let cols = images.shape.iter().product();
    let mut incoming = Incoming::new(Place::file(path), options, None, cols)?;
    let mut values = Vec::new();
    images.for_each_block(&mut |block| {
        values.extend_from_slice(block);
        Ok(())
    })?;
    incoming.push_all(values, images.rows)?;
    let mut loaded = incoming.finish(Some(images.shape.to_vec()))?;
    if let Source::Folder(folder) = &images.source {
        // What goes with the images, such as a context, has rows for those too.
        loaded.dropped = folder.skipped().map(|(at, _)| at).collect();
    }
    loaded.warnings.extend(images.warning());
    Ok(loaded)
}
