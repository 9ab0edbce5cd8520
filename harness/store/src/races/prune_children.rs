//! Deleting A with its parents takes an untagged parent P, which a build has just got from the cache. Only the
//! graphdriver store keeps parents.

use crate::names::{Content, ImageId};
use crate::races::{A, Part, Race, Role, one_a_second, part, pass, request};

pub(super) const RACE: Race = Race {
    id: "prune-children",
    about: "a delete takes the untagged parent that a build has just got from the cache",
    origin: "GoogleContainerTools/skaffold --no-prune-children",
    cast: &CAST,
    setup: |world, _| {
        one_a_second(world, 1);
        let parent: ImageId = world.add_created(PARENT, 1);
        world.set_parent(A, parent);
    },
    survivors: &["sync", "generation"],
};

const PARENT: Content = Content(7);

const CAST: [Part; 3] = [
    part("pruner", Role::Prune(pass(0, None))),
    part("builder", Role::Build(request(0, PARENT.0, Some(0)))),
    part("deploy", Role::Deploy { build: 0 }),
];
