//! `image prune --all` among containers created by full ID, by short ID, by digest, and by a tag that has since
//! been removed or moved. The graphdriver store keeps them all; the containerd store lost the first two before
//! moby #45839, and still loses a container by digest and one whose tag was removed while another remains.

use crate::names::{Content, Name, Reference};
use crate::races::{APP, Part, Race, Role, part, pass};
use crate::session::{Pass, Victims};

pub(super) const RACE: Race = Race {
    id: "prune-all",
    about: "image prune --all among containers by ID, by digest, and by a tag removed since",
    origin: "moby/moby#45839, #48076",
    cast: &CAST,
    setup: |world, _| {
        let references: [fn(crate::names::ImageId) -> Reference; 4] = [
            Reference::Id,
            Reference::ShortId,
            |id| Reference::Digest(APP, id),
            |_| Reference::Name(Name::policy(APP, 9)),
        ];
        for (n, reference) in (0..).zip(references) {
            let id = world.add(Content(n));
            world.name(id, Name::policy(APP, n));
            world.contain(reference(id), id, n % 2 == 0);
        }
        let unused = world.add(Content(8));
        world.name(unused, Name::policy(APP, 8));
    },
    survivors: &["generation"],
};

const CAST: [Part; 1] =
    [part("pruner", Role::Prune(Pass { victims: Victims::Unused, keep: 0, ..pass(0, None) }))];
