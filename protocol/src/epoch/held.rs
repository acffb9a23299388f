//! The state that an epoch begins with.

use core::ops::Deref;
use std::sync::Arc;

use crate::state::State;

/// Borrowed for the epoch's time, or the builder's own share.
#[derive(Clone, Debug)]
pub(super) enum Held<'a> {
    Borrowed(&'a State),
    Shared(Arc<State>),
}

impl Held<'_> {
    /// Takes the state away; it is copied only where somebody else holds it. The header and the
    /// reporters stay.
    pub fn take(&mut self) -> State {
        let emptied = Self::Shared(Arc::new(self.emptied()));
        match core::mem::replace(self, emptied) {
            Self::Borrowed(state) => state.clone(),
            Self::Shared(state) => Arc::unwrap_or_clone(state),
        }
    }
}

impl Deref for Held<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        match self {
            Self::Borrowed(state) => state,
            Self::Shared(state) => state,
        }
    }
}
