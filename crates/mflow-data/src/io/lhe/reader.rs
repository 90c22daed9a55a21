//! The events of a file, one after the other.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::event::{LheEvent, Line, malformed, parse, quoted};
use super::weights::{declared, is_named};
use crate::io::lines::Lines;
use crate::{Error, Place, Result};

/// Bytes of a line, and of an event, at most: real ones have some thousands.
const LIMIT: u64 = 1 << 24;

/// The first bytes of a gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Reads a Les Houches event file as its events are asked for, so that memory does not grow with the file.
///
/// Comments, and blocks that are no events, are left aside. After an error there are no further events. A file that
/// ends before `</LesHouchesEvents>` is an error, behind the events that are whole.
pub struct LheReader<R> {
    lines: Lines<R>,
    /// The line at hand, and the byte from where it has not been looked at yet.
    line: Line,
    at: usize,
    /// Ids of weights in the header, in order.
    ids: Vec<String>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before `<LesHouchesEvents>`.
    Before,
    /// Behind it.
    Inside,
    /// Behind its end, or an error.
    Done,
}

/// Tags that matter between blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Xml,
    Start,
    End,
    Header,
    Init,
    Event,
    EventEnd,
    /// It may hold events, as `<eventgroup>` does.
    Other,
}

impl Tag {
    /// The tag behind a `<`.
    fn of(text: &str) -> Self {
        let known = [
            ("?xml", Self::Xml),
            ("LesHouchesEvents", Self::Start),
            ("/LesHouchesEvents", Self::End),
            ("header", Self::Header),
            ("init", Self::Init),
            ("event", Self::Event),
            ("/event", Self::EventEnd),
        ];
        let found = known.into_iter().find(|(name, _)| is_named(text, name));
        found.map_or(Self::Other, |(_, tag)| tag)
    }
}

impl<R> fmt::Debug for LheReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LheReader").field("state", &self.state).finish_non_exhaustive()
    }
}

impl LheReader<Box<dyn BufRead>> {
    /// Opens a file, compressed by gzip or not, whatever its name says.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let place = Place::file(path);
        let file = File::open(path).map_err(Error::io("open", &place))?;
        let mut file = BufReader::new(file);
        let start = file.fill_buf().map_err(Error::io("read", &place))?;
        let reader: Box<dyn BufRead> = match start.starts_with(&GZIP) {
            true => Box::new(BufReader::new(MultiGzDecoder::new(file))),
            false => Box::new(file),
        };
        Ok(Self::new(reader, path))
    }
}

impl<R: BufRead> LheReader<R> {
    /// Reads plain text; `path` is for messages.
    pub fn new(reader: R, path: &Path) -> Self {
        let lines = Lines::new(reader, path, LIMIT);
        let line = (0, String::new());
        Self { lines, line, at: 0, ids: Vec::new(), state: State::Before }
    }

    /// The next event, none behind the last.
    fn event(&mut self) -> Result<Option<LheEvent>> {
        while let Some(tag) = self.tag()? {
            let misplaced = |expected: &str| {
                let found = quoted(&format!("<{}", self.rest().trim_end()));
                malformed(self.lines.path(), self.line.0, expected.to_owned(), &found)
            };
            match (self.state, tag) {
                (State::Before, Tag::Start) => self.state = State::Inside,
                (State::Before, Tag::Xml) => {}
                (State::Before, _) => return Err(misplaced("`<LesHouchesEvents>`")),
                (_, Tag::End) => {
                    // The checksum of a compressed file is at its end.
                    while self.lines.next()?.is_some() {}
                    return Ok(None);
                }
                (_, Tag::EventEnd) => return Err(misplaced("`<event>` before its end")),
                (_, Tag::Header) => self.skip("</header>")?,
                (_, Tag::Init) => self.skip("</init>")?,
                (_, Tag::Event) => {
                    let lines = self.block()?;
                    return parse(self.lines.path(), &lines, &self.ids).map(Some);
                }
                _ => {}
            }
        }
        let expected = match self.state {
            State::Before => "`<LesHouchesEvents>`",
            _ => "`</LesHouchesEvents>`",
        };
        Err(self.ended(expected.to_owned()))
    }

