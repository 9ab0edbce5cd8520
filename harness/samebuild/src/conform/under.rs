//! A case with a fault installed, held against itself without: two oracles, because a loss that happens every time is
//! perfectly reproducible. *Lag on must equal lag off*; and the root at the end, content by content, must be what the layers
//! recorded. The verdict names which of them noticed.

use samebuild_builder::Trust;
use samebuild_builder::snapshot::walk;

use super::check::{Check, Found, Party, differences, unmade};
use super::suite::guarded;
use super::verdict::Verdict;
use crate::builders::{Answer, Builder, Ended, Order};
use crate::cases::{Expect, Under};
use crate::faults::mtime_lag::MtimeLag;

/// How many places a verdict names.
const NAMED: usize = 3;

/// Builds the order under the fault and judges. `without` is what was built with nothing installed.
pub(super) fn check(builder: &dyn Builder, under: &Under, order: &Order<'_>, without: &Answer) -> Check {
    let Order { case, dialect, base: ground, .. } = *order;
    let against = format!("itself under {}", under.fault);
    let unmade = |verdict, why| unmade(case, dialect, against.clone(), verdict, why);
    let named = under.with.get("snapshotter").and_then(toml::Value::as_str);
    let snapshotter = match named.map(|name| (name, walk::find(name))) {
        Some((name, None)) => return unmade(Verdict::Broken, format!("there is no snapshotter `{name}`")),
        Some((_, found)) => found,
        None => None,
    };
    let lens = match MtimeLag::from_table(&under.with) {
        Ok(lens) => lens,
        Err(why) => return unmade(Verdict::Broken, why),
    };
    let rehash = under.with.get("rehash").and_then(toml::Value::as_bool).unwrap_or(false);
    let trust = if rehash { Trust::Content } else { Trust::Dialect };
    let honest = Order { snapshotter, trust, ..*order };
    let without = match (snapshotter, trust) {
        (None, Trust::Dialect) => without,
        (Some(_), _) | (None, Trust::Content) => &guarded(builder, &honest),
    };
    let with = guarded(builder, &Order { lens: &lens, witness: true, ..honest });
    let (Answer::Ended(without), Answer::Ended(with)) = (without, &with) else {
        let sides =
            [Party { name: "without the fault", answer: without }, Party { name: "with it", answer: &with }];
        return super::check::check(case, dialect, against.clone(), ground, [&sides[0], &sides[1]], false);
    };
    let found = match differences(&without.observation, &with.observation, ground) {
        Err(error) => return unmade(Verdict::Broken, error.to_string()),
        Ok(found) => found,
    };
    let noticed = noticed(!found.is_empty(), with);
    let mut check = match (noticed, under.expect) {
        (None, Expect::Same) => unmade(Verdict::Same, String::new()),
        (Some(by), Expect::Different) => unmade(Verdict::Same, format!("lost, as expected: {by}")),
        (None, Expect::Different) => {
            let why = "case.toml says the fault shows, and neither oracle noticed it";
            unmade(Verdict::Different, why.to_owned())
        }
        (Some(by), Expect::Same) => {
            let why = format!("case.toml says the fault does not show, and it does: {by}");
            unmade(Verdict::Different, why)
        }
    };
    if check.verdict == Verdict::Different {
        check.differences = found.into_iter().map(Found::from).collect();
    }
    check
}

/// Which oracle noticed, in words.
fn noticed(differs: bool, with: &Ended) -> Option<String> {
    let mut by = Vec::new();
    if differs {
        by.push("the image is another than without lag".to_owned());
    }
    if !with.unrecorded.is_empty() {
        let places = with.unrecorded.iter().take(NAMED).map(|lost| format!("{} of {}", lost.what, lost.at));
        let more = match with.unrecorded.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let places: Vec<String> = places.collect();
        by.push(format!("the layers lack what the root has ({}{more})", places.join(", ")));
    }
    (!by.is_empty()).then(|| by.join("; "))
}

#[cfg(test)]
mod tests {
    use samebuild_builder::Unrecorded;
    use samebuild_image::At;
    use samebuild_image::golden::{Failure, Observation, Outcome};

    use super::*;

    #[test]
    fn the_verdict_names_the_oracle_that_noticed() {
        let outcome =
            Outcome::Failed(Failure { step: None, line: None, class: String::new(), message: String::new() });
        let observation =
            Observation { seen_by: Vec::new(), builder: String::new(), platform: String::new(), outcome };
        let mut ended = Ended::of(observation);
        assert_eq!(noticed(false, &ended), None);
        assert_eq!(noticed(true, &ended).unwrap(), "the image is another than without lag");
        ended.unrecorded = vec![Unrecorded { at: At::from("f"), what: "content" }];
        assert_eq!(noticed(false, &ended).unwrap(), "the layers lack what the root has (content of /f)");
        assert!(noticed(true, &ended).unwrap().contains("; "));
    }
}
