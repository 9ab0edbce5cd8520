//! As much of JSON Schema as docs/diff.schema.json uses; a word of it that is not known here is an error, so that nothing
//! passes unlooked at.

use serde_json::Value;

/// Where `value` is not as `schema` says; empty where it is.
pub fn errors(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let mut say = |what: String| errors.push(format!("{at}: {what}"));
    let mut inner: Vec<String> = Vec::new();
    for (word, said) in schema.as_object().unwrap() {
        match &**word {
            "$schema" | "$id" | "title" | "description" | "$defs" => {}
            "$ref" => {
                let place = said.as_str().unwrap().strip_prefix('#').unwrap();
                inner.extend(self::errors(root, root.pointer(place).unwrap(), value, at));
            }
            "type" => {
                let types = said.as_array().cloned().unwrap_or_else(|| vec![said.clone()]);
                if !types.iter().any(|name| is_of(value, name.as_str().unwrap())) {
                    say(format!("{value} is not of type {said}"));
                }
            }
            "const" if value != said => say(format!("{value} is not {said}")),
            "enum" if !said.as_array().unwrap().contains(value) => say(format!("{value} is none of {said}")),
            "const" | "enum" => {}
            "anyOf" => {
                let fits = |one: &Value| self::errors(root, one, value, at).is_empty();
                if !said.as_array().unwrap().iter().any(fits) {
                    say(format!("{value} fits none of {said}"));
                }
            }
            "required" => {
                for name in said.as_array().unwrap() {
                    if value.get(name.as_str().unwrap()).is_none() {
                        say(format!("lacks {name}"));
                    }
                }
            }
            "additionalProperties" => {
                assert_eq!(said, &Value::Bool(false));
                let known = schema["properties"].as_object().unwrap();
                for name in value.as_object().into_iter().flatten().map(|(name, _)| name) {
                    if !known.contains_key(name) {
                        say(format!("has {name}, which the schema does not know"));
                    }
                }
            }
            "properties" => {
                for (name, schema) in said.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        inner.extend(self::errors(root, schema, value, &format!("{at}/{name}")));
                    }
                }
            }
            "items" => {
                for (number, value) in value.as_array().into_iter().flatten().enumerate() {
                    inner.extend(self::errors(root, said, value, &format!("{at}/{number}")));
                }
            }
            "minItems" | "maxItems" => {
                let (count, bound) = (value.as_array().unwrap().len() as u64, said.as_u64().unwrap());
                if (word == "minItems" && count < bound) || (word == "maxItems" && count > bound) {
                    say(format!("has {count} items"));
                }
            }
            other => panic!("the schema says `{other}`, which this test does not know"),
        }
    }
    errors.extend(inner);
    errors
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        other => panic!("the schema says type `{other}`"),
    }
}
