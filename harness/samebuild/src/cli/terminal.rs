//! What a person sees while something runs and when it fails: a progress bar on a terminal, plain lines elsewhere, one
//! paragraph an error.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use owo_colors::OwoColorize as _;

use crate::cases::CaseError;
use crate::checkout::NoCheckout;
use crate::conform::{Exit, Verdict};
use crate::engines::EngineError;
use crate::races::LiveError;
use crate::stored::NotThere;

/// An input or command line that makes no sense, as opposed to something that could not be found out.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Prints the error as one paragraph; usage errors have an exit code of their own.
pub(crate) fn complain(error: &anyhow::Error) -> Exit {
    if let Some(case) = error.downcast_ref::<CaseError>() {
        eprint!("{}", case.render());
        return Exit::Usage;
    }
    anstream::eprintln!("{} failed to {}", "error:".red().bold(), paragraph(error));
    let is_usage = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<Usage>()
            || cause.is::<samebuild_builder::dialect::UnknownDialect>()
            || cause.is::<NoCheckout>()
            || cause.is::<crate::conform::NotHere>()
            || cause.is::<NotThere>()
            || cause.is::<crate::operands::NoName>()
            || cause.is::<samebuild_store::races::UnknownRace>()
            || cause.is::<samebuild_store::strategies::UnknownStrategy>()
            || cause.is::<samebuild_store::explore::ReplayError>()
            || matches!(cause.downcast_ref(), Some(EngineError::Unknown { .. }))
            || matches!(
                cause.downcast_ref(),
                Some(LiveError::Host | LiveError::Engine(EngineError::Unknown { .. }))
            )
    };
    if error.chain().any(is_usage) { Exit::Usage } else { Exit::Broken }
}

/// The error and its causes; a cause that its effect has told already is not told again.
fn paragraph(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Colours a word by what its verdict means; the terminal's stream drops colours where none are shown.
pub(crate) fn paint(verdict: Verdict, word: &str) -> String {
    match verdict {
        Verdict::Same => word.green().to_string(),
        Verdict::Known | Verdict::Skipped => word.yellow().to_string(),
        Verdict::Stale | Verdict::Different | Verdict::Unstable | Verdict::Failed => word.red().to_string(),
        Verdict::Broken => word.red().bold().to_string(),
    }
}

/// Prints a line of data to stdout, formatted as by `println!`. A reader that has gone away is no error: the exit code
/// still says what was found.
macro_rules! out {
    ($($text:tt)*) => { $crate::cli::terminal::put(&format!($($text)*)) };
}
pub(crate) use out;

/// What [`out!`] prints.
pub(crate) fn put(line: &str) {
    printed(writeln!(anstream::stdout(), "{line}"));
}

/// Prints data that ends where it ends.
pub(crate) fn put_raw(data: &str) {
    let mut stdout = std::io::stdout();
    printed(stdout.write_all(data.as_bytes()).and_then(|()| stdout.flush()));
}

fn printed(result: std::io::Result<()>) {
    if let Err(error) = result
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        // A full disk must not pass for an empty result.
        eprintln!("error: failed to print: {error}");
        std::process::exit(Exit::Broken as i32);
    }
}

/// A bar on a terminal, nothing elsewhere.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new(total: usize, what: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(total as u64);
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    pub(crate) fn at(&self, done: usize) {
        self.0.set_position(done as u64);
    }

    /// A line above the bar.
    pub(crate) fn line(&self, line: &str) {
        self.0.suspend(|| put(line));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Tells of long preparations: fetching, starting an engine.
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_nobody_knows_is_a_mistake_of_who_named_it_wherever_it_was_asked_for() {
        let unknown = || EngineError::Unknown { name: "x".to_owned(), known: "y".to_owned() };
        assert_eq!(complain(&unknown().into()), Exit::Usage);
        assert_eq!(complain(&LiveError::from(unknown()).into()), Exit::Usage);
        let fetch = EngineError::Fetch { what: "x".to_owned(), why: "no network".to_owned() };
        assert_eq!(complain(&fetch.into()), Exit::Broken);
    }

    #[test]
    fn no_cause_is_told_twice() {
        let error = anyhow::anyhow!("disk full").context("write x: disk full").context("build y");
        assert_eq!(paragraph(&error), "build y: write x: disk full");
    }
}
