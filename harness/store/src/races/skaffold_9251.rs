//! B is the newest image, A an older one; A's sources are built again, the cache hits, and the ID the build
//! returns is on the list of the prune that runs beside it.

use crate::races::{Part, Race, Role, one_a_second, part, pass, request};

pub(super) const RACE: Race = Race {
    id: "skaffold-9251",
    about: "the image a cached rebuild returns is on the list of the prune that runs beside it",
    origin: "GoogleContainerTools/skaffold#9251",
    cast: &CAST,
    setup: |world, old| one_a_second(world, old.max(1)),
    survivors: &["sync", "fence", "generation"],
};

const CAST: [Part; 3] = [
    part("pruner", Role::Prune(pass(0, Some(0)))),
    part("builder", Role::Build(request(0, 0, Some(0)))),
    part("deploy", Role::Deploy { build: 0 }),
];
