//! Faults: perturbations a builder must survive. A family: one file each and a row in [`FAULTS`]. What a fault does to a
//! build is compared elsewhere; here is only how it is installed, and that everything goes back when its guard drops.

pub mod lag;
pub mod mtime_lag;
pub mod passthrough;

/// A fault with its name.
#[derive(Debug)]
pub struct Fault {
    /// As `[[under]]` in a case.toml names it.
    pub id: &'static str,
    pub about: &'static str,
    /// The keys its `with` table takes.
    pub with: &'static [&'static str],
}

/// Every fault, in the order of reports.
pub const FAULTS: &[Fault] = &[Fault {
    id: "mtime-lag",
    about: "a changed file keeps its old modification time for a while",
    with: mtime_lag::KEYS,
}];

/// The names `[[under]]` accepts.
pub fn names() -> Vec<&'static str> {
    FAULTS.iter().map(|fault| fault.id).collect()
}
