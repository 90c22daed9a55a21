//! Relative links in markdown files point to files that exist, and to headings that they have.

use std::path::Path;

use super::Violation;

/// Checks the links of one file; `exists` and `read` are asked for paths relative to the repository.
pub(super) fn check(
    path: &Path,
    text: &str,
    exists: &dyn Fn(&Path) -> bool,
    read: &dyn Fn(&Path) -> Option<String>,
) -> Vec<Violation> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let wrong = links(text).filter_map(|(line, target)| {
        let (file, heading) = target.split_once('#').unwrap_or((target, ""));
        let at = folder.join(file);
        if !file.is_empty() && !exists(&at) {
            let what = format!("no file {file} to link to; mend the link or add the file");
            return Some(Violation::new(path, line, what));
        }
        let is_page = file.is_empty() || file.ends_with(".md");
        let page = (is_page && !heading.is_empty()).then(|| match file {
            "" => Some(text.to_owned()),
            _ => read(&at),
        });
        let has = page.flatten().is_none_or(|page| anchors(&page).any(|anchor| anchor == heading));
        let what = format!("no heading #{heading} to link to in {}", at.display());
        (!has).then(|| Violation::new(path, line, what))
    });
    wrong.collect()
}

/// The names by which headings are linked to, as GitHub and mdBook make them.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let mut fenced = false;
    let headings = text.lines().filter(move |line| {
        fenced ^= line.starts_with("```");
        !fenced && line.starts_with('#')
    });
    headings.map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

/// The links to files in a text, each with its line.
pub(super) fn to_files(text: &str) -> impl Iterator<Item = (usize, &str)> {
    links(text).filter(|(_, target)| !target.starts_with('#'))
}

/// The links within the repository, each with its line.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    let prose = (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        !fenced && !is_fence
    });
    // Every other piece between backticks is code.
    let pieces = prose.flat_map(|(line, text)| text.split('`').step_by(2).map(move |p| (line, p)));
    let links = pieces.flat_map(|(line, piece)| targets(piece).map(move |target| (line, target)));
    links.filter(|(_, target)| is_local(target))
}

/// Whether the target of a link is in the repository rather than at an address.
fn is_local(target: &str) -> bool {
    !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:")
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
        let lines: Vec<String> =
            check(Path::new("docs/page.md"), text, &exists, &|_| Some("# Part".into()))
                .iter()
                .map(ToString::to_string)
                .collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("docs/page.md:1: no file gone.md"), "{lines:?}");
        assert!(lines[1].starts_with("docs/page.md:2: no file ../gone.png"), "{lines:?}");
    }

    #[test]
    fn missing_headings_are_found() {
        let text = "# A `b` (c): d-e\n[1](#a-b-c-d-e) [2](#part)\n[3](x.md#part) [4](x.md#two)\n```\n# Two\n```\n";
        let read = |path: &Path| (path == Path::new("docs/x.md")).then(|| "## Part\n".to_owned());
        let found = check(Path::new("docs/page.md"), text, &|_| true, &read);
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("docs/page.md:2: no heading #part"), "{lines:?}");
        assert!(lines[1].starts_with("docs/page.md:3: no heading #two"), "{lines:?}");
    }

    #[test]
    fn code_and_addresses_are_not_links() {
        let text = "[a](https://b.c) `[f](g)` <!-- -->\n```\n[h](i)\n```\n";
        assert_eq!(check(Path::new("page.md"), text, &|_| false, &|_| None), []);
    }
}