    /// What has not been looked at of the line at hand.
    #[expect(
        clippy::string_slice,
        reason = "`at` is behind a text that was found in the line, and ends are where one was found"
    )]
    fn rest(&self) -> &str {
        &self.line.1[self.at..]
    }

    /// Goes behind the `<` of the next tag.
    fn tag(&mut self) -> Result<Option<Tag>> {
        loop {
            if let Some(before) = self.rest().find('<') {
                self.at += before + 1;
                return Ok(Some(Tag::of(self.rest())));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Goes behind the end of a block, and keeps the ids of the weights in it.
    #[expect(
        clippy::string_slice,
        reason = "`at` is behind a text that was found in the line, and ends are where one was found"
    )]
    fn skip(&mut self, end: &str) -> Result<()> {
        let start = self.line.0;
        loop {
            let found = self.rest().find(end);
            let inside = &self.rest()[..found.unwrap_or(self.rest().len())];
            let ids: Vec<String> = declared(inside).map(str::to_owned).collect();
            self.ids.extend(ids);
            if let Some(before) = found {
                self.at += before + end.len();
                return Ok(());
            }
            if !self.fill()? {
                return Err(self.ended(format!("`{end}` of the block in line {start}")));
            }
        }
    }

    /// The lines of an event, from behind its tag to before its end.
    #[expect(
        clippy::string_slice,
        reason = "`at` is behind a text that was found in the line, and ends are where one was found"
    )]
    fn block(&mut self) -> Result<Vec<Line>> {
        const END: &str = "</event>";
        let expected = format!("`{END}` of the event in line {}", self.line.0);
        // Its attributes may take several lines.
        loop {
            if let Some(before) = self.rest().find('>') {
                self.at += before + 1;
                break;
            }
            if !self.fill()? {
                return Err(self.ended(expected));
            }
        }
        let (mut lines, mut size) = (Vec::new(), 0);
        loop {
            let found = self.rest().find(END);
            let inside = &self.rest()[..found.unwrap_or(self.rest().len())];
            size += inside.len() as u64 + 1;
            let is_nested = inside.split('<').skip(1).any(|tag| is_named(tag, "event"));
            if is_nested || size > LIMIT {
                let found = if is_nested { "`<event>`" } else { "more text than an event has" };
                return Err(malformed(self.lines.path(), self.line.0, expected, found));
            }
            lines.push((self.line.0, inside.to_owned()));
            if let Some(before) = found {
                self.at += before + END.len();
                return Ok(lines);
            }
            if !self.fill()? {
                return Err(self.ended(expected));
            }
        }
    }

    /// The next line, without comments, in the place of the one at hand; false at the end of the file.
    fn fill(&mut self) -> Result<bool> {
        let (mut kept, mut comment) = (String::new(), None);
        loop {
            let Some((line, bytes)) = self.lines.next()? else {
                return match comment {
                    None => Ok(false),
                    Some(start) => Err(self.ended(format!("`-->` of the comment in line {start}"))),
                };
            };
            // Names of authors in a header may be in any encoding.
            let text = String::from_utf8_lossy(bytes);
            let mut rest = text.as_ref();
            loop {
                let mark = if comment.is_some() { "-->" } else { "<!--" };
                let Some((before, behind)) = rest.split_once(mark) else { break };
                match comment.take() {
                    Some(_) => kept.push(' '),
                    None => {
                        kept.push_str(before);
                        comment = Some(line);
                    }
                }
                rest = behind;
            }
            if comment.is_none() {
                kept.push_str(rest);
                (self.line, self.at) = ((line, kept), 0);
                return Ok(true);
            }
        }
    }

    /// The end of the file, where something else is to be.
    fn ended(&self, expected: String) -> Error {
        malformed(self.lines.path(), self.lines.number(), expected, "the end of the file")
    }
}

impl<R: BufRead> Iterator for LheReader<R> {
    type Item = Result<LheEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Done {
            return None;
        }
        let event = self.event().transpose();
        if !matches!(event, Some(Ok(_))) {
            self.state = State::Done;
        }
        event
    }
}
