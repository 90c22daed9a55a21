//! Helpers: a folder to run the program in.
use mflow::bijectors::Stream;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A model that trains in no time, with the number of shards fixed.
const SMALL: &str = "
[model]
manifold_dim = 1
outer = { layers = 2, hidden = 8, blocks = 1 }
inner = { layers = 2, hidden = 8, blocks = 1 }

[train]
shards = 2
checkpoint_seconds = 0.05
";

/// A temporary folder, removed when dropped.
pub(crate) struct Folder(tempfile::TempDir);

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Folder {
    /// With data.csv, 300 points near a circle in 3 dimensions, and small.toml.
    pub(crate) fn new() -> Self {
        let folder = Self(tempfile::tempdir().expect("a temporary folder"));
        folder.write("small.toml", SMALL.as_bytes());
        folder.write("data.csv", circle(300, 1.).as_bytes());
        folder
    }

    /// With a fitted model in `run`.
    pub(crate) fn fitted() -> Self {
        let folder = Self::new();
        folder.succeeds("fit data.csv --config small.toml --epochs 2 --out run");
        folder
    }

    /// With data.csv, context.csv and a conditional model in `run`.
    pub(crate) fn conditional() -> Self {
        let folder = Self::new();
        let rows: String = (0..300).fold(String::new(), |mut text, i| {
            writeln!(text, "{}", f64::from(i % 7) / 7.).expect("a line");
            text
        });
        folder.write("context.csv", rows.as_bytes());
        folder.succeeds(
            "fit data.csv --context context.csv --config small.toml --epochs 2 --out run",
        );
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).expect("the file is written");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("the file is read")
    }

    /// The program, in this folder, with these arguments between blanks.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mflow"));
        command.args(arguments.split_whitespace());
        self.prepare(&mut command);
        command
    }

    /// This folder and a clean environment for a command.
    pub(crate) fn prepare(&self, command: &mut Command) {
        command.current_dir(self.0.path());
        for name in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS", "_MFLOW_THREADS"] {
            command.env_remove(name);
        }
    }

    /// Run the program to its end.
    pub(crate) fn run(&self, arguments: &str) -> Ended {
        Ended::new(self.command(arguments).output().expect("the program starts"))
    }

    /// Run the program, which must succeed; what it printed.
    #[track_caller]
    pub(crate) fn succeeds(&self, arguments: &str) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "mflow {arguments}: {}", ended.err);
        ended.out
    }

    /// Run the program, which must fail with this code and an error of one line with these parts.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &str, code: i32, parts: &[&str]) {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(code), "mflow {arguments}: {}", ended.err);
        assert!(ended.err.starts_with("error: "), "mflow {arguments}: {}", ended.err);
        assert!(code == 2 || ended.err.lines().count() == 1, "one line: {}", ended.err);
        for part in parts {
            assert!(ended.err.contains(part), "mflow {arguments}: {:?} lacks {part:?}", ended.err);
        }
    }

    /// Start the program.
    pub(crate) fn start(&self, arguments: &str) -> Running {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(command.spawn().expect("the program starts"))
    }

    /// Wait for something to happen.
    #[track_caller]
    pub(crate) fn wait_until(what: &str, happened: impl Fn() -> bool) {
        let start = Instant::now();
        while !happened() {
            assert!(start.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Ended {
    pub(crate) fn new(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        let code = output.status.code();
        Self { code, out: text(output.stdout), err: text(output.stderr) }
    }
}

/// A program that runs; killed when dropped.
pub(crate) struct Running(Child);

impl Running {
    /// Send a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().expect("kill runs");
        assert!(sent.success(), "the signal is sent");
    }

    /// Kill it; whether it was still running.
    pub(crate) fn kill(mut self) -> bool {
        let running = self.0.try_wait().expect("a state").is_none();
        self.0.kill().expect("it is killed");
        self.0.wait().expect("it ends");
        running
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> String {
        use std::io::Read;
        let out = self.0.stdout.as_mut().expect("a pipe");
        let mut line = vec![];
        let mut byte = [0];
        while out.read(&mut byte).expect("it is read") == 1 && byte != *b"\n" {
            line.extend(byte);
        }
        String::from_utf8(line).expect("text")
    }

    /// Wait for its end.
    pub(crate) fn wait(mut self) -> Ended {
        use std::io::Read;
        let read = |pipe: &mut dyn Read| {
            let mut text = String::new();
            pipe.read_to_string(&mut text).expect("text");
            text
        };
        let err = read(&mut self.0.stderr.take().expect("a pipe"));
        let out = read(&mut self.0.stdout.take().expect("a pipe"));
        Ended { code: self.0.wait().expect("it ends").code(), out, err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// `rows` noisy points of a circle of radius `scale`, with a header.
pub(crate) fn circle(rows: usize, scale: f64) -> String {
    let mut stream = Stream::new(1, "circle");
    let angles = stream.uniform(rows, -2., 2.);
    let noise = stream.normal(3 * rows);
    let mut text = "x,y,z\n".to_owned();
    for (t, e) in angles.iter().zip(noise.chunks_exact(3)) {
        let point = [t.cos(), t.sin(), 0.5 * t.cos()];
        let [x, y, z] = std::array::from_fn(|i| scale * (point[i] + 0.01 * e[i]));
        writeln!(text, "{x},{y},{z}").expect("a line");
    }
    text
}
