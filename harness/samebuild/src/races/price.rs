//! What a strategy costs a build, in milliseconds, where deletes take long: four old images of three thousand files. An idle
//! cached build; builds while a prune is due and has not begun; builds one after the other until the prune is over.

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use samebuild_store::actors;
use samebuild_store::desk::Desk;
use samebuild_store::engine::Engine;
use samebuild_store::floor::{Floor, Signal};
use samebuild_store::names::{Content, ImageId, Repository};
use samebuild_store::session::{Pass, Request, Session, Silent, Victims};
use samebuild_store::strategies::Row;

use super::docker::DockerEngine;
use super::fat::{FAT, fat_beginning};
use super::ground::{Ground, LiveError, connect};
use super::measure::Record;
use crate::proxy::{Entry, Proxy, What};

/// Idle builds, and builds while a prune is due.
const BUILDS: usize = 15;
/// Builds one after the other, at most.
const MOST_BUILDS: usize = 200;
const DEADLINE: Duration = Duration::from_secs(300);

const APP: Repository = Repository(0);
/// The image that is built again is the oldest.
const BUILT: Content = Content(0);
const BUILD: u8 = 0;

/// What was measured of one strategy in one round.
#[derive(Clone, Debug, Default)]
pub struct Price {
    pub strategy: &'static str,
    /// Of a plain cached build with its two names, nothing else going on: what a build costs without any strategy.
    pub plain_ms: Vec<f64>,
    /// Of a cached build by the strategy, nothing else going on.
    pub idle_ms: Vec<f64>,
    /// Until ready, with a prune due that has not begun (or, where it does not wait for builds, has).
    pub due_ms: Vec<f64>,
    /// Builds while it was due that did not get the cached image.
    pub due_rebuilt: usize,
    /// Builds one after the other during a prune, those that began with a DELETE in flight: until ready, and of that the
    /// rest of the DELETE.
    pub in_flight: Vec<(f64, f64)>,
    /// All builds one after the other, and those of them that did not get the cached image.
    pub back_to_back: usize,
    pub rebuilt: usize,
    /// Builds of either kind that ended without an image.
    pub failed: usize,
    /// How long the prune took beside them.
    pub pruned_ms: f64,
    /// Dead images left in the end.
    pub left: usize,
}

impl Price {
    /// What is asked of `generation`: builds pay nothing for a prune that has not begun, at most the rest of a delete for
    /// one that has, keep the cache, and starve nothing.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let idle = median(&self.idle_ms);
        let mut complaints = Vec::new();
        let due = median(&self.due_ms);
        if due > idle * 1.1 {
            complaints.push(format!("a due prune costs: ready after {due:.0} ms, idle {idle:.0} ms"));
        }
        if self.due_rebuilt > 0 {
            complaints.push(format!("a due prune cost the cache {} times", self.due_rebuilt));
        }
        // The slowest idle build is still an idle build.
        let slowest = self.idle_ms.iter().copied().fold(0.0, f64::max);
        for (ready, rest) in &self.in_flight {
            if *ready > slowest * 1.1 + rest {
                complaints
                    .push(format!("ready after {ready:.0} ms with {rest:.0} ms of a DELETE left, idle at most {slowest:.0} ms"));
            }
        }
        if self.rebuilt > 1 {
            complaints.push(format!("{} rebuilds", self.rebuilt));
        }
        if self.failed > 0 {
            complaints.push(format!("{} builds failed", self.failed));
        }
        if self.left > 0 {
            complaints.push(format!("{} dead images are left", self.left));
        }
        complaints
    }
}

/// One round: every number of a [`Price`], each on images made for it.
///
/// # Errors
/// The engine fails, or nothing ends within five minutes.
pub fn price(ground: &Ground, row: &Row) -> Result<Price, LiveError> {
    let mut price = Price { strategy: row.id, ..Price::default() };
    ground.runtime.block_on(async {
        let due = Round::begin(ground).await?;
        due.idle(row, &mut price).await?;
        due.while_due(row, &mut price).await?;
        drop(due);
        let running = Round::begin(ground).await?;
        running.back_to_back(row, &mut price).await
    })?;
    Ok(price)
}

/// What a build gave.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gave {
    Cached,
    Another,
    Nothing,
}

/// Images just made, and what it takes to act on them.
struct Round {
    proxy: Proxy,
    log: Arc<Mutex<Vec<Entry>>>,
    began: Instant,
    engine: Rc<DockerEngine>,
    floor: Rc<Floor>,
    session: Session,
    built: ImageId,
    newest: ImageId,
}

