//! Buffers that a proof leaves to the next one of its size.
//!
//! A proof's extensions are most of its memory, and fresh pages cost a fault each. Kept are those
//! of the last size only. Circuits of a size that are as wide, as the release's are, have buffers
//! of the same lengths: then no more is kept than was once in use at the same time, which the bound
//! on running proofs allows. Circuits of a size and another width add theirs, once.

use std::mem::take;
use std::sync::{Mutex, PoisonError};

use plonky2::field::types::Field;

use crate::F;
use crate::tree::Domain;

static LEFT: Mutex<Option<Left>> = Mutex::new(None);

struct Left {
    domain: Domain,
    buffers: Vec<Vec<F>>,
}

/// So many elements, which may be anything.
pub(crate) fn buffer(domain: Domain, length: usize) -> Vec<F> {
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    if left.as_ref().is_some_and(|left| left.domain != domain) {
        *left = None;
    }
    let found = left.as_mut().and_then(|left| {
        let fits = |buffer: &Vec<F>| buffer.len() == length;
        let place = left.buffers.iter().position(fits)?;
        Some(left.buffers.swap_remove(place))
    });
    drop(left);
    found.unwrap_or_else(|| vec![F::ZERO; length])
}

/// Leaves a buffer to the next proof.
pub(crate) fn leave(domain: Domain, buffer: &mut Vec<F>) {
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    let buffers = Vec::new();
    let left = left.get_or_insert(Left { domain, buffers });
    if left.domain == domain {
        left.buffers.push(take(buffer));
    }
}

/// Frees what finished proofs have left for the next ones: up to what those under way at the same
/// time had. For a process that goes on without proving.
pub fn free_buffers() {
    *LEFT.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test, as the buffers are the process's.
    #[test]
    fn buffers_are_left_to_proofs_of_the_same_size_only() {
        let domain = |block_bits| Domain {
            block_bits,
            rate_bits: 3,
        };
        // Sizes that no other test has.
        let mut first = buffer(domain(1), 48);
        first.fill(F::TWO);
        let place = first.as_ptr();
        leave(domain(1), &mut first);
        assert!(first.is_empty());
        let other = buffer(domain(1), 32);
        assert_ne!(other.as_ptr(), place);
        let again = buffer(domain(1), 48);
        assert_eq!((again.as_ptr(), again[47]), (place, F::TWO));
        let mut again = again;
        leave(domain(1), &mut again);
        drop(buffer(domain(2), 48));
        assert_eq!(buffer(domain(1), 48)[47], F::ZERO);
        free_buffers();
    }
}
