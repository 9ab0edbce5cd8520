//! The races of `samebuild-store` on real engines (Docker's, and one of our own on disk): the same pruner, builder and deployer, over Docker's API.
//!
//! Only on engines we started: what is deleted there is ours. A trial runs freely, with rules of [`crate::proxy`] between
//! the actors and the engine, or turn by turn in an order that a seed chooses. What is raced and how a strategy works is
//! the store's affair; here is what it takes to do it for real, and to count.

mod cast;
pub mod deploy;
mod disk;
mod docker;
mod exec;
mod fat;
mod ground;
mod measure;
mod notes;
mod plot;
mod price;
mod set_up;
mod spelling;
mod trial;
mod window;

pub use disk::{DiskEngine, on_disk};
pub use docker::{DockerEngine, Facts};
pub use exec::{Exec, Survival, Survived, exec_record};
pub(crate) use ground::connect;
pub use ground::{Ground, LiveError};
pub use measure::{Count, DELAYS_MS, Pressure, Record, measure, record, record_many};
pub use plot::plot;
pub use price::{Price, price, price_record};
pub use spelling::Spelling;
pub use trial::{Fate, Outcome, turns};
pub use window::{Target, Window, window, window_record};
