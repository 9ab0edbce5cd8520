//! Modes as `--chmod` takes them: octal, or symbolic where the syntax has that. Checked when the build gets there.

use crate::syntax::{self, Syntax};

/// A mode to give to files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chmod {
    /// These bits, at most 07777, for files and directories alike.
    Octal(u32),
    /// Changes to what is there.
    Symbolic(Vec<Clause>),
}

/// One `who op permissions` of a symbolic mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Bits that may change: of u, g, o, or all of them.
    who: u32,
    operation: Operation,
    permissions: Permissions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Add,
    Remove,
    Set,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Permissions {
    /// `rwxst`, and `X`: x for directories and for what has an x already.
    Bits { plain: u32, search: bool },
    /// As user (6), group (3) or others (0) have it: the shift of that part.
    CopyOf(u32),
}

/// Neither octal nor symbolic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read the mode {text:?}; write {accepted}")]
pub struct ChmodError {
    /// What was given.
    pub text: String,
    /// What would do.
    pub accepted: &'static str,
    /// What BuildKit prints.
    pub builder_message: String,
}

/// Reads a mode.
pub fn parse(text: &str, syntax: &Syntax) -> Result<Chmod, ChmodError> {
    let octal = !text.is_empty() && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let says =
        format!("invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777");
    let error = |accepted| ChmodError { text: text.to_owned(), accepted, builder_message: says.clone() };
    if octal {
        return u32::from_str_radix(text, 8)
            .ok()
            .filter(|&mode| mode <= 0o7777)
            .map(Chmod::Octal)
            .ok_or_else(|| error("an octal number up to 07777"));
    }
    match syntax.chmod {
        syntax::Chmod::Octal | syntax::Chmod::OctalElseIgnored => Err(error("an octal number up to 07777")),
        syntax::Chmod::OctalOrSymbolic => symbolic(text)
            .map(Chmod::Symbolic)
            .ok_or_else(|| error("an octal number up to 07777, or as in u=rwX,go-w")),
    }
}

impl Chmod {
    /// The mode (12 bits) that a file or directory of `mode` gets.
    pub fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        match self {
            Chmod::Octal(octal) => *octal,
            Chmod::Symbolic(clauses) => {
                clauses.iter().fold(mode & 0o7777, |mode, clause| clause.apply(mode, is_dir))
            }
        }
    }
}

impl Clause {
    fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        let bits = match self.permissions {
            Permissions::Bits { plain, search } => {
                let x = search && (is_dir || mode & 0o111 != 0);
                plain | if x { 0o111 } else { 0 }
            }
            Permissions::CopyOf(shift) => {
                let part = mode >> shift & 0o7;
                part << 6 | part << 3 | part
            }
        } & self.who;
        match self.operation {
            Operation::Add => mode | bits,
            Operation::Remove => mode & !bits,
            // Like chmod(1), `=` leaves the set-id bits of a directory unless it names them.
            Operation::Set if is_dir => mode & !(self.who & 0o1777) | bits,
            Operation::Set => mode & !self.who | bits,
        }
    }
}

fn symbolic(text: &str) -> Option<Vec<Clause>> {
    let mut clauses = Vec::new();
    for part in text.split(',') {
        let who_end = part.find(|c| !matches!(c, 'u' | 'g' | 'o' | 'a'))?;
        let who = part[..who_end].chars().fold(0, |who, c| {
            who | match c {
                'u' => 0o4700,
                'g' => 0o2070,
                'o' => 0o1007,
                _ => 0o7777,
            }
        });
        let who = if who_end == 0 { 0o7777 } else { who };
        let mut rest = &part[who_end..];
        while let Some(operator) = rest.chars().next() {
            let operation = match operator {
                '+' => Operation::Add,
                '-' => Operation::Remove,
                '=' => Operation::Set,
                _ => return None,
            };
            let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |at| at + 1);
            let permissions = permissions(&rest[1..end])?;
            clauses.push(Clause { who, operation, permissions });
            rest = &rest[end..];
        }
    }
    Some(clauses)
}

fn permissions(text: &str) -> Option<Permissions> {
    match text {
        "u" => return Some(Permissions::CopyOf(6)),
        "g" => return Some(Permissions::CopyOf(3)),
        "o" => return Some(Permissions::CopyOf(0)),
        _ => {}
    }
    let (mut plain, mut search) = (0, false);
    for c in text.chars() {
        match c {
            'r' => plain |= 0o444,
            'w' => plain |= 0o222,
            'x' => plain |= 0o111,
            's' => plain |= 0o6000,
            't' => plain |= 0o1000,
            'X' => search = true,
            _ => return None,
        }
    }
    Some(Permissions::Bits { plain, search })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_is_bounded_and_symbolic_needs_the_syntax() {
        assert_eq!(parse("0755", &Syntax::BUILDKIT_20_10), Ok(Chmod::Octal(0o755)));
        for (text, syntax) in [
            ("64a", Syntax::BUILDKIT_HEAD),
            ("10000", Syntax::BUILDKIT_HEAD),
            ("", Syntax::BUILDKIT_HEAD),
            ("u+x", Syntax::BUILDKIT_26_1),
        ] {
            let says = parse(text, &syntax).unwrap_err().builder_message;
            assert_eq!(
                says,
                format!(
                    "invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"
                )
            );
        }
    }

    #[test]
    fn symbolic_modes_change_what_is_there() {
        for (text, mode, is_dir, expected) in [
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, false, 0o755),
            ("u=rwX,go=rX", 0o600, true, 0o755),
            ("+x", 0o644, false, 0o755),
            ("a-w", 0o666, false, 0o444),
            ("g=u,o-rwx", 0o755, false, 0o770),
            ("u+s,g-s,+t", 0o2755, false, 0o5755),
            ("u+w-x", 0o500, false, 0o600),
            ("g=rx", 0o2755, true, 0o2755),
        ] {
            let chmod = parse(text, &Syntax::BUILDKIT_HEAD).unwrap();
            assert_eq!(
                chmod.apply(mode, is_dir),
                expected,
                "{text} on {mode:o}: {:o}",
                chmod.apply(mode, is_dir)
            );
        }
    }
}
