//! The rule `path_form`: how the tar spells a path: `./a`, `/a`, a directory without its slash.

use std::io;

use samebuild_image::golden::word;

use super::{About, Rule, Severity};
use crate::options::Options;
use crate::pairing::Both;
use crate::side::Item;

pub(super) struct PathForm;

impl Rule for PathForm {
    fn about(&self) -> About {
        About {
            name: "path_form",
            question: "How does the tar spell the path?",
            severity: Severity::Reproducibility,
            prints: "./srv/app",
        }
    }

    fn entry(&self, both: &Both<'_>, options: &Options) -> io::Result<Option<(String, String)>> {
        let differ = options.tar && both.in_tar && both.left.form != both.right.form;
        Ok(differ.then(|| (show(both.left), show(both.right))))
    }
}

fn show(item: &Item<'_>) -> String {
    match item.form {
        Some(form) => word(form),
        None if item.at.is_root() => "./".to_owned(),
        None => word(&[item.at.as_bytes(), if item.thing.is_dir() { b"/" } else { b"" }].concat()),
    }
}
