//! The rule `config_null`: fields that mean nothing on either side but are written differently: absent, `null`, empty,
//! `false`. Engines treat them alike; digests do not.

use serde_json::{Map, Value};

use super::config_other::{CONTAINER, containers};
use super::{About, Findings, Rule, Severity, fields};
use crate::difference::Where;
use crate::options::Options;
use crate::pairing::Sides;

pub(super) struct ConfigNull;

impl Rule for ConfigNull {
    fn about(&self) -> About {
        About {
            name: "config_null",
            question: "Which fields without a value are absent, null or empty?",
            severity: Severity::Reproducibility,
            prints: "null",
        }
    }

    fn images(&self, sides: &Sides<'_, '_>, _: &Options, found: &mut Findings) {
        let (left, right) = (sides.left, sides.right);
        compare(&left.config, &right.config, &|name| Where::Config(name.to_owned()), found);
        compare(&left.top, &right.top, &|name| Where::Top(name.to_owned()), found);
        if let Some((left, right)) = containers(sides) {
            compare(left, right, &|name| Where::Top(format!("{CONTAINER}.{name}")), found);
        }
        for pair in &sides.history {
            if let (Some(l), Some(r)) = *pair {
                compare(&left.history[l], &right.history[r], &|_| Where::History(l + 1), found);
            }
        }
    }
}

fn compare(
    left: &Map<String, Value>,
    right: &Map<String, Value>,
    place: &dyn Fn(&str) -> Where,
    found: &mut Findings,
) {
    for (name, left, right) in fields::zip(left, right) {
        let nothing = |value: Option<&Value>| value.is_none_or(fields::is_nothing);
        if nothing(left) && nothing(right) && left != right {
            let at = place(name);
            let prefix = if matches!(at, Where::History(_)) { format!("{name} ") } else { String::new() };
            found.say(
                at,
                format!("{prefix}{}", fields::show(left)),
                format!("{prefix}{}", fields::show(right)),
            );
        }
    }
}
