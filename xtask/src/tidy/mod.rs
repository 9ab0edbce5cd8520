//! `cargo xtask tidy`: what no compiler checks. One table of checks; a finding is a sentence that says what to do.
//! Advice is printed and never fails.

mod cases;
mod families;
mod pages;
mod sources;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::shell::Checkout;

/// What the checks look at: the checkout and the files git knows or would add, read once.
pub(crate) struct Ground<'a> {
    pub(crate) checkout: &'a Checkout,
    pub(crate) files: Vec<String>,
}

/// One thing to look for. Its findings are sentences.
struct Check {
    name: &'static str,
    look: fn(&Ground<'_>) -> Result<Vec<String>>,
}

const CHECKS: &[Check] = &[
    Check { name: "families", look: families::look },
    Check { name: "pairs", look: families::look_at_pairs },
    Check { name: "cases", look: cases::look },
    Check { name: "headers", look: sources::look_at_headers },
    Check { name: "machine paths", look: sources::look_at_paths },
    Check { name: "commands", look: pages::look },
];

pub(crate) fn run(checkout: &Checkout, args: &[String]) -> Result<ExitCode> {
    if let Some(arg) = args.first() {
        bail!("`{arg}` is not an argument; tidy takes none");
    }
    let ground = Ground { checkout, files: checkout.files()? };
    for sentence in sources::advice(&ground)? {
        eprintln!("advice: {sentence}");
    }
    let mut findings = 0;
    for check in CHECKS {
        for sentence in (check.look)(&ground)? {
            eprintln!("{}: {sentence}", check.name);
            findings += 1;
        }
    }
    if findings > 0 {
        eprintln!("tidy: {findings} findings");
        return Ok(ExitCode::FAILURE);
    }
    println!("tidy: {} checks over {} files found nothing", CHECKS.len(), ground.files.len());
    Ok(ExitCode::SUCCESS)
}

impl Ground<'_> {
    /// The text of a file of the checkout; `None` where it is not text.
    pub(crate) fn text(&self, file: &str) -> Option<String> {
        std::fs::read_to_string(self.checkout.join(file)).ok()
    }

    /// The names right below `dir`, sorted: `dir/NAME` and `dir/NAME/…` both give NAME.
    pub(crate) fn names_in(&self, dir: &str) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .files
            .iter()
            .filter_map(|file| file.strip_prefix(dir)?.strip_prefix('/'))
            .filter_map(|rest| rest.split('/').next())
            .collect();
        names.dedup();
        names
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::Ground;
    use crate::shell::Checkout;

    /// Lays these files out and looks.
    pub(crate) fn findings(
        files: &[(&str, &str)],
        look: fn(&Ground<'_>) -> anyhow::Result<Vec<String>>,
    ) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let checkout = Checkout::at(root.path());
        let mut names: Vec<String> = files.iter().map(|(name, _)| (*name).to_owned()).collect();
        names.sort();
        look(&Ground { checkout: &checkout, files: names }).unwrap()
    }
}
