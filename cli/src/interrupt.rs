//! Ctrl-C and its kin: the first asks the run to stop after its step, the second stops the program at once.

use crate::error::{FAILED, Failure, Outcome};
use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// From now on an interruption is noted.
pub(crate) fn watch() -> Outcome<()> {
    ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::Relaxed) {
            // Files are replaced in one step: nothing is half written.
            std::process::exit(FAILED.into());
        }
    })
    .map_err(|error| Failure::failed(format!("cannot watch for interruptions: {error}")))?;
    // The watcher's thread allocates as it starts: not while the steps' allocations are counted.
    std::thread::sleep(std::time::Duration::from_millis(20));
    Ok(())
}

/// Whether someone has asked to stop.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
