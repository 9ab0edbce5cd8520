//! What the actors of a trial report, with the time they report it.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use samebuild_store::engine::EngineError;
use samebuild_store::session::{Journal, Ready};

/// The journal of one trial.
pub(super) struct Notes {
    began: Instant,
    pub(super) ready: RefCell<Vec<(u8, Ready)>>,
    /// When the last build was ready, since the beginning.
    pub(super) ready_after: Cell<Option<Duration>>,
    /// When the last prune pass had ended.
    pub(super) pruned_after: Cell<Option<Duration>>,
    pub(super) failed: RefCell<Vec<EngineError>>,
    pub(super) refused: RefCell<Vec<(u8, EngineError)>>,
    pub(super) retries: Cell<u32>,
}

impl Notes {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            ready: RefCell::default(),
            ready_after: Cell::default(),
            pruned_after: Cell::default(),
            failed: RefCell::default(),
            refused: RefCell::default(),
            retries: Cell::default(),
        }
    }
}

impl Journal for Notes {
    fn pruned(&self, _pass: u8) {
        self.pruned_after.set(Some(self.began.elapsed()));
    }

    fn retried(&self, _build: u8) {
        self.retries.set(self.retries.get() + 1);
    }

    fn ready(&self, build: u8, ready: Ready) {
        self.ready.borrow_mut().push((build, ready));
        self.ready_after.set(Some(self.began.elapsed()));
    }

    fn failed(&self, _build: u8, error: EngineError) {
        self.failed.borrow_mut().push(error);
    }

    fn refused(&self, build: u8, error: EngineError) {
        self.refused.borrow_mut().push((build, error));
    }
}
