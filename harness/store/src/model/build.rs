//! Answers: how does the engine in memory build? It looks in its cache, then names the result: two turns, and
//! a delete may come in between, which a real classic build answers with an error.

use crate::engine::{Answer, Build, EngineError};
use crate::model::ModelEngine;
use crate::names::ImageId;

impl ModelEngine {
    pub(crate) async fn build_steps(&self, request: Build) -> Answer<ImageId> {
        let epoch = self.begin().await;
        let cached = self.world().cached(request);
        let id = match cached {
            Some(id) => {
                self.floor.say(|| format!("builds: the cache has {id}"));
                id
            }
            None => {
                let id = self.world().add(request.content);
                let world = self.world();
                self.ledger.built(&world, id);
                self.floor.say(|| format!("builds a new image {id}"));
                id
            }
        };
        self.floor.see(&id);
        self.proceed(epoch).await?;
        if !self.world().exists(id) {
            return self.answer(Err(EngineError::CacheVanished(id)));
        }
        self.world().name(id, request.name);
        self.ledger.named(&self.world(), request.name, id);
        self.floor.say(|| format!("tags {id} as {}", request.name));
        self.answer(Ok(id))
    }
}

impl super::World {
    /// The newest existing image of equal content.
    fn cached(&self, request: Build) -> Option<ImageId> {
        let hit = |image: &super::world::Image| image.exists && image.content == request.content;
        let at = self.images.iter().rposition(hit)?;
        Some(ImageId(u32::try_from(at).unwrap_or(u32::MAX)))
    }
}
