//! The reference builder: builds a Dockerfile as one named builder at one version would.
//!
//! COPY, WORKDIR and metadata are computed on the [`samebuild_image::Tree`]; only RUN touches a disk, and needs root or a user namespace. An
//! independent oracle: it knows nothing of comparing.

mod build;
pub mod cache;
mod config;
mod context;
pub mod delta;
pub mod dialect;
pub mod disk;
mod erofs;
mod failure;
pub mod fetch;
mod finish;
mod framing;
mod from;
mod history;
mod materialise;
mod named;
mod pace;
mod platform;
mod request;
mod rootfs;
pub mod roots;
pub mod sandbox;
mod session;
pub mod snapshot;
mod stage;
pub mod stamp;
mod steps;
pub mod unpacked;
mod users;
pub mod witness;

pub use build::{build, build_into};
pub use dialect::{DIALECTS, Dialect};
pub use fetch::{Fetch, FetchError, Fetched};
pub use pace::{Pace, Ticks};
pub use platform::{own_platform, platform_of};
pub use request::{
    BuildError, Built, Event, Failure, Images, Network, NotFound, OwnIgnore, Request, Step, Trust, Wanted,
};
pub use stamp::Stamp;
pub use witness::Unrecorded;
