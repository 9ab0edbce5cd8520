//! Answers: how does the engine in memory take a request? Each request asks for the floor, then makes one
//! atomic change; those that span several turns are in `build`, `delete` and `prune`.

use std::cell::{RefCell, RefMut};
use std::hash::Hash;
use std::rc::Rc;

use crate::engine::{Answer, Build, Call, Container, Delete, Deleted, Engine, EngineError, Summary};
use crate::floor::{Floor, Guard};
use crate::invariants::Ledger;
use crate::model::World;
use crate::names::{ImageId, Name, Reference, Repository};

/// The engine in memory. Cheap to clone; clones share one world.
#[derive(Clone)]
pub struct ModelEngine {
    pub(crate) floor: Rc<Floor>,
    pub(crate) world: Rc<RefCell<World>>,
    pub(crate) ledger: Rc<Ledger>,
}

impl ModelEngine {
    /// An engine in the state `world`, whose requests take their turns on `floor` and whose deeds are noted
    /// in `ledger`.
    pub fn new(floor: Rc<Floor>, world: Rc<RefCell<World>>, ledger: Rc<Ledger>) -> ModelEngine {
        ModelEngine { floor, world, ledger }
    }

    /// The daemon restarts, in one turn.
    pub async fn restart(&self) {
        self.begin().await;
        self.world().restart();
        self.floor.say(|| "the daemon restarts".into());
    }

    /// The first turn of a request.
    pub(crate) async fn begin(&self) -> u8 {
        self.floor.turn(Guard::Always).await;
        self.world().epoch
    }

    /// A further turn of the request begun in `epoch`.
    pub(crate) async fn proceed(&self, epoch: u8) -> Answer<()> {
        self.floor.next_step().await;
        let lost = self.world().epoch != epoch;
        self.floor.see(&lost);
        if lost {
            self.floor.say(|| EngineError::ConnectionLost.to_string());
            return Err(EngineError::ConnectionLost);
        }
        Ok(())
    }

    pub(crate) fn world(&self) -> RefMut<'_, World> {
        self.world.borrow_mut()
    }

    /// Notes what the client learns, and passes it on.
    pub(crate) fn answer<T: Hash>(&self, answer: Answer<T>) -> Answer<T> {
        self.floor.see(&answer);
        if let Err(error) = &answer {
            self.floor.say(|| error.to_string());
        }
        answer
    }

    async fn tag_steps(&self, id: ImageId, name: Name) -> Answer<()> {
        let epoch = self.begin().await;
        if !self.world().exists(id) {
            return self.answer(Err(EngineError::NoSuchImage(Reference::Id(id))));
        }
        self.floor.say(|| format!("asks to tag {id} as {name}: {id} is there"));
        self.proceed(epoch).await?;
        // No second look: 54 of 150 measured tags were answered 201 for an image that was gone.
        self.world().name(id, name);
        self.ledger.named(&self.world(), name, id);
        self.floor.say(|| format!("tags {id} as {name}"));
        self.answer(Ok(()))
    }
}

impl Engine for ModelEngine {
    fn list(&self, repository: Repository) -> Call<'_, Answer<Vec<Summary>>> {
        Box::pin(async move {
            self.begin().await;
            let list = self.world().list(repository);
            self.floor.say(|| format!("lists {repository}: {}", letters(list.iter().map(|image| image.id))));
            self.answer(Ok(list))
        })
    }

    fn inspect(&self, id: ImageId) -> Call<'_, Answer<Summary>> {
        Box::pin(async move {
            self.begin().await;
            self.floor.say(|| format!("inspects {id}"));
            let found = self.world().exists(id);
            let missing = EngineError::NoSuchImage(Reference::Id(id));
            let answer = if found { Ok(self.world().summary(id)) } else { Err(missing) };
            self.answer(answer)
        })
    }

    fn resolve(&self, name: Name) -> Call<'_, Answer<ImageId>> {
        Box::pin(async move {
            self.begin().await;
            self.floor.say(|| format!("resolves {name}"));
            let reference = Reference::Name(name);
            let found = self.world().find(reference);
            self.answer(found.ok_or(EngineError::NoSuchImage(reference)))
        })
    }

    fn containers(&self) -> Call<'_, Answer<Vec<Container>>> {
        Box::pin(async move {
            self.begin().await;
            let containers = self.world().containers.clone();
            self.floor.say(|| {
                format!(
                    "lists containers: of {}",
                    letters(containers.iter().map(|container| container.image))
                )
            });
            self.answer(Ok(containers))
        })
    }

    fn disk_usage(&self) -> Call<'_, Answer<()>> {
        Box::pin(async move {
            self.begin().await;
            self.floor.say(|| "asks for the disk usage".into());
            self.answer(Ok(()))
        })
    }

    fn build(&self, request: Build) -> Call<'_, Answer<ImageId>> {
        let engine = self.clone();
        Box::pin(self.floor.request(async move { engine.build_steps(request).await }))
    }

    fn tag(&self, id: ImageId, name: Name) -> Call<'_, Answer<()>> {
        let engine = self.clone();
        Box::pin(self.floor.request(async move { engine.tag_steps(id, name).await }))
    }

    fn delete(&self, target: Reference, options: Delete) -> Call<'_, Answer<Deleted>> {
        let engine = self.clone();
        Box::pin(self.floor.request(async move { engine.delete_steps(target, options).await }))
    }

    fn prune_all(&self) -> Call<'_, Answer<Deleted>> {
        let engine = self.clone();
        Box::pin(self.floor.request(async move { engine.prune_steps().await }))
    }

    fn create_container(&self, image: Reference, running: bool) -> Call<'_, Answer<()>> {
        Box::pin(async move {
            self.begin().await;
            let found = self.world().find(image);
            let Some(id) = found else {
                return self.answer(Err(EngineError::NoSuchImage(image)));
            };
            self.world().contain(image, id, running);
            self.floor.say(|| format!("runs a container from {image}"));
            self.answer(Ok(()))
        })
    }
}

/// `A, B, C`, or `none`.
pub(crate) fn letters(ids: impl Iterator<Item = ImageId>) -> String {
    let letters: Vec<String> = ids.map(|id| id.to_string()).collect();
    if letters.is_empty() { "none".into() } else { letters.join(", ") }
}
