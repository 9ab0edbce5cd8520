//! `samebuild explain RULE|CAUSE`: the page of one; with `--list`, a line of each.

use anyhow::Result;
use clap::Args;
use samebuild_compare::rules::rule;
use samebuild_compare::{CAUSES, RULES, causes};
use serde_json::{Value, json};

use super::terminal::{Usage, out};
use super::verbs::Format;
use crate::conform::Exit;

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// A rule, as `mtime`, or a cause, as `context-times`; what `samebuild diff` prints in brackets.
    #[arg(value_name = "RULE|CAUSE", required_unless_present = "list")]
    name: Option<String>,
    /// A line of every rule and of every cause.
    #[arg(long, conflicts_with = "name")]
    list: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Explain) -> Result<Exit> {
    match (&args.name, args.format) {
        (None, Format::Json) => {
            let rules: Vec<Value> = RULES.iter().map(|rule| of_rule(rule.about().name)).collect();
            let causes: Vec<Value> = CAUSES.iter().map(|cause| of_cause(cause.page().id)).collect();
            let all = json!({ "schema": 1, "rules": rules, "causes": causes });
            out!("{}", serde_json::to_string_pretty(&all)?);
        }
        (None, Format::Text) => list(),
        (Some(name), format) => {
            if rule(name).is_none() && causes::cause(name).is_none() {
                return Err(Usage(unknown(name)).into());
            }
            match format {
                Format::Json => {
                    let page = if rule(name).is_some() { of_rule(name) } else { of_cause(name) };
                    out!("{}", serde_json::to_string_pretty(&page)?);
                }
                Format::Text => page(name),
            }
        }
    }
    Ok(Exit::Same)
}

fn list() {
    let rules = RULES.iter().map(|rule| rule.about().name.len());
    let width = rules.chain(CAUSES.iter().map(|cause| cause.page().id.len())).max().unwrap_or(0);
    out!("rules: ways in which two images can differ");
    for about in RULES.iter().map(|rule| rule.about()) {
        out!("  {:<width$}  {:<15}  {}", about.name, about.severity.to_string(), about.question);
    }
    out!("causes: why they do, in the order in which they are asked");
    for page in CAUSES.iter().map(|cause| cause.page()) {
        out!("  {:<width$}  {:<15}  {}", page.id, page.severity.to_string(), page.title);
    }
}

fn page(name: &str) {
    if let Some(rule) = rule(name) {
        let about = rule.about();
        out!("{} · rule · {} at most\n", about.name, about.severity);
        out!("  {}\n", about.question);
        out!("  shows  {}", about.prints);
        let fields: Vec<&str> = rule.config_fields().iter().chain(rule.top_fields()).copied().collect();
        if !fields.is_empty() {
            out!("  of     {}", fields.join(", "));
        }
        out!("  ignore --ignore rule={}", about.name);
    }
    if let Some(cause) = causes::cause(name) {
        let page = cause.page();
        out!("{} · cause · {}\n", page.id, page.severity);
        out!("  {}.\n", page.title);
        for (head, text) in [("what", page.what), ("how", page.how), ("fix", page.fix)] {
            out!("{}", wrapped(head, text));
        }
        out!("  ignore --ignore cause={}", page.id);
    }
}

/// A paragraph beside its head, at most a hundred columns wide.
fn wrapped(head: &str, text: &str) -> String {
    let mut lines = vec![format!("  {head:<6}")];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is a first line");
        if last.chars().count() + word.chars().count() >= 100 {
            lines.push(format!("        {word}"));
        } else {
            last.push(' ');
            last.push_str(word);
        }
    }
    lines.join("\n")
}

fn of_rule(name: &str) -> Value {
    rule(name).map_or(Value::Null, |rule| {
        let about = rule.about();
        json!({ "kind": "rule", "id": about.name, "severity": about.severity.to_string(), "question": about.question, "prints": about.prints })
    })
}

fn of_cause(id: &str) -> Value {
    causes::cause(id).map_or(Value::Null, |cause| {
        let page = cause.page();
        json!({
            "kind": "cause",
            "id": page.id,
            "severity": page.severity.to_string(),
            "title": page.title,
            "what": page.what,
            "how": page.how,
            "fix": page.fix,
        })
    })
}

/// A name that is neither, with those that look like it.
fn unknown(name: &str) -> String {
    let known = RULES.iter().map(|rule| rule.about().name).chain(CAUSES.iter().map(|cause| cause.page().id));
    let part = name.split(['-', '_']).next().unwrap_or(name);
    let like: Vec<&str> = known.filter(|known| !part.is_empty() && known.contains(part)).collect();
    let like = if like.is_empty() { String::new() } else { format!("; there are {}", like.join(", ")) };
    format!("find a rule or a cause called `{name}`{like}; `samebuild explain --list` lists them")
}
