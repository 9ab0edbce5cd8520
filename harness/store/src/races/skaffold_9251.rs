//! The race of skaffold #9251: B is the newest image, A an older one; A's sources are built again, the cache
//! hits, and the ID the build returns is on the list of the prune that runs beside it.

use crate::names::{Content, Name, Repository};
use crate::races::{Part, Race, Role};
use crate::session::{Pass, Request, Victims};

const APP: Repository = Repository(0);

pub(super) const RACE: Race = Race {
    id: "skaffold-9251",
    about: "the image a cached rebuild returns is on the list of the prune that runs beside it",
    origin: "GoogleContainerTools/skaffold#9251",
    cast: &[
        Part {
            name: "pruner",
            role: Role::Prune(Pass {
                number: 0,
                repository: APP,
                keep: 1,
                build: 0,
                victims: Victims::Older,
            }),
            process: 0,
        },
        Part {
            name: "builder",
            role: Role::Build(Request {
                number: 0,
                content: Content(0),
                repository: APP,
                tag: 0,
                pass: Some(0),
            }),
            process: 0,
        },
        Part { name: "deploy", role: Role::Deploy { build: 0 }, process: 0 },
    ],
    setup: |world, old| {
        // The oldest is A, what will be built again; the newest has the policy tag.
        for n in 0..=u16::from(old.max(1)) {
            let id = world.add(Content(n));
            world.name(id, Name::unique(APP, id));
            world.name(id, Name::policy(APP, 0));
        }
    },
};
