//! Which images a prune may look at: `until=24h`, `label=stage=test`, `label!=keep`, as Docker's own prune has them.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// One `--filter`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Created so long ago, or longer.
    Age(Duration),
    /// Created before this second since 1970.
    Before(i64),
    /// Has the label, with this value if one is given.
    Label(String, Option<String>),
    /// Has it not.
    NoLabel(String, Option<String>),
}

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "understand the filter `{text}`; accepted: until=24h (units h, m, s), until=2026-01-02T03:04:05Z, until=SECONDS since 1970, label=NAME[=VALUE], label!=NAME[=VALUE]"
)]
pub struct FilterError {
    text: String,
}

impl Filter {
    /// Whether an image created at `created` (seconds since 1970) with these labels is meant.
    #[must_use]
    pub fn is(&self, created: u32, labels: &BTreeMap<String, String>, now: OffsetDateTime) -> bool {
        let has = |name: &String, value: &Option<String>| {
            labels.get(name).is_some_and(|is| value.as_ref().is_none_or(|wanted| wanted == is))
        };
        match self {
            Self::Age(age) => i64::from(created) <= (now - *age).unix_timestamp(),
            Self::Before(second) => i64::from(created) < *second,
            Self::Label(name, value) => has(name, value),
            Self::NoLabel(name, value) => !has(name, value),
        }
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Filter, FilterError> {
        let label = |text: &str| match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (text.to_owned(), None),
        };
        let named = |(name, value): (String, Option<String>), new: fn(String, Option<String>) -> Filter| {
            (!name.is_empty()).then(|| new(name, value))
        };
        let filter = match text.split_once('=') {
            Some(("until", time)) => until(time),
            Some(("label", rest)) => named(label(rest), Filter::Label),
            Some(("label!", rest)) => named(label(rest), Filter::NoLabel),
            _ => None,
        };
        filter.ok_or_else(|| FilterError { text: text.to_owned() })
    }
}

fn until(text: &str) -> Option<Filter> {
    if let Ok(second) = text.parse() {
        return Some(Filter::Before(second));
    }
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Some(Filter::Before(time.unix_timestamp()));
    }
    duration(text).map(Filter::Age)
}

/// `1h30m`, as Go writes it; whole numbers only.
fn duration(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (Duration::ZERO, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let unit = match tail.chars().next()? {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        total = total.checked_add(Duration::from_secs(number.checked_mul(unit)?))?;
        rest = &tail[1..];
    }
    // Beyond a thousand years there are no dates to compare with.
    (total <= Duration::from_secs(1000 * 366 * 24 * 3600) && !text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(filter: &str, created: u32, labels: &[(&str, &str)]) -> bool {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let now = OffsetDateTime::from_unix_timestamp(100_000).unwrap();
        filter.parse::<Filter>().unwrap().is(created, &labels, now)
    }

    #[test]
    fn until_means_the_time_an_image_was_created() {
        assert!(is("until=1h", 96_400, &[]) && !is("until=1h", 96_401, &[]));
        assert!(is("until=1h30m10s", 94_590, &[]) && !is("until=1h30m10s", 94_591, &[]));
        assert!(is("until=500", 499, &[]) && !is("until=500", 500, &[]));
        assert!(
            is("until=1970-01-02T00:00:00Z", 86_399, &[]) && !is("until=1970-01-02T00:00:00Z", 86_400, &[])
        );
    }

    #[test]
    fn labels_are_asked_for_by_name_and_value() {
        let labels = [("stage", "test")];
        assert!(is("label=stage", 0, &labels) && is("label=stage=test", 0, &labels));
        assert!(!is("label=stage=live", 0, &labels) && !is("label=keep", 0, &labels));
        assert!(is("label!=keep", 0, &labels) && !is("label!=stage=test", 0, &labels));
    }

    #[test]
    fn what_is_no_filter_is_refused_with_the_grammar() {
        for text in
            ["", "until", "until=", "until=5d", "until=h", "label=", "dangling=true", "until=99999999999999h"]
        {
            let error = text.parse::<Filter>().unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("until=24h"), "{error}");
        }
    }
}
