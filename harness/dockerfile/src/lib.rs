//! The Dockerfile language: text in, instructions with byte spans out, as each builder reads it.
//!
//! [`Dockerfile::parse`] reads a file under a [`Syntax`], which says at every point where builders differ what
//! this one does; [`expand`] expands words, [`ignore`] and [`glob`] choose files of the context, [`plan`] says
//! which stages a target needs. What an instruction *does* is left to the builder.
//!
//! This crate is pure: no host path, process, socket, clock or randomness (`clippy.toml` enforces it), no
//! panic on any input, no order that depends on a hash.
#![warn(missing_docs)]

mod ast;
pub mod chmod;
mod csv;
pub mod decide;
mod directive;
pub mod duration;
mod error;
#[cfg(test)]
mod error_tests;
pub mod expand;
mod flags;
pub mod glob;
mod health;
mod heredoc;
pub mod ignore;
#[cfg(test)]
mod ignore_tests;
mod json;
mod keyword;
mod known;
mod lex;
mod lines;
pub mod mount;
mod onbuild;
mod outline;
mod parse;
#[cfg(test)]
mod parse_tests;
mod pattern;
pub mod plan;
#[cfg(test)]
mod plan_tests;
pub mod ports;
mod print;
mod quote;
mod raw;
pub mod remote;
pub mod signal;
mod span;
mod suggest;
pub mod syntax;
mod typed;
mod words;

pub use ast::*;
pub use decide::{Decision, UnknownDecision, Variant};
pub use directive::detect_frontend;
pub use error::{Class, SyntaxError};
pub use heredoc::Heredoc;
pub use keyword::Keyword;
pub use parse::trigger as parse_trigger;
pub use quote::go_quote;
pub use span::{Position, Span, position};
pub use syntax::Syntax;
pub use words::Word;
