//! What comparing costs: planted pairs, ours beside `sha256sum` of both files and whoever else is on PATH, round after round;
//! and how much of what was planted is found. A benchmark is a command, never a test.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use samebuild_compare::planted::Size;
use samebuild_compare::planted::score::Score;
use samebuild_compare::{Hand, Options};
use samebuild_image::Compression;

use super::cost::{Cost, measured};
use super::table::{Measured, Verdict};
use super::workloads::What;
use crate::operands::{self, Asked};

/// One way to compare, and what it may cost.
struct Way {
    id: &'static str,
    /// Which of the planted files, without their ends.
    files: (&'static str, &'static str),
    args: &'static [&'static str],
    /// Seconds of the processor, at most, for each that `sha256sum` of both plain files takes.
    goal: f64,
}

/// Ours. Goals are what was asked for on a machine where `sha256sum` of both takes 2 seconds.
const WAYS: [Way; 5] = [
    Way { id: "structure, plain", files: ("left", "right"), args: &[], goal: 0.25 },
    Way { id: "structure, gzip", files: ("left-gzip", "right-gzip"), args: &[], goal: 0.8 },
    Way { id: "an image against itself", files: ("left", "left"), args: &[], goal: 0.01 },
    Way { id: "digest, plain", files: ("left", "right"), args: &["--verify=digest"], goal: 1.15 },
    Way { id: "digest, gzip", files: ("left-gzip", "right-gzip"), args: &["--verify=digest"], goal: 1.15 },
];

/// How the layers of the planted files are stored, and what their names end in for it.
const PACKED: [(Compression, &str); 2] = [(Compression::None, ""), (Compression::Gzip, "-gzip")];

/// Others: the name of the program, and its arguments with LEFT and RIGHT in them.
const PEERS: [(&str, &[&str]); 4] = [
    ("cmp", &["LEFT", "RIGHT"]),
    ("diffoscope", &["--text", "/dev/null", "LEFT", "RIGHT"]),
    ("container-diff", &["diff", "-n", "-q", "-t", "file", "-t", "metadata", "LEFT", "RIGHT"]),
    ("diffoci", &["diff", "--semantic", "LEFT", "RIGHT"]),
];

/// Columns of the table and the record.
pub const COLUMNS: [&str; 6] = ["what", "CPU, s", "of sha256sum's", "wall, s", "peak, MB", "verdict"];

/// What was measured.
#[derive(Debug)]
pub struct Found {
    pub rows: Vec<([String; 6], Verdict)>,
    /// What was planted and not found, and what was found and not planted.
    pub lost: Vec<String>,
}

/// Plants `size` in `work` and compares it `times` times in every way.
///
/// # Errors
/// The disk is full, or a comparison broke.
pub fn run(size: &Size, times: usize, work: &Path, progress: &dyn Fn(&str)) -> Result<Found> {
    for (how, end) in PACKED {
        for (name, side) in [("left", Hand::Left), ("right", Hand::Right)] {
            progress(&format!("plants {name}{end}"));
            let path = file(work, &format!("{name}{end}"));
            let out = std::fs::File::create(&path).with_context(|| format!("write {}", path.display()))?;
            let mut out = std::io::BufWriter::with_capacity(1 << 20, out);
            size.write(side, how, &mut out).with_context(|| format!("write {}", path.display()))?;
        }
    }
    let own = std::env::current_exe().context("find our own program")?;
    let (peers, absent): (Vec<_>, Vec<_>) = PEERS.iter().partition(|(name, _)| on_path(name).is_some());
    let mut floor = Measured::new("sha256sum", None);
    let mut ours = WAYS.each_ref().map(|way| Measured::new(way.id, None));
    let mut theirs: Vec<Measured> = peers.iter().map(|(name, _)| Measured::new(name, None)).collect();
    for round in 1..=times {
        progress(&format!("round {round} of {times}"));
        floor.costs.push(cost("sha256sum".into(), &[&file(work, "left"), &file(work, "right")], &[0])?);
        for (way, measured) in WAYS.iter().zip(&mut ours) {
            let (left, right) = (file(work, way.files.0), file(work, way.files.1));
            let mut args: Vec<&Path> = vec![Path::new("diff"), &left, &right];
            args.extend(way.args.iter().map(Path::new));
            measured.costs.push(cost(own.clone().into(), &args, &[0, 1])?);
        }
        for ((name, args), measured) in peers.iter().zip(&mut theirs) {
            let args: Vec<PathBuf> = args
                .iter()
                .map(|arg| match *arg {
                    "LEFT" => file(work, "left"),
                    "RIGHT" => file(work, "right"),
                    other => PathBuf::from(other),
                })
                .collect();
            let args: Vec<&Path> = args.iter().map(PathBuf::as_path).collect();
            measured.costs.push(cost((*name).into(), &args, &[0, 1])?);
        }
    }
    let cpu = |measured: &Measured| measured.median(What::Cpu).unwrap_or_default();
    let unit = cpu(&floor).max(0.001);
    let mut rows = vec![row(&floor, unit, None)];
    let goals = WAYS.iter().map(|way| Some(way.goal));
    rows.extend(ours.iter().zip(goals).map(|(measured, goal)| row(measured, unit, goal)));
    rows.extend(theirs.iter().map(|measured| row(measured, unit, None)));
    rows.extend(
        absent.iter().map(|(name, _)| line(format!("{name}: not on PATH, not measured"), Verdict::Told)),
    );
    rows.push(memory(size, &ours));
    let mut lost = Vec::new();
    for (how, end) in PACKED {
        let score = score(size, work, end)?;
        rows.extend(counted(&score, how));
        lost.extend(score.missed.into_iter().chain(score.false_rows));
    }
    Ok(Found { rows, lost })
}

