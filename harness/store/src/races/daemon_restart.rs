//! The daemon restarts in the middle: requests are lost half-done, running containers stop, and the outcome of a
//! DELETE is unknown. A build may fail, but not lie; and what was half-deleted is deleted in the end.

use crate::races::{Part, Race, Role, one_a_second, part, pass, request};

pub(super) const RACE: Race = Race {
    id: "daemon-restart",
    about: "the daemon restarts between any two turns of a prune and a build",
    origin: "a DELETE cut off after it removed the names, before it removed the image",
    cast: &CAST,
    setup: |world, old| one_a_second(world, old.max(1)),
    survivors: &["generation"],
};

const CAST: [Part; 4] = [
    part("pruner", Role::Prune(pass(0, Some(0)))),
    part("builder", Role::Build(request(0, 0, Some(0)))),
    part("deploy", Role::Deploy { build: 0 }),
    part("daemon", Role::Restart),
];
