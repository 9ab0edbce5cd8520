//! Is it the same? The matrix case × dialect, each held against what a real builder did: building, comparing, judging.
//! Who builds is `builders`', what two images differ in `samebuild-compare`'s, what is demanded of a whole run `gate`'s.

pub mod cached;
pub(crate) mod check;
pub(crate) mod crew;
mod divergence;
pub mod goldens;
pub mod judge;
pub mod repeat;
pub mod show;
pub mod show_why;
mod suite;
pub mod tally;
pub mod twice;
mod under;
mod verdict;
mod workshop;

pub use check::{Check, Found, Party, check, differences};
pub use suite::{CaseResult, Suite, origin, orphans};
pub(crate) use suite::{guarded, unmet};
pub use verdict::{Exit, Verdict};
pub use workshop::{NotHere, Workshop, dialects, open_engine, place_words};
