//! `cargo xtask CHORE`: one table of chores, and the way to each. Small on purpose, so that it compiles in a breath;
//! what is heavy (building images, engines, reports) is the program `samebuild`, which the chores run.

mod chores;
mod new_case;
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

use chores::{CHORES, Chore};
use shell::Checkout;

/// Exit codes, as everywhere in samebuild: 2 is for a command line that makes no sense.
const USAGE: u8 = 2;
/// 3: the chore could not be carried out.
const BROKEN: u8 = 3;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = args.split_first() else {
        eprint!("{}", help());
        return ExitCode::from(USAGE);
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print!("{}", help());
        return ExitCode::SUCCESS;
    }
    let Some(chore) = CHORES.iter().find(|chore| chore.name == name) else {
        let names: Vec<&str> = CHORES.iter().map(|chore| chore.name).collect();
        eprintln!("error: there is no chore `{name}`; there are: {}", names.join(", "));
        return ExitCode::from(USAGE);
    };
    run(chore, rest)
}

fn run(chore: &Chore, args: &[String]) -> ExitCode {
    match Checkout::find().and_then(|checkout| (chore.run)(&checkout, args)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: failed to {}: {error:#}", chore.name);
            ExitCode::from(BROKEN)
        }
    }
}

fn help() -> String {
    let width = CHORES.iter().map(|chore| chore.name.len() + chore.args.len() + 1).max().unwrap_or(0);
    let mut text = String::from("usage: cargo xtask CHORE [ARGS…]\n\n");
    for chore in CHORES {
        text.push_str(&format!("  {:width$}  {}\n", format!("{} {}", chore.name, chore.args), chore.about));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chore_has_its_own_name_and_is_in_the_help() {
        let names: std::collections::BTreeSet<&str> = CHORES.iter().map(|chore| chore.name).collect();
        assert_eq!(names.len(), CHORES.len());
        let help = help();
        for name in names {
            assert!(help.contains(&format!("\n  {name} ")), "{name} is not in the help");
        }
    }
}
