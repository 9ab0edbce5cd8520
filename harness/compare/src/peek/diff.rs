//! How two contents part, for a person: lines of a text diff, else the bytes at the first place. Nothing here is safe for a
//! terminal or a page yet: who prints escapes.

use similar::{Algorithm, ChangeTag, TextDiff};

use super::Peek;

/// Lines of a text diff that are shown.
const LINES: usize = 24;
/// Characters of a line that are shown.
const WIDTH: usize = 160;
/// Bytes shown from where two contents part.
const BYTES: usize = 16;

/// A line of what differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffLine {
    pub side: Side,
    pub text: String,
}

/// Whose line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
    Both,
    /// Said about them.
    Note,
}

impl DiffLine {
    fn new(side: Side, text: impl Into<String>) -> Self {
        Self { side, text: text.into() }
    }

    /// As the first character of a diff.
    pub fn sign(&self) -> char {
        match self.side {
            Side::Left => '-',
            Side::Right => '+',
            Side::Both => ' ',
            Side::Note => '·',
        }
    }
}

/// What differs, in lines.
pub fn lines(peek: &Peek) -> Vec<DiffLine> {
    let mut lines = vec![DiffLine::new(Side::Note, whereabouts(peek))];
    match peek.texts() {
        Some((left, right)) if left.lines().count() + right.lines().count() <= 20_000 => {
            lines.extend(text(left, right));
        }
        _ => lines.extend(bytes(peek)),
    }
    lines
}

fn whereabouts(peek: &Peek) -> String {
    let Peek { left_size, right_size, first, differing, .. } = peek;
    if left_size == right_size {
        let verb = if *differing == 1 { "byte differs" } else { "bytes differ" };
        format!("first differs at byte {first} of {left_size}; {differing} {verb}")
    } else {
        format!("first differs at byte {first} of {left_size} and {right_size}")
    }
}

fn text(left: &str, right: &str) -> Vec<DiffLine> {
    let diff = TextDiff::configure().algorithm(Algorithm::Myers).diff_lines(left, right);
    let mut lines = Vec::new();
    for group in diff.grouped_ops(1) {
        for op in &group {
            for change in diff.iter_changes(op) {
                let side = match change.tag() {
                    ChangeTag::Delete => Side::Left,
                    ChangeTag::Insert => Side::Right,
                    ChangeTag::Equal => Side::Both,
                };
                lines.push(DiffLine::new(side, shorten(change.value().trim_end_matches('\n'))));
            }
        }
    }
    if lines.len() > LINES {
        let more = lines.len() - LINES;
        lines.truncate(LINES);
        lines.push(DiffLine::new(Side::Note, format!("and {more} lines more")));
    }
    lines
}

fn shorten(line: &str) -> String {
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

fn bytes(peek: &Peek) -> Vec<DiffLine> {
    let at = |whole: &[u8]| -> Option<String> {
        let from = usize::try_from(peek.first).ok()?;
        let shown = whole.get(from..(from + BYTES).min(whole.len()))?;
        Some(hex(shown))
    };
    if let (Some(left), Some(right)) = (at(&peek.left), at(&peek.right)) {
        return vec![DiffLine::new(Side::Left, left), DiffLine::new(Side::Right, right)];
    }
    let Some(spot) = peek.spots.first() else { return Vec::new() };
    let from = spot.left.iter().zip(&spot.right).position(|(left, right)| left != right).unwrap_or(0);
    let shown = |side: &[u8]| hex(&side[from..(from + BYTES).min(side.len())]);
    vec![DiffLine::new(Side::Left, shown(&spot.left)), DiffLine::new(Side::Right, shown(&spot.right))]
}

/// Bytes in hexadecimal, with those that are characters beside them.
fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let shown: String =
        bytes.iter().map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' }).collect();
    format!("{}  {shown}", digits.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(left: &[u8], right: &[u8]) -> Vec<String> {
        let lines = lines(&Peek::of_bytes(left, right));
        lines.iter().map(|line| format!("{}{}", line.sign(), line.text)).collect()
    }

    #[test]
    fn text_is_shown_as_lines_and_other_bytes_as_bytes() {
        assert_eq!(
            shown(b"a\nb\nc\nd\n", b"a\nb\nX\nd\n"),
            ["·first differs at byte 4 of 8; 1 byte differs", " b", "-c", "+X", " d"]
        );
        assert_eq!(
            shown(b"\0ab", b"\0cb"),
            ["·first differs at byte 1 of 3; 1 byte differs", "-61 62  ab", "+63 62  cb"]
        );
    }

    #[test]
    fn long_texts_and_long_lines_are_cut_and_say_so() {
        let left: String = (0..100).map(|n| format!("{n}\n")).collect();
        let lines = shown(left.as_bytes(), b"x\n");
        assert!(lines.last().unwrap().contains("lines more"), "{lines:?}");
        let long = "é".repeat(500);
        assert!(shown(long.as_bytes(), b"x").iter().all(|line| line.chars().count() < 200));
    }
}
