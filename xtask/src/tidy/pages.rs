//! A command a page tells people to type exists: `cargo xtask CHORE` is a row of `CHORES`, `samebuild VERB` a verb of
//! the program.

use std::collections::BTreeSet;

use anyhow::Result;

use super::Ground;
use crate::chores::CHORES;

/// Where the verbs of `samebuild` are declared, one variant each.
const VERBS: &str = "harness/samebuild/src/cli/verbs.rs";

pub(super) fn look(ground: &Ground<'_>) -> Result<Vec<String>> {
    let verbs = ground.text(VERBS).map(|text| verbs_in(&text));
    let mut findings = Vec::new();
    for file in ground.files.iter().filter(|file| file.ends_with(".md")) {
        let Some(text) = ground.text(file) else { continue };
        for (line, command) in commands(&text) {
            let words: Vec<&str> = command.split_whitespace().collect();
            let wrong = match words[..] {
                ["cargo", "xtask", chore, ..] if is_word(chore) => {
                    (!CHORES.iter().any(|known| known.name == chore)).then(|| format!("cargo xtask {chore}"))
                }
                ["samebuild", verb, ..] if is_word(verb) => verbs
                    .as_ref()
                    .is_some_and(|verbs| !verbs.contains(verb))
                    .then(|| format!("samebuild {verb}")),
                _ => None,
            };
            if let Some(wrong) = wrong {
                findings.push(format!("{file}:{line} says `{wrong}`, which does not exist"));
            }
        }
    }
    Ok(findings)
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
}

/// Commands with their line: lines of code blocks (with or without `$ `) and `code` within text.
fn commands(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_block = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            found.push((index + 1, line.trim().trim_start_matches("$ ").to_owned()));
        } else {
            found.extend(line.split('`').skip(1).step_by(2).map(|code| (index + 1, code.to_owned())));
        }
    }
    found
}

/// The names of the variants of `enum Verb`, as clap spells them.
fn verbs_in(text: &str) -> BTreeSet<String> {
    let body = text.split_once("enum Verb {").map_or("", |(_, rest)| rest);
    body.lines()
        .take_while(|line| *line != "}")
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .filter_map(|line| line.split(|c: char| !c.is_alphanumeric()).next())
        .map(kebab)
        .collect()
}

fn kebab(camel: &str) -> String {
    let mut text = String::new();
    for c in camel.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::testing::findings;
    use super::*;

    #[test]
    fn a_command_that_does_not_exist_is_found_in_blocks_and_in_text() {
        let page = "Type `cargo xtask tidy` or `cargo xtask sweep`.\n```\n$ samebuild diff A B\nsamebuild dif A B\n```\n`cargo xtask CHORE`\n";
        let verbs = "pub(crate) enum Verb {\n    /// Two images.\n    Diff(Diff),\n    NewCase {\n        x: u8,\n    },\n}\n";
        assert_eq!(
            findings(&[("README.md", page), (VERBS, verbs)], look),
            [
                "README.md:1 says `cargo xtask sweep`, which does not exist",
                "README.md:4 says `samebuild dif`, which does not exist"
            ]
        );
        assert!(verbs_in(verbs).contains("new-case"));
    }
}
