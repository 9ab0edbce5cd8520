//! What the rules about JSON fields share: what means nothing, how a value is shown, lists and maps item by item.

use std::collections::BTreeSet;

use samebuild_image::golden::compact_json;
use serde_json::{Map, Value};

use super::Findings;
use crate::difference::Where;
use crate::pairing::Sides;

/// What an absent field shows as.
pub(super) const ABSENT: &str = "absent";

/// Whether no builder or engine acts on it: `null`, `""`, `[]`, `{}`, `false`, `0` mean what an absent field means.
pub(super) fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// A field that means something.
pub(super) fn meaning<'m>(fields: &'m Map<String, Value>, name: &str) -> Option<&'m Value> {
    fields.get(name).filter(|value| !is_nothing(value))
}

/// A value as goldens print it.
pub(super) fn show(value: Option<&Value>) -> String {
    value.map_or_else(|| ABSENT.to_owned(), compact_json)
}

/// The field `name` of both `config` objects, where their meanings differ.
pub(super) fn config<'s>(
    sides: &'s Sides<'_, '_>,
    name: &str,
) -> Option<(Where, Option<&'s Value>, Option<&'s Value>)> {
    let (left, right) = (meaning(&sides.left.config, name), meaning(&sides.right.config, name));
    (left != right).then(|| (Where::Config(name.to_owned()), left, right))
}

/// Says that the whole field differs.
pub(super) fn whole(sides: &Sides<'_, '_>, name: &str, found: &mut Findings) {
    if let Some((at, left, right)) = config(sides, name) {
        found.say(at, show(left), show(right));
    }
}

/// Says which keys of an object differ, a difference a key: labels, ports, volumes.
pub(super) fn by_key(sides: &Sides<'_, '_>, name: &str, found: &mut Findings) {
    let Some((at, left, right)) = config(sides, name) else { return };
    let object = |value: Option<&Value>| match value {
        None => Some(Map::new()),
        Some(value) => value.as_object().cloned(),
    };
    let (Some(left_map), Some(right_map)) = (object(left), object(right)) else {
        return found.say(at, show(left), show(right));
    };
    let keys: BTreeSet<&String> = left_map.keys().chain(right_map.keys()).collect();
    for key in keys {
        let (left, right) = (left_map.get(key), right_map.get(key));
        if left != right {
            let show = |value: Option<&Value>| match value {
                None => format!("no {}", compact_json(&Value::from(key.as_str()))),
                Some(value) if is_nothing(value) && value.is_object() => {
                    compact_json(&Value::from(key.as_str()))
                }
                Some(value) => {
                    format!("{}={}", compact_json(&Value::from(key.as_str())), compact_json(value))
                }
            };
            found.say(at.clone(), show(left), show(right));
        }
    }
}

/// Every pair of fields of both sides, with its name, absent ones included. Sorted.
pub(super) fn zip<'m>(
    left: &'m Map<String, Value>,
    right: &'m Map<String, Value>,
) -> impl Iterator<Item = (&'m String, Option<&'m Value>, Option<&'m Value>)> {
    let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    names.into_iter().map(|name| (name, left.get(name), right.get(name)))
}
