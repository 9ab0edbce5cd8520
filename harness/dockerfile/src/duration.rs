//! Durations as Go's `time.ParseDuration` reads them.

/// A duration that cannot be read; the text is Go's own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "read the duration {text:?}; write numbers with units, as in 1h30m, 1.5s or 300ms (ns, us, ms, s, m, h)"
)]
pub struct DurationError {
    /// What was given.
    pub text: String,
    /// What Go says.
    pub builder_message: String,
}

const UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// `text` in nanoseconds.
pub fn parse(text: &str) -> Result<i64, DurationError> {
    let quoted = crate::quote::go_quote(text);
    let error = |says: String| DurationError { text: text.to_owned(), builder_message: says };
    let invalid = || error(format!("time: invalid duration {quoted}"));
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let whole = digits(rest);
        let fraction = rest[whole.len()..].strip_prefix('.').map(digits);
        if whole.is_empty() && fraction.is_none_or(str::is_empty) {
            return Err(invalid());
        }
        rest = &rest[whole.len() + fraction.map_or(0, |fraction| fraction.len() + 1)..];
        let unit_end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, after) = rest.split_at(unit_end);
        if unit.is_empty() {
            return Err(error(format!("time: missing unit in duration {quoted}")));
        }
        let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            let unit = crate::quote::go_quote(unit);
            return Err(error(format!("time: unknown unit {unit} in duration {quoted}")));
        };
        let count: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        let part = fraction.map_or(0, |fraction| fraction_of(fraction, *scale));
        total = count
            .checked_mul(*scale)
            .and_then(|sum| sum.checked_add(part))
            .and_then(|sum| total.checked_add(sum))
            .filter(|&sum| sum <= 1 << 63)
            .ok_or_else(invalid)?;
        rest = after;
    }
    if negative {
        return Ok(0i64.wrapping_sub_unsigned(total));
    }
    i64::try_from(total).map_err(|_| invalid())
}

fn digits(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())]
}

/// `0.fraction` of `scale`, rounded down; digits beyond what matters are ignored.
fn fraction_of(fraction: &str, scale: u64) -> u64 {
    let (mut part, mut scale) = (0, u128::from(scale) * 1_000_000_000_000_000_000);
    let full: u128 = 1_000_000_000_000_000_000;
    for digit in fraction.bytes().take(18) {
        scale /= 10;
        part += scale * u128::from(digit - b'0');
    }
    u64::try_from(part / full).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, ns) in [
            ("0", 0),
            ("5s", 5_000_000_000),
            ("1h2m3s", 3_723_000_000_000),
            ("1.5ms", 1_500_000),
            (".5us", 500),
            ("-1m", -60_000_000_000),
            ("9223372036854775807ns", i64::MAX),
            ("-9223372036854775808ns", i64::MIN),
        ] {
            assert_eq!(parse(text), Ok(ns), "{text}");
        }
    }

    #[test]
    fn complains_as_go_does() {
        for (text, says) in [
            ("", "time: invalid duration \"\""),
            ("5", "time: missing unit in duration \"5\""),
            ("5x", "time: unknown unit \"x\" in duration \"5x\""),
            ("s", "time: invalid duration \"s\""),
            (".s", "time: invalid duration \".s\""),
            ("9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\""),
        ] {
            assert_eq!(parse(text).unwrap_err().builder_message, says, "{text}");
        }
    }
}
