//! Whether two texts are one but for the dates, times and counters of seconds in them.

/// A text with every date and time in it replaced, and whether there was one.
///
/// Dates are runs of digits and separators that look like them (`2026-11-21T14:05:06Z`, `14:05`, `21/11/2026`), names of
/// months and weekdays, zones, and numbers of nine or more digits, as seconds since 1970 have.
pub fn without_dates(text: &str) -> (String, bool) {
    let mut out = String::with_capacity(text.len());
    let mut found = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let token = token(rest);
        if token.is_empty() {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        if is_date(token) {
            found = true;
            if !out.ends_with('\u{1}') {
                // Dates that follow one another, with blanks between, are one.
                let kept = out.trim_end_matches(' ').len();
                if out[..kept].ends_with('\u{1}') {
                    out.truncate(kept);
                } else {
                    out.push('\u{1}');
                }
            }
        } else {
            out.push_str(token);
        }
        rest = &rest[token.len()..];
    }
    (out, found)
}

/// Letters and digits, and what holds a date together.
fn token(text: &str) -> &str {
    let first = text.chars().next().is_some_and(char::is_alphanumeric);
    if !first {
        return "";
    }
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let inside = |c: char| {
        if digits { c.is_ascii_digit() || ":-/.TZ+".contains(c) } else { c.is_alphabetic() }
    };
    let end = text.find(|c: char| !inside(c)).unwrap_or(text.len());
    text[..end].trim_end_matches([':', '-', '/', '.', '+'])
}

const NAMES: &[&str] = &[
    "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
    "Sep", "Oct", "Nov", "Dec", "UTC", "GMT", "CET", "CEST", "AM", "PM",
];

fn is_date(token: &str) -> bool {
    if NAMES.contains(&token) {
        return true;
    }
    let digits = token.bytes().filter(u8::is_ascii_digit).count();
    let is_number = digits == token.len();
    match is_number {
        true => matches!(digits, 1 | 2 | 4) || (9..=19).contains(&digits) || is_compact(token),
        false => {
            digits >= 3
                && token.starts_with(|c: char| c.is_ascii_digit())
                && token.contains([':', '-', '/', 'T'])
        }
    }
}

/// `20261121` or `20261121140506`.
fn is_compact(token: &str) -> bool {
    matches!(token.len(), 8 | 14) && matches!(token.get(..2), Some("19" | "20"))
}

/// Whether the texts differ in dates and times only, and in at least one that is more than a small number.
pub fn differ_in_dates_only(left: &str, right: &str) -> bool {
    let ((left_rest, left_has), (right_rest, right_has)) = (without_dates(left), without_dates(right));
    left != right
        && left_has
        && right_has
        && left_rest == right_rest
        && has_real_date(left)
        && has_real_date(right)
}

/// Whether there is something that cannot but be a date: one with separators, or many digits.
fn has_real_date(text: &str) -> bool {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let token = token(rest);
        if token.is_empty() {
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let digits = token.bytes().filter(u8::is_ascii_digit).count();
        let plain = digits == token.len();
        if is_date(token) && ((plain && digits >= 8) || (!plain && digits >= 3)) {
            return true;
        }
        rest = &rest[token.len()..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_every_common_form_are_seen_through() {
        for (left, right) in [
            ("built 2026-11-21T14:05:06Z by x", "built 2025-01-02T00:00:00Z by x"),
            ("Sat Nov 21 14:05:06 UTC 2026", "Fri Jan  2 00:00:00 UTC 2026"),
            ("{\"time\":1700000000000}", "{\"time\":1700000001000}"),
            ("\"Nov 21 2026\" \"14:05:06\"", "\"Nov 21 2026\" \"14:05:07\""),
            ("Start-Date: 2026-11-21  14:05:06\nx", "Start-Date: 2026-11-21  14:05:09\nx"),
        ] {
            assert!(differ_in_dates_only(left, right), "{left} | {right}");
        }
    }

    #[test]
    fn what_differs_in_more_than_a_date_or_in_none_is_no_date() {
        for (left, right) in [
            ("a 2026-11-21", "b 2026-11-21"),
            ("version 1", "version 2"),
            ("port 80", "port 81"),
            ("x", "x 2026-11-21"),
            ("1.2.3", "1.2.4"),
            ("abc", "abc"),
        ] {
            assert!(!differ_in_dates_only(left, right), "{left} | {right}");
        }
    }
}
