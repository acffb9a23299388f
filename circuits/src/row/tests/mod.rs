//! The row segment: each rule on its own against its native twin, then whole epochs.

mod change;
mod epochs;
mod mutation;
mod pranks;
mod rules;

use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::instrument::{Row, RowParams, Status};
use tally_protocol::testing::{perpetual, spot};

use super::state::{ParamsTarget, RowTarget};
use crate::checker::Accepted;
use crate::{Builder, F};

const MARK: u64 = 10_000_000;
const ROUND: u32 = 100;
const TIME: u64 = 1_000_000;

/// A row that ticked before, of a perpetual or a spot asset.
fn row(is_spot: bool) -> Row {
    let listed = if is_spot {
        spot(7, MARK)
    } else {
        perpetual(7, MARK)
    };
    Row {
        params: RowParams {
            price_band: 1_000,
            ..listed.params
        },
        status: Status::Active,
        round: ROUND - 1,
        time: TIME - 15,
        mark: MARK,
        index: MARK,
        premium: 500,
        long_carry: -3_000,
        short_carry: 4_000,
        open_long: 900,
        open_short: 900,
        insurance_size: -20,
        insurance_since: 9,
    }
}

/// The digest of the parameters is nobody's concern where a rule is tried alone.
fn free_row(b: &mut Builder) -> RowTarget {
    RowTarget {
        params: ParamsTarget::new_unchecked(b),
        params_digest: b.add_virtual_hash(),
        words: b.add_virtual_target_arr(),
    }
}

fn set_row(witness: &mut PartialWitness<F>, target: &RowTarget, row: &Row) {
    target.set(witness, row).unwrap();
    let digest = row.params.digest();
    witness
        .set_hash_target(target.params_digest, digest)
        .unwrap();
}

/// The words of a row with its parameters.
fn words_of(row: &Row) -> Vec<F> {
    [&row.params.words()[..], &row.words()[4..]].concat()
}

fn got_row(accepted: &Accepted<'_>, target: &RowTarget) -> Vec<F> {
    let targets: Vec<Target> = [&target.params.words[..], &target.words].concat();
    accepted.get_all(&targets)
}
