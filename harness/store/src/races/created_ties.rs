//! Every image has the same creation time, as ko, jib, bazel and buildpacks make them: which one counts as the
//! newest is arbitrary, so building the current sources again is enough.

use crate::names::{Content, Name};
use crate::races::{APP, Part, Race, Role, part, pass, request};

pub(super) const RACE: Race = Race {
    id: "created-ties",
    about: "images created in the same second: the prune's list has the current one",
    origin: "GoogleContainerTools/skaffold pkg/skaffold/build/local/prune.go, sort by Created",
    cast: &CAST,
    setup: |world, _| {
        for n in 0..2 {
            let id = world.add_created(Content(n), 0);
            world.name(id, Name::unique(APP, id));
            world.name(id, Name::policy(APP, 0));
        }
    },
    survivors: &["sync", "fence", "generation"],
};

const CAST: [Part; 3] = [
    part("pruner", Role::Prune(pass(0, Some(0)))),
    part("builder", Role::Build(request(0, 1, Some(0)))),
    part("deploy", Role::Deploy { build: 0 }),
];
