//! Losses for `TensorBoard`: files of events, as it reads them.
//!
//! A file is a row of records, each a length, the bytes of a message, and a checksum of both (`TFRecord`); the messages are `Event`s
//! of TensorFlow's protocol buffers, of which a few fields are enough.
use mflow_core::{Error as CoreError, create_folder};
use mflow_train::EpochMetrics;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A file of events that grows.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// A new file in `folder`, which is made if it is not there. Its name is that of no other file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(folder: &Path) -> crate::Result<Self> {
        create_folder(folder)?;
        let (now, process) = (now(), std::process::id());
        let path = folder.join(format!("events.out.tfevents.{now:.6}.mflow.{process}"));
        let file = File::create_new(&path).map_err(CoreError::io(&path))?;
        let mut events = Self { path, file };
        events.write(&event(now, 0, &bytes(3, b"brain.Event:2")))?;
        Ok(events)
    }

    /// The losses, rate and gradient of an epoch, under the name of its phase.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn epoch(&mut self, metrics: &EpochMetrics) -> crate::Result<()> {
        let EpochMetrics { phase, attempt, epoch, .. } = metrics;
        let phase = match attempt {
            0 => phase.clone(),
            attempt => format!("{phase}, attempt {}", attempt + 1),
        };
        let values = [
            ("train_loss", metrics.train_loss),
            ("validation_loss", metrics.validation_loss),
            ("learning_rate", metrics.learning_rate),
            ("gradient_norm", metrics.gradient_norm),
        ];
        let values = values.map(|(name, value)| scalar(&format!("{phase}/{name}"), value)).concat();
        self.write(&event(now(), *epoch as u64, &bytes(5, &values)))
    }

    fn write(&mut self, message: &[u8]) -> crate::Result<()> {
        let io = CoreError::io(&self.path);
        Ok(self.file.write_all(&record(message)).and_then(|()| self.file.flush()).map_err(io)?)
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0., |time| time.as_secs_f64())
}

/// `length, checksum of it, message, checksum of it`.
fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let sum = |bytes: &[u8]| masked(crc32c::crc32c(bytes)).to_le_bytes();
    [&length[..], &sum(&length), message, &sum(message)].concat()
}

/// A checksum of bytes that hold checksums themselves would be weak: it is turned and shifted.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// `Event`: wall time (1), step (2), and what it is about.
fn event(time: f64, step: u64, what: &[u8]) -> Vec<u8> {
    let mut event = vec![1 << 3 | 1];
    event.extend(time.to_le_bytes());
    if step != 0 {
        event.push(2 << 3);
        event.extend(varint(step));
    }
    event.extend(what);
    event
}

/// `Summary.value` (1): tag (1) and number (2).
fn scalar(tag: &str, value: f64) -> Vec<u8> {
    let mut scalar = bytes(1, tag.as_bytes());
    scalar.push(2 << 3 | 5);
    #[expect(clippy::cast_possible_truncation, reason = "the format has single precision")]
    scalar.extend((value as f32).to_le_bytes());
    bytes(1, &scalar)
}

/// A field of bytes, with their number before them.
fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    [&[field << 3 | 2], varint(content.len() as u64).as_slice(), content].concat()
}

/// Seven bits a byte, the lowest first.
fn varint(mut value: u64) -> Vec<u8> {
    let mut all = vec![];
    while value > 0x7f {
        all.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    all.push((value & 0x7f) as u8);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Oracle: the records that the Python package tensorboard 2.21 writes (`RecordWriter` of `Event`s).
    #[test]
    fn records_are_those_of_tensorboard() {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(
            hex(record(&event(1.5, 0, &bytes(3, b"brain.Event:2")))),
            "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c"
        );
        let values =
            [scalar("density/train_loss", -1.25), scalar("density/validation_loss", 0.5)].concat();
        assert_eq!(
            hex(record(&event(2.25, 300, &bytes(5, &values)))),
            "490000000000000036250ea309000000000000024010ac022a3b0a190a1264656e736974792f747261696e5f6c6f7373150000a0bf0a1e0a17\
             64656e736974792f76616c69646174696f6e5f6c6f7373150000003fe8da2e5c"
        );
    }
}
