//! Goldens: what a builder did with a case, as a text that a person reviews in a diff, one line an entry.
//!
//! Capturing ([`Normaliser`]) turns an [`crate::Image`] into a [`Record`] from which everything that belongs to one
//! run, one machine or the base image is gone; printing (`Display` of [`Observation`]) and [`Observation::parse`]
//! are each other's inverse. Where goldens lie and who may write them is `samebuild`'s affair; what two of them
//! differ in is `samebuild-compare`'s.
//!
//! ```text
//! seen-by: classic@20.10
//! builder: Docker Engine 20.10.24, classic builder, overlay2
//! platform: linux/amd64
//! outcome: built
//! base: samebuild.test/base:1 (1 layer)
//!
//! layer 1
//!   dir      0755 0:0 now dst/
//!   file     0644 1000:1000 context dst/a 6 "hello\n"
//!   file     0755 0:0 base dst/tool =base:/bin/busybox
//!   symlink  0777 0:0 context dst/l -> a
//!
//! config
//!   Cmd: ["sh"]
//!
//! top
//!   architecture: "amd64"
//!
//! history
//!   1 {"created_by":"/bin/sh -c #(nop) COPY dir:<id> in /dst/ "}
//! ```

mod json;
mod mask;
mod normalise;
mod parse;
mod print;
mod quote;
mod record;
#[cfg(test)]
mod tests;

pub use json::compact as compact_json;
pub use mask::message as mask_message;
pub use normalise::{Base, Normaliser};
pub use parse::GoldenError;
pub use quote::{is_plain, quoted, short_text, text, word};
pub use record::{
    BaseLine, Body, Failure, Observation, Outcome, Record, Row, Stratum, UNCLASSIFIED, What, is_printable,
};
