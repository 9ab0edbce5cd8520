//! Two repositories, one content: the build of `web` gets the ID that the prune of `app` has on its list. No fence
//! around builds of `app` sees it; only a lock on the image and a second look do.

use crate::races::{Part, Race, Role, WEB, one_a_second, part, pass, request};
use crate::session::Request;

pub(super) const RACE: Race = Race {
    id: "shared-id",
    about: "another repository's build returns an image that this repository's prune deletes",
    origin: "GoogleContainerTools/skaffold#9251, two projects with equal sources",
    cast: &CAST,
    setup: |world, old| one_a_second(world, old.max(1)),
    survivors: &["generation"],
};

const CAST: [Part; 3] = [
    part("pruner", Role::Prune(pass(0, None))),
    part("builder", Role::Build(Request { repository: WEB, ..request(0, 0, None) })),
    part("deploy", Role::Deploy { build: 0 }),
];
