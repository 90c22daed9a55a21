//! A run that nobody sees: what it says last, now and then.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks at the program, and between two lines about it.
const LOOK: Duration = Duration::from_millis(100);
const SAY: Duration = Duration::from_secs(20);
/// A line is shorter.
const LINE: u64 = 1000;

/// Waits for the program's end. In between it says the last line of the log, whenever there is another one.
pub(super) fn wait(child: &mut Child, log: &Path, say: impl Fn(&str)) -> io::Result<ExitStatus> {
    let (mut at, mut said) = (Instant::now(), String::new());
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(LOOK);
        if at.elapsed() < SAY {
            continue;
        }
        at = Instant::now();
        // What cannot be read is not worth a run.
        if let Ok(Some(line)) = last_line(log)
            && line != said
        {
            say(&line);
            said = line;
        }
    }
}

/// The last complete line that is not empty.
fn last_line(path: &Path) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(LINE)))?;
    let mut bytes = Vec::new();
    file.take(LINE).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    Ok(complete.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_line_is_found() {
        let path = std::env::temp_dir().join(format!("mflow-log-{}", std::process::id()));
        let long = format!("{}\nthe last\n\n", "x".repeat(5000));
        for (text, expected) in
            [("", None), ("half", None), ("one\ntw", Some("one")), (&long, Some("the last"))]
        {
            std::fs::write(&path, text).unwrap();
            assert_eq!(last_line(&path).unwrap().as_deref(), expected, "{text:.20}");
        }
        std::fs::remove_file(&path).unwrap();
    }
}
