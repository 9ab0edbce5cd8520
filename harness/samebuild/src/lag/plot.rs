//! The layer counts of a record as a picture: a bar for what was counted, a line across it for the model.

use crate::races::Record;

const BAR: usize = 44;
const HEIGHT: f64 = 200.0;
const LEFT: usize = 40;
const TOP: f64 = 40.0;
/// What a letter of the font takes at most, on average.
const LETTER: usize = 7;
const CAPTION: &str = "layers; bars: seeds counted, lines: the model";

/// An SVG of a record whose rows begin with layers, the count, and what the model says.
pub fn plot(record: &Record) -> String {
    let number = |row: &[String], column: usize| row.get(column).and_then(|cell| cell.parse::<f64>().ok());
    let most =
        record.rows.iter().flat_map(|row| [number(row, 1), number(row, 2)]).flatten().fold(1.0, f64::max);
    let words = record.about.chars().count().max(CAPTION.len()) * LETTER;
    let width = LEFT * 2 + (record.rows.len() * BAR).max(words);
    let base = TOP + HEIGHT;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"{LEFT}\" y=\"20\">{}</text>\n",
        base + 40.0,
        escaped(&record.about)
    );
    for (n, row) in record.rows.iter().enumerate() {
        let x = LEFT + n * BAR;
        let y = |value: f64| base - value / most * HEIGHT;
        if let Some(count) = number(row, 1) {
            out.push_str(&format!(
                "<rect x=\"{}\" y=\"{:.1}\" width=\"{}\" height=\"{:.1}\" fill=\"#7aa6c2\"/>\n",
                x + 6,
                y(count),
                BAR - 12,
                base - y(count)
            ));
        }
        if let Some(model) = number(row, 2) {
            out.push_str(&format!(
                "<line x1=\"{}\" x2=\"{}\" y1=\"{2:.1}\" y2=\"{2:.1}\" stroke=\"#b3361b\" stroke-width=\"2\"/>\n",
                x + 2,
                x + BAR - 2,
                y(model)
            ));
        }
        let label = row.first().map(String::as_str).unwrap_or_default();
        out.push_str(&format!(
            "<text x=\"{}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>\n",
            x + BAR / 2,
            base + 16.0,
            escaped(label)
        ));
    }
    out.push_str(&format!("<text x=\"{LEFT}\" y=\"{:.0}\">{CAPTION}</text>\n</svg>\n", base + 34.0));
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_a_bar_with_a_line_and_text_is_escaped() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let record = Record {
            about: "a < b".into(),
            when: String::new(),
            place: String::new(),
            columns: Vec::new(),
            rows: vec![row(["1", "10", "9.5"]), row(["2", "20", "20.5"])],
        };
        let svg = plot(&record);
        assert_eq!(svg.matches("<rect x=").count(), 2);
        assert_eq!(svg.matches("<line").count(), 2);
        assert!(svg.contains("a &lt; b") && svg.ends_with("</svg>\n"));
    }
}
