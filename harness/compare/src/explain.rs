//! From rows to findings: every cause is asked in the order of [`CAUSES`], and what one cause says the same of in one place
//! is one finding. Why something differs is the causes' knowledge; here is only the order of asking (contents, each looked
//! into once, then the rest), roots before consequences, and which instruction it is of.

use std::collections::BTreeMap;

use samebuild_dockerfile::Dockerfile;
use samebuild_image::At;

use crate::causes::{CAUSES, Cause, Page, Said};
use crate::comparison::{Comparison, Shape};
use crate::contents::Contents;
use crate::difference::{Difference, LayerNumber, Where};
use crate::instructions::{self, Line};
use crate::peek::diff::{self, DiffLine, Side};
use crate::rules::Severity;
use crate::scene::{Row, Scene};

/// Rows of which the finding shows what differs in their contents.
const DETAILED: usize = 3;

/// Everything that differs, by cause.
#[derive(Clone, Debug, Default)]
pub struct Explained {
    /// The gravest first.
    pub findings: Vec<Finding>,
    /// Contents that were not looked into, because there are so many.
    pub unread: usize,
}

/// Rows with one cause.
#[derive(Clone, Debug)]
pub struct Finding {
    pub cause: &'static Page,
    /// Of this finding: at most its cause's, and no heavier than reproducibility where only layers differ.
    pub severity: Severity,
    /// What is particular to it; may be empty.
    pub said: String,
    /// Numbers of the rows it explains; never empty.
    pub rows: Vec<usize>,
    /// Rows that follow from these.
    pub consequences: Vec<usize>,
    /// The layers, where all rows are of one pair.
    pub layer: Option<LayerNumber>,
    /// What made that layer, in the words of the history.
    pub instruction: Option<String>,
    /// That instruction in the Dockerfile, where one was given.
    pub line: Option<Line>,
    /// The directory that everything is under, if it is below the root and there are several.
    pub under: Option<At>,
    /// What differs in contents, of the first rows, with the number of the row.
    pub details: Vec<(usize, Vec<DiffLine>)>,
}

impl Finding {
    /// What is particular to one of its rows: what is said of all, and what is noted of this content alone.
    pub fn said_of(&self, row: usize) -> String {
        let notes = self.details.iter().filter(|(of, _)| *of == row).flat_map(|(_, lines)| lines);
        let notes = notes.filter(|line| line.side == Side::Note).map(|line| &line.text);
        let words: Vec<&str> = std::iter::once(&self.said)
            .chain(notes.take(1))
            .map(String::as_str)
            .filter(|s| !s.is_empty())
            .collect();
        words.join("; ")
    }
}

/// Explains a comparison. `dockerfile` is what both were built from, with the target, if one was named.
pub fn explain(comparison: &Comparison, dockerfile: Option<(&Dockerfile, Option<&str>)>) -> Explained {
    let shapes = (&comparison.left, &comparison.right);
    explain_rows(&comparison.differences, shapes, &Contents::default(), dockerfile)
}

/// Explains rows, with the shapes of the images they are of, and `contents` that they show by digest.
pub fn explain_rows(
    rows: &[Difference],
    (left, right): (&Shape, &Shape),
    contents: &Contents,
    dockerfile: Option<(&Dockerfile, Option<&str>)>,
) -> Explained {
    let scene = Scene::new(rows, (left, right), contents);
    let mut asked = Asked {
        scene: &scene,
        open: vec![true; rows.len()],
        found: BTreeMap::new(),
        details: BTreeMap::new(),
    };
    asked.contents();
    asked.rest();
    let Asked { found, mut details, .. } = asked;
    let lines = Lines::new(dockerfile, left, right);
    let mut findings: Vec<Finding> = found
        .into_iter()
        .map(|(place, gathered)| finding(&scene, place, gathered, &mut details, &lines))
        .collect();
    let rank = |page: &Page| CAUSES.iter().position(|cause| cause.page().id == page.id);
    findings.sort_by_cached_key(|finding| {
        (weight(finding.severity), rank(finding.cause), finding.rows.first().copied())
    });
    Explained { findings, unread: scene.unread() }
}

/// Security before behaviour before what only digests notice.
fn weight(severity: Severity) -> u8 {
    match severity {
        Severity::Security => 0,
        Severity::Behaviour => 1,
        Severity::Reproducibility => 2,
        Severity::Cosmetic => 3,
    }
}

/// What makes two claims one finding: cause (by its row in the table), layer, and what is said.
type Place = (usize, Option<LayerNumber>, String);

#[derive(Default)]
struct Gathered {
    rows: Vec<usize>,
    consequences: Vec<usize>,
}

struct Asked<'s, 'a> {
    scene: &'s Scene<'a>,
    open: Vec<bool>,
    found: BTreeMap<Place, Gathered>,
    details: BTreeMap<usize, Vec<DiffLine>>,
}

