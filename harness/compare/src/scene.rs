//! What causes may look at: the rows with the entries they are of, and the shape of either image. Nothing is judged here.

use std::cell::{Cell, OnceCell};

use samebuild_image::golden::short_text;
use samebuild_image::{At, Content, Entry, Kind, Mtime};

use crate::belongings::Belongings;
use crate::comparison::Shape;
use crate::contents::Contents;
use crate::difference::{Difference, LayerNumber, Seen, Where};
use crate::instructions::keyword;
use crate::peek::Peek;

/// One row, by its number.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    pub number: usize,
    pub difference: &'a Difference,
}

impl<'a> Row<'a> {
    /// The rule that saw it.
    pub fn rule(&self) -> &'static str {
        self.difference.rule
    }

    /// What left and right show.
    pub fn sides(&self) -> (&'a str, &'a str) {
        (&self.difference.left, &self.difference.right)
    }

    /// The place in the file system, if it is one.
    pub fn at(&self) -> Option<&'a At> {
        self.difference.at.path()
    }

    /// That place as text, bytes that are no text replaced; empty where there is none.
    pub fn path(&self) -> String {
        self.at().map_or_else(String::new, |at| format!("/{}", String::from_utf8_lossy(at.as_bytes())))
    }

    /// The layers it is about.
    pub fn layer(&self) -> Option<LayerNumber> {
        match &self.difference.at {
            Where::Layer(layer) | Where::Entry(layer, _) => Some(*layer),
            _ => None,
        }
    }

    /// Whether the layers differ there and the flattened file systems do not.
    pub fn is_covered(&self) -> bool {
        self.difference.seen == Some(Seen::LayersOnly)
    }

    /// Both sides as times, where the row is about times.
    pub fn times(&self) -> Option<(Mtime, Mtime)> {
        (self.rule() == "mtime").then_some(())?;
        let (left, right) = self.sides();
        Some((left.parse().ok()?, right.parse().ok()?))
    }

    /// Both sides as modes, where the row is about modes.
    pub fn modes(&self) -> Option<(u32, u32)> {
        (self.rule() == "mode").then_some(())?;
        let (left, right) = self.sides();
        Some((u32::from_str_radix(left, 8).ok()?, u32::from_str_radix(right, 8).ok()?))
    }

    /// Both sides as user and group, where the row is about owners.
    pub fn owners(&self) -> Option<((u64, u64), (u64, u64))> {
        (self.rule() == "owner").then_some(())?;
        let parse = |text: &str| -> Option<(u64, u64)> {
            let (uid, gid) = text.split_once(':')?;
            Some((uid.parse().ok()?, gid.parse().ok()?))
        };
        let (left, right) = self.sides();
        Some((parse(left)?, parse(right)?))
    }

    /// A path that one side has: whose it is, and what it is in the words of the row.
    pub fn lone(&self) -> Option<Lone<'a>> {
        (self.rule() == "paths").then_some(())?;
        let absent = |text: &str| matches!(text, "absent" | "removed" | "as in the base");
        let (left, right) = self.sides();
        let (is_left, what) = match (absent(left), absent(right)) {
            (false, true) => (true, left),
            (true, false) => (false, right),
            // Removed from a base that is not known: the side that says so differs from it.
            _ => (left != "as in the base", left),
        };
        Some(Lone { is_left, word: what.split(' ').next().unwrap_or_default() })
    }

    /// The entry of the left or right side, where it is known.
    pub fn entry(&self, left: bool) -> Option<&'a Entry> {
        let entries = &self.difference.entries;
        if left { entries.left.as_deref() } else { entries.right.as_deref() }
    }
}

/// What one side has and the other has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lone<'a> {
    pub is_left: bool,
    /// `file`, `dir`, …
    pub word: &'a str,
}

impl Lone<'_> {
    /// `left` or `right`.
    pub fn side(&self) -> &'static str {
        if self.is_left { "left" } else { "right" }
    }
}

/// Everything there is to look at.
#[derive(Debug)]
pub struct Scene<'a> {
    pub rows: &'a [Difference],
    pub left: &'a Shape,
    pub right: &'a Shape,
    /// Contents that rows show by their digest only.
    contents: &'a Contents,
    belongings: OnceCell<Belongings>,
    /// How many contents may still be looked into, and how many were not for that.
    looks: Cell<usize>,
    unread: Cell<usize>,
}

/// Contents that are looked into, at most; what is beyond is told as changed, and counted.
pub const LOOKS: usize = 400;

impl<'a> Scene<'a> {
    /// Rows, and what lies behind them.
    pub fn new(
        rows: &'a [Difference],
        (left, right): (&'a Shape, &'a Shape),
        contents: &'a Contents,
    ) -> Self {
        Self {
            rows,
            left,
            right,
            contents,
            belongings: OnceCell::new(),
            looks: Cell::new(LOOKS),
            unread: Cell::new(0),
        }
    }

    /// The row of that number.
    pub fn row(&self, number: usize) -> Row<'a> {
        Row { number, difference: &self.rows[number] }
    }

    /// What is in the two files of a row about contents; `None` where that cannot be read, or enough was.
    pub fn peek(&self, row: Row<'_>) -> Option<Peek> {
        if row.rule() != "content" {
            return None;
        }
        let content = |left: bool, text: &str| match row.entry(left).map(|entry| &entry.kind) {
            Some(Kind::File(content)) if content.has_bytes() => Some(content.clone()),
            Some(_) => None,
            // Of a golden, what the row shows.
            None => match short_text(text) {
                Some(text) => Some(Content::inline(text.as_bytes())),
                None => self.contents.shown_as(text).cloned(),
            },
        };
        let (left, right) = row.sides();
        let (left, right) = (content(true, left)?, content(false, right)?);
        if self.looks.get() == 0 {
            self.unread.set(self.unread.get() + 1);
            return None;
        }
        self.looks.set(self.looks.get() - 1);
        Peek::of(&left, &right).ok()
    }

    /// The package that a file is of, with its versions, where the rows tell: `hello 1.0 → 1.1`.
    pub fn package_of(&self, at: &At) -> Option<String> {
        self.belongings.get_or_init(|| Belongings::of(self.rows)).package_of(at)
    }

    /// How many contents were not looked into because there are so many.
    pub fn unread(&self) -> usize {
        self.unread.get()
    }

    /// What made a layer, in the words of the history: the left one's, else the right one's.
    pub fn instruction(&self, layer: LayerNumber) -> Option<&'a str> {
        let of = |shape: &'a Shape, number: usize| shape.instruction(number.checked_sub(1)?);
        of(self.left, layer.left).or_else(|| of(self.right, layer.right))
    }

    /// The keyword of what made a layer: `RUN`, `COPY`, `ADD`, `WORKDIR`; empty where nobody says.
    pub fn keyword(&self, row: Row<'_>) -> &'static str {
        row.layer().and_then(|layer| self.instruction(layer)).map_or("", keyword)
    }

    /// A file whose times differ, with these seconds since 1970 on the left and on the right.
    pub fn file_of_time(&self, left: i64, right: i64) -> Option<String> {
        let is_it = |row: &Row<'_>| {
            let secs = |mtime: Mtime| mtime.timestamp().map(|(secs, _)| secs);
            row.times().is_some_and(|(l, r)| secs(l) == Some(left) && secs(r) == Some(right))
        };
        (0..self.rows.len()).map(|number| self.row(number)).find(is_it).map(|row| row.path())
    }
}
