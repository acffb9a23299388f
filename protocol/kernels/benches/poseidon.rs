//! What a permutation costs, one thread: in each kernel's vectors as a tree's leaves are hashed,
//! through `permute_each`, and with Plonky2's scalar code. `cargo bench -p tally-kernels` prints
//! nanoseconds as JSON, the least of many short runs: what else the machine does counts little.

use std::hint::black_box;
use std::time::Instant;

use plonky2::field::types::Field;
use plonky2::hash::poseidon::Poseidon;
use tally_kernels::poseidon::{STATE, permute};
use tally_kernels::simd::{Op, Simd};
use tally_kernels::{F, Kernel, many};

/// States permuted in one run.
const STATES: usize = 1 << 9;
const RUNS: usize = 300;
/// Vectors at hand at once.
const VECTORS: usize = 4;

struct InVectors;

impl Op for InVectors {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut states = [[s.splat(1); STATE]; VECTORS];
        for _ in 0..STATES / (VECTORS * S::WIDTH) {
            permute(s, &mut black_box(&mut states)[..]);
        }
    }
}

/// Nanoseconds a state.
fn least(mut run: impl FnMut()) -> f64 {
    let times = (0..RUNS).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min) * 1e9 / STATES as f64
}

fn main() {
    let mut states = vec![[F::TWO; STATE]; STATES];
    let scalar = least(|| {
        for state in black_box(&mut states) {
            *state = F::poseidon(*state);
        }
    });
    let mut lines = vec![format!(r#""plonky2":{scalar:.0}"#)];
    for kernel in Kernel::all() {
        let vectors = least(|| kernel.apply(InVectors));
        let each = least(|| many::permute_each(kernel, black_box(&mut states)));
        let name = kernel.name();
        lines.push(format!(
            r#""{name}":{{"vectors":{vectors:.0},"each":{each:.0}}}"#
        ));
    }
    println!("{{{}}}", lines.join(","));
}
