//! `samebuild conform`: a line a case, a table, an exit code; in a checkout against its goldens, elsewhere dialect against
//! dialect. The findings of the run stay in `target/samebuild/`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};

use super::terminal::{Bar, Usage, out, paint, say};
use super::verbs::{Conform, Format};
use crate::cases::{Case, Corpus, Vocabulary, configure, load_corpus};
use crate::checkout::{Checkout, load};
use crate::conform::goldens::Goldens;
use crate::conform::{CaseResult, Check, Exit, Verdict, Workshop, dialects, orphans, show, show_why};
use crate::files;
use crate::scratch::Place;
use crate::step_costs::StepCosts;

pub(crate) fn run(args: &Conform) -> Result<Exit> {
    let (dirs, filters) = dirs_and_filters(args);
    let is_ours = dirs.is_empty() && args.dockerfiles.is_empty();
    let checkout = if is_ours { Some(Checkout::find()?) } else { None };
    let rules = args.config.as_deref();
    if let (Some(config), true) = (rules, is_ours) {
        let config = config.display();
        return Err(
            Usage(format!("apply {config} to cases that say it all: name a DIR or --dockerfile")).into()
        );
    }
    let mut cases = Vec::new();
    for dir in &dirs {
        if !dir.exists() {
            let name = dir.display();
            return Err(Usage(format!(
                "find `{name}`: it is no directory, nor part of the name of a case here; `samebuild list` lists them"
            ))
            .into());
        }
        let mut found = load(dir)?;
        configure(dir, rules, &mut found, &Vocabulary::default())?.iter().for_each(|line| say(line));
        cases.extend(found);
    }
    if let Some(context) = &args.context {
        let corpus = Corpus { globs: &args.dockerfiles, context, config: rules };
        let (found, silent) = load_corpus(&corpus, &Vocabulary::default())?;
        silent.iter().for_each(|line| say(line));
        cases.extend(found);
    }
    if let Some(checkout) = &checkout {
        cases = checkout.cases()?;
    }
    let goldens = checkout.as_ref().map(Checkout::goldens);
    let dialects = spoken(&args.which.dialects, goldens.as_ref(), &cases)?;
    let job = Job {
        cases: choose(&cases, &filters)?,
        dialects,
        only_these: !args.which.dialects.is_empty(),
        goldens: goldens.as_ref(),
        engine: args.engine.as_deref(),
        costs: args.benchmark.costs(),
        again: again(&dirs, args) + &args.repeat.map_or(String::new(), |times| format!(" --repeat {times}")),
    };
    let results = match args.repeat {
        Some(times) => super::repeat::run(&job, times.into(), args.record, args.format)?,
        None => job.run(args.format)?,
    };
    if args.repeat.is_none() {
        args.benchmark.tell(job.costs.as_ref(), args.format)?;
    }
    let mut exit = Exit::of(results.iter().flat_map(|result| &result.checks).map(counts_as));
    // A filtered run leaves the goldens of other cases alone.
    if let Some(goldens) = &goldens
        && filters.is_empty()
    {
        for orphan in orphans(goldens, &cases, crate::cases::DIALECTS)? {
            eprintln!("orphaned: {orphan}");
            exit = exit.max(Exit::Different);
        }
    }
    if let Some(checkout) = &checkout {
        let json = serde_json::to_string_pretty(&show::json(&results, &job.again))?;
        files::write(&checkout.findings().join("conform.json"), json.as_bytes())?;
        files::write(&checkout.findings().join("conform.txt"), job.text(&results).as_bytes())?;
    }
    if exit == Exit::Nothing {
        eprintln!("nothing was compared: every check was skipped");
    }
    Ok(exit)
}

