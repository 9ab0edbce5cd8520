//! Ctrl-C while a DELETE is in flight: the client goes, the daemon completes it, and by then the next run has
//! built and named the image.

use crate::floor::Signal;
use crate::races::{Part, Race, Role, one_a_second, part, pass, request};

pub(super) const RACE: Race = Race {
    id: "ctrl-c",
    about: "a cancelled prune's DELETE is completed by the daemon under the next run's build",
    origin: "GoogleContainerTools/skaffold: cancelling aborts the HTTP client only",
    cast: &CAST,
    setup: |world, old| one_a_second(world, old.max(1)),
    survivors: &["generation"],
};

const CAST: [Part; 5] = [
    part("pruner", Role::Prune(pass(0, None))),
    part("builder-0", Role::Build(request(0, 90, Some(0)))),
    part("ctrl-c", Role::Cancel(&[0, 1])),
    Part { process: 1, after: Some(Signal::Cue(0)), ..part("builder-1", Role::Build(request(1, 0, None))) },
    Part { process: 1, ..part("deploy-1", Role::Deploy { build: 1 }) },
];
