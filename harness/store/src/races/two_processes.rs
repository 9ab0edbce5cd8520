//! One process builds and prunes, another builds an older image's sources: no order within one process helps.

use crate::races::{Part, Race, Role, one_a_second, part, pass, request};
use crate::session::Request;

pub(super) const RACE: Race = Race {
    id: "two-processes",
    about: "the prune of one process deletes what a build of another process returns",
    origin: "GoogleContainerTools/skaffold#9251, two skaffolds on one daemon",
    cast: &CAST,
    setup: |world, old| one_a_second(world, old.max(1)),
    survivors: &["generation"],
};

const CAST: [Part; 4] = [
    part("pruner", Role::Prune(pass(0, Some(0)))),
    part("builder-0", Role::Build(request(0, 90, Some(0)))),
    Part { process: 1, ..part("builder-1", Role::Build(Request { tag: 1, ..request(1, 0, None) })) },
    Part { process: 1, ..part("deploy-1", Role::Deploy { build: 1 }) },
];