/// In a checkout, what is no directory but the beginning of a case's name is a filter: `conform copy/chown`.
fn dirs_and_filters(args: &Conform) -> (Vec<PathBuf>, Vec<String>) {
    let mut filters = args.which.filters.clone();
    let names: Vec<String> = Checkout::find()
        .and_then(|checkout| Ok(checkout.cases()?))
        .map(|cases| cases.iter().map(|case| case.id.to_string()).collect())
        .unwrap_or_default();
    let mut dirs = args.dirs.clone();
    dirs.retain(|dir| {
        let text = dir.to_string_lossy();
        let is_filter = !dir.exists() && names.iter().any(|name| name.contains(&*text));
        if is_filter {
            filters.push(text.into_owned());
        }
        !is_filter
    });
    (dirs, filters)
}

/// One run of cases.
pub(crate) struct Job<'a> {
    pub(crate) cases: Vec<&'a Case>,
    pub(crate) dialects: Vec<&'static str>,
    /// Whether to leave out what else the engine speaks.
    pub(crate) only_these: bool,
    pub(crate) goldens: Option<&'a Goldens>,
    pub(crate) engine: Option<&'a str>,
    /// What hears how long steps take, if anybody asks.
    pub(crate) costs: Option<StepCosts>,
    /// How such cases are run, for the commands that show a difference again.
    pub(crate) again: String,
}

impl Job<'_> {
    /// Cases with goldens are ours, and small.
    pub(crate) fn place(&self) -> Place {
        if self.goldens.is_some() { Place::Memory } else { Place::Disk }
    }

    /// Runs and prints.
    pub(crate) fn run(&self, format: Format) -> Result<Vec<CaseResult>> {
        let workshop = Workshop::open(&self.cases, self.place(), self.engine, &say)?;
        let is_text = format == Format::Text;
        let bar = Bar::new(self.cases.len(), "cases");
        let told = |result: &CaseResult| {
            if is_text {
                self.lines(result).iter().for_each(|line| bar.line(line));
            }
        };
        let dialects = self.with_engines(&workshop)?;
        let costs = self.costs.as_ref();
        let results = workshop.run(&self.cases, &dialects, self.goldens, costs, told, |done| bar.at(done))?;
        drop(bar);
        if is_text {
            out!("{}", show::table(&results));
            if let Some(why) = show_why::table(&results) {
                out!("why the others are not as {}:\n{why}", dialects.first().copied().unwrap_or_default());
            }
            skipped(&results);
            if self.engine.is_none() && self.goldens.is_some() {
                say("no engine was asked for: nothing was built live (--engine docker-20.10 does)");
            }
        } else {
            out!("{}", serde_json::to_string_pretty(&show::json(&results, &self.again))?);
        }
        Ok(results)
    }

    /// Prints results that came all at once.
    pub(super) fn show(&self, results: &[CaseResult], format: Format) -> Result<()> {
        if format == Format::Json {
            out!("{}", serde_json::to_string_pretty(&show::json(results, &self.again))?);
            return Ok(());
        }
        results.iter().flat_map(|result| self.lines(result)).for_each(|line| out!("{line}"));
        out!("{}", show::table(results));
        skipped(results);
        Ok(())
    }

    fn lines(&self, result: &CaseResult) -> Vec<String> {
        let width = self.cases.iter().map(|case| case.id.as_str().len()).max().unwrap_or(0);
        let details = show::details(result, &self.dockerfile(&result.case), &self.again);
        let line = show::line(result, width, &paint);
        std::iter::once(line).chain(details.iter().map(|detail| detail.trim_end().to_owned())).collect()
    }

    /// The dialects, and those that the engine speaks.
    pub(super) fn with_engines(&self, workshop: &Workshop) -> Result<Vec<&'static str>> {
        let Some((engine, spoken)) = &workshop.engine else { return Ok(self.dialects.clone()) };
        let is_live = |id: &str| spoken.values().any(|live| live == id);
        if !self.only_these {
            return dialects(&[], |id| is_live(id) || self.dialects.contains(&id));
        }
        if !self.dialects.iter().any(|id| is_live(id)) {
            bail!("build {} live: {} speaks none of them", self.dialects.join(", "), engine.name());
        }
        Ok(self.dialects.clone())
    }

    /// All of it as text, for the file.
    fn text(&self, results: &[CaseResult]) -> String {
        let mut text = String::new();
        for result in results {
            text.push_str(&show::line(result, 0, &|_, word| word.to_owned()));
            text.push('\n');
            text.extend(result.checks.iter().map(|check| self.detail(check)));
        }
        text + &show::table(results) + "\n"
    }

    fn detail(&self, check: &Check) -> String {
        show::detail(check, &self.dockerfile(&check.case), &self.again)
    }

    fn dockerfile(&self, case: &str) -> Cow<'_, str> {
        let case = self.cases.iter().find(|known| known.id.as_str() == case);
        case.map_or_else(Default::default, |case| String::from_utf8_lossy(&case.dockerfile))
    }
}

