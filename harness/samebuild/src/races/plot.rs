//! Counts of one race as a picture: for each engine and strategy, how often an image was lost, by how long its DELETE was
//! held. An SVG of its own, without scripts, fonts or colours that need a light page or a dark one.

use std::fmt::Write as _;

use super::measure::Record;

const LEFT: usize = 96;
const TOP: usize = 62;
const CELL_WIDTH: usize = 58;
const ROW_HEIGHT: usize = 40;
const BAR_HEIGHT: f64 = 22.0;
const GAP: usize = 28;

/// One strategy at one pressure on one engine.
struct Cell<'a> {
    strategy: &'a str,
    pressure: &'a str,
    trials: u32,
    lost: u32,
}

/// The picture of these records, one panel each, in their order. `None` if there is nothing in them to be drawn.
#[must_use]
pub fn plot(records: &[Record]) -> Option<String> {
    let panels: Vec<(&str, Vec<Cell<'_>>)> =
        records.iter().map(|record| (record.place.as_str(), cells(record))).collect();
    let all = || panels.iter().flat_map(|(_, cells)| cells);
    let strategies = distinct(all().map(|cell| cell.strategy));
    let pressures = distinct(all().map(|cell| cell.pressure));
    if strategies.is_empty() {
        return None;
    }
    let panel_width = pressures.len() * CELL_WIDTH;
    let width = LEFT + panels.len() * (panel_width + GAP);
    let height = TOP + strategies.len() * ROW_HEIGHT + 34;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n\
         <title>How often the image just built is lost, by how long its DELETE is held</title>\n{STYLE}"
    );
    for (row, strategy) in strategies.iter().enumerate() {
        let y = TOP + row * ROW_HEIGHT + 28;
        let _ =
            writeln!(svg, "<text class=\"name\" x=\"{}\" y=\"{y}\">{}</text>", LEFT - 10, escaped(strategy));
    }
    for (panel, (place, cells)) in panels.iter().enumerate() {
        let left = LEFT + panel * (panel_width + GAP);
        let middle = left + panel_width / 2;
        let _ = writeln!(svg, "<text class=\"place\" x=\"{middle}\" y=\"20\">{}</text>", escaped(place));
        for (column, pressure) in pressures.iter().enumerate() {
            let x = left + column * CELL_WIDTH + CELL_WIDTH / 2;
            let _ = writeln!(svg, "<text class=\"held\" x=\"{x}\" y=\"44\">{}</text>", escaped(pressure));
        }
        for cell in cells {
            let at = |names: &[&str], name: &str| names.iter().position(|other| *other == name).unwrap_or(0);
            let x = left + at(&pressures, cell.pressure) * CELL_WIDTH;
            let y = TOP + at(&strategies, cell.strategy) * ROW_HEIGHT;
            draw(&mut svg, cell, x, y);
        }
    }
    let y = height - 12;
    let _ = writeln!(
        svg,
        "<text class=\"foot\" x=\"{LEFT}\" y=\"{y}\">trials that lost the image just built, of all; columns: each DELETE is held so long, or until a tag was answered</text>"
    );
    svg.push_str("</svg>\n");
    Some(svg)
}

/// Grey words and one hue are legible on white and on black; where the reader's choice is known, more so.
const STYLE: &str = "<style>\n\
text { font: 12px system-ui, sans-serif; fill: #59636e; text-anchor: middle; }\n\
.name { text-anchor: end; font-weight: 600; }\n\
.place { font-weight: 600; }\n\
.foot { text-anchor: start; font-size: 11px; }\n\
.held, .rate { font-size: 11px; }\n\
.lost { fill: #d1242f; }\n\
.floor { stroke: #818b98; stroke-width: 1; }\n\
@media (prefers-color-scheme: dark) { text { fill: #9198a1; } .lost { fill: #f85149; } }\n\
</style>\n";

fn draw(svg: &mut String, cell: &Cell<'_>, x: usize, y: usize) {
    let rate = f64::from(cell.lost) / f64::from(cell.trials.max(1));
    let floor = y + ROW_HEIGHT - 4;
    let bar = rate * BAR_HEIGHT;
    let top = floor as f64 - bar;
    let (left, right) = (x + 12, x + CELL_WIDTH - 12);
    if cell.lost > 0 {
        let width = right - left;
        let _ = writeln!(
            svg,
            "<rect class=\"lost\" x=\"{left}\" y=\"{top:.1}\" width=\"{width}\" height=\"{bar:.1}\"/>"
        );
    }
    let _ =
        writeln!(svg, "<line class=\"floor\" x1=\"{left}\" y1=\"{floor}\" x2=\"{right}\" y2=\"{floor}\"/>");
    let (middle, above) = (x + CELL_WIDTH / 2, top - 3.0);
    let _ = writeln!(
        svg,
        "<text class=\"rate\" x=\"{middle}\" y=\"{above:.1}\">{}/{}</text>",
        cell.lost, cell.trials
    );
}

/// A row that lacks a number is no cell.
fn cells(record: &Record) -> Vec<Cell<'_>> {
    let column = |name: &str| record.columns.iter().position(|column| column == name);
    let (Some(strategy), Some(pressure), Some(trials), Some(lost)) =
        (column("strategy"), column("DELETE held"), column("trials"), column("lost"))
    else {
        return Vec::new();
    };
    let cells = record.rows.iter().filter_map(|row| {
        let number = |column: usize| row.get(column)?.parse().ok();
        Some(Cell {
            strategy: row.get(strategy)?,
            pressure: row.get(pressure)?,
            trials: number(trials)?,
            lost: number(lost)?,
        })
    });
    cells.collect()
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(place: &str, rows: &[&str]) -> Record {
        Record {
            about: String::new(),
            when: String::new(),
            place: place.into(),
            columns: ["strategy", "DELETE held", "trials", "lost"].map(str::to_owned).to_vec(),
            rows: rows.iter().map(|row| row.split('|').map(str::to_owned).collect()).collect(),
        }
    }

    #[test]
    fn every_row_is_a_cell_and_a_loss_a_bar_of_its_height() {
        let records =
            [record("here & <now>", &["sync|0 ms|20|0", "by-ref|0 ms|20|10"]), record("there", &[])];
        let svg = plot(&records).unwrap();
        assert!(svg.contains(">0/20<") && svg.contains(">10/20<") && svg.contains("here &amp; &lt;now&gt;"));
        assert_eq!(svg.matches("<rect").count(), 1);
        assert!(svg.contains("height=\"11.0\""), "{svg}");
    }

    #[test]
    fn what_is_no_count_of_losses_is_not_drawn() {
        assert!(plot(&[record("here", &["sync|0 ms|-|0"])]).is_none());
        assert!(plot(&[]).is_none());
    }
}
