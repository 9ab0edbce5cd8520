//! What it costs to find out that nothing has to be built: a file of many artifacts, ours beside `sha256sum` of every file,
//! round after round. A benchmark is a command, never a test.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::cost::{Cost, measured};
use super::table::Verdict;

/// Columns of the table and the record.
pub const COLUMNS: [&str; 5] = ["what", "wall, s", "CPU, s", "goal, wall", "verdict"];

/// Seconds in which all are to be looked for, nothing having changed.
const GOAL_S: f64 = 1.0;
const FILE_BYTES: usize = 4096;

/// How much is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub artifacts: usize,
    /// In each context.
    pub files: usize,
}

/// Measures in `work`: medians of `times`.
///
/// # Errors
/// A program cannot be run, or what was to be found is not.
pub fn run(
    size: Size,
    times: usize,
    work: &Path,
    progress: &dyn Fn(&str),
) -> Result<Vec<([String; 5], Verdict)>> {
    plant(size, work).with_context(|| format!("fill {}", work.display()))?;
    let all = |cost: &mut Vec<Cost>, built: usize| -> Result<()> {
        let mut ours = Command::new("/proc/self/exe");
        ours.args(["artifacts", "build", "skaffold.yaml"]).current_dir(work);
        let (took, ending) = measured(ours.env("SAMEBUILD_CACHE", work.join("cache")))?;
        if !ending.is_good() || !ending.to_string().contains(&format!(", {built} built")) {
            bail!("look for {} artifacts, {built} of which are to be built: {ending}", size.artifacts);
        }
        cost.push(took);
        Ok(())
    };
    let [mut first, mut none, mut one, mut sums] = [const { Vec::new() }; 4];
    all(&mut first, size.artifacts)?;
    progress(&format!("{} artifacts built, {}", size.artifacts, first[0]));
    for round in 0..times {
        all(&mut none, 0)?;
        std::fs::write(work.join("context-0/file-0"), format!("changed in round {round}"))?;
        all(&mut one, 1)?;
        let mut peer = Command::new("sh");
        peer.args(["-c", "find . -path ./cache -prune -o -type f -print0 | xargs -0 sha256sum > /dev/null"]);
        let (took, ending) = measured(peer.current_dir(work))?;
        if !ending.is_good() {
            bail!("take the sums of {}: {ending}", work.display());
        }
        sums.push(took);
        progress(&format!("round {} of {times}: {}", round + 1, none[round]));
    }
    let bytes = size.artifacts * size.files * FILE_BYTES;
    let about = format!(
        "{} artifacts, {} files, {} MB",
        size.artifacts,
        size.artifacts * size.files,
        bytes / 1_000_000
    );
    let row = |what: &str, costs: &[Cost], goal: Option<f64>| {
        let wall = median(costs, |cost| cost.wall_s);
        let verdict = match goal {
            None => Verdict::Told,
            Some(goal) if wall <= goal => Verdict::Met,
            Some(_) => Verdict::NotMet,
        };
        let goal = goal.map_or_else(|| "-".to_owned(), |goal| format!("{goal:.1} s"));
        let cells = [
            format!("{about}: {what}"),
            format!("{wall:.3}"),
            format!("{:.3}", median(costs, |cost| cost.cpu_s)),
            goal,
            verdict.words().to_owned(),
        ];
        (cells, verdict)
    };
    Ok(vec![
        row("nothing changed", &none, Some(GOAL_S)),
        row("one changed and was built", &one, None),
        row("all built, once", &first, None),
        row("sha256sum of every file", &sums, None),
    ])
}

fn median(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    let mut all: Vec<f64> = costs.iter().map(of).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// Contexts of files that are not like each other, and the file that names them.
fn plant(size: Size, work: &Path) -> Result<()> {
    let mut state = 1_u64;
    let mut rows = String::from("build:\n  artifacts:\n");
    for n in 0..size.artifacts {
        rows.push_str(&format!("  - {{ image: bench/app-{n}, context: context-{n} }}\n"));
        let dir = work.join(format!("context-{n}"));
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join("Dockerfile"), "FROM scratch\nCOPY . /srv/\n")?;
        for file in 0..size.files {
            let bytes: Vec<u8> = (0..FILE_BYTES)
                .map(|_| {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    u8::try_from(state >> 56).unwrap_or_default()
                })
                .collect();
            std::fs::write(dir.join(format!("file-{file}")), bytes)?;
        }
    }
    Ok(std::fs::write(work.join("skaffold.yaml"), rows)?)
}
