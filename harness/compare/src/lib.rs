//! Image × image → differences, as values.
//!
//! Two views are held against each other: layers, pair by pair, and the flattened file system; what only one of them
//! shows says so. Each way to differ is a [`Rule`], one file and one row of [`RULES`]; a rule speaks of its own kind of
//! difference only: a path that is missing is not also a content that differs.
//!
//! Rules do not know who built what, and nothing here tolerates anything: `case.toml`'s `known` is the judge's.
//! Why two images differ, from which instruction on, and what to do about it is a step of its own that takes these
//! differences as its input: [`explain()`] asks the rows of [`CAUSES`].
//!
//! Pure: contents arrive through [`samebuild_image::Source`]; equal digests are never opened.

mod belongings;
mod capability;
pub mod causes;
mod compare;
mod comparison;
pub mod container_diff;
mod contents;
mod difference;
mod explain;
pub mod ignore;
pub mod instructions;
mod options;
pub mod pairing;
pub mod peek;
pub mod planted;
mod rootfs;
pub mod rules;
pub mod scene;
pub mod side;
pub mod sieve;
mod stored;
mod stuff;
mod touched;

pub use causes::{CAUSES, Cause, Page};
pub use compare::{CompareError, compare, compare_outcome, compare_records};
pub use comparison::{Comparison, LayerShape, Shape, compare_images};
pub use contents::Contents;
pub use difference::{Difference, Entries, LayerNumber, Seen, Where, render};
pub use explain::{Explained, Finding, explain, explain_rows};
pub use options::Options;
pub use rules::{About, RULES, Rule, Severity};
pub use sieve::Hand;
pub use stored::compare_stored;