impl Round {
    async fn begin(ground: &Ground) -> Result<Self, LiveError> {
        let (spelling, built, newest) = fat_beginning(ground, BUILT).await?;
        let log = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&log);
        let sink = Arc::new(move |entry: &Entry| {
            sink.lock().unwrap_or_else(PoisonError::into_inner).push(entry.clone());
        });
        let began = Instant::now();
        let proxy = Proxy::start(ground.socket(), &ground.proxy_socket(), Vec::new(), sink)?;
        let floor = Floor::free();
        let docker = connect(proxy.socket()).await?;
        let engine = Rc::new(DockerEngine::new(docker, Rc::clone(&floor), spelling));
        let session = Session {
            engine: engine.clone(),
            floor: Rc::clone(&floor),
            desk: Desk::new(&floor),
            machine: Desk::new(&floor),
            journal: Rc::new(Silent),
        };
        Ok(Self { proxy, log, began, engine, floor, session, built, newest })
    }

    /// Side by side, so that the machine's moods are the same for both.
    async fn idle(&self, row: &Row, price: &mut Price) -> Result<(), LiveError> {
        for _ in 0..BUILDS {
            price.plain_ms.push(self.plain().await?);
            price.idle_ms.push(self.build(row, None).await.0);
        }
        Ok(())
    }

    /// A plain build: as a strategy makes it that has no protocol.
    async fn plain(&self) -> Result<f64, LiveError> {
        let plain = samebuild_store::strategies::strategy("async-by-id");
        let plain = plain.map_err(|error| self.cannot(&error.to_string()))?;
        match self.build(plain, None).await {
            (ms, Gave::Cached) => Ok(ms),
            _ => Err(self.cannot("an idle build does not get the cached image")),
        }
    }

    /// How long a build took, and whether it gave the cached image.
    async fn build(&self, row: &Row, pass: Option<u8>) -> (f64, Gave) {
        let request = Request { number: BUILD, content: BUILT, repository: APP, tag: 0, pass };
        let began = Instant::now();
        let ready = row.strategy.build(&self.session, request).await;
        let ms = began.elapsed().as_secs_f64() * 1e3;
        let gave = match ready {
            Ok(ready) if ready.id == self.built => Gave::Cached,
            Ok(_) => Gave::Another,
            Err(_) => Gave::Nothing,
        };
        (ms, gave)
    }

    async fn while_due(&self, row: &Row, price: &mut Price) -> Result<(), LiveError> {
        let pass = pass(Some(BUILD));
        let prune = actors::pruner(self.session.clone(), row.strategy, pass);
        let builds = async {
            for _ in 0..BUILDS {
                let (ms, gave) = self.build(row, Some(pass.number)).await;
                price.due_ms.push(ms);
                price.due_rebuilt += usize::from(gave == Gave::Another);
                price.failed += usize::from(gave == Gave::Nothing);
            }
            self.floor.raise(Signal::Built(BUILD));
            Ok(())
        };
        self.both(prune, builds).await
    }

    async fn back_to_back(&self, row: &Row, price: &mut Price) -> Result<(), LiveError> {
        let pass = pass(None);
        let began = Instant::now();
        let mut pruned = Duration::ZERO;
        let prune = async {
            actors::pruner(self.session.clone(), row.strategy, pass).await;
            pruned = began.elapsed();
        };
        let builds = async {
            while self.deletes(What::Request).is_empty() && !self.floor.raised(Signal::Pruned(0)) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            while price.back_to_back < MOST_BUILDS {
                let at = self.began.elapsed().as_secs_f64() * 1e3;
                let (ms, gave) = self.build(row, Some(pass.number)).await;
                price.back_to_back += 1;
                price.rebuilt += usize::from(gave == Gave::Another);
                price.failed += usize::from(gave == Gave::Nothing);
                if let Some(rest) = self.rest(at) {
                    price.in_flight.push((ms, rest));
                }
                if self.floor.raised(Signal::Pruned(0)) {
                    break;
                }
            }
            Ok(())
        };
        self.both(prune, builds).await?;
        price.pruned_ms = pruned.as_secs_f64() * 1e3;
        let left = self.engine.list(APP).await.map_err(|error| self.cannot(&error.to_string()))?;
        // What was built anew is nobody's victim, and what was promised is in use.
        let made = u32::try_from(FAT).unwrap_or(0) + 2;
        price.left = left
            .iter()
            .filter(|image| image.id.0 < made && image.id != self.newest && image.id != self.built)
            .count();
        Ok(())
    }

    async fn both(
        &self,
        prune: impl Future<Output = ()>,
        builds: impl Future<Output = Result<(), LiveError>>,
    ) -> Result<(), LiveError> {
        let both = async { tokio::join!(prune, builds) };
        let ended = tokio::time::timeout(DEADLINE, both).await;
        ended.map_err(|_| self.cannot("it does not end within five minutes"))?.1
    }

    /// How long the DELETE that was in flight `at` this time went on, if one was.
    fn rest(&self, at: f64) -> Option<f64> {
        let answered = self.deletes_answered();
        let asked = self.deletes(What::Request);
        let (exchange, _) = asked.into_iter().rfind(|(_, ms)| *ms <= at)?;
        let (_, end) = answered.into_iter().find(|(other, _)| *other == exchange)?;
        (end > at).then_some(end - at)
    }

    fn deletes(&self, what: What) -> Vec<(u64, f64)> {
        self.entries(|entry| entry.what == what)
    }

    fn deletes_answered(&self) -> Vec<(u64, f64)> {
        self.entries(|entry| matches!(entry.what, What::Answered { .. }))
    }

    fn entries(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<(u64, f64)> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = log.iter().filter(|entry| entry.method == "DELETE" && wanted(entry));
        wanted.map(|entry| (entry.exchange, entry.ms)).collect()
    }

    fn cannot(&self, why: &str) -> LiveError {
        let said = self.engine.said().join("; ");
        LiveError::Api { what: "price a strategy".into(), why: format!("{why}; the engine said: {said}") }
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        let _ = self.proxy.settle(DEADLINE);
    }
}

