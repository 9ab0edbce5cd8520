//! The rule `env`: environment variables, a difference a variable, and their order where nothing else differs: later
//! ones can be duplicates of earlier ones, and programs see them in order.

use std::collections::BTreeMap;

use samebuild_image::golden::compact_json;
use serde_json::Value;

use super::{About, Findings, Rule, Severity, fields};
use crate::options::Options;
use crate::pairing::Sides;

pub(super) struct Env;

impl Rule for Env {
    fn about(&self) -> About {
        About {
            name: "env",
            question: "Which environment variables are set, to what, in which order?",
            severity: Severity::Behaviour,
            prints: r#""PATH=/bin""#,
        }
    }

    fn config_fields(&self) -> &'static [&'static str] {
        &["Env"]
    }

    fn images(&self, sides: &Sides<'_, '_>, _: &Options, found: &mut Findings) {
        let Some((at, left, right)) = fields::config(sides, "Env") else { return };
        let (Some(left_vars), Some(right_vars)) = (variables(left), variables(right)) else {
            return found.say(at, fields::show(left), fields::show(right));
        };
        let by_name = |vars: &[(String, Value)]| vars.iter().cloned().collect::<BTreeMap<String, Value>>();
        let (left_map, right_map) = (by_name(&left_vars), by_name(&right_vars));
        if left_map == right_map {
            return found.say(at, in_order(&left_vars), in_order(&right_vars));
        }
        let mut names: Vec<&String> = left_map.keys().chain(right_map.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let show = |map: &BTreeMap<String, Value>| match map.get(name) {
                Some(variable) => compact_json(variable),
                None => format!("no {name}"),
            };
            if left_map.get(name) != right_map.get(name) {
                found.say(at.clone(), show(&left_map), show(&right_map));
            }
        }
    }
}

/// Name and whole text of each; `None` where the field has another shape.
fn variables(value: Option<&Value>) -> Option<Vec<(String, Value)>> {
    let Some(value) = value else { return Some(Vec::new()) };
    value
        .as_array()?
        .iter()
        .map(|variable| {
            let text = variable.as_str()?;
            let name = text.split_once('=').map_or(text, |(name, _)| name);
            Some((name.to_owned(), variable.clone()))
        })
        .collect()
}

fn in_order(variables: &[(String, Value)]) -> String {
    let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
    format!("order {}", names.join(", "))
}
