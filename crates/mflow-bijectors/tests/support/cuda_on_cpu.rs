//! Programs that run CUDA kernels on the CPU: see `cuda/cuda_on_cpu.h`.
use mflow_bijectors::candle::DType;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program of this name, built in `folder`; none where there is no C++ compiler, which mflow itself does not need.
pub(crate) fn build(name: &str, folder: &Path) -> Option<PathBuf> {
    if Command::new("c++").arg("--version").output().is_err() {
        let mut out = std::io::stderr();
        writeln!(out, "NOT TESTED: there is no C++ compiler called c++").expect("standard error");
        return None;
    }
    // From the package's folder, where tests run; also from that of the crate beside.
    let sources = Path::new("../mflow-bijectors/tests/support/cuda");
    let program = folder.join(name);
    let mut compiler = Command::new("c++");
    compiler.args(["-std=c++20", "-O1", "-pthread", "-Wall", "-Wextra", "-Werror"]);
    compiler
        .args(["-Wno-unknown-pragmas", "-o"])
        .arg(&program)
        .arg(sources.join(format!("{name}.cpp")));
    assert!(compiler.status().expect("a C++ compiler called c++").success(), "{name}: compiles");
    Some(program)
}

/// The numbers that `program` gives for a call.
pub(crate) fn call(
    program: &Path,
    kernel: &str,
    dtype: DType,
    sizes: &str,
    arrays: &[&[f64]],
) -> Vec<f64> {
    let mut input = format!("{sizes}\n");
    for v in arrays.iter().flat_map(|array| array.iter()) {
        writeln!(input, "{v:e}").expect("a text");
    }
    let mut command = Command::new(program);
    command.args([kernel, dtype.as_str()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("is piped");
    // In its own thread, so that neither pipe can fill up.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("it reads");
    assert!(output.status.success(), "{kernel}");
    let text = String::from_utf8(output.stdout).expect("a text");
    text.lines().map(|line| line.parse().expect("a number")).collect()
}
