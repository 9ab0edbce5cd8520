//! What the image runs.

use super::{Cause, Page};
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct Form;
pub(super) struct Command;

impl Cause for Form {
    fn page(&self) -> &'static Page {
        &Page {
            id: "command-form",
            title: "The same command, once by a shell and once without",
            severity: Severity::Behaviour,
            what: "One side runs `[\"/bin/sh\",\"-c\",\"CMD\"]`, the other the words themselves. With a shell between, signals reach the shell and not the program.",
            how: "JSON that is not quite JSON (single quotes) is read as shell form; or the Dockerfiles differ in it.",
            fix: "Write the exec form, with double quotes: `CMD [\"prog\", \"arg\"]`.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        let list = |text: &str| serde_json::from_str::<Vec<String>>(text).ok();
        let (left, right) = (list(row.sides().0)?, list(row.sides().1)?);
        let shell = |words: &[String]| matches!(words, [sh, flag, _] if sh.ends_with("sh") && flag.starts_with('-') && flag.ends_with('c'));
        let words = |words: &[String]| -> Vec<String> {
            let own = if shell(words) { words[2..].to_vec() } else { words.to_vec() };
            let letters = |c: char| !c.is_whitespace() && !"[]'\",".contains(c);
            vec![own.join(" ").chars().filter(|c| letters(*c)).collect()]
        };
        let is_one = matches!(row.rule(), "cmd" | "entrypoint") && shell(&left) != shell(&right);
        (is_one && words(&left) == words(&right)).then(String::new)
    }
}

impl Cause for Command {
    fn page(&self) -> &'static Page {
        &Page {
            id: "other-command",
            title: "The images run something else",
            severity: Severity::Behaviour,
            what: "CMD or ENTRYPOINT differ.",
            how: "The Dockerfiles differ; or an ENTRYPOINT resets the CMD of the base in one builder and not in another.",
            fix: "State both ENTRYPOINT and CMD in the last stage.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        matches!(row.rule(), "cmd" | "entrypoint").then(String::new)
    }
}