impl<'a> Asked<'_, 'a> {
    fn open(&self) -> Vec<Row<'a>> {
        let numbers = (0..self.open.len()).filter(|number| self.open[*number]);
        numbers.map(|number| self.scene.row(number)).collect()
    }

    /// Each cause in turn, at what the ones above have left: several rows at once, then row by row.
    fn rest(&mut self) {
        let mut open = self.open();
        for (number, cause) in CAUSES.iter().enumerate() {
            for claim in cause.groups(self.scene, &open) {
                let rows: Vec<usize> = claim.rows.into_iter().filter(|row| self.take(*row)).collect();
                let consequences: Vec<usize> =
                    claim.consequences.into_iter().filter(|row| self.take(*row)).collect();
                let layer_of = |row: &usize| self.scene.row(*row).layer();
                if let Some(first) = rows.first().map(layer_of) {
                    let layer = first.filter(|_| rows.iter().all(|row| layer_of(row) == first));
                    self.put((number, layer, claim.said), rows, consequences);
                }
            }
            open.retain(|row| self.open[row.number]);
            for row in &open {
                if let Some(said) = cause.row(self.scene, *row)
                    && self.take(row.number)
                {
                    self.put((number, row.layer(), said), vec![row.number], Vec::new());
                }
            }
            open.retain(|row| self.open[row.number]);
        }
    }

    /// Changed contents, each looked into once and forgotten.
    fn contents(&mut self) {
        for row in self.open().into_iter().filter(|row| row.rule() == "content") {
            let peek = self.scene.peek(row);
            let said = |cause: &&dyn Cause| {
                let alone = cause.row(self.scene, row).map(|all| Said { all, this: String::new() });
                alone.or_else(|| cause.content(self.scene, row, peek.as_ref()))
            };
            let Some((number, said)) =
                CAUSES.iter().enumerate().find_map(|(n, cause)| Some((n, said(cause)?)))
            else {
                continue;
            };
            let place = (number, row.layer(), said.all);
            if self.so_far(&place) < DETAILED {
                let mut lines = peek.as_ref().map(diff::lines).unwrap_or_default();
                if !said.this.is_empty() {
                    lines.insert(0, DiffLine { side: Side::Note, text: said.this });
                }
                if !lines.is_empty() {
                    self.details.insert(row.number, lines);
                }
            }
            self.take(row.number);
            self.put(place, vec![row.number], Vec::new());
        }
    }

    /// Whether the row was open; it no longer is.
    fn take(&mut self, row: usize) -> bool {
        self.open.get_mut(row).is_some_and(std::mem::take)
    }

    fn put(&mut self, place: Place, rows: Vec<usize>, consequences: Vec<usize>) {
        let gathered = self.found.entry(place).or_default();
        gathered.rows.extend(rows);
        gathered.consequences.extend(consequences);
    }

    fn so_far(&self, place: &Place) -> usize {
        self.found.get(place).map_or(0, |gathered| gathered.rows.len())
    }
}

/// The lines of the Dockerfile by entries of either history.
struct Lines {
    left: Vec<Option<Line>>,
    right: Vec<Option<Line>>,
}

impl Lines {
    fn new(dockerfile: Option<(&Dockerfile, Option<&str>)>, left: &Shape, right: &Shape) -> Self {
        let of = |shape: &Shape| {
            dockerfile.map_or_else(Vec::new, |(file, target)| instructions::lines(file, target, shape))
        };
        Self { left: of(left), right: of(right) }
    }

    fn of_history(&self, left: Option<usize>, right: Option<usize>) -> Option<Line> {
        let at = |lines: &[Option<Line>], entry: Option<usize>| lines.get(entry?)?.clone();
        at(&self.left, left).or_else(|| at(&self.right, right))
    }
}

fn finding(
    scene: &Scene<'_>,
    (number, layer, said): Place,
    gathered: Gathered,
    details: &mut BTreeMap<usize, Vec<DiffLine>>,
    lines: &Lines,
) -> Finding {
    let cause = CAUSES[number].page();
    let Gathered { rows, consequences } = gathered;
    let covered = rows.iter().all(|row| scene.row(*row).is_covered());
    let severity = match cause.severity {
        Severity::Behaviour if covered => Severity::Reproducibility,
        severity => severity,
    };
    let entry = |shape: &Shape, number: usize| shape.layers.get(number.checked_sub(1)?)?.history;
    let line = match (layer, rows.first().map(|row| &scene.rows[*row].at)) {
        (Some(layer), _) => lines.of_history(entry(scene.left, layer.left), entry(scene.right, layer.right)),
        (None, Some(Where::History(number))) => lines.of_history(number.checked_sub(1), None),
        _ => None,
    };
    let details = rows.iter().filter_map(|row| Some((*row, details.remove(row)?))).take(DETAILED).collect();
    Finding {
        cause,
        severity,
        said,
        layer,
        instruction: layer.and_then(|layer| scene.instruction(layer)).map(str::to_owned),
        line,
        under: under(scene, &rows),
        details,
        rows,
        consequences,
    }
}

/// The deepest directory that all places are in; `None` where that is the root, or there is only one.
fn under(scene: &Scene<'_>, rows: &[usize]) -> Option<At> {
    let mut places = rows.iter().filter_map(|row| scene.row(*row).at());
    let mut dir = places.next()?.clone();
    let mut several = false;
    for at in places {
        several = true;
        while !at.is_within(&dir) {
            dir = dir.parent()?;
        }
    }
    (several && !dir.is_root()).then_some(dir)
}
