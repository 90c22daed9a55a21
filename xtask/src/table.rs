//! Tables, as aligned text and as markdown.

/// A heading and rows of the same length.
#[derive(Debug)]
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(head: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty.
    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = impl Into<String>>) {
        let mut row: Vec<String> = row.into_iter().map(Into::into).collect();
        row.resize(self.head.len(), String::new());
        self.rows.push(row);
    }

    /// Adds rows.
    pub(crate) fn extend(&mut self, rows: Vec<Vec<String>>) {
        rows.into_iter().for_each(|row| self.push(row));
    }

    /// Aligned columns for a terminal: the first to the left, the others to the right.
    pub(crate) fn text(&self) -> String {
        self.lines(|row, widths| aligned(row, widths, "  "))
    }

    /// Aligned columns of words for a terminal: all to the left.
    pub(crate) fn words(&self) -> String {
        let left = |(cell, width): (&String, &usize)| format!("{cell:<width$}");
        self.lines(|row, widths| row.iter().zip(widths).map(left).collect::<Vec<_>>().join("  "))
    }

    fn lines(&self, line: impl Fn(&[String], &[usize]) -> String) -> String {
        let widths = self.widths();
        let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        let rows = [&self.head, &rule].into_iter().chain(&self.rows);
        rows.map(|row| line(row, &widths).trim_end().to_owned() + "\n").collect()
    }

    /// A markdown table, aligned too so that its source can be read and its changes compared.
    pub(crate) fn markdown(&self) -> String {
        let widths = self.widths();
        let rule: Vec<String> = widths
            .iter()
            .enumerate()
            .map(|(i, width)| if i == 0 { "-".repeat(*width) } else { "-".repeat(width - 1) + ":" })
            .collect();
        let lines = [&self.head, &rule].into_iter().chain(&self.rows);
        lines.map(|row| format!("| {} |\n", aligned(row, &widths, " | "))).collect()
    }

    fn widths(&self) -> Vec<usize> {
        let width = |cell: &String| cell.chars().count();
        let widest = |(i, head): (usize, &String)| {
            let column = self.rows.iter().filter_map(|row| row.get(i));
            column.chain([head]).map(width).fold(3, usize::max)
        };
        self.head.iter().enumerate().map(widest).collect()
    }
}

fn aligned(row: &[String], widths: &[usize], between: &str) -> String {
    let cells = row.iter().zip(widths).enumerate().map(|(i, (cell, width))| {
        if i == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
    });
    cells.collect::<Vec<_>>().join(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Table {
        let mut table = Table::new(["step", "seconds"]);
        table.push(["fmt", "0.4"]);
        table.push(["clippy"]);
        table
    }

    #[test]
    fn text_is_aligned() {
        let expected = "step    seconds\n------  -------\nfmt         0.4\nclippy\n";
        assert_eq!(example().text(), expected);
    }

    #[test]
    fn words_are_to_the_left() {
        let expected = "step    seconds\n------  -------\nfmt     0.4\nclippy\n";
        assert_eq!(example().words(), expected);
    }

    #[test]
    fn markdown_is_aligned() {
        let expected = "| step   | seconds |\n| ------ | ------: |\n| fmt    |     0.4 |\n| clippy |         |\n";
        assert_eq!(example().markdown(), expected);
    }
}
