//! Why two images differ: a trait and a table. The row is the registration, the order in which causes are asked (roots
//! before consequences, the particular before the general) and the order of `samebuild explain --list`.
//!
//! A cause claims rows; who asks whom, what becomes one finding and which instruction it is of is [`crate::explain`]'s
//! affair. The last causes of the table claim what nobody else can explain, so that no row is left without a finding.

use crate::peek::Peek;
use crate::rules::Severity;
use crate::scene::{Row, Scene};

mod accounts;
mod archives;
mod caches;
mod commands;
mod compiled;
mod entries;
mod environment;
mod files;
mod history;
mod identity;
mod kinds;
mod layers;
mod logs;
mod manifests;
mod modes;
mod outcome;
mod owners;
mod packages;
mod platforms;
mod python;
mod settings;
mod spellings;
mod tar;
mod text;
mod times;
mod whiteouts;
mod xattrs;

/// Every cause.
pub const CAUSES: &[&dyn Cause] = &[
    &outcome::Outcome,
    &platforms::Platform,
    &platforms::Listed,
    &whiteouts::Missing,
    &whiteouts::Opaque,
    &whiteouts::Nothing,
    &whiteouts::Dress,
    &layers::Empty,
    &layers::Split,
    &layers::Moved,
    &entries::Parents,
    &layers::Repeated,
    &entries::Order,
    &entries::Duplicate,
    &tar::Spelling,
    &tar::Encoding,
    &tar::Bytes,
    &tar::Sparse,
    &tar::Form,
    &identity::Key,
    &identity::MachineId,
    &identity::RuntimeFile,
    &logs::Log,
    &caches::LinkerCache,
    &caches::PackageLists,
    &caches::DerivedCache,
    &accounts::LastChange,
    &accounts::Salt,
    &packages::Versions,
    &packages::Database,
    &python::Compiled,
    &archives::Times,
    &archives::Recompressed,
    &archives::Members,
    &compiled::BuildId,
    &text::LineEnds,
    &text::Reordered,
    &compiled::Date,
    &compiled::BuildPath,
    &packages::Files,
    &files::Changed,
    &files::OneSided,
    &kinds::Kind,
    &kinds::Device,
    &kinds::LinkText,
    &kinds::Carrier,
    &kinds::Copied,
    &modes::SetId,
    &modes::Umask,
    &modes::Mode,
    &owners::IdMap,
    &owners::NotChanged,
    &owners::Owner,
    &owners::Names,
    &xattrs::Capability,
    &xattrs::HostLabel,
    &xattrs::Xattr,
    &times::MountPoint,
    &times::SubSecond,
    &times::Clamp,
    &times::Shift,
    &times::Run,
    &times::Checkout,
    &times::Other,
    &times::Clock,
    &environment::Order,
    &environment::Path,
    &environment::Variable,
    &commands::Form,
    &commands::Command,
    &settings::BuilderLabel,
    &settings::Label,
    &settings::UserForm,
    &settings::WorkdirForm,
    &settings::Port,
    &settings::Health,
    &settings::Setting,
    &spellings::ArgsEscaped,
    &spellings::Nothing,
    &spellings::Unknown,
    &history::Wording,
    &history::Count,
    &manifests::Annotation,
    &manifests::Referrer,
    &manifests::Described,
    &manifests::MediaType,
    &manifests::Packing,
    &manifests::Digest,
];

/// One reason for which images differ. It implements the one method in whose arguments it can see that.
pub trait Cause: Sync {
    /// What to know about it.
    fn page(&self) -> &'static Page;

    /// Rows that it explains by looking at several at once. Asked first, of the rows that nobody above explains.
    fn groups(&self, _scene: &Scene<'_>, _open: &[Row<'_>]) -> Vec<Claim> {
        Vec::new()
    }

    /// Whether it explains this row, and what there is to say of it: rows of which it says the same are one finding.
    fn row(&self, _scene: &Scene<'_>, _row: Row<'_>) -> Option<String> {
        None
    }

    /// Whether it explains that the content of this file is another one. `peek` is what is in it, where that can be read.
    fn content(&self, _scene: &Scene<'_>, _row: Row<'_>, _peek: Option<&Peek>) -> Option<Said> {
        None
    }
}

/// What a person should know about a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// As in `samebuild explain ID` and `--ignore cause=ID`; kebab-case, no rule's name.
    pub id: &'static str,
    /// One line, no full stop.
    pub title: &'static str,
    /// What it can do to whoever runs the image.
    pub severity: Severity,
    /// What it is.
    pub what: &'static str,
    /// How it comes about.
    pub how: &'static str,
    /// What to try, the surest first.
    pub fix: &'static str,
}

/// Rows that one cause explains together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Numbers of rows.
    pub rows: Vec<usize>,
    /// Rows that differ only because of these; shown as consequences, never as findings of their own.
    pub consequences: Vec<usize>,
    /// What is particular here: `every time is 3600 s later`. May be empty.
    pub said: String,
}

/// What there is to say of a content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// As [`Claim::said`]: contents of which the same is said are one finding.
    pub all: String,
    /// Of this content alone.
    pub this: String,
}

impl Said {
    fn nothing() -> Self {
        Self::default()
    }

    fn all(text: impl Into<String>) -> Self {
        Self { all: text.into(), this: String::new() }
    }

    fn this(text: impl Into<String>) -> Self {
        Self { all: String::new(), this: text.into() }
    }
}

/// The cause of that id.
pub fn cause(id: &str) -> Option<&'static dyn Cause> {
    CAUSES.iter().find(|cause| cause.page().id == id).copied()
}
