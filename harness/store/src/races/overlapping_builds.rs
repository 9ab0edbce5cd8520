//! Two builds of one repository overlap, each of an older image's sources; the first one's prune spares what the
//! first one returned.

use crate::races::{Part, Race, Role, one_a_second, part, pass, request};
use crate::session::Request;

pub(super) const RACE: Race = Race {
    id: "overlapping-builds",
    about: "the prune of one build deletes what another build returns",
    origin: "measured: a fence evaluated for the previous build loses 40 of 40",
    cast: &CAST,
    setup: |world, old| one_a_second(world, old.max(2)),
    survivors: &["generation"],
};

const CAST: [Part; 5] = [
    part("pruner", Role::Prune(pass(0, Some(0)))),
    part("builder-0", Role::Build(request(0, 0, Some(0)))),
    part("builder-1", Role::Build(Request { tag: 1, ..request(1, 1, None) })),
    part("deploy-0", Role::Deploy { build: 0 }),
    part("deploy-1", Role::Deploy { build: 1 }),
];
