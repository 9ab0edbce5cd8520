//! The files of users and passwords.

use super::{Cause, Page, Said};
use crate::peek::Peek;
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct LastChange;
pub(super) struct Salt;

impl Cause for LastChange {
    fn page(&self) -> &'static Page {
        &Page {
            id: "shadow-date",
            title: "/etc/shadow holds the day on which a password was set",
            severity: Severity::Reproducibility,
            what: "The third field of each line counts the days since 1970: the same all day, another tomorrow. `/etc/passwd-`, `/etc/shadow-` and their like are backups of what was there before.",
            how: "useradd, adduser and passwd write the day on which they run (debuerreotype #85).",
            fix: "`chage -d 0 USER`, or a useradd that knows SOURCE_DATE_EPOCH (shadow 4.11); delete the backups: `rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow-`.",
        }
    }

    fn content(&self, _: &Scene<'_>, row: Row<'_>, peek: Option<&Peek>) -> Option<Said> {
        let path = row.path();
        match &*path {
            "/etc/passwd-" | "/etc/group-" | "/etc/shadow-" | "/etc/gshadow-" | "/etc/subuid-"
            | "/etc/subgid-" => Some(Said::this("a backup of the file")),
            "/etc/shadow" => {
                let Some((left, right)) = peek.and_then(Peek::texts) else {
                    return Some(Said::all("not looked into"));
                };
                (without_days(left) == without_days(right)).then(|| Said::this("only the day differs"))
            }
            _ => None,
        }
    }
}

fn without_days(text: &str) -> Vec<String> {
    let line = |line: &str| -> String {
        let fields: Vec<&str> =
            line.split(':').enumerate().map(|(n, field)| if n == 2 { "" } else { field }).collect();
        fields.join(":")
    };
    text.lines().map(line).collect()
}

impl Cause for Salt {
    fn page(&self) -> &'static Page {
        &Page {
            id: "password-salt",
            title: "A password was hashed with a random salt",
            severity: Severity::Security,
            what: "The hash of the same password is another one each time. And the image holds a password: whoever has the image can try to guess it.",
            how: "chpasswd, mkpasswd, `openssl passwd` and htpasswd draw a salt.",
            fix: "Hand the password over when the container starts, or as a secret; where it must be, give the hash ready-made: `usermod -p HASH`.",
        }
    }

    fn content(&self, _: &Scene<'_>, row: Row<'_>, peek: Option<&Peek>) -> Option<Said> {
        let (left, right) = peek?.texts()?;
        if !left.contains('$') || !right.contains('$') {
            return None;
        }
        let ((left, found), (right, also)) = (without_hashes(left), without_hashes(right));
        let days = row.path() == "/etc/shadow" && without_days(&left) == without_days(&right);
        (found && also && (left == right || days)).then(Said::nothing)
    }
}

/// The text with everything from a crypt(3) prefix to the end of the field taken out, and whether there was one.
fn without_hashes(text: &str) -> (String, bool) {
    const PREFIXES: &[&str] =
        &["$1$", "$2a$", "$2b$", "$2y$", "$5$", "$6$", "$7$", "$y$", "$gy$", "$apr1$", "$argon2"];
    let (mut out, mut rest, mut found) = (String::new(), text, false);
    while let Some(at) = rest.find('$') {
        let (before, hash) = rest.split_at(at);
        out.push_str(before);
        if !PREFIXES.iter().any(|prefix| hash.starts_with(prefix)) {
            out.push('$');
            rest = &hash[1..];
            continue;
        }
        found = true;
        let end = hash.find([':', '\n', '"', '\'', ' ', ',']).unwrap_or(hash.len());
        out.push_str("$hash");
        rest = &hash[end..];
    }
    out.push_str(rest);
    (out, found)
}
