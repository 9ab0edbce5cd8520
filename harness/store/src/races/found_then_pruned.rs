//! The artifact cache looks, says found, and the prune deletes the image before it is named or deployed.

use crate::races::{A, Part, Race, Role, one_a_second, part, pass, request};

pub(super) const RACE: Race = Race {
    id: "found-then-pruned",
    about: "the artifact cache reports an image that the prune deletes before it is used",
    origin: "GoogleContainerTools/skaffold#7710",
    cast: &CAST,
    setup: |world, old| one_a_second(world, old.max(1)),
    survivors: &["sync", "generation"],
};

const CAST: [Part; 3] = [
    part("pruner", Role::Prune(pass(0, None))),
    part("builder", Role::Find(request(0, 0, Some(0)), A)),
    part("deploy", Role::Deploy { build: 0 }),
];
