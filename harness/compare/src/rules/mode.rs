//! The rule `mode`: permission bits of entries, four octal digits. A symbolic link's are compared too: they stand in the tar.

use std::io;

use super::{About, Rule, Severity};
use crate::options::Options;
use crate::pairing::Both;

pub(super) struct Mode;

impl Rule for Mode {
    fn about(&self) -> About {
        About {
            name: "mode",
            question: "Which permission bits does it have, set-user-ID, set-group-ID and sticky included?",
            severity: Severity::Security,
            prints: r#"0644"#,
        }
    }

    fn entry(&self, both: &Both<'_>, _: &Options) -> io::Result<Option<(String, String)>> {
        let (left, right) = (both.left.meta.mode, both.right.meta.mode);
        Ok((left != right).then(|| (format!("{left:04o}"), format!("{right:04o}"))))
    }
}
