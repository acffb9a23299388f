//! One word to all parts: stop.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

/// Clones are one.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::channel(false).0))
    }
}

impl Stop {
    pub fn set(&self) {
        self.0.send_replace(true);
    }

    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    pub async fn wait(self) {
        // The sender is here: it does not go before the wait ends.
        let _ = self.0.subscribe().wait_for(|is_set| *is_set).await;
    }

    /// What the future gives; none where the stop comes first.
    pub async fn during<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.clone().wait() => None,
            done = future => Some(done),
        }
    }

    /// Whether the future came before the stop.
    pub async fn unless<T>(&self, future: impl Future<Output = T>) -> bool {
        self.during(future).await.is_some()
    }
}
