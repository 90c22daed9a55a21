//! Relative links in markdown files point to files that exist.

use std::path::Path;

use super::Violation;

/// Checks the links of one file; `exists` is asked for paths relative to the repository.
pub(super) fn check(path: &Path, text: &str, exists: &dyn Fn(&Path) -> bool) -> Vec<Violation> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut violations = Vec::new();
    let mut fenced = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Every other piece between backticks is code.
        for prose in line.split('`').step_by(2) {
            for target in targets(prose).filter(|target| is_file(target)) {
                let file = target.split('#').next().unwrap_or_default();
                if !exists(&folder.join(file)) {
                    let what = format!("no file {file} to link to; mend the link or add the file");
                    violations.push(Violation::new(path, number, what));
                }
            }
        }
    }
    violations
}

/// Whether the target of a link is a file rather than an address or a heading of the same page.
fn is_file(target: &str) -> bool {
    !target.is_empty()
        && !target.starts_with('#')
        && !target.contains("://")
        && !target.starts_with("mailto:")
}

/// The targets of inline links, and of a reference (`[name]: target`).
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let inline = line.match_indices("](").map(|(at, open)| {
        let rest = &line[at + open.len()..];
        &rest[..rest.find([')', ' ']).unwrap_or(rest.len())]
    });
    let reference = line.starts_with('[').then(|| line.split_once("]: ")).flatten();
    inline.chain(reference.and_then(|(_, target)| target.split_whitespace().next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_files_are_found() {
        let text = "[a](there.md#part) [b](gone.md)\n[c]: ../gone.png \"title\"\n";
        let exists = |path: &Path| path == Path::new("docs/there.md");
        let lines: Vec<String> = check(Path::new("docs/page.md"), text, &exists)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("docs/page.md:1: no file gone.md"), "{lines:?}");
        assert!(lines[1].starts_with("docs/page.md:2: no file ../gone.png"), "{lines:?}");
    }

    #[test]
    fn code_and_addresses_are_not_links() {
        let text = "[a](https://b.c) [d](#e) `[f](g)` <!-- -->\n```\n[h](i)\n```\n";
        assert_eq!(check(Path::new("page.md"), text, &|_| false), []);
    }
}
