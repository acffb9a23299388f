use plonky2::field::polynomial::PolynomialCoeffs;
use plonky2::field::types::Sample;

use super::*;

/// Small ones that fill no tile, one that does, and one beyond the cached size.
const SIZES: [usize; 8] = [0, 1, 2, 3, 5, 6, 7, 12];

#[test]
fn values_equal_the_reference_and_lead_back() {
    for bits in SIZES {
        let roots = Roots::new(bits);
        let polynomial = PolynomialCoeffs::new(F::rand_vec(1 << bits));
        let expected = polynomial.clone().fft();
        for kernel in Kernel::all() {
            let mut values = reordered(&polynomial.coeffs);
            roots.evaluate(kernel, &mut values);
            assert_eq!(values, expected.values, "{kernel:?} 2^{bits}");
            roots.interpolate(kernel, &mut values);
            assert_eq!(reordered(&values), polynomial.coeffs, "{kernel:?} 2^{bits}");
        }
    }
}

#[test]
fn representations_beyond_p_do_not_matter() {
    let bits = 7;
    let roots = Roots::new(bits);
    let large = vec![F::from_noncanonical_u64(u64::MAX); 1 << bits];
    let small: Vec<F> = large.iter().map(|x| canonical(*x)).collect();
    for kernel in Kernel::all() {
        let (mut a, mut b) = (large.clone(), small.clone());
        roots.evaluate(kernel, &mut a);
        roots.evaluate(kernel, &mut b);
        assert_eq!(a, b, "{kernel:?}");
    }
}

#[test]
fn extensions_equal_the_reference_point_by_point() {
    for (block_bits, rate_bits) in [(0, 1), (3, 3), (7, 3), (6, 5)] {
        let domain = Domain {
            block_bits,
            rate_bits,
        };
        let polynomial = PolynomialCoeffs::new(F::rand_vec(domain.block()));
        let expected = polynomial.lde(rate_bits).coset_fft(F::coset_shift());
        for kernel in Kernel::all() {
            let extension = Extension::new(kernel, domain, F::coset_shift());
            let mut values = vec![F::ZERO; domain.points()];
            let coeffs = reordered(&polynomial.coeffs);
            extension.extend(kernel, &Roots::new(block_bits), &coeffs, &mut values);
            for (point, value) in expected.values.iter().enumerate() {
                assert_eq!(
                    values[domain.place(point)],
                    *value,
                    "{kernel:?} {domain:?} {point}"
                );
            }
        }
    }
}
