//! The image configuration of a finished stage, as the dialect writes it. Without `rootfs`: diff ids are known when layers
//! are written, in `export`.

use serde_json::{Map, Value, json};

use crate::config::{Config, Schema};
use crate::dialect::Dialect;
use crate::dialect::rules::BareFrom;
use crate::history::EmptyHistory;
use crate::stage::{LastStep, Stage};

/// Everything but `rootfs`.
pub fn config(stage: &Stage, dialect: &Dialect, now: (i64, u32)) -> Map<String, Value> {
    if dialect.image.bare_from == BareFrom::SameImage
        && let (None, Some(config)) = (&stage.last, &stage.base_config)
    {
        let mut same = config.clone();
        same.shift_remove("rootfs");
        return same;
    }
    let created = samebuild_image::Mtime::At { secs: now.0, nanos: now.1 }.to_string();
    let mut out = Map::new();
    out.extend(stage.platform.clone());
    if let Some(author) = &stage.config.author {
        out.insert("author".into(), author.clone().into());
    }
    let mut runtime = stage.config.write(dialect.image.schema);
    if dialect.image.schema == Schema::EveryField {
        let last = stage.last.as_ref();
        let parent = last.map_or(stage.base_name.is_some(), |last| last.had_parent);
        runtime.insert("Image".into(), parent_id(parent, &runtime).into());
        if let Some(last) = last {
            out.insert(
                "container_config".into(),
                Value::Object(container_config(last, dialect.image.schema)),
            );
        }
        out.insert("docker_version".into(), dialect.engine_version.into());
    }
    out.insert("config".into(), Value::Object(runtime));
    out.insert("created".into(), created.clone().into());
    let new = stage.history.iter().map(|entry| entry.write(&created));
    let history: Vec<Value> = stage.base_history.iter().cloned().chain(new).collect();
    match (history.is_empty(), dialect.history.empty) {
        (false, _) => drop(out.insert("history".into(), history.into())),
        // A list in Go that nothing was ever put into is null.
        (true, EmptyHistory::Null) => drop(out.insert("history".into(), Value::Null)),
        (true, EmptyHistory::Absent) => {}
    }
    out
}

/// What the container of the last step was configured with.
fn container_config(last: &LastStep, schema: Schema) -> Map<String, Value> {
    let mut config = Config { cmd: Some(last.command.clone()), ..last.config.clone() };
    if last.created_container {
        // The daemon fills these in when it creates a container from a configuration, labels where there is an image to
        // take some from.
        config.labels_present |= last.had_parent;
        if !config.working_dir.is_empty() {
            config.working_dir = samebuild_image::At::clean(&config.working_dir).to_string();
        }
    }
    let mut out = config.write(schema);
    let image = parent_id(last.had_parent, &out);
    out.insert("Image".into(), image.into());
    if last.created_container {
        let id = samebuild_image::Digest::of(json!(last.command).to_string().as_bytes()).hex();
        out.insert("Hostname".into(), id[..12].into());
    }
    out
}

/// An id for the image below, which exists in a daemon only; empty without one.
fn parent_id(exists: bool, config: &Map<String, Value>) -> String {
    if exists {
        samebuild_image::Digest::of(json!(config).to_string().as_bytes()).to_string()
    } else {
        String::new()
    }
}