fn file(work: &Path, name: &str) -> PathBuf {
    work.join(format!("{name}.tar"))
}

fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(name)).find(|path| path.is_file())
}

fn cost(program: OsString, args: &[&Path], codes: &[i32]) -> Result<Cost> {
    let mut command = Command::new(&program);
    command.args(args);
    let (cost, ending) = measured(&command)?;
    if !codes.iter().any(|code| ending.is(*code)) {
        bail!("measure {}: {ending}", program.display());
    }
    Ok(cost)
}

fn row(measured: &Measured, unit: f64, goal: Option<f64>) -> ([String; 6], Verdict) {
    let cpu = measured.median(What::Cpu).unwrap_or_default();
    let ratio = cpu / unit;
    let verdict = match goal {
        None => Verdict::Told,
        // The kernel counts in hundredths: what took one may have taken none.
        Some(goal) if ratio <= goal || cpu <= 0.01 => Verdict::Met,
        Some(_) => Verdict::NotMet,
    };
    let of = goal.map_or_else(|| format!("{ratio:.3}"), |goal| format!("{ratio:.3} of {goal}"));
    let number =
        |what| measured.median(what).map_or_else(|| "unknown".to_owned(), |value| format!("{value:.2}"));
    let cells = [
        measured.who.to_owned(),
        format!("{cpu:.2}"),
        of,
        number(What::Wall),
        number(What::Peak),
        verdict.words().to_owned(),
    ];
    (cells, verdict)
}

/// The most memory of all ways, against what was promised for this much.
fn memory(size: &Size, ours: &[Measured]) -> ([String; 6], Verdict) {
    let peaks = ours.iter().flat_map(|measured| &measured.costs).filter_map(|cost| cost.peak_mb);
    let peak = peaks.fold(0.0, f64::max);
    let goal = if size.name == "L" { 150.0 } else { 64.0 };
    let verdict = if peak <= goal { Verdict::Met } else { Verdict::NotMet };
    let blank = String::new;
    let cells = [
        "most memory of all ways".to_owned(),
        blank(),
        blank(),
        blank(),
        format!("{peak:.1} of {goal}"),
        verdict.words().to_owned(),
    ];
    (cells, verdict)
}

/// A row that is only told.
fn line(what: String, verdict: Verdict) -> ([String; 6], Verdict) {
    let blank = String::new;
    ([what, blank(), blank(), blank(), blank(), verdict.words().to_owned()], verdict)
}

fn counted(score: &Score, how: Compression) -> Vec<([String; 6], Verdict)> {
    let verdict = |good: bool| if good { Verdict::Met } else { Verdict::NotMet };
    let how = if how == Compression::None { "plain" } else { "gzip" };
    let Score { planted, found, right_reason, false_rows, consequences, .. } = score;
    vec![
        line(format!("{how}: found {found} of {planted}"), verdict(found == planted)),
        line(
            format!("{how}: for the right reason {right_reason} of {planted}"),
            verdict(right_reason == planted),
        ),
        line(
            format!("{how}: false rows {} ({consequences} rows are consequences)", false_rows.len()),
            verdict(false_rows.is_empty()),
        ),
    ]
}

fn score(size: &Size, work: &Path, end: &str) -> Result<Score> {
    let open = |name: &str| {
        let path = file(work, &format!("{name}{end}"));
        let name = path.to_str().context("name a planted file")?;
        operands::open(&Asked { name, platform: None, progress: &|_| {} })
    };
    let found = operands::compare(&open("left")?, &open("right")?, &Options::strict(), None)?;
    Ok(size.score(&found.differences))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_that_is_not_met_is_told_as_such() {
        let of = |cpu_s: f64| {
            let mut measured = Measured::new("x", None);
            measured.costs.push(Cost { wall_s: 1.0, cpu_s, peak_mb: Some(10.0) });
            measured
        };
        assert_eq!(row(&of(0.5), 2.0, Some(0.25)).1, Verdict::Met);
        assert_eq!(row(&of(0.6), 2.0, Some(0.25)).1, Verdict::NotMet);
        assert_eq!(row(&of(0.6), 2.0, None).1, Verdict::Told);
        let lost = Score { planted: 3, found: 2, right_reason: 2, ..Score::default() };
        assert!(counted(&lost, Compression::None).iter().any(|(_, verdict)| *verdict == Verdict::NotMet));
    }
}
