//! A folder of images.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::super::{BadImages, ImageOptions};
use super::AT_ONCE;
use super::decode::decode;
use super::picture::{MOST, Picture, Unfit};
use crate::{Error, Place, Result};

/// The images of a folder, with those that are left out.
#[derive(Debug)]
pub(super) struct Folder {
    files: Vec<PathBuf>,
    /// Of each file that is left out: its position among all, and why.
    skipped: BTreeMap<usize, String>,
    shape: [usize; 3],
    /// The first image of this shape, which the others are compared with.
    like: String,
}

impl Folder {
    /// Looks at the first image or, where bad ones are left out, at all of them.
    #[expect(
        clippy::indexing_slicing,
        reason = "`list` gives one file or more, and positions are those of files"
    )]
    pub(super) fn open(path: &Path, options: &ImageOptions) -> Result<Self> {
        let files = list(path)?;
        let mut skipped = BTreeMap::new();
        let (shape, first) = match options.bad {
            BadImages::Refuse => (read(&files[0], options)?.shape, 0),
            BadImages::Skip => {
                let of = |file: &PathBuf| read(file, options).map(|picture| picture.shape);
                let shapes: Vec<Result<[usize; 3]>> = files.par_iter().map(of).collect();
                let most = most_common(shapes.iter().flatten().copied());
                let Some(shape) = most else {
                    let first = shapes.into_iter().find_map(Result::err);
                    let first = first.map(|error| in_words(&error)).unwrap_or_default();
                    let (path, found) = (path.to_path_buf(), files.len());
                    return Err(Error::AllSkipped { path, found, first });
                };
                let is_it = |found: &Result<[usize; 3]>| found.as_ref().ok() == Some(&shape);
                let first = shapes.iter().position(is_it).unwrap_or(0);
                for (at, found) in shapes.into_iter().enumerate() {
                    let unfit = |found| differs(found, shape, &name(&files[first])).of(&files[at]);
                    let why = match found {
                        Ok(found) if found == shape => continue,
                        Ok(found) => unfit(found),
                        Err(error) => error,
                    };
                    skipped.insert(at, in_words(&why));
                }
                (shape, first)
            }
        };
        let like = name(&files[first]);
        Ok(Self { files, skipped, shape, like })
    }

    pub(super) fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Images that are not left out.
    pub(super) fn rows(&self) -> usize {
        self.files.len() - self.skipped.len()
    }

    /// The position among all images of each that is left out, and why.
    pub(super) fn skipped(&self) -> impl Iterator<Item = (usize, &str)> {
        self.skipped.iter().map(|(at, why)| (*at, why.as_str()))
    }

    /// As [`Images::for_each_block`](super::Images::for_each_block).
    pub(super) fn for_each_block(
        &self,
        options: &ImageOptions,
        see: &mut dyn FnMut(&[f64]) -> Result<()>,
    ) -> Result<()> {
        let kept = self.files.iter().enumerate().filter(|(at, _)| !self.skipped.contains_key(at));
        let kept: Vec<&PathBuf> = kept.map(|(_, file)| file).collect();
        let of = |file: &&PathBuf| {
            let picture = read(file, options)?;
            match picture.shape == self.shape {
                true => Ok(picture.pixels),
                false => Err(differs(picture.shape, self.shape, &self.like).of(file)),
            }
        };
        let numbers: usize = self.shape.iter().product();
        let at_once = (MOST / numbers.max(1)).clamp(1, AT_ONCE);
        for files in kept.chunks(at_once) {
            // In the order of the files, however many threads there are; so is the error.
            let pixels: Vec<Result<Vec<u8>>> = files.par_iter().map(of).collect();
            let pixels = pixels.into_iter().collect::<Result<Vec<_>>>()?.concat();
            let values: Vec<f64> = pixels.into_iter().map(f64::from).collect();
            see(&values)?;
        }
        Ok(())
    }
}

fn read(file: &Path, options: &ImageOptions) -> Result<Picture> {
    let picture = decode(file, options.to_8_bits)?;
    picture.prepared(options).map_err(|unfit| unfit.of(file))
}

/// The images of a folder in the order of their names, at least one.
fn list(path: &Path) -> Result<Vec<PathBuf>> {
    let place = Place::file(path);
    let entries = fs::read_dir(path).map_err(Error::io("list", &place))?;
    let entries = entries.collect::<std::io::Result<Vec<_>>>();
    let entries = entries.map_err(Error::io("list", &place))?;
    let count = entries.len();
    let mut files: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    files.retain(|file| is_image(file) && file.is_file());
    files.sort();
    if files.is_empty() {
        return Err(Error::NoImages { path: path.to_path_buf(), entries: count });
    }
    Ok(files)
}

/// By the name. Names that start with a dot are those of other programs' notes.
fn is_image(file: &Path) -> bool {
    let extension = file.extension().unwrap_or_default().to_ascii_lowercase();
    ["png", "jpg", "jpeg"].iter().any(|known| extension == *known) && !name(file).starts_with('.')
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The shape that most have; of several the first.
fn most_common(shapes: impl Iterator<Item = [usize; 3]>) -> Option<[usize; 3]> {
    let mut counts: Vec<([usize; 3], usize)> = Vec::new();
    for shape in shapes {
        match counts.iter_mut().find(|(known, _)| *known == shape) {
            Some((_, count)) => *count += 1,
            None => counts.push((shape, 1)),
        }
    }
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(shape, _)| shape)
}

/// That an image is not as the others are.
fn differs(found: [usize; 3], expected: [usize; 3], like: &str) -> Unfit {
    let words = |[height, width, channels]: [usize; 3]| {
        let colours = if channels == 1 { "in grey" } else { "in colour" };
        format!("{height} x {width} pixels {colours}")
    };
    let expected = format!("{} (height x width) as `{like}` has", words(expected));
    Unfit { expected, found: words(found) }
}

/// An error with what lies behind it.
fn in_words(error: &Error) -> String {
    let source = std::error::Error::source(error);
    error.to_string() + &source.map(|source| format!(": {source}")).unwrap_or_default()
}
