//! The rule `config_other`: every field of the configuration whose meaning no other rule knows, so that none is
//! compared by nobody. `container_config`, as large as `config` itself, is compared field by field.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{About, Findings, RULES, Rule, Severity, fields};
use crate::difference::Where;
use crate::options::Options;
use crate::pairing::Sides;

pub(super) struct ConfigOther;

impl Rule for ConfigOther {
    fn about(&self) -> About {
        About {
            name: "config_other",
            question: "Which other fields of the configuration differ?",
            severity: Severity::Behaviour,
            prints: "true",
        }
    }

    fn images(&self, sides: &Sides<'_, '_>, _: &Options, found: &mut Findings) {
        let known: BTreeSet<&str> = RULES.iter().flat_map(|rule| rule.config_fields()).copied().collect();
        let place = |name: &str| Where::Config(name.to_owned());
        compare(&sides.left.config, &sides.right.config, &known, &place, found);

        let mut known: BTreeSet<&str> = RULES.iter().flat_map(|rule| rule.top_fields()).copied().collect();
        if let Some((left, right)) = containers(sides) {
            known.insert(CONTAINER);
            let place = |name: &str| Where::Top(format!("{CONTAINER}.{name}"));
            compare(left, right, &BTreeSet::new(), &place, found);
        }
        compare(&sides.left.top, &sides.right.top, &known, &|name| Where::Top(name.to_owned()), found);
    }
}

/// What classic builds leave of the last container.
pub(super) const CONTAINER: &str = "container_config";

/// Fields of a JSON object.
type Fields = Map<String, Value>;

/// Both sides' `container_config`, where both have one.
pub(super) fn containers<'s>(sides: &Sides<'s, '_>) -> Option<(&'s Fields, &'s Fields)> {
    let of = |top: &'s Fields| top.get(CONTAINER).and_then(Value::as_object);
    of(&sides.left.top).zip(of(&sides.right.top))
}

fn compare(
    left: &Fields,
    right: &Fields,
    known: &BTreeSet<&str>,
    place: &dyn Fn(&str) -> Where,
    found: &mut Findings,
) {
    for (name, left, right) in fields::zip(left, right).filter(|(name, ..)| !known.contains(name.as_str())) {
        let meaning = |value: Option<&Value>| value.is_some_and(|value| !fields::is_nothing(value));
        if (meaning(left) || meaning(right)) && left != right {
            found.say(place(name), fields::show(left), fields::show(right));
        }
    }
}
