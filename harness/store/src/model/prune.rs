//! Answers: what does `POST /images/prune` with `dangling=false` do? Per reference in graphdriver mode, where a
//! conflict skips it; by name in containerd mode, where only references the store understands are excluded:
//! the exact name a container was created by and, since moby #45839, IDs, short or full, and retagged ones.
//!
//! Measured on 20.10, 75ee002 (before #45839), a61494e and 26.1.5. What stays broken after #45839: a container
//! by digest, and one by a tag that was removed while another tag remains.

use crate::engine::{Answer, Deleted, EngineError};
use crate::model::{Mode, ModelEngine, World};
use crate::names::{ImageId, Name, Reference};

impl ModelEngine {
    pub(crate) async fn prune_steps(&self) -> Answer<Deleted> {
        let epoch = self.begin().await;
        if std::mem::replace(&mut self.world().pruning, true) {
            return self.answer(Err(EngineError::PruneRunning));
        }
        let all = self.world().prune_candidates();
        self.floor.see(&all);
        self.floor.say(|| format!("image prune --all: looks at {} names and images", all.len()));
        let mut gone = Deleted::default();
        for (name, id) in all {
            self.proceed(epoch).await?;
            self.prune_one(name, id, &mut gone);
        }
        self.world().pruning = false;
        self.answer(Ok(gone))
    }

    fn prune_one(&self, name: Option<Name>, id: ImageId, gone: &mut Deleted) {
        let verdict = match name {
            Some(name) => self.world().prune_verdict(name, id),
            None => self.world().prune_verdict_of_nameless(id),
        };
        self.floor.see(&verdict);
        let what = || name.map_or_else(|| format!("the dangling {id}"), |name| name.to_string());
        if let Verdict::Keep = verdict {
            self.floor.say(|| format!("image prune keeps {}", what()));
            return;
        }
        self.floor.say(|| format!("image prune removes {}", what()));
        if let Some(name) = name {
            self.world().unname(name);
            gone.names.push(name);
        }
        match verdict {
            Verdict::Unname { dangling } => self.world().images[id.0 as usize].dangling |= dangling,
            _ => {
                self.remove(id);
                self.floor.say(|| format!("deletes {id}"));
                gone.images.push(id);
            }
        }
    }
}

#[derive(Hash)]
enum Verdict {
    Keep,
    Unname { dangling: bool },
    Delete,
}

impl World {
    /// Every name with its image, then the existing images without a name.
    fn prune_candidates(&self) -> Vec<(Option<Name>, ImageId)> {
        let named = self.names.iter().map(|(name, id)| (Some(*name), *id));
        let ids = (0_u32..).zip(&self.images).filter(|(_, image)| image.exists).map(|(n, _)| ImageId(n));
        let nameless = ids.filter(|id| self.names_of(*id).next().is_none()).map(|id| (None, id));
        named.chain(nameless).collect()
    }

    fn prune_verdict_of_nameless(&self, id: ImageId) -> Verdict {
        let kept = match self.mode {
            Mode::Graphdriver => self.conflict(id, 0, false).is_some(),
            Mode::Containerd => !self.before_45839 && self.has_container(id),
        };
        if kept || !self.exists(id) { Verdict::Keep } else { Verdict::Delete }
    }

    fn prune_verdict(&self, name: Name, id: ImageId) -> Verdict {
        if self.target(name) != Some(id) || !self.exists(id) {
            return Verdict::Keep;
        }
        let last = self.names_of(id).count() == 1;
        match self.mode {
            Mode::Graphdriver if last && self.conflict(id, 1, false).is_some() => Verdict::Keep,
            Mode::Graphdriver if last => Verdict::Delete,
            Mode::Graphdriver => Verdict::Unname { dangling: false },
            Mode::Containerd => self.prune_verdict_in_containerd(name, id, last),
        }
    }

    fn prune_verdict_in_containerd(&self, name: Name, id: ImageId, last: bool) -> Verdict {
        if self.containers.iter().any(|container| container.reference == Reference::Name(name)) {
            return Verdict::Keep;
        }
        if !last {
            return Verdict::Unname { dangling: false };
        }
        if self.images[id.0 as usize].dangling || (!self.before_45839 && self.used_by_id(id)) {
            return Verdict::Unname { dangling: true };
        }
        Verdict::Delete
    }

    /// A container by full or short ID: what #45839 taught the store to see.
    fn used_by_id(&self, id: ImageId) -> bool {
        self.containers.iter().any(|container| {
            container.image == id && matches!(container.reference, Reference::Id(_) | Reference::ShortId(_))
        })
    }
}
