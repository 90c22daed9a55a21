//! Relative links in markdown files point to files that exist.

use std::path::Path;

use super::Violation;

/// Checks the links of one file; `exists` is asked for paths relative to the repository.
pub(super) fn check(path: &Path, text: &str, exists: &dyn Fn(&Path) -> bool) -> Vec<Violation> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let missing = to_files(text).filter_map(|(line, target)| {
        let file = target.split('#').next().unwrap_or_default();
        let what = format!("no file {file} to link to; mend the link or add the file");
        (!exists(&folder.join(file))).then(|| Violation::new(path, line, what))
    });
    missing.collect()
}

/// The links to files in a text, each with its line.
pub(super) fn to_files(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    let prose = (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        !fenced && !is_fence
    });
    // Every other piece between backticks is code.
    let pieces = prose.flat_map(|(line, text)| text.split('`').step_by(2).map(move |p| (line, p)));
    let links = pieces.flat_map(|(line, piece)| targets(piece).map(move |target| (line, target)));
    links.filter(|(_, target)| is_file(target))
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
