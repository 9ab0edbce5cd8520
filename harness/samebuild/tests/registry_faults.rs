//! Pulls and pushes through a proxy that misbehaves, against a registry of a few lines; against Debian's, in
//! `registry_live.rs`. Nothing needs root, an engine or a network but loopback.

mod faulty;
#[expect(dead_code, reason = "tests of other files use the rest")]
mod place;
#[expect(dead_code, reason = "tests of other files use the rest")]
mod registry_server;

use registry_server::{Door, Server};

#[test]
fn a_registry_that_misbehaves_ends_in_the_right_image_or_in_a_clear_error_and_never_in_a_wrong_cache() {
    let server = Server::start(Door::Open);
    let wrong = faulty::try_all(&server.host);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
