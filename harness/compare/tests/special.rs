//! Pairs that differ in one choice give the rows that `fixtures/special/verdicts.md` wants, in both views.
#![expect(clippy::disallowed_methods, reason = "fixtures are files; the crate itself never reads any")]

use std::path::Path;
use std::sync::Arc;

use samebuild_compare::planted::special::{Special, pairs};
use samebuild_compare::{CompareError, Difference, Options, Where, compare_stored};
use samebuild_image::read::{self, ReadOptions};
use samebuild_image::{Bytes, Stored};

struct Verdict {
    name: String,
    rows: Vec<String>,
    error: Option<String>,
    views: String,
    defence: String,
}

fn verdicts() -> Vec<Verdict> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/special/verdicts.md");
    let text = std::fs::read_to_string(path).unwrap();
    text.split("\n## ").skip(1).map(verdict).collect()
}

fn verdict(text: &str) -> Verdict {
    let (name, rest) = text.split_once('\n').unwrap();
    let lines = |mark: &str| -> Vec<String> {
        rest.lines().filter_map(|line| line.strip_prefix(mark)).map(str::to_owned).collect()
    };
    let is_said = |line: &&str| !line.starts_with(['>', '!']) && !line.starts_with("layers:");
    Verdict {
        name: name.to_owned(),
        rows: lines("> "),
        error: lines("! ").pop(),
        views: rest.lines().find(|line| line.starts_with("layers:")).unwrap_or_default().to_owned(),
        defence: rest.lines().filter(is_said).collect::<Vec<_>>().join(" ").trim().to_owned(),
    }
}

fn open(bytes: &[u8]) -> Stored {
    read::find_image(Arc::new(Bytes::new(bytes)), &ReadOptions::default()).unwrap()
}

fn compare(pair: &Special, options: &Options, flip: bool) -> Result<Vec<Difference>, CompareError> {
    let (left, right) = (open(&pair.left), open(&pair.right));
    let (left, right) = if flip { (right, left) } else { (left, right) };
    compare_stored(&left, &right, options).map(|found| found.differences)
}

/// `*` is any text.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|text| {
            (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| fits(rest, &text[at..]))
        }),
    }
}

#[test]
fn every_pair_has_a_verdict_and_a_sentence_that_defends_it() {
    let names: Vec<String> = verdicts().into_iter().map(|verdict| verdict.name).collect();
    let made: Vec<&str> = pairs().unwrap().iter().map(|pair| pair.name).collect();
    assert_eq!(names, made);
    for verdict in verdicts() {
        assert!(verdict.defence.ends_with('.') && verdict.defence.len() > 30, "{}", verdict.name);
    }
}

#[test]
fn every_pair_is_told_as_a_person_wants_it() {
    let mut wrong = String::new();
    for (verdict, pair) in verdicts().iter().zip(pairs().unwrap()) {
        let found = compare(&pair, &Options::strict(), false);
        let (rows, error): (Vec<String>, Option<String>) = match found {
            Ok(found) => (found.iter().map(ToString::to_string).collect(), None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let fit = rows.len() == verdict.rows.len()
            && verdict.rows.iter().zip(&rows).all(|(want, got)| fits(want, got));
        let errors_fit = match (&verdict.error, &error) {
            (None, None) => true,
            (Some(want), Some(got)) => fits(want, got),
            _ => false,
        };
        if !fit || !errors_fit {
            wrong.push_str(&format!("{}: {error:?}\n  {}\n", pair.name, rows.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn each_view_says_what_it_alone_shows() {
    for (verdict, pair) in verdicts().iter().zip(pairs().unwrap()) {
        let of_layers = |row: &Difference| {
            matches!(row.at, Where::Layer(_) | Where::Entry(..)) || row.rule == "layer_count"
        };
        let word =
            |found: Result<Vec<Difference>, CompareError>, of: &dyn Fn(&Difference) -> bool| match found {
                Err(_) => "error",
                Ok(found) if found.iter().any(of) => "different",
                Ok(_) => "same",
            };
        let only_layers = Options { rootfs: false, ..Options::strict() };
        let layers = word(compare(&pair, &only_layers, false), &of_layers);
        let of_rootfs = |row: &Difference| matches!(row.at, Where::Rootfs(_));
        let rootfs = word(compare(&pair, &Options::rootfs(), false), &of_rootfs);
        assert_eq!(format!("layers: {layers} · rootfs: {rootfs}"), verdict.views, "{}", pair.name);
    }
}

#[test]
fn who_is_left_does_not_matter() {
    for pair in pairs().unwrap() {
        let (there, back) =
            (compare(&pair, &Options::strict(), false), compare(&pair, &Options::strict(), true));
        let (Ok(there), Ok(back)) = (there, back) else { continue };
        let turned: Vec<_> = back.iter().map(|row| (row.rule, row.right.clone(), row.left.clone())).collect();
        let mut straight: Vec<_> =
            there.iter().map(|row| (row.rule, row.left.clone(), row.right.clone())).collect();
        let mut turned = turned;
        straight.sort();
        turned.sort();
        if !pair.name.starts_with("gzip") {
            assert_eq!(straight, turned, "{}", pair.name);
        }
    }
}
