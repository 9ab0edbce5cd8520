//! Markdown tables and lists, the same bytes everywhere.

/// A table; the first row is its head.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
        if index == 0 {
            text.push_str(&format!("|{}\n", " --- |".repeat(row.len())));
        }
    }
    text
}

/// Something long, behind a line that opens it. `summary` may hold HTML, `text` Markdown.
pub(super) fn folded(summary: &str, text: &str) -> String {
    format!("\n<details><summary>{summary}</summary>\n\n{}\n\n</details>\n", text.trim_end())
}

/// The first `most` names, and how many more there are.
pub(super) fn few(names: &[&str], most: usize) -> String {
    let shown = names[..names.len().min(most)].join(", ");
    match names.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown}, and {more} more"),
    }
}

fn escaped(cell: &str) -> String {
    cell.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_in_a_cell_does_not_make_a_column() {
        let rows = [vec!["a".to_owned(), "b".to_owned()], vec!["x|y".to_owned(), "1\n2".to_owned()]];
        assert_eq!(table(&rows), "| a | b |\n| --- | --- |\n| x\\|y | 1 2 |\n");
    }

    #[test]
    fn a_long_list_says_how_much_is_left_out() {
        assert_eq!(few(&["a", "b", "c"], 2), "a, b, and 1 more");
        assert_eq!(few(&["a", "b"], 2), "a, b");
    }
}
