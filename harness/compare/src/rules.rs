//! The ways in which two images can differ: a trait and a table. The row is the registration, the help text and the
//! order of reports.

use std::fmt;
use std::io;

use samebuild_image::golden::Outcome;

use crate::difference::{Difference, Entries, Where};
use crate::options::Options;
use crate::pairing::{Both, Places, Sides};

mod annotations;
mod cmd;
mod config_digest;
mod config_null;
mod config_other;
mod content;
mod created;
mod diff_id;
mod duplicate;
mod entrypoint;
mod env;
mod failure;
mod fields;
mod healthcheck;
mod history;
mod kind;
mod labels;
mod layer_count;
pub(crate) mod link;
mod listing;
mod media_type;
mod mode;
mod mtime;
mod onbuild;
mod order;
mod outcome;
mod owner;
mod owner_name;
mod packing;
mod path_form;
mod paths;
mod platform;
mod ports;
mod shell;
mod stop_signal;
mod tar_form;
mod user;
mod volumes;
mod workdir;
mod xattr;

/// Every rule.
pub const RULES: &[&dyn Rule] = &[
    &outcome::Outcomes,
    &failure::Failure,
    &layer_count::LayerCount,
    &paths::Paths,
    &duplicate::Duplicate,
    &kind::Kind,
    &content::Content,
    &link::Link,
    &mode::Mode,
    &owner::Owner,
    &owner_name::OwnerName,
    &mtime::Mtime,
    &xattr::Xattr,
    &path_form::PathForm,
    &order::Order,
    &tar_form::TarForm,
    &packing::Packing,
    &media_type::MediaType,
    &annotations::Annotations,
    &listing::Listed,
    &diff_id::DiffId,
    &platform::Platform,
    &env::Env,
    &cmd::Cmd,
    &entrypoint::Entrypoint,
    &user::User,
    &workdir::Workdir,
    &labels::Labels,
    &ports::Ports,
    &volumes::Volumes,
    &healthcheck::Healthcheck,
    &shell::Shell,
    &stop_signal::StopSignal,
    &onbuild::Onbuild,
    &config_other::ConfigOther,
    &config_null::ConfigNull,
    &history::History,
    &created::Created,
    &config_digest::ConfigDigest,
];

/// One way in which two images can differ. A rule implements the one method in whose argument it can see its kind of
/// difference; the others say nothing.
pub trait Rule: Sync {
    /// Name, question, weight.
    fn about(&self) -> About;

    /// The fields of `config` whose meaning is this rule's.
    fn config_fields(&self) -> &'static [&'static str] {
        &[]
    }

    /// The fields beside `config` whose meaning is this rule's.
    fn top_fields(&self) -> &'static [&'static str] {
        &[]
    }

    /// How two builds ended, where not both built.
    fn outcomes(&self, _left: &Outcome, _right: &Outcome, _found: &mut Findings) {}

    /// Two images as wholes.
    fn images(&self, _sides: &Sides<'_, '_>, _options: &Options, _found: &mut Findings) {}

    /// Two paired layers, or the flattened file systems.
    fn places(&self, _places: &Places<'_>, _options: &Options, _found: &mut Findings) {}

    /// A place that both have: what left and right have there, if that differs. An error where content is unreadable.
    fn entry(&self, _both: &Both<'_>, _options: &Options) -> io::Result<Option<(String, String)>> {
        Ok(None)
    }

    /// Whether `entry` makes sense of two different kinds of file. One rule does, so that no other needs to.
    fn across_kinds(&self) -> bool {
        false
    }
}

/// What to know about a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// As in `case.toml`, and as the file it lives in.
    pub name: &'static str,
    /// The question it answers, in one line.
    pub question: &'static str,
    pub severity: Severity,
    /// How it prints a side, by example.
    pub prints: &'static str,
}

/// What a difference of a rule can do to whoever runs the image; the heaviest that is usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Programs in the image may do something else.
    Behaviour,
    /// Somebody may be allowed something else.
    Security,
    /// Only digests change.
    Reproducibility,
    /// Only a reader of the metadata notices.
    Cosmetic,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Behaviour => "behaviour",
            Self::Security => "security",
            Self::Reproducibility => "reproducibility",
            Self::Cosmetic => "cosmetic",
        })
    }
}

/// The rule of that name.
pub fn rule(name: &str) -> Option<&'static dyn Rule> {
    RULES.iter().find(|rule| rule.about().name == name).copied()
}

/// Collects what one rule finds.
#[derive(Debug)]
pub struct Findings {
    rule: &'static str,
    found: Vec<Difference>,
}

impl Findings {
    pub(crate) fn new(rule: &'static str) -> Self {
        Self { rule, found: Vec::new() }
    }

    /// A difference at `at`.
    pub fn say(&mut self, at: Where, left: impl Into<String>, right: impl Into<String>) {
        self.say_of(at, left, right, Entries::default());
    }

    /// A difference at `at` between these entries.
    pub fn say_of(&mut self, at: Where, left: impl Into<String>, right: impl Into<String>, entries: Entries) {
        let (left, right) = (left.into(), right.into());
        self.found.push(Difference { rule: self.rule, at, left, right, seen: None, entries });
    }

    pub(crate) fn into_differences(self) -> Vec<Difference> {
        self.found
    }
}
