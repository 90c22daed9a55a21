//! A page: sections of text, tables and figures, with all that a browser needs to show them.
use super::plot::Plot;
use super::script::plotly_js;
use super::table::Table;
use crate::pictures::Picture;
use crate::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// What the page looks like.
const STYLE: &str = include_str!("page.css");
/// What draws the figures, with plotly.js.
const SCRIPT: &str = include_str!("page.js");

/// `text` in a place where it shall stay text.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// A page that is being written.
#[derive(Clone, Debug)]
pub(super) struct Page {
    title: String,
    body: String,
    /// What it has beside style and script of all pages.
    style: &'static str,
    script: &'static str,
}

impl Page {
    /// A page with its headline, and a line under it.
    pub(super) fn new(title: &str, subtitle: &str) -> Self {
        let (heading, line) = (escape(title), escape(subtitle));
        let body = format!("<header><h1>{heading}</h1>\n<p class=\"lead\">{line}</p></header>\n");
        Self { title: title.to_owned(), body, style: "", script: "" }
    }

    /// With a style and a script of its own, after those of all pages, and elements that they are about.
    pub(super) fn with_own(self, style: &'static str, script: &'static str, body: &str) -> Self {
        Self { body: self.body + body, style, script, ..self }
    }

    /// Data for its own script, in the element of this id.
    pub(super) fn data(&mut self, id: &str, value: &Value) {
        self.body += &json(value).replacen("<script", &format!("<script id=\"{id}\""), 1);
    }

    /// Facts by their names.
    pub(super) fn facts(&mut self, facts: &[(&str, String)]) {
        let fact = |(name, value): &(&str, String)| {
            format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(name), escape(value))
        };
        let facts: String = facts.iter().map(fact).collect();
        self.body += &format!("<dl class=\"facts\">\n{facts}</dl>\n");
    }

    /// The headline of what follows.
    pub(super) fn section(&mut self, title: &str) {
        self.body += &format!("<h2>{}</h2>\n", escape(title));
    }

    /// The headline of a part of a section.
    pub(super) fn subsection(&mut self, title: &str) {
        self.body += &format!("<h3 class=\"part\">{}</h3>\n", escape(title));
    }

    /// A paragraph of explanation.
    pub(super) fn note(&mut self, text: &str) {
        self.body += &format!("<p class=\"note\">{}</p>\n", escape(text.trim()));
    }

    /// A table.
    pub(super) fn table(&mut self, table: &Table) {
        self.body += &table.html();
    }

    /// A large figure.
    pub(super) fn figure(&mut self, plot: &Plot) {
        let json = json(&plot.json());
        self.body += &format!("<figure class=\"plot large\">{json}</figure>\n");
    }

    /// A picture that is the text of an SVG.
    pub(super) fn picture(&mut self, svg: &str) {
        // In a page the name space is known, and an address would look like a request.
        let svg = svg.replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1);
        self.body += &format!("<figure class=\"picture\">{svg}</figure>\n");
    }

    /// A picture of images, within the file.
    pub(super) fn image(&mut self, picture: &Picture) {
        let Picture { name, caption, format, bytes } = picture;
        let (kind, data) = (format.ending(), STANDARD.encode(bytes));
        self.body += &format!(
            "<figure class=\"picture\"><img alt=\"{name}\" src=\"data:image/{kind};base64,{data}\">\
             <figcaption class=\"note\">{}</figcaption></figure>\n",
            escape(caption)
        );
    }

    /// Small figures side by side, with a headline each.
    pub(super) fn figures(&mut self, plots: &[(String, Plot)]) {
        let figure = |(title, plot): &(String, Plot)| {
            let (title, json) = (escape(title), json(&plot.json()));
            format!("<div><h3>{title}</h3><figure class=\"plot\">{json}</figure></div>\n")
        };
        let figures: String = plots.iter().map(figure).collect();
        self.body += &format!("<div class=\"grid\">\n{figures}</div>\n");
    }

    /// What the colours of the figures that follow mean; a click on a name hides what is called so.
    pub(super) fn legend(&mut self, names: &[(&str, &str)]) {
        let entry = |(name, color): &(&str, &str)| {
            format!(
                "<button type=\"button\"><i style=\"background:{color}\"></i>{}</button>\n",
                escape(name)
            )
        };
        let entries: String = names.iter().map(entry).collect();
        self.body += &format!("<div class=\"legend\">\n{entries}</div>\n");
    }

    /// Panes side by side, in each of which the reader chooses one of the `views`, a list of figures with
    /// `name` and `caption`.
    pub(super) fn panes(&mut self, panes: usize, views: &Value) {
        let pane = "<div class=\"pane\"><select aria-label=\"Run\"></select>\
                    <figure></figure><p class=\"note\"></p></div>\n";
        let (panes, json) = (pane.repeat(panes), json(views));
        self.body += &format!("<div class=\"compare\">{json}\n{panes}</div>\n");
    }

    /// Long text that is folded away.
    pub(super) fn details(&mut self, summary: &str, text: &str) {
        let (summary, text) = (escape(summary), escape(text.trim()));
        self.body += &format!("<details><summary>{summary}</summary><pre>{text}</pre></details>\n");
    }

    /// The whole file.
    ///
    /// # Errors
    /// If there is no script to draw figures with.
    pub(super) fn finish(&self) -> Result<String> {
        let plotly = plotly_js().ok_or(Error::NoScript)?;
        let (title, version) = (escape(&self.title), env!("CARGO_PKG_VERSION"));
        let Self { body, style, script, .. } = self;
        Ok(format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n{STYLE}{style}</style>\n</head>\n<body>\n<main>\n{body}\
             <footer>Written by mflow {version}. Figures: plotly.js, which is in this file.</footer>\n\
             </main>\n<script>{plotly}</script>\n<script>\n{SCRIPT}{script}</script>\n</body>\n</html>\n"
        ))
    }
}

/// JSON that a script of the page reads.
fn json(value: &Value) -> String {
    // A tag inside of a string would end the element.
    let text = value.to_string().replace('<', "\\u003c");
    format!("<script type=\"application/json\">{text}</script>")
}
