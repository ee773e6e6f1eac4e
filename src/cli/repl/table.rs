//! Formats values, lists and help for the width of the terminal.

use crate::{
    base::{plain_line, with_thousands},
    script::Rendered,
};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use unicode_width::UnicodeWidthStr;

/// The width if the terminal's is unknown.
const DEFAULT_WIDTH: usize = 100;

/// The padding of a table's column.
const GAP: usize = 2;

/// Lines with at least this indentation are examples.
const EXAMPLE_INDENT: usize = 4;

/// The width to which a long cell may be cut.
const MIN_CELL: usize = 12;

/// A value as it is printed; a list as a table that fits the terminal.
pub(super) fn show(shown: &Rendered, width: Option<usize>) -> String {
    match shown {
        Rendered::Nothing => String::new(),
        Rendered::Text(text) => text.clone(),
        Rendered::Rows { columns, rows, from, total } => {
            let width = width.unwrap_or(DEFAULT_WIDTH);
            let (columns, left_out) = columns.split_at(columns_that_fit(columns, rows, width));
            let mut table = new_table(width);
            table.set_header(columns);
            for row in rows {
                table
                    .add_row(row.iter().take(columns.len()).map(|cell| fit(cell, width)).collect::<Vec<_>>());
            }
            // A cut openid could not be copied.
            let widths = columns.iter().enumerate().filter(|(_, column)| *column == "openid");
            for (at, _) in widths {
                if let Some(column) = table.column_mut(at) {
                    column.set_constraint(ColumnConstraint::ContentWidth);
                }
            }
            let mut text = drawn(&table);
            if !left_out.is_empty() {
                text.push_str(&wrapped(&format!("no room for {}", left_out.join(", ")), Some(width)));
                text.push('\n');
            }
            let more = total.saturating_sub(from + rows.len());
            if more > 0 {
                text.push_str(&format!("{} more (:more)", with_thousands(more as u64)));
            }
            text.trim_end().to_owned()
        }
    }
}

fn new_table(width: usize) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table
}

fn drawn(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// How many of the columns fit side by side, each with its widest cell or at least `MIN_CELL` of it.
fn columns_that_fit(columns: &[String], rows: &[Vec<String>], width: usize) -> usize {
    let wanted = columns.iter().enumerate().map(|(at, column)| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.width());
        let widest = cells.chain([column.width()]).max().unwrap_or(0);
        GAP + if column == "openid" { widest } else { widest.min(MIN_CELL.max(column.width())) }
    });
    let mut taken = 0;
    let fitting = wanted.take_while(|wanted| {
        taken += wanted;
        taken <= width
    });
    fitting.count().max(1)
}

/// A table of names and their meanings, with the meanings wrapped.
pub(super) fn list(rows: &[(&str, &str)], width: Option<usize>) -> String {
    let mut table = new_table(width.unwrap_or(DEFAULT_WIDTH));
    for (word, meaning) in rows {
        table.add_row([format!(" {word}"), (*meaning).to_owned()]);
    }
    if let Some(column) = table.column_mut(0) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    drawn(&table)
}

/// A text with its lines wrapped between words. Continuation lines are indented like their line, or to the second column
/// of a line that has two columns with a gap between. Examples are not wrapped.
pub(super) fn wrapped(text: &str, width: Option<usize>) -> String {
    let width = width.unwrap_or(DEFAULT_WIDTH);
    let mut whole = String::with_capacity(text.len() + text.len() / 16);
    for line in text.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        if indent.len() >= EXAMPLE_INDENT {
            whole.push_str(line);
            whole.push('\n');
            continue;
        }
        let words = line.trim_start();
        let behind_gap = words.find("  ").map(|gap| words.len() - words[gap..].trim_start().len());
        let hang = " ".repeat(indent.width() + behind_gap.map_or(0, |behind| words[..behind].width()));
        let (mut used, mut is_first) = (indent.width(), true);
        whole.push_str(indent);
        for word in line.trim_start().split(' ') {
            if !is_first && used + 1 + word.width() > width {
                whole.truncate(whole.trim_end().len());
                whole.push('\n');
                whole.push_str(&hang);
                (used, is_first) = (hang.len(), true);
            }
            if !is_first {
                whole.push(' ');
                used += 1;
            }
            whole.push_str(word);
            (used, is_first) = (used + word.width(), false);
        }
        whole.push('\n');
    }
    whole.truncate(whole.trim_end().len());
    whole
}

/// The text as one line without control characters: a text of the platform must neither break the table nor control the
/// terminal.
fn fit(cell: &str, width: usize) -> String {
    let plain = plain_line(cell);
    let max = width.max(20);
    if plain.chars().count() <= max {
        return plain.into_owned();
    }
    let cut: String = plain.chars().take(max - 1).collect();
    format!("{cut}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_columns_and_long_lists_are_cut() {
        let rows = vec![vec!["2".to_owned(), "星标组".to_owned()], vec!["100".to_owned(), "vip".to_owned()]];
        let shown = Rendered::Rows {
            columns: vec!["id".to_owned(), "name".to_owned()],
            rows,
            from: 0,
            total: 10_000,
        };
        assert_eq!(show(&shown, Some(60)), " id   name\n 2    星标组\n 100  vip\n9,998 more (:more)");
        let long = vec![vec!["1".to_owned(), "很".repeat(200)]];
        let shown = Rendered::Rows {
            columns: vec!["id".to_owned(), "name".to_owned()],
            rows: long,
            from: 0,
            total: 1,
        };
        let widths: Vec<usize> = show(&shown, Some(40)).lines().map(UnicodeWidthStr::width).collect();
        assert!(widths.iter().all(|width| *width <= 40), "{widths:?}");
    }

    #[test]
    fn columns_without_room_are_dropped_and_named() {
        let openid = "o6_bmjrPTlm6_2sgVt7hMZOPfL2M";
        let row = [openid, "老客户李四", "2026-11-01 09:30", "QR_CODE", "98765"].map(str::to_owned).to_vec();
        let columns = ["openid", "remark", "subscribed", "scene", "qr_scene"].map(str::to_owned).to_vec();
        let shown = Rendered::Rows { columns, rows: vec![row], from: 0, total: 1 };
        let text = show(&shown, Some(60));
        assert!(text.contains(openid) && text.contains("老客户李四"), "{text}");
        assert!(text.ends_with("no room for scene, qr_scene"), "{text}");
        assert!(text.lines().all(|line| line.width() <= 60), "{text}");
    }

    #[test]
    fn long_lines_wrap_between_words() {
        assert_eq!(wrapped("  tag 老客户 ends\nnext", Some(12)), "  tag 老客户\n  ends\nnext");
        assert_eq!(wrapped("tagid  The tag", Some(11)), "tagid  The\n       tag");
        assert_eq!(wrapped("    f(a) // 四", Some(8)), "    f(a) // 四");
        assert_eq!(list(&[(":more", "the next rows")], Some(18)), "  :more  the next\n         rows\n");
    }
}
