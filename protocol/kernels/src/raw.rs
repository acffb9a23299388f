//! Field elements seen as the integers that they are.
#![allow(unsafe_code)]

use crate::F;

/// The elements' representations, canonical or not.
pub fn raw(elements: &[F]) -> &[u64] {
    // SAFETY: GoldilocksField is a transparent wrapper of u64, so both slices have the same layout;
    // every u64 is a valid element and the other way round.
    unsafe { std::slice::from_raw_parts(elements.as_ptr().cast(), elements.len()) }
}

/// As `raw`, to be written; any value may be.
pub fn raw_mut(elements: &mut [F]) -> &mut [u64] {
    // SAFETY: as for `raw`, and the exclusive borrow is handed on.
    unsafe { std::slice::from_raw_parts_mut(elements.as_mut_ptr().cast(), elements.len()) }
}

/// Integers seen as elements.
pub fn elements(raw: &[u64]) -> &[F] {
    // SAFETY: as for `raw`, the other way round.
    unsafe { std::slice::from_raw_parts(raw.as_ptr().cast(), raw.len()) }
}
