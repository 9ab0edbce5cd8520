//! The command line and the harness: cases, builders, engines, faults, races, verdicts, report.
//! Effects on the world (disk, processes, sockets, clock) live in this crate and nowhere below it.

pub mod artifacts;
pub mod bases;
pub mod bench;
pub mod builders;
pub mod cases;
pub mod checkout;
pub mod cli;
pub mod conform;
pub mod dialects;
pub mod engines;
pub mod factors;
pub mod faults;
pub mod fetch;
pub mod files;
pub mod gate;
pub mod held;
pub mod images;
pub mod lag;
mod operands;
pub mod programs;
pub mod proxy;
pub mod prune;
pub mod races;
pub mod report;
pub mod scratch;
pub mod served;
pub mod step_costs;
pub mod stored;
pub mod tag;
pub mod tell;
pub mod unprivileged;
