//! The command line and the harness: cases, builders, engines, faults, races, verdicts, report.
//! Effects on the world (disk, processes, sockets, clock) live in this crate and nowhere below it.

pub mod bases;
pub mod cases;
pub mod cli;
pub mod conform;
pub mod engines;
pub mod files;
pub mod gate;
