//! Ctrl-C and its kin: the first asks the run to stop after its step, the second stops the program at once.

use crate::error::{FAILED, Failure, Outcome};
use signal_hook::{consts::TERM_SIGNALS, flag};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

static ASKED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// From now on an interruption is noted.
pub(crate) fn watch() -> Outcome<()> {
    for signal in TERM_SIGNALS {
        // Files are replaced in one step: a second one leaves nothing half written.
        flag::register_conditional_shutdown(*signal, FAILED.into(), Arc::clone(&ASKED))
            .and_then(|_| flag::register(*signal, Arc::clone(&ASKED)))
            .map_err(|error| Failure::failed(format!("cannot watch for interruptions: {error}")))?;
    }
    Ok(())
}

/// Whether someone has asked to stop.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
