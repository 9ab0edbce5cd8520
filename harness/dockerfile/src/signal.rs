//! Signals as STOPSIGNAL takes them: a number, or a name with or without `SIG`. Checked when the build gets there.

use crate::syntax::{Syntax, Wording};

/// No such signal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("find a signal {text:?}; write a number but 0, or a name as in SIGTERM or SIGRTMIN+3")]
pub struct SignalError {
    /// What was given.
    pub text: String,
    /// What the builder prints.
    pub builder_message: String,
}

/// Linux names on amd64 and arm64.
const NAMES: &[(&str, i64)] = &[
    ("ABRT", 6),
    ("ALRM", 14),
    ("BUS", 7),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("FPE", 8),
    ("HUP", 1),
    ("ILL", 4),
    ("INT", 2),
    ("IO", 29),
    ("IOT", 6),
    ("KILL", 9),
    ("PIPE", 13),
    ("POLL", 29),
    ("PROF", 27),
    ("PWR", 30),
    ("QUIT", 3),
    ("SEGV", 11),
    ("STKFLT", 16),
    ("STOP", 19),
    ("SYS", 31),
    ("TERM", 15),
    ("TRAP", 5),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("USR1", 10),
    ("USR2", 12),
    ("VTALRM", 26),
    ("WINCH", 28),
    ("XCPU", 24),
    ("XFSZ", 25),
];

const RTMIN: i64 = 34;
const RTMAX: i64 = 64;

/// The number of signal `text`. Any number but 0 passes, as it does in docker.
pub fn parse(text: &str, syntax: &Syntax) -> Result<i64, SignalError> {
    let number = text.parse::<i64>().ok();
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    number.or_else(|| named(name)).filter(|&number| number != 0).ok_or_else(|| {
        let invalid = if syntax.wording == Wording::Capitalised { "Invalid" } else { "invalid" };
        SignalError { text: text.to_owned(), builder_message: format!("{invalid} signal: {text}") }
    })
}

fn named(name: &str) -> Option<i64> {
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some(*number);
    }
    let offset = |text: &str, most: i64| {
        let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
        text.parse::<i64>().ok().filter(|&n| plain && (1..=most).contains(&n))
    };
    if let Some(rest) = name.strip_prefix("RTMIN") {
        return if rest.is_empty() {
            Some(RTMIN)
        } else {
            offset(rest.strip_prefix('+')?, 15).map(|n| RTMIN + n)
        };
    }
    let rest = name.strip_prefix("RTMAX")?;
    if rest.is_empty() { Some(RTMAX) } else { offset(rest.strip_prefix('-')?, 14).map(|n| RTMAX - n) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_in_any_case_pass() {
        for (text, number) in
            [("9", 9), ("SIGTERM", 15), ("term", 15), ("SIGRTMIN+3", 37), ("rtmax-14", 50), ("-5", -5)]
        {
            assert_eq!(parse(text, &Syntax::BUILDKIT_HEAD), Ok(number), "{text}");
        }
        for text in ["0", "SIGNOPE", "", "SIGRTMIN+16", "SIGRTMIN+03", "9x"] {
            assert!(parse(text, &Syntax::BUILDKIT_HEAD).is_err(), "{text}");
        }
    }

    #[test]
    fn the_message_is_the_builders() {
        // Recorded case `stopsignal-bad`.
        assert_eq!(
            parse("SIGNOPE", &Syntax::CLASSIC_20_10).unwrap_err().builder_message,
            "Invalid signal: SIGNOPE"
        );
        assert_eq!(
            parse("SIGNOPE", &Syntax::BUILDKIT_26_1).unwrap_err().builder_message,
            "invalid signal: SIGNOPE"
        );
    }
}
