//! `History` and `Metadata`: lists of lines, of which those are told that only one side has.

use std::io;

use samebuild_image::Image;
use serde_json::{Map, Value, json};

use super::{Images, apart};

pub(super) fn history(images: &Images<'_>) -> io::Result<Value> {
    let lines = |image: &Image| -> Vec<String> {
        let said = |entry: &Value| {
            entry.get("created_by").and_then(Value::as_str).unwrap_or_default().trim().to_owned()
        };
        image.history().iter().map(said).collect()
    };
    Ok(diff(&lines(images.left), &lines(images.right)))
}

pub(super) fn metadata(images: &Images<'_>) -> io::Result<Value> {
    Ok(diff(&lines(images.left), &lines(images.right)))
}

fn diff(left: &[String], right: &[String]) -> Value {
    json!({ "Adds": apart(right, left), "Dels": apart(left, right) })
}

/// How a field is written on its line.
enum Form {
    Text,
    Flag,
    List,
    Map,
}

/// The lines, in order: what they are called, and the field.
const LINES: &[(&str, &str, Form)] = &[
    ("Domainname", "Domainname", Form::Text),
    ("User", "User", Form::Text),
    ("AttachStdin", "AttachStdin", Form::Flag),
    ("AttachStdout", "AttachStdout", Form::Flag),
    ("AttachStderr", "AttachStderr", Form::Flag),
    ("ExposedPorts", "ExposedPorts", Form::Map),
    ("Tty", "Tty", Form::Flag),
    ("OpenStdin", "OpenStdin", Form::Flag),
    ("StdinOnce", "StdinOnce", Form::Flag),
    ("Env", "Env", Form::List),
    ("Cmd", "Cmd", Form::List),
    ("ArgsEscaped", "ArgsEscaped", Form::Flag),
    ("Volumes", "Volumes", Form::Map),
    ("Workdir", "WorkingDir", Form::Text),
    ("Entrypoint", "Entrypoint", Form::List),
    ("NetworkDisabled", "NetworkDisabled", Form::Flag),
    ("MacAddress", "MacAddress", Form::Text),
    ("OnBuild", "OnBuild", Form::List),
    ("Labels", "Labels", Form::Map),
    ("StopSignal", "StopSignal", Form::Text),
    ("Shell", "Shell", Form::List),
];

fn lines(image: &Image) -> Vec<String> {
    let empty = Map::new();
    let config = image.runtime().unwrap_or(&empty);
    LINES.iter().map(|(name, field, form)| format!("{name}: {}", form.show(config.get(*field)))).collect()
}

impl Form {
    fn show(&self, value: Option<&Value>) -> String {
        match (self, value) {
            (Self::Text, value) => value.and_then(Value::as_str).unwrap_or_default().to_owned(),
            (Self::Flag, value) => value.and_then(Value::as_bool).unwrap_or_default().to_string(),
            (Self::List, Some(Value::Array(items))) => items.iter().map(text).collect::<Vec<_>>().join(","),
            (Self::Map, Some(Value::Object(fields))) => {
                let mut pairs: Vec<String> =
                    fields.iter().map(|(key, value)| format!("{key}:{}", text(value))).collect();
                pairs.sort();
                pairs.join(" ")
            }
            _ => String::new(),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
