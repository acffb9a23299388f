//! Vectors of field elements, one implementation for each instruction set.
//!
//! An algorithm is written once, over `Simd`, and compiled for every instruction set. A value of a
//! type that implements `Simd` is the proof that the processor has the instructions: it can be had
//! from `detect` only (the portable one from anywhere), and each operation takes it. That is what
//! lets the operations be safe functions. This module's children are the only place in the crate
//! with `unsafe`.
//!
//! A lane holds any `u64`, which stands for its residue modulo p = 2^64 − 2^32 + 1; *canonical*
//! means below p. Each operation says what it demands and what it leaves.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx512;
#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code)]
mod neon;
mod portable;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use portable::Portable;

/// p = 2^64 − EPSILON.
pub const EPSILON: u64 = 0xffff_ffff;
pub const P: u64 = 0xffff_ffff_0000_0001;

/// No implementation is wider; `transpose` works on so many vectors at most.
pub const MAX_WIDTH: usize = 8;

/// One instruction set.
pub trait Simd: Copy + Send + Sync + 'static {
    /// `WIDTH` lanes.
    type V: Copy;
    const WIDTH: usize;

    /// Runs `op` in a function that is compiled for the instruction set.
    fn enter<O: Op>(self, op: O) -> O::Output;

    fn splat(self, x: u64) -> Self::V;
    /// The first `WIDTH` elements; panics on fewer.
    fn load(self, from: &[u64]) -> Self::V;
    /// To the first `WIDTH` elements; panics on fewer.
    fn store(self, v: Self::V, to: &mut [u64]);

    // Modulo 2^64.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn shl<const K: u32>(self, a: Self::V) -> Self::V;
    fn shr<const K: u32>(self, a: Self::V) -> Self::V;
    fn and(self, a: Self::V, b: Self::V) -> Self::V;
    /// The low 32 bits.
    fn low(self, a: Self::V) -> Self::V;
    /// Product of the low 32 bits.
    fn mul_low(self, a: Self::V, b: Self::V) -> Self::V;
    /// Upper 32 bits of a lane from `high`'s lower ones, its lower 32 bits from `low`.
    #[inline(always)]
    fn join(self, high: Self::V, low: Self::V) -> Self::V {
        self.add(self.shl::<32>(high), self.low(low))
    }

    /// a + b modulo p, if a + b < 2^64 + p; as it is where b is canonical.
    fn add_once(self, a: Self::V, b: Self::V) -> Self::V;
    /// a − b modulo p, if a − b ≥ −p; as it is where b is canonical.
    fn sub_once(self, a: Self::V, b: Self::V) -> Self::V;
    /// The canonical value.
    fn canonical(self, a: Self::V) -> Self::V;

    /// Swaps lane j of vector i with lane i of vector j, for i, j < `WIDTH`.
    fn transpose(self, rows: &mut [Self::V; MAX_WIDTH]);

    /// a·b modulo p.
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        let (a1, b1) = (self.shr::<32>(a), self.shr::<32>(b));
        let (p00, p01) = (self.mul_low(a, b), self.mul_low(a, b1));
        let (p10, p11) = (self.mul_low(a1, b), self.mul_low(a1, b1));
        // None of the sums wraps: (2^32 − 1)² + 2·(2^32 − 1) = 2^64 − 1.
        let middle = self.add(p10, self.shr::<32>(p00));
        let carry = self.add(p01, self.low(middle));
        let high = self.add(self.add(p11, self.shr::<32>(middle)), self.shr::<32>(carry));
        self.reduce(high, self.join(carry, p00))
    }

    /// a² modulo p.
    #[inline(always)]
    fn square(self, a: Self::V) -> Self::V {
        let a1 = self.shr::<32>(a);
        let (p00, p01, p11) = (
            self.mul_low(a, a),
            self.mul_low(a, a1),
            self.mul_low(a1, a1),
        );
        // 2^33·p01 + p00, carried: p00 / 2^33 < 2^31 added to p01 ≤ (2^32 − 1)² does not wrap.
        let carry = self.add(p01, self.shr::<33>(p00));
        let high = self.add(p11, self.shr::<31>(carry));
        let low = self.add(self.shl::<33>(p01), p00);
        self.reduce(high, low)
    }

    /// high·2^64 + low modulo p, since 2^64 = 2^32 − 1 and 2^96 = −1.
    #[inline(always)]
    fn reduce(self, high: Self::V, low: Self::V) -> Self::V {
        // The subtrahend is below 2^32 and the summand at most (2^32 − 1)² < p: once is enough.
        let difference = self.sub_once(low, self.shr::<32>(high));
        self.add_once(difference, self.mul_low(high, self.splat(EPSILON)))
    }

    /// Seventh powers modulo p. One step of all after the other: a product is a chain of some
    /// twenty operations, and what the processor looks ahead at is then the next element's.
    #[inline(always)]
    fn seventh_powers<const N: usize>(self, elements: &mut [Self::V; N]) {
        let mut powers = *elements;
        for power in &mut powers {
            *power = self.square(*power);
        }
        for (element, square) in elements.iter_mut().zip(&powers) {
            *element = self.mul(*element, *square);
        }
        for power in &mut powers {
            *power = self.square(*power);
        }
        for (element, fourth) in elements.iter_mut().zip(&powers) {
            *element = self.mul(*element, *fourth);
        }
    }

    /// a + b modulo p, for any a and b.
    #[inline(always)]
    fn add_mod(self, a: Self::V, b: Self::V) -> Self::V {
        self.add_once(a, self.canonical(b))
    }

    /// a − b modulo p, for any a and b.
    #[inline(always)]
    fn sub_mod(self, a: Self::V, b: Self::V) -> Self::V {
        self.sub_once(a, self.canonical(b))
    }
}

