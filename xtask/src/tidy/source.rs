//! Rules on the text of `.rs` files.

use std::path::Path;

use super::{Violation, lexer};

/// Longer files are hard to find one's way in.
const MAX_LINES: usize = 700;

/// The only files that may hold the keyword `unsafe`: products of the CPU, launches on CUDA devices.
const UNSAFE_FILES: [&str; 2] =
    ["crates/mflow-bijectors/src/kernel/gemm.rs", "crates/mflow-bijectors/src/kernel/cuda/mod.rs"];

/// Text that library code may not contain, with the reason and the way out.
const BANS: [(&str, &str); 6] = [
    ("softmax_last_dim", "it cuts the gradient's graph; write exp and sum out"),
    (".scatter(", "its gradient is wrong; use index_select, cat or where_cond"),
    ("scatter_add", "its gradient is wrong; use index_select, cat or where_cond"),
    ("VarMap", "it has hash order and starts unseeded; keep parameters in an ordered struct"),
    // Also randn, rand_like and randn_like.
    ("Tensor::rand", "candle's CPU generator cannot be seeded; draw from a Stream"),
    ("Var::rand", "candle's CPU generator cannot be seeded; draw from a Stream"),
];

/// The crates whose code runs in training steps, and what reads numbers from a device behind the back of their count.
const COUNTED: [&str; 3] =
    ["crates/mflow-bijectors/src", "crates/mflow-core/src", "crates/mflow-train/src"];
const READS: [&str; 5] = [".to_scalar", ".to_vec0", ".to_vec1", ".to_vec2", ".to_vec3"];
const READER: &str = "crates/mflow-bijectors/src/host.rs";

/// Checks one file.
pub(super) fn check(path: &Path, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut complain = |line: usize, what: String| {
        violations.push(Violation::new(path, line, what));
    };
    if !starts_with_module_doc(text) {
        complain(1, "no module doc; say in a //! line what the file is for".to_owned());
    }
    if !text.is_empty() && !text.ends_with('\n') {
        complain(text.lines().count(), "no final newline; add one".to_owned());
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        complain(MAX_LINES, format!("{lines} lines, more than {MAX_LINES}; split the file"));
    }
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_end() != line {
            complain(number, "trailing white space; remove it".to_owned());
        }
        if line.contains('\t') {
            complain(number, "a tab; use spaces, or \\t in a string".to_owned());
        }
    }
    let library =
        path.starts_with("crates") && path.components().any(|part| part.as_os_str() == "src");
    let counted =
        path != Path::new(READER) && COUNTED.iter().any(|folder| path.starts_with(folder));
    for (number, line) in (1..).zip(lexer::code_only(text).lines()) {
        let banned = BANS.iter().filter(|(ban, _)| library && line.contains(ban));
        banned.for_each(|(ban, reason)| complain(number, format!("{ban} is banned: {reason}")));
        if counted && let Some(read) = READS.iter().find(|read| line.contains(*read)) {
            complain(
                number,
                format!("{read} is for {READER} only; call that, so that it is counted"),
            );
        }
        if has_word(line, "unsafe") && !UNSAFE_FILES.iter().any(|file| path == Path::new(file)) {
            let files = UNSAFE_FILES.join(" and ");
            complain(number, format!("unsafe is for {files} only; write it safely"));
        }
    }
    violations
}

/// Whether nothing but blank lines and inner attributes comes before the first `//!`.
fn starts_with_module_doc(text: &str) -> bool {
    let mut rest = text.trim_start();
    while rest.starts_with("#![") {
        let mut depth = 0_usize;
        let end = rest.find(|c| {
            depth = match c {
                '[' => depth + 1,
                ']' => depth - 1,
                _ => depth,
            };
            c == ']' && depth == 0
        });
        rest = end.map_or("", |end| rest[end + 1..].trim_start());
    }
    rest.starts_with("//!")
}

fn has_word(code: &str, word: &str) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        !code[..at].ends_with(in_word) && !code[at + word.len()..].starts_with(in_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> String {
        check(Path::new(path), text)
            .iter()
            .map(|violation| format!("{} ", violation.line))
            .collect()
    }

    #[test]
    fn a_module_doc_may_follow_inner_attributes() {
        assert_eq!(
            lines("a.rs", "#![allow(\n    dead_code,\n    reason = \"[]\"\n)]\n\n//! Doc.\n"),
            ""
        );
        assert_eq!(lines("a.rs", "use std::fs;\n//! Doc.\n"), "1 ");
        assert_eq!(lines("a.rs", ""), "1 ");
    }

    #[test]
    fn white_space_is_checked() {
        assert_eq!(lines("a.rs", "//! Doc. \n\tfn f() {}"), "2 1 2 ");
    }

    #[test]
    fn bans_hold_for_library_code_only() {
        let text = "//! VarMap\nlet a = x.scatter(y); // VarMap\nlet b = Tensor::rand(0.);\nf(\"VarMap\")\n";
        assert_eq!(lines("crates/mflow/src/a.rs", text), "2 3 ");
        assert_eq!(lines("crates/mflow/tests/a.rs", text), "");
    }

    #[test]
    fn reads_are_for_one_file_of_some_crates() {
        let text = "//! Reads.\nlet a = x.to_vec1()?; // x.to_vec1()\n";
        assert_eq!(lines("crates/mflow-core/src/a.rs", text), "2 ");
        for path in [READER, "crates/mflow-core/tests/a.rs", "crates/mflow-eval/src/a.rs"] {
            assert_eq!(lines(path, text), "");
        }
    }

    #[test]
    fn unsafe_is_for_two_files() {
        let text = "#![deny(unsafe_code)]\n//! No unsafe.\nunsafe { f() }\n";
        assert_eq!(lines("xtask/src/a.rs", text), "3 ");
        for file in UNSAFE_FILES {
            assert_eq!(lines(file, text), "");
        }
    }

    #[test]
    fn long_files_are_found() {
        assert_eq!(lines("a.rs", &"//! Doc.\n".repeat(MAX_LINES)), "");
        assert_eq!(lines("a.rs", &"//! Doc.\n".repeat(MAX_LINES + 1)), "700 ");
    }
}
