//! The dev loop builds B where A was, and prunes the image it replaced, A; then the user undoes the edit, and the
//! cache gives A again while its delete is still queued.

use crate::floor::Signal;
use crate::races::{A, Part, Race, Role, one_a_second, part, pass, request};
use crate::session::{Pass, Victims};

pub(super) const RACE: Race = Race {
    id: "dev-loop",
    about: "an edit is undone while the image it had replaced is being pruned",
    origin: "GoogleContainerTools/skaffold#8897, #9787",
    cast: &CAST,
    setup: |world, _| one_a_second(world, 0),
    survivors: &["sync", "generation"],
};

const PREVIOUS: Pass = Pass { victims: Victims::Previous(A), ..pass(0, Some(0)) };

const CAST: [Part; 4] = [
    part("edit", Role::Build(request(0, 1, None))),
    Part { after: Some(Signal::Built(0)), ..part("pruner", Role::Prune(PREVIOUS)) },
    Part { after: Some(Signal::Built(0)), ..part("undo", Role::Build(request(1, 0, Some(0)))) },
    part("deploy", Role::Deploy { build: 1 }),
];
