//! The epoch circuit: verifies the roots of an epoch's two trees and closes the argument
//! \[P2\]–\[P5\].
//!
//! *Statement.* There are two trees of valid segments, main and data, joined by the real join
//! circuit, whose bus is zero at the challenge that their commitments and the context determine,
//! and which lead from one state root to the next. The public inputs are the epoch's `Span`.
//! *Why the trees are two.* The data's point z is known only when the batch closes. So the main
//! tree must hold no data (a record received there would be missing from y), and everything else is
//! joined as if the data tree stood to the right of the main one: a ledger segment hidden in the
//! data tree still has to chain.
//! *Cost.* Two verifications, about 8,950 rows with the stock gates.

mod statement;
#[cfg(test)]
mod tests;

use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::witness::PartialWitness;
use tally_protocol::hash::{Digest, EMPTY};
use tally_protocol::header::{Context, state_root};
use thiserror::Error;

use statement::EpochTargets;

use crate::join::{Child, ChildError, ChildTarget, Statement};
use crate::span::{DOMAIN_ELEMENTS, Span};
use crate::summary::{Chain, Challenge, DataPolynomial, JoinError, Summary};
use crate::uniform::{Circuit, ShapeError, Uniform, VerifierKey, key_digest};
use crate::{Builder, Ext, F};

/// \[P1\] Words on the bus of one epoch.
pub use tally_protocol::bounds::MAX_EPOCH_WORDS;

/// The epoch circuit, built.
#[allow(missing_debug_implementations)]
pub struct EpochCircuit {
    pub circuit: Circuit,
    main: ChildTarget,
    data: ChildTarget,
    targets: EpochTargets,
    allowed: Vec<Digest>,
}

impl EpochCircuit {
    /// Over segments with these key digests and their join; a tree of one segment needs no join.
    pub fn build(uniform: &Uniform, segments: &[Digest], join: Digest) -> Result<Self, ShapeError> {
        let mut builder = Builder::new();
        let allowed = [segments, &[join]].concat();
        let keys: Vec<HashOutTarget> = allowed
            .iter()
            .map(|digest| builder.constant_hash(*digest))
            .collect();
        let main = ChildTarget::verify(&mut builder, uniform, &keys);
        let data = ChildTarget::verify(&mut builder, uniform, &keys);
        let (left, right) = (main.statement(), data.statement());
        let targets = EpochTargets::constrain(&mut builder, left, right, join);
        targets.span.register(&mut builder);
        let circuit = uniform.build(builder)?;
        Ok(Self {
            circuit,
            main,
            data,
            targets,
            allowed,
        })
    }

    pub fn digest(&self) -> Digest {
        key_digest(&self.circuit.verifier_only)
    }

    pub fn key(&self) -> &VerifierKey {
        &self.circuit.verifier_only
    }

    /// The witness for the two roots; `batch_key` is the digest of the batch join's key.
    pub fn assign(
        &self,
        main: Child,
        data: Child,
        context: &Context,
        batch_key: Digest,
    ) -> Result<PartialWitness<F>, ChildError> {
        let mut witness = PartialWitness::new();
        self.main.assign(&mut witness, &self.allowed, 0, main)?;
        self.data.assign(&mut witness, &self.allowed, 1, data)?;
        self.targets
            .assign(&mut witness, context, batch_key)
            .map_err(|e| ChildError::Malformed {
                child: 0,
                reason: e.to_string(),
            })?;
        Ok(witness)
    }
}

