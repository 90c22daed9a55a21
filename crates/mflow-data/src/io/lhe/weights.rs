//! The further weights of an event, and their names in a header.
#![expect(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "places are where ASCII was found in the same text, and ids are counted first"
)]

use std::path::Path;

use super::event::{Line, malformed, number, quoted};
use crate::Result;

/// The weights in what an event has after its particles.
pub(super) fn weights(path: &Path, lines: &[Line], ids: &[String]) -> Result<Vec<(String, f64)>> {
    let mut text = String::new();
    for (_, line) in lines {
        text.push_str(line);
        text.push('\n');
    }
    let start = lines.first().map_or(0, |(line, _)| *line);
    let block = Block { path, text: &text, start };
    let mut weights = Vec::new();
    let mut at = 0;
    while let Some(list) = block.element("rwgt", at, text.len())? {
        let mut inside = list.start;
        while let Some(weight) = block.element("wgt", inside, list.end)? {
            let id = attribute(weight.tag, "id").ok_or_else(|| {
                let expected = "an id, as in `<wgt id='1'>`".to_owned();
                malformed(path, block.line(weight.start), expected, &quoted(weight.tag))
            })?;
            let value = block.number(&text[weight.start..weight.end], weight.start)?;
            weights.push((id.to_owned(), value));
            inside = weight.end;
        }
        at = list.end;
    }
    if let Some(list) = block.element("weights", 0, text.len())? {
        let values = text[list.start..list.end].split_whitespace();
        let values = values.map(|value| block.number(value, list.start));
        let values = values.collect::<Result<Vec<f64>>>()?;
        let named = values.len() == ids.len();
        let name = |i: usize| if named { ids[i].clone() } else { i.to_string() };
        weights.extend(values.into_iter().enumerate().map(|(i, value)| (name(i), value)));
    }
    Ok(weights)
}

/// The ids of weights that a line of a header declares.
pub(super) fn declared(text: &str) -> impl Iterator<Item = &str> {
    tags(text, "weight").filter_map(|tag| attribute(tag, "id"))
}

/// The tags of this name in a text, each from its name to before its `>`.
fn tags<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    text.split('<').skip(1).filter_map(move |rest| {
        let tag = rest.split('>').next().unwrap_or(rest);
        is_named(tag, name).then_some(tag)
    })
}

/// Whether a tag has this name, and not one that is longer.
pub(super) fn is_named(tag: &str, name: &str) -> bool {
    let rest = tag.strip_prefix(name);
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || "_-.:".contains(c)))
}

/// The value of an attribute, in quotes of either kind.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = tag;
    loop {
        let (before, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, further) = after[1..].split_once(quote)?;
        if before.split_whitespace().next_back() == Some(name) {
            return Some(value.trim());
        }
        rest = further;
    }
}

/// A text whose first line has a number.
struct Block<'a> {
    path: &'a Path,
    text: &'a str,
    start: u64,
}

/// An element in a text: its tag without brackets, and where its content starts and ends.
struct Element<'a> {
    tag: &'a str,
    start: usize,
    end: usize,
}

impl<'a> Block<'a> {
    /// The first element of this name from one byte to another.
    fn element(&self, name: &str, from: usize, until: usize) -> Result<Option<Element<'a>>> {
        let text = &self.text[..until];
        let mut at = from;
        while let Some(found) = text[at..].find('<') {
            at += found + 1;
            if !is_named(&text[at..], name) {
                continue;
            }
            let unclosed = |expected: String| {
                malformed(self.path, self.line(at), expected, &quoted(text[at..].trim()))
            };
            let (Some(closing), end) = (text[at..].find('>'), format!("</{name}>")) else {
                return Err(unclosed(format!("`>` behind `<{name}`")));
            };
            let (tag, start) = (&text[at..at + closing], at + closing + 1);
            let Some(len) = text[start..].find(&end) else {
                return Err(unclosed(format!("`{end}` behind `<{name}>`")));
            };
            return Ok(Some(Element { tag, start, end: start + len }));
        }
        Ok(None)
    }

    fn number(&self, text: &str, at: usize) -> Result<f64> {
        let text = text.trim();
        let expected = || "a finite number for a weight".to_owned();
        number(text).ok_or_else(|| malformed(self.path, self.line(at), expected(), &quoted(text)))
    }

    /// The line of a byte.
    fn line(&self, at: usize) -> u64 {
        self.start + self.text[..at].matches('\n').count() as u64
    }
}
