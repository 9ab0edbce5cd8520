//! The command line and the harness: cases, builders, engines, faults, races, verdicts, report.
//! Effects on the world (disk, processes, sockets, clock) live in this crate and nowhere below it.

pub mod cases;
pub mod engines;
