//! Tables.
use super::page::escape;

/// A table: columns of text, then columns of numbers.
#[derive(Clone, Debug)]
pub(super) struct Table {
    class: &'static str,
    /// How many of the columns are text.
    text: usize,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty one. `class` says what it holds; the first `text` columns of `head` are text.
    pub(super) fn new(
        class: &'static str,
        text: usize,
        head: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self { class, text, head: head.into_iter().map(Into::into).collect(), rows: vec![] }
    }

    /// One more row.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// As HTML.
    pub(super) fn html(&self) -> String {
        let line = |tag: &str, cells: &[String]| {
            let cell = |(i, text): (usize, &String)| {
                let class = if i < self.text { "" } else { " class=\"number\"" };
                format!("<{tag}{class}>{}</{tag}>", escape(text))
            };
            format!("<tr>{}</tr>\n", cells.iter().enumerate().map(cell).collect::<String>())
        };
        let body: String = self.rows.iter().map(|cells| line("td", cells)).collect();
        format!(
            "<div class=\"scroll\"><table class=\"{}\">\n<thead>{}</thead>\n<tbody>\n{body}</tbody></table>\
             </div>\n",
            self.class,
            line("th", &self.head)
        )
    }
}
