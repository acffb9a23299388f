use proptest::prelude::*;

use super::*;

/// What carries, borrows and reductions turn on; several are not canonical.
pub(crate) const EDGES: [u64; 16] = [
    0,
    1,
    2,
    EPSILON - 1,
    EPSILON,
    EPSILON + 1,
    EPSILON << 1,
    1 << 63,
    P - EPSILON,
    P - 2,
    P - 1,
    P,
    P + 1,
    P + 2,
    u64::MAX - 1,
    u64::MAX,
];

/// Edge values as often as random ones.
pub(crate) fn element() -> impl Strategy<Value = u64> {
    prop_oneof![prop::sample::select(&EDGES[..]), any::<u64>()]
}

/// Every operation on one pair of elements in each lane.
struct Each {
    a: [u64; MAX_WIDTH],
    b: [u64; MAX_WIDTH],
}

/// Name, lane by lane results, and an integer that stands for the same residue.
type Results = Vec<(&'static str, Vec<u64>, fn(u64, u64) -> u128)>;

/// As an integer without a bound: what follows is the definition, and nothing that Miri cannot run,
/// as it cannot Plonky2's assembly.
fn f(x: u64) -> u128 {
    x.into()
}

fn seventh_power(x: u64) -> u128 {
    (0..7).fold(1, |power, _| power * f(x % P) % f(P))
}

impl Op for Each {
    type Output = Results;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Results {
        let (a, b) = (s.load(&self.a), s.load(&self.b));
        let lanes = |v: S::V| {
            let mut lanes = [0; MAX_WIDTH];
            s.store(v, &mut lanes);
            lanes[..S::WIDTH].to_vec()
        };
        let (mut beside, mut alone) = ([a, b, b], [a]);
        s.seventh_powers(&mut beside);
        s.seventh_powers(&mut alone);
        let [alone] = alone;
        let canonical = lanes(s.canonical(a));
        assert!(canonical.iter().all(|x| *x < P), "{canonical:?}");
        vec![
            ("mul", lanes(s.mul(a, b)), |a, b| f(a) * f(b)),
            ("square", lanes(s.square(a)), |a, _| f(a) * f(a)),
            ("alone", lanes(alone), |a, _| seventh_power(a)),
            ("side by side", lanes(beside[2]), |_, b| seventh_power(b)),
            ("add", lanes(s.add_mod(a, b)), |a, b| f(a) + f(b)),
            ("sub", lanes(s.sub_mod(a, b)), |a, b| f(a) + 2 * f(P) - f(b)),
            ("canonical", canonical, |a, _| f(a)),
            ("reduce", lanes(s.reduce(a, b)), |a, b| (f(a) << 64) + f(b)),
        ]
    }
}

/// Operations modulo 2^64.
struct Plain {
    a: [u64; MAX_WIDTH],
    b: [u64; MAX_WIDTH],
}

type PlainResults = Vec<(&'static str, Vec<u64>, fn(u64, u64) -> u64)>;

impl Op for Plain {
    type Output = PlainResults;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> PlainResults {
        let (a, b) = (s.load(&self.a), s.load(&self.b));
        let lanes = |v: S::V| {
            let mut lanes = [0; MAX_WIDTH];
            s.store(v, &mut lanes);
            lanes[..S::WIDTH].to_vec()
        };
        vec![
            ("add", lanes(s.add(a, b)), u64::wrapping_add),
            ("sub", lanes(s.sub(a, b)), u64::wrapping_sub),
            ("shl", lanes(s.shl::<33>(a)), |a, _| a << 33),
            ("shr", lanes(s.shr::<31>(a)), |a, _| a >> 31),
            ("low", lanes(s.low(a)), |a, _| a & EPSILON),
            ("mul_low", lanes(s.mul_low(a, b)), |a, b| {
                (a & EPSILON) * (b & EPSILON)
            }),
            ("join", lanes(s.join(a, b)), |a, b| {
                (a << 32) + (b & EPSILON)
            }),
        ]
    }
}

struct Transpose([[u64; MAX_WIDTH]; MAX_WIDTH]);

impl Op for Transpose {
    type Output = (usize, [[u64; MAX_WIDTH]; MAX_WIDTH]);

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Output {
        let mut rows = self.0.map(|row| s.load(&row));
        s.transpose(&mut rows);
        let mut lanes = [[0; MAX_WIDTH]; MAX_WIDTH];
        for (row, lanes) in rows.iter().zip(&mut lanes) {
            s.store(*row, lanes);
        }
        (S::WIDTH, lanes)
    }
}

fn agree(a: [u64; MAX_WIDTH], b: [u64; MAX_WIDTH]) {
    for kernel in Kernel::all() {
        for (name, lanes, scalar) in kernel.apply(Each { a, b }) {
            for (lane, result) in lanes.into_iter().enumerate() {
                let expected = scalar(a[lane], b[lane]) % f(P);
                assert_eq!(
                    f(result) % f(P),
                    expected,
                    "{kernel:?} {name} {:x} {:x}",
                    a[lane],
                    b[lane]
                );
            }
        }
        for (name, lanes, scalar) in kernel.apply(Plain { a, b }) {
            for (lane, result) in lanes.into_iter().enumerate() {
                assert_eq!(result, scalar(a[lane], b[lane]), "{kernel:?} {name}");
            }
        }
    }
}

#[test]
fn every_pair_of_edges_agrees_with_the_integers() {
    for a in EDGES {
        for b in EDGES.chunks(MAX_WIDTH / 2) {
            // Both orders of the lanes, so that each lane sees each value.
            let mut lanes = [0; MAX_WIDTH];
            lanes[..b.len()].copy_from_slice(b);
            lanes[b.len()..].copy_from_slice(b);
            agree([a; MAX_WIDTH], lanes);
            lanes.reverse();
            agree([a; MAX_WIDTH], lanes);
        }
    }
}

#[test]
fn transposing_swaps_lanes_and_vectors() {
    let mut rows = [[0; MAX_WIDTH]; MAX_WIDTH];
    for (i, row) in rows.iter_mut().enumerate() {
        for (j, lane) in row.iter_mut().enumerate() {
            *lane = (MAX_WIDTH * i + j) as u64;
        }
    }
    for kernel in Kernel::all() {
        let (width, transposed) = kernel.apply(Transpose(rows));
        for i in 0..width {
            for j in 0..width {
                assert_eq!(transposed[i][j], rows[j][i], "{kernel:?} {i} {j}");
            }
        }
    }
}

#[test]
fn kernels_are_found_by_name() {
    for kernel in Kernel::all() {
        assert_eq!(kernel.name().parse(), Ok(kernel));
    }
    assert!("mmx".parse::<Kernel>().is_err());
}

proptest! {
    #[test]
    fn random_pairs_agree_with_the_integers(
        a in prop::array::uniform8(element()),
        b in prop::array::uniform8(element()),
    ) {
        agree(a, b);
    }
}
