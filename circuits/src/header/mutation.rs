//! Each assertion of the header is needed: some lie breaks it and nothing else [STYLE 17].

use tally_protocol::hash::hash as native_hash;

use super::tests::{crash, inputs, listings, refuse, skipping, turned_away};
use super::*;
use crate::checker::loose::{Coverage, Implied, Loose};

const IMPLIED: [Implied; 1] = [Implied {
    file: "src/message.rs",
    line: "b.connect(held, low);",
    count: 3,
    why: "all reports are of one feed set: any one of the three holds it below 2^32",
}];

/// The header's circuit, and witnesses that are bent.
struct Liar {
    segment: HeaderSegment,
    loose: Loose,
}

impl Liar {
    fn new(honest: &EpochTrace) -> Self {
        let (builder, segment) = HeaderSegment::build_over(Builder::bare(), 3);
        let loose = Loose::new(builder, &given(&segment, honest));
        Self { segment, loose }
    }

    /// With other words of the header before and after, and of the reporters' set, whose digests
    /// follow.
    fn bent(
        &self,
        trace: &EpochTrace,
        words: &[(usize, [u64; 2])],
        set: &[(usize, u64)],
    ) -> PartialWitness<F> {
        let header = &self.segment.header;
        let mut witness = given(&self.segment, trace);
        let values = &mut witness.target_values;
        for (i, word) in set {
            values.insert(header.reporters[*i], unsigned(*word));
        }
        let reporters = header.reporters.map(|target| values[&target]);
        let digest = native_hash(Tag::Reporters, &reporters).elements;
        for (i, element) in digest.into_iter().enumerate() {
            values.insert(header.before[REPORTERS + i], element);
            values.insert(header.after[REPORTERS + i], element);
        }
        for (i, [old, new]) in words {
            values.insert(header.before[*i], unsigned(*old));
            values.insert(header.after[*i], unsigned(*new));
        }
        let context = &self.segment.segment.context;
        for (words, digest) in [
            (&header.before, context.header_before),
            (&header.after, context.header_after),
        ] {
            let told = native_hash(Tag::Header, &words.map(|target| values[&target]));
            values.extend(digest.elements.into_iter().zip(told.elements));
        }
        witness
    }

    /// [D30] Beside admissions, a refusal for a row that waits, in each of the places.
    fn refuse_beside_admissions(&self, coverage: &mut Coverage<'_>, admitting: &EpochTrace) {
        for place in &self.segment.header.pending.refused {
            let mut witness = given(&self.segment, admitting);
            witness.target_values.insert(place.live.target, F::ONE);
            witness.target_values.insert(place.row, unsigned(5));
            coverage.attack("a refusal beside admissions", &witness);
        }
        let mut mixed = admitting.clone();
        refuse(&mut mixed, 5);
        coverage.attack("the same", &given(&self.segment, &mixed));
    }

    /// [T7] A place that waits for nothing, of row 0 and no digest, and takes a change as well.
    fn admit_where_one_waits(&self, coverage: &mut Coverage<'_>, trace: &EpochTrace) {
        let context = &trace.context;
        let effective = context.time + u64::from(context.globals.timelock);
        for (i, admitted) in self.segment.header.pending.admitted.iter().enumerate() {
            let old = context.time + 1_000;
            let words = [(PENDING + 6 * i, [old, old + effective])];
            let mut witness = self.bent(trace, &words, &[]);
            witness.target_values.insert(admitted.target, F::ONE);
            coverage.attack("admitted where one waits", &witness);
        }
    }

    /// [T1] Another quorum, and signers that are two others less a third.
    fn sign_by_none(&self, coverage: &mut Coverage<'_>, trace: &EpochTrace) {
        coverage.attack("another quorum", &self.bent(trace, &[], &[(1, 2)]));
        let mut witness = self.bent(trace, &[], &[(0, 15)]);
        let signers = &self.segment.header.signers;
        let places = [5, 7, 9];
        for (signer, place) in signers.iter().zip(places) {
            witness.target_values.insert(*signer, unsigned(place));
        }
        let mut scene = self.loose.scene(&witness);
        assert!(
            scene.broken().nothing(),
            "{:?}",
            coverage.names(&scene.broken())
        );
        let chosen = self.loose.hints("one_hot");
        for (bits, place) in chosen.into_iter().zip(places) {
            for less in 0..bits.len() {
                let sum = place as usize + less;
                let others = (0..bits.len()).map(|i| (i, sum.wrapping_sub(i)));
                let fits = |(i, j): &(usize, usize)| i < j && *j < bits.len();
                let mut others = others
                    .filter(fits)
                    .filter(|(i, j)| *i != less && *j != less);
                let (i, j) = others.next().expect("two others");
                let weight = |at: usize| match at == less {
                    true => F::NEG_ONE,
                    false => F::from_bool(at == i || at == j),
                };
                let lies: Vec<_> = bits
                    .iter()
                    .enumerate()
                    .map(|(at, b)| (*b, weight(at)))
                    .collect();
                coverage.tell(&mut scene, &lies);
            }
        }
    }
}

fn given(segment: &HeaderSegment, trace: &EpochTrace) -> PartialWitness<F> {
    let discounts = trace.context.unwind_budget;
    let empty = 9;
    inputs(segment, trace, HeaderReads { empty, discounts })
}

#[test]
fn s1_each_assertion_of_the_header_is_needed() {
    let served = turned_away();
    let liar = Liar::new(&served[4]);
    let mut coverage = Coverage::with_implied(&liar.loose, &IMPLIED);
    let others = [listings(), skipping(), crash()].concat();
    liar.refuse_beside_admissions(&mut coverage, &served[2]);
    let last = others.last().expect("a crash");
    liar.admit_where_one_waits(&mut coverage, last);
    liar.sign_by_none(&mut coverage, last);
    for trace in [&served[4], &served[2]].into_iter().chain(&others) {
        let mut scene = liar.loose.scene(&given(&liar.segment, trace));
        assert!(scene.broken().nothing(), "{:?}", scene.broken());
        coverage.fuzz_open(&mut scene);
    }
    coverage.assert_whole();
}