/// Why two roots are not an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EpochError {
    #[error("[P5] the trees' joins have key {got:?}, the real one is {expected:?}")]
    JoinKey { got: Digest, expected: Digest },
    #[error("[P5] the trees do not join: {0}")]
    Join(#[from] JoinError),
    #[error("[P2] the segments state another context than the epoch's")]
    Context,
    #[error("[P2] the challenge is not that of the commitments and the context")]
    Challenge,
    #[error("[P6] the main tree holds {0} elements of data")]
    MainData(u64),
    #[error("[P3] the bus does not balance: something sent was not received, or the reverse")]
    Bus,
    #[error("[P1] {0} words on the bus, at most {MAX_EPOCH_WORDS} are sound")]
    Words(u64),
    #[error("[P5] an epoch has one header and one scan, not {headers} and {scans}")]
    Once { headers: u64, scans: u64 },
    #[error("[L1] an account's running state is handed beyond the epoch")]
    Handoff,
    #[error("[T8] the tick does not end at, or the close not start from, the epoch's table")]
    Table,
}

impl EpochError {
    /// Stable name of the broken rule.
    pub fn code(&self) -> &'static str {
        match self {
            EpochError::JoinKey { .. } => "P5.join_key",
            EpochError::Join(error) => error.code(),
            EpochError::Context => "P2.context",
            EpochError::Challenge => "P2.challenge",
            EpochError::MainData(_) => "P6.main_data",
            EpochError::Bus => "P3.bus",
            EpochError::Words(_) => "P1.words",
            EpochError::Once { .. } => "P5.once",
            EpochError::Handoff => "L1.handoff",
            EpochError::Table => "T8.table",
        }
    }
}

impl Span {
    /// What the epoch circuit states about the roots of its two trees; `join` is the digest of the
    /// join's key and `batch_key` that of the batch join's.
    pub fn of_epoch(
        main: &Summary,
        data: &Summary,
        context: &Context,
        join: Digest,
        batch_key: Digest,
    ) -> Result<Span, EpochError> {
        if main.join_key != join {
            return Err(EpochError::JoinKey {
                got: main.join_key,
                expected: join,
            });
        }
        if main.data.length != 0 {
            return Err(EpochError::MainData(main.data.length));
        }
        let mut left = main.clone();
        left.data = DataPolynomial::empty(data.data.point);
        let whole = Summary::join(&[left, data.clone()])?;
        check(
            &whole,
            context,
            Challenge::derive(main.commitment, data.commitment, whole.context),
        )?;
        let [d0, d1, d2, d3, ..] = context.globals.words();
        let domain: [F; DOMAIN_ELEMENTS] = [d0, d1, d2, d3];
        let counts = whole.counts;
        Ok(Span {
            domain,
            first_epoch: context.epoch.into(),
            last_epoch: context.epoch.into(),
            round: context.round.into(),
            time: context.time,
            state: Chain {
                before: state_root(
                    whole.accounts.before,
                    whole.tick_table.before,
                    context.header_before,
                ),
                after: state_root(
                    whole.accounts.after,
                    whole.close_table.after,
                    context.header_after,
                ),
            },
            header: context.header_after,
            sections: [
                counts.data_queue,
                counts.data_withdrawals,
                counts.data_accounts,
                counts.data_rows,
            ],
            digest: data.commitment,
            data: whole.data,
            join_key: batch_key,
        })
    }
}

fn check(whole: &Summary, context: &Context, challenge: Challenge) -> Result<(), EpochError> {
    if whole.context != context.digest() {
        return Err(EpochError::Context);
    }
    if whole.challenge != challenge {
        return Err(EpochError::Challenge);
    }
    if whole.bus != Ext::ZERO {
        return Err(EpochError::Bus);
    }
    if whole.words >= MAX_EPOCH_WORDS {
        return Err(EpochError::Words(whole.words));
    }
    let (headers, scans) = (whole.counts.headers, whole.counts.scans);
    if (headers, scans) != (1, 1) {
        return Err(EpochError::Once { headers, scans });
    }
    if whole.handoff != Chain::unchanged(EMPTY) {
        return Err(EpochError::Handoff);
    }
    if whole.tick_table.after != context.table || whole.close_table.before != context.table {
        return Err(EpochError::Table);
    }
    Ok(())
}