/// Something to be compiled for each instruction set. `run` and what it calls with vectors must be
/// `#[inline(always)]`, and vectors must not go through closures (nor `array::map`): whatever is
/// not inlined is compiled without the instructions, and each operation in it becomes a call.
pub trait Op {
    type Output;
    fn run<S: Simd>(self, s: S) -> Self::Output;
}

/// An instruction set that this processor has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kernel(Set);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Set {
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Neon),
    Portable,
}

/// Names the kernel to use instead of the best one: `avx512`, `avx2`, `neon` or `portable`.
pub const KERNEL_VARIABLE: &str = "TALLY_KERNEL";

impl Kernel {
    /// The one that `TALLY_KERNEL` names if the processor has it, otherwise the widest; found once.
    pub fn chosen() -> Self {
        static CHOSEN: OnceLock<Kernel> = OnceLock::new();
        *CHOSEN.get_or_init(|| {
            let named = std::env::var(KERNEL_VARIABLE).ok();
            let named = named.and_then(|name| name.parse().ok());
            named.unwrap_or_else(|| Kernel::all()[0])
        })
    }

    /// All that this processor has, the widest first; the portable one is always the last.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(avx512::Avx512::detect().map(Set::Avx512));
            all.extend(avx2::Avx2::detect().map(Set::Avx2));
        }
        #[cfg(target_arch = "aarch64")]
        all.extend(neon::Neon::detect().map(Set::Neon));
        all.push(Set::Portable);
        all.into_iter().map(Kernel).collect()
    }

    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(_) => "avx2",
            #[cfg(target_arch = "aarch64")]
            Set::Neon(_) => "neon",
            Set::Portable => "portable",
        }
    }

    pub fn apply<O: Op>(self, op: O) -> O::Output {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(s) => s.enter(op),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(s) => s.enter(op),
            #[cfg(target_arch = "aarch64")]
            Set::Neon(s) => s.enter(op),
            Set::Portable => Portable.enter(op),
        }
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No kernel of this processor has the name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this processor has no kernel {0:?}, only {all:?}", all = Kernel::all())]
pub struct UnknownKernel(String);

impl FromStr for Kernel {
    type Err = UnknownKernel;

    fn from_str(name: &str) -> Result<Self, UnknownKernel> {
        let found = Kernel::all()
            .into_iter()
            .find(|kernel| kernel.name() == name);
        found.ok_or_else(|| UnknownKernel(name.to_owned()))
    }
}
