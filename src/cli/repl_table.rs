//! How the session shows what a line has given: tables that fit the terminal.

use crate::{base::grouped, script::Shown};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};

/// The columns of a terminal that does not tell.
const WIDTH: usize = 100;

/// What is printed; a table no wider than the terminal.
pub(super) fn show(shown: &Shown, width: Option<usize>) -> String {
    match shown {
        Shown::Nothing => String::new(),
        Shown::Text(text) => text.clone(),
        Shown::Rows { columns, rows, from, total } => {
            let width = width.unwrap_or(WIDTH);
            let mut table = Table::new();
            table
                .load_style(presets::NOTHING)
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(u16::try_from(width).unwrap_or(u16::MAX))
                .set_header(columns.clone());
            for row in rows {
                table.add_row(row.iter().map(|cell| fit(cell, width)).collect::<Vec<_>>());
            }
            // An openid that is cut can't be copied.
            let widths = columns.iter().enumerate().filter(|(_, column)| *column == "openid");
            for (at, _) in widths {
                if let Some(column) = table.column_mut(at) {
                    column.set_constraint(ColumnConstraint::ContentWidth);
                }
            }
            let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
            let mut text = lines.concat();
            let more = total.saturating_sub(from + rows.len());
            if more > 0 {
                text.push_str(&format!("{} more (:more)", grouped(more as u64)));
            }
            text.trim_end().to_owned()
        }
    }
}

/// One line of it: a text from elsewhere must neither break the table nor steer the terminal.
fn fit(cell: &str, width: usize) -> String {
    let plain: String = cell.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    let most = width.max(20);
    if plain.chars().count() <= most {
        return plain;
    }
    let cut: String = plain.chars().take(most - 1).collect();
    format!("{cut}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_columns_and_long_lists_are_cut() {
        let rows = vec![vec!["2".to_owned(), "星标组".to_owned()], vec!["100".to_owned(), "vip".to_owned()]];
        let shown =
            Shown::Rows { columns: vec!["id".to_owned(), "name".to_owned()], rows, from: 0, total: 10_000 };
        assert_eq!(show(&shown, Some(60)), " id   name\n 2    星标组\n 100  vip\n9,998 more (:more)");
        let long = vec![vec!["1".to_owned(), "很".repeat(200)]];
        let shown =
            Shown::Rows { columns: vec!["id".to_owned(), "name".to_owned()], rows: long, from: 0, total: 1 };
        let widths: Vec<usize> =
            show(&shown, Some(40)).lines().map(unicode_width::UnicodeWidthStr::width).collect();
        assert!(widths.iter().all(|width| *width <= 40), "{widths:?}");
    }
}
