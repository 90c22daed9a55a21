//! Images that models draw, and what they make of others; see [`crate::pictures`].
use super::Sheet;
use crate::Result;
use crate::experiment::ImageData;
use crate::pictures::{Picture, SHOWN, pictures};
use mflow_core::write_atomically;

/// `images-samples`, `images-reconstructed` and `images-between`; of one run also `images-latents` and `images-tour`, a GIF.
pub(super) fn draw(sheet: &mut Sheet<'_>) -> Result<()> {
    let Some(data) = ImageData::open(sheet.experiment, SHOWN)? else { return Ok(()) };
    let models: Vec<_> = sheet.runs.iter().map(|run| run.of).collect();
    for Picture { name, format, bytes, .. } in
        pictures(&models, data.originals(sheet.experiment.seed))?
    {
        let path = sheet.folder.join(name).with_extension(format.ending());
        write_atomically(&path, |file| file.write_all(&bytes))?;
        sheet.written.push(path);
    }
    Ok(())
}