/// That dialects differ is knowledge; that a builder differs from its own dialect is not.
fn counts_as(check: &Check) -> Verdict {
    match check.verdict {
        Verdict::Different if check.is_divergence => Verdict::Known,
        verdict => verdict,
    }
}

/// How somebody's directories, or the checkout's cases, are run again.
fn again(dirs: &[PathBuf], args: &Conform) -> String {
    if let Some(context) = &args.context {
        let globs: Vec<String> =
            args.dockerfiles.iter().map(|glob| format!(" --dockerfile '{glob}'")).collect();
        let config =
            args.config.as_ref().map_or(String::new(), |path| format!(" --config {}", path.display()));
        return format!("samebuild conform{} --context {}{config}", globs.concat(), context.display());
    }
    if dirs.is_empty() {
        return "cargo xtask conformance".to_owned();
    }
    let dirs: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
    format!("samebuild conform {}", dirs.join(" "))
}

/// The dialects to check: those asked for, or all of which a real builder was seen; elsewhere, all there are.
pub(crate) fn spoken(
    wanted: &[String],
    goldens: Option<&Goldens>,
    cases: &[Case],
) -> Result<Vec<&'static str>> {
    let Some(goldens) = goldens else { return dialects(wanted, |_| true) };
    let observed = goldens.observed_dialects(cases.iter().map(|case| &case.id))?;
    let dialects = dialects(wanted, |id| observed.contains(id))?;
    if dialects.is_empty() {
        bail!(
            "find an observed dialect: golden/ holds none; `cargo xtask observe --engine docker-20.10` records two"
        );
    }
    Ok(dialects)
}

/// The cases that the filters choose.
///
/// # Errors
/// A filter chooses none.
pub(crate) fn choose<'a>(cases: &'a [Case], filters: &[String]) -> Result<Vec<&'a Case>> {
    if filters.is_empty() {
        return Ok(cases.iter().collect());
    }
    let mut chosen: BTreeMap<&str, &Case> = BTreeMap::new();
    for filter in filters.iter().map(String::as_str) {
        let exactly: Vec<&Case> = cases.iter().filter(|case| case.id.as_str() == filter).collect();
        // `copy/` is a group, not a part of a word.
        let fits =
            |id: &str| if filter.ends_with('/') { id.starts_with(filter) } else { id.contains(filter) };
        let fitting = || cases.iter().filter(|case| fits(case.id.as_str())).collect();
        let matching: Vec<&Case> = if exactly.is_empty() { fitting() } else { exactly };
        if matching.is_empty() {
            let sentence = format!("find a case with `{filter}` in its name; `samebuild list` lists them");
            return Err(Usage(sentence).into());
        }
        chosen.extend(matching.into_iter().map(|case| (case.id.as_str(), case)));
    }
    Ok(chosen.into_values().collect())
}

/// Why checks were skipped, each reason once.
fn skipped(results: &[CaseResult]) {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for check in results.iter().flat_map(|result| &result.checks) {
        if check.verdict == Verdict::Skipped {
            *reasons.entry(&check.why).or_default() += 1;
        }
    }
    for (why, count) in reasons {
        let plural = if count == 1 { "" } else { "s" };
        out!("not exercised, {count} check{plural}: {why}");
    }
}
