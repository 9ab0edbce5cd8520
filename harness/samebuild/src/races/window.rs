//! The engine's own window: the last name of an image is deleted while the image gets another name. Whichever the engine
//! does first, an answer of success to the second can only mean that the name stands. No client's protocol helps where
//! that is broken, but for `generation`'s: look again, and build again.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use samebuild_store::engine::{Build, Delete, Engine as _, EngineError};
use samebuild_store::floor::Floor;
use samebuild_store::names::{Content, Name, Reference, Repository};

use super::docker::DockerEngine;
use super::ground::{Ground, LiveError, REPOSITORIES, connect};
use super::measure::Record;
use super::spelling::Spelling;

/// What the DELETE names; never with force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Name,
    Id,
}

/// What came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    pub trials: usize,
    /// The name was given with success, and does not stand for the image: no order of the two allows that.
    pub illegal: usize,
    /// The image was gone before it could get the name.
    pub refused: usize,
    /// The name stands.
    pub stands: usize,
}

const REPOSITORY: Repository = Repository(0);
/// Contents of their own, so that no build is another's.
const FIRST_CONTENT: u16 = 1000;

/// Races the two requests `trials` times, one a little before the other in turn.
///
/// # Errors
/// A build fails, or the engine answers with something else than success, conflict or no such image.
pub fn window(ground: &Ground, target: Target, trials: u16) -> Result<Window, LiveError> {
    ground.runtime.block_on(async {
        let spelling = Rc::new(RefCell::new(Spelling::new(&REPOSITORIES)));
        let engine = DockerEngine::new(connect(ground.socket()).await?, Floor::free(), spelling);
        let broken = |what: &str, error: EngineError| LiveError::Api {
            what: what.to_owned(),
            why: format!("{error}; it said: {}", engine.said().pop().unwrap_or_default()),
        };
        let mut window = Window { trials: usize::from(trials), ..Window::default() };
        for n in 0..trials {
            let last = Name::policy(REPOSITORY, 1);
            let name = Name::policy(REPOSITORY, 2);
            let content = Content(FIRST_CONTENT + n);
            let id = engine.build(Build { content, name: last }).await.map_err(|e| broken("build", e))?;
            let target = match target {
                Target::Name => Reference::Name(last),
                Target::Id => Reference::Id(id),
            };
            let options = Delete { force: false, parents: true };
            let (tag, delete) = tokio::join!(
                async {
                    pause(n % 3 == 1).await;
                    engine.tag(id, name).await
                },
                async {
                    pause(n % 3 == 2).await;
                    engine.delete(target, options).await
                }
            );
            match (tag, engine.resolve(name).await == Ok(id)) {
                (Ok(()), true) => window.stands += 1,
                (Ok(()), false) => window.illegal += 1,
                (Err(EngineError::NoSuchImage(_)), _) => window.refused += 1,
                (Err(error), _) => return Err(broken("tag", error)),
            }
            match delete {
                // By ID it conflicts with the second name when that comes first.
                Ok(_) | Err(EngineError::SoftConflict(_) | EngineError::NoSuchImage(_)) => {}
                Err(error) => return Err(broken("delete", error)),
            }
            // What is left of this trial must not be in the next one's way.
            for name in [name, last] {
                let _ = engine.delete(Reference::Name(name), Delete { force: true, parents: true }).await;
            }
        }
        Ok(window)
    })
}

/// The finest that the executor's clock has.
async fn pause(late: bool) {
    if late {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// As a table for records/.
#[must_use]
pub fn window_record(rows: &[(Target, Window)], when: String, place: String) -> Record {
    let columns =
        ["DELETE of the last name", "trials", "tag answered 201, image gone", "tag refused", "name stands"];
    let rows = rows.iter().map(|(target, window)| {
        let target = match target {
            Target::Name => "by name",
            Target::Id => "by ID",
        };
        let Window { trials, illegal, refused, stands } = window;
        vec![
            target.to_owned(),
            trials.to_string(),
            illegal.to_string(),
            refused.to_string(),
            stands.to_string(),
        ]
    });
    Record {
        about: "an image gets a name while its last name is deleted, on a real engine".to_owned(),
        when,
        place,
        columns: columns.map(str::to_owned).to_vec(),
        rows: rows.collect(),
    }
}
