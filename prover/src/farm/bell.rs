//! Wakes who waits, at the latest after a while.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Rung by whoever changed something that others wait for.
#[derive(Debug, Default)]
pub struct Bell {
    rings: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    pub fn ring(&self) {
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        *rings = rings.wrapping_add(1);
        self.rung.notify_all();
    }

    /// How often it rang: taken before one looks, so that no ring is missed.
    pub fn rings(&self) -> u64 {
        *self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until it rings beyond `seen`, or `most` has passed.
    pub fn wait(&self, seen: u64, most: Duration) {
        let rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let unchanged = |rings: &mut u64| *rings == seen;
        // Whichever it was, who waited looks again.
        drop(self.rung.wait_timeout_while(rings, most, unchanged));
    }
}
