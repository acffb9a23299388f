//! Unverified requests: receives signature requests and verifies none of them.
//!
//! Statement: each live unit takes one request (epoch, key, digest) off the bus, and the number of
//! live units is the summary's count of unverified requests, which the batch's statement names. So
//! a batch cannot pass for one whose signatures were checked. Segments that verify take its place.
//! Cost: 1.7 rows a request.

use plonky2::field::types::Field;
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::message::SignatureRequest;

use crate::bus::BusTag;
use crate::gadgets::logic;
use crate::segment::{Segment, SegmentBuilder, SegmentKind};
use crate::{Builder, F};

/// The place of `Counts::unverified_requests`.
const UNVERIFIED: usize = 2;

/// Twin of `SignatureRequest`.
#[derive(Clone, Copy, Debug)]
pub struct SignatureRequestTarget {
    pub key: [Target; 5],
    pub digest: [Target; 4],
}

impl SignatureRequestTarget {
    /// Free targets: the bus holds them to what was asked for.
    pub fn new_unchecked(b: &mut Builder) -> Self {
        Self {
            key: b.add_virtual_target_arr(),
            digest: b.add_virtual_target_arr(),
        }
    }

    /// Twin of `SignatureRequest::words`.
    pub fn words(&self, epoch: Target) -> [Target; 10] {
        let (k, d) = (self.key, self.digest);
        [epoch, k[0], k[1], k[2], k[3], k[4], d[0], d[1], d[2], d[3]]
    }

    pub fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        value: &SignatureRequest,
    ) -> anyhow::Result<()> {
        witness.set_target_arr(&self.key, &value.key)?;
        witness.set_target_arr(&self.digest, &value.digest.elements)
    }
}

/// A segment of unverified requests.
#[derive(Clone, Debug)]
pub struct RequestsSegment {
    pub segment: Segment,
    pub units: Vec<SignatureRequestTarget>,
    /// Live units, the first ones.
    pub n: Target,
}

impl RequestsSegment {
    /// Units of the production circuit: what 2^14 rows hold.
    pub const CAPACITY: usize = 9_400;

    /// A circuit of `capacity` units.
    pub fn build(builder: Builder, capacity: usize) -> (Builder, Self) {
        let mut s = SegmentBuilder::over(builder, SegmentKind::Requests);
        let n = s.add_virtual_target();
        let live = logic::live_bits(&mut s, n, capacity);
        let epoch = s.context.epoch;
        let mut units = Vec::with_capacity(capacity);
        for &live in &live {
            let unit = SignatureRequestTarget::new_unchecked(&mut s);
            s.receive(BusTag::Signature, &unit.words(epoch), live);
            units.push(unit);
        }
        s.summary.counts[UNVERIFIED] = n;
        let (builder, segment) = s.finish(&[n]);
        (builder, Self { segment, units, n })
    }

    pub fn capacity(&self) -> usize {
        self.units.len()
    }

    pub fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        requests: &[SignatureRequest],
    ) -> anyhow::Result<()> {
        anyhow::ensure!(
            requests.len() <= self.capacity(),
            "{} requests in a segment of {}",
            requests.len(),
            self.capacity()
        );
        witness.set_target(self.n, F::from_canonical_usize(requests.len()))?;
        let idle = SignatureRequest {
            key: [F::ZERO; 5],
            digest: tally_protocol::hash::EMPTY,
        };
        let requests = requests.iter().chain(core::iter::repeat(&idle));
        for (unit, request) in self.units.iter().zip(requests) {
            unit.assign(witness, request)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use plonky2::field::types::Sample;
    use plonky2::hash::hash_types::HashOut;
    use tally_protocol::header::Context;

    use super::*;
    use crate::checker::Checker;
    use crate::journal::testing::{assert_bus, context, epoch_witness};
    use crate::summary::Counts;

    const CAPACITY: usize = 3;

    fn requests(n: usize) -> Vec<SignatureRequest> {
        let request = |_| SignatureRequest {
            key: core::array::from_fn(|_| F::rand()),
            digest: HashOut::rand(),
        };
        (0..n).map(request).collect()
    }

    fn witness(
        t: &RequestsSegment,
        context: &Context,
        requests: &[SignatureRequest],
    ) -> PartialWitness<F> {
        let mut witness = epoch_witness(&t.segment, context);
        t.assign(&mut witness, requests).unwrap();
        witness
    }

    #[test]
    fn p3_agrees_with_the_native_requests_and_counts_them() {
        let (b, t) = RequestsSegment::build(Builder::new(), CAPACITY);
        let checker = Checker::new(b);
        for n in 0..=CAPACITY {
            let requests = requests(n);
            let accepted = checker.check(&witness(&t, &context(), &requests)).unwrap();
            let tuples = requests.iter().map(|request| {
                let words = request.words(context().epoch).to_vec();
                (BusTag::Signature, words, -1)
            });
            assert_bus(&t.segment, &accepted, tuples);
            let counts = t.segment.summary(|target| accepted.get(target)).counts;
            let unverified_requests = n as u64;
            let expected = Counts {
                unverified_requests,
                ..Counts::default()
            };
            assert_eq!(counts, expected);
        }
    }

    #[test]
    fn p3_a_request_is_not_taken_uncounted() {
        let (b, t) = RequestsSegment::build(Builder::new(), CAPACITY);
        let bits: Vec<Target> = b.hints("live bits").concat();
        let checker = Checker::new(b);
        let witness = witness(&t, &context(), &requests(2));
        let two = F::TWO;
        let lies: [&[(Target, F)]; 4] = [
            &[(t.n, F::ONE), (bits[0], F::ONE), (bits[1], F::ONE)],
            &[(bits[2], F::ONE)],
            &[(bits[1], F::ZERO), (bits[2], F::ONE)],
            &[(bits[0], two), (bits[1], F::ZERO)],
        ];
        for lie in lies {
            assert!(checker.check_with_lies(&witness, lie).is_err(), "{lie:?}");
        }
        let too_many = requests(CAPACITY + 1);
        let mut witness = PartialWitness::new();
        assert!(t.assign(&mut witness, &too_many).is_err());
    }

    #[test]
    fn rows_are_pinned() {
        let rows = |capacity| RequestsSegment::build(Builder::new(), capacity).0.rows();
        let (small, large) = (rows(100), rows(300));
        let unit = (large - small) as f64 / 200.0;
        let rest = small as f64 - 100.0 * unit;
        assert_eq!((unit, rest), (1.675, 7.5));
        // Public inputs, constants and one row of each other gate take less than 150.
        let full = rest + unit * RequestsSegment::CAPACITY as f64;
        assert!(full < f64::from((1 << 14) - 150), "{full} rows");
    }
}