fn pass(build: Option<u8>) -> Pass {
    Pass { number: 0, repository: APP, keep: 1, build, tag: 0, victims: Victims::Older }
}

/// As a table for records/.
#[must_use]
pub fn price_record(prices: &[Price], when: String, place: String) -> Record {
    let columns = [
        "strategy",
        "plain idle build, ms",
        "idle build, ms",
        "prune due: first build ready, ms",
        "median, ms",
        "median / idle",
        "rebuilt",
        "DELETE in flight: builds",
        "ready at most, ms",
        "most over the rest of the DELETE, ms",
        "builds during the prune",
        "rebuilt during it",
        "builds failed",
        "prune, ms",
        "dead images left",
    ];
    let rows = prices.iter().map(|price| {
        let (idle, due) = (median(&price.idle_ms), median(&price.due_ms));
        let slowest = price.in_flight.iter().map(|(ready, _)| *ready).fold(0.0, f64::max);
        let over = price.in_flight.iter().map(|(ready, rest)| ready - rest).fold(0.0, f64::max);
        vec![
            price.strategy.to_owned(),
            format!("{:.1}", median(&price.plain_ms)),
            format!("{idle:.1}"),
            price.due_ms.first().map_or("-".to_owned(), |ms| format!("{ms:.0}")),
            format!("{due:.1}"),
            format!("{:.2}", due / idle),
            format!("{} of {}", price.due_rebuilt, price.due_ms.len()),
            price.in_flight.len().to_string(),
            format!("{slowest:.0}"),
            format!("{over:.0}"),
            price.back_to_back.to_string(),
            price.rebuilt.to_string(),
            price.failed.to_string(),
            format!("{:.0}", price.pruned_ms),
            price.left.to_string(),
        ]
    });
    Record {
        about: format!("what a prune of {FAT} images of {} files costs cached builds", super::fat::FILES),
        when,
        place,
        columns: columns.map(str::to_owned).to_vec(),
        rows: rows.collect(),
    }
}

/// 0 of none.
fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Price {
        Price {
            strategy: "generation",
            idle_ms: vec![100.0, 90.0, 120.0],
            due_ms: vec![105.0, 109.0, 99.0],
            in_flight: vec![(900.0, 800.0)],
            back_to_back: 5,
            rebuilt: 1,
            ..Price::default()
        }
    }

    #[test]
    fn a_price_that_is_too_high_is_complained_about_item_by_item() {
        assert_eq!(good().complaints(), Vec::<String>::new());
        let bad = Price {
            due_ms: vec![120.0],
            due_rebuilt: 1,
            in_flight: vec![(900.0, 700.0)],
            rebuilt: 2,
            failed: 1,
            left: 1,
            ..good()
        };
        assert_eq!(bad.complaints().len(), 6, "{:?}", bad.complaints());
    }

    #[test]
    fn a_record_has_a_cell_for_each_column() {
        let record = price_record(&[good()], "today".into(), "here".into());
        assert_eq!(record.rows[0].len(), record.columns.len());
    }
}
