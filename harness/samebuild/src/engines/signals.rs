//! Ctrl-C and its kin: engines are torn down before we die, and we die of the signal all the same.
//!
//! Without this they would be torn down too, by their supervisors, but after our prompt has come back.

use std::sync::{Arc, Mutex, Once, PoisonError};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::private::Supervised;

static LIVE: Mutex<Vec<Arc<Supervised>>> = Mutex::new(Vec::new());
static INSTALL: Once = Once::new();

pub(super) fn watch(engine: &Arc<Supervised>) {
    live().push(Arc::clone(engine));
    INSTALL.call_once(|| {
        if let Ok(signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) {
            std::thread::spawn(move || wait(signals));
        }
    });
}

pub(super) fn forget(engine: &Arc<Supervised>) {
    live().retain(|other| !Arc::ptr_eq(other, engine));
}

fn wait(mut signals: Signals) {
    for signal in signals.forever() {
        let engines = std::mem::take(&mut *live());
        if !engines.is_empty() {
            eprintln!("samebuild: interrupted; stopping the engine");
        }
        engines.iter().for_each(|engine| engine.stop());
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    }
}

fn live() -> std::sync::MutexGuard<'static, Vec<Arc<Supervised>>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}
