//! Plain text tables and bars. A Chinese character takes two columns of a terminal.

use std::ops::RangeInclusive;

/// Which way a column leans.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows under headings, every column as wide as its widest cell.
pub(crate) struct Table {
    headings: Vec<(&'static str, Side)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(headings: &[(&'static str, Side)]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; cells beyond the headings are not shown.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The table as text, a line per row.
    pub(crate) fn text(&self) -> String {
        let widths: Vec<usize> = self
            .headings
            .iter()
            .enumerate()
            .map(|(column, (heading, _))| {
                let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell));
                cells.chain([width(heading)]).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        self.line(&mut text, &widths, self.headings.iter().map(|(heading, _)| *heading));
        for row in &self.rows {
            self.line(&mut text, &widths, row.iter().map(String::as_str));
        }
        text
    }

    fn line<'a>(&self, text: &mut String, widths: &[usize], cells: impl Iterator<Item = &'a str>) {
        let start = text.len();
        for (position, ((cell, (_, side)), &wide)) in cells.zip(&self.headings).zip(widths).enumerate() {
            if position > 0 {
                text.push_str("  ");
            }
            let gap = " ".repeat(wide.saturating_sub(width(cell)));
            let (before, after) = if *side == Side::Right { (gap.as_str(), "") } else { ("", gap.as_str()) };
            text.push_str(before);
            text.push_str(cell);
            text.push_str(after);
        }
        let trimmed = text.trim_end_matches(' ').len().max(start);
        text.truncate(trimmed);
        text.push('\n');
    }
}

/// Columns that a text takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    const WIDE: [RangeInclusive<char>; 7] = [
        '\u{1100}'..='\u{115F}',
        '\u{2E80}'..='\u{A4CF}',
        '\u{AC00}'..='\u{D7A3}',
        '\u{F900}'..='\u{FAFF}',
        '\u{FE30}'..='\u{FE6F}',
        '\u{FF00}'..='\u{FF60}',
        '\u{20000}'..='\u{3FFFD}',
    ];
    text.chars().map(|c| if WIDE.iter().any(|range| range.contains(&c)) { 2 } else { 1 }).sum()
}

/// Pads on the right to a width.
pub(crate) fn pad(text: &str, wide: usize) -> String {
    format!("{text}{}", " ".repeat(wide.saturating_sub(width(text))))
}

/// A bar of ten cells for a share of 0 to 1, in steps of half a cell.
pub(crate) fn bar(share: f64) -> String {
    const CELLS: usize = 10;
    let mut halves: usize = 0;
    let mut edge = 0.025;
    while halves < 2 * CELLS && share >= edge {
        halves += 1;
        edge += 0.05;
    }
    let (full, half) = (halves / 2, halves % 2);
    format!("{}{}{}", "█".repeat(full), "▌".repeat(half), "░".repeat(CELLS - full - half))
}

#[cfg(test)]
mod tests {
    use super::{Side, Table, bar, pad, width};

    #[test]
    fn columns_line_up_with_chinese_names() {
        let mut table = Table::new(&[("id", Side::Right), ("name", Side::Left), ("score", Side::Right)]);
        table.row(vec!["7".into(), "信流".into(), "61.5".into()]);
        table.row(vec!["1234".into(), "Ann".into(), "7.0".into()]);
        assert_eq!(table.text(), "  id  name  score\n   7  信流   61.5\n1234  Ann     7.0\n");
        assert_eq!((width("信流"), pad("信", 4).as_str()), (4, "信  "));
    }

    #[test]
    fn bars_fill_with_the_share() {
        assert_eq!(bar(0.0), "░░░░░░░░░░");
        assert_eq!(bar(0.55), "█████▌░░░░");
        assert_eq!(bar(1.0), "██████████");
        assert_eq!(bar(f64::NAN), "░░░░░░░░░░");
        assert_eq!(bar(7.0), "██████████");
    }
}
