//! What becomes of identical steps under a builder that looks at times: how many layers, by seed, against a model that
//! knows nothing of building. And what a snapshot by time or size loses that one by content keeps.

pub mod blind;
pub mod file_system;
mod law;
pub mod live;
pub mod loop_disk;
pub mod mapped;
pub mod places;
mod plot;
pub mod script;
mod trial;
pub mod ways;

pub use law::{Law, is_likely};
pub use plot::plot;
pub use trial::{Setting, Yard, kept, predicted};

/// Builders that look at no time: every COPY is a layer there, whatever the clock does.
pub const STEADY: [&str; 3] = ["kaniko@1.24", "classic@26.1", "buildkit@head"];

/// The builder whose layers depend on the clock.
pub const LAGGING: &str = "kaniko@pre-289";

/// A way to find what a RUN changed, and whether it sees a file of another content with its old size and time.
pub struct Sight {
    pub dialect: &'static str,
    /// A decision turned, as `--set` takes it.
    pub set: Option<(&'static str, &'static str)>,
    pub sees: bool,
}

/// All of them.
pub const SIGHTS: [Sight; 5] = [
    Sight { dialect: "kaniko@1.24", set: Some(("unpacked.mode", "full")), sees: true },
    Sight { dialect: "kaniko@1.24", set: Some(("unpacked.mode", "redo")), sees: false },
    Sight { dialect: "kaniko@1.24", set: Some(("unpacked.mode", "time")), sees: false },
    Sight { dialect: "classic@26.1", set: None, sees: true },
    Sight { dialect: "buildkit@head", set: None, sees: true },
];

impl Sight {
    /// In words: `full`, `overlay`, …
    pub fn name(&self) -> &'static str {
        match (self.set, self.dialect) {
            (Some((_, mode)), _) => mode,
            (None, "classic@26.1") => "overlay",
            (None, _) => "diff",
        }
    }
}
