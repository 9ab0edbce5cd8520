//! JSON on one line, the same however the fields were ordered: keys sorted, nothing invisible.

use serde_json::{Map, Value};

use super::quote::is_plain;

/// `value` without spaces, the keys of every object sorted.
pub fn compact(value: &Value) -> String {
    visible(&sorted(value).to_string())
}

/// A history entry: `created_by` first because that is what one looks for, the other keys sorted.
pub(super) fn history(entry: &Map<String, Value>) -> String {
    let mut keys: Vec<&String> = entry.keys().collect();
    keys.sort_by_key(|key| (*key != "created_by", *key));
    let ordered: Map<String, Value> =
        keys.into_iter().map(|key| (key.clone(), sorted(&entry[key]))).collect();
    visible(&Value::Object(ordered).to_string())
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            Value::Object(fields.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        other => other.clone(),
    }
}

/// Invisible characters as `\uNNNN`. In JSON they can only stand inside a string, where that means the same.
fn visible(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_plain(c) {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_fields_does_not_show() {
        let left: Value = serde_json::from_str(r#"{"b":{"y":1,"x":2},"a":[{"d":1,"c":null}]}"#).unwrap();
        assert_eq!(compact(&left), r#"{"a":[{"c":null,"d":1}],"b":{"x":2,"y":1}}"#);
    }

    #[test]
    fn invisible_characters_are_shown_and_mean_the_same() {
        let value = Value::from("a\u{202e}b\u{7f}\u{e0001}");
        assert_eq!(compact(&value), r#""a\u202eb\u007f\udb40\udc01""#);
        assert_eq!(serde_json::from_str::<Value>(&compact(&value)).unwrap(), value);
    }
}
