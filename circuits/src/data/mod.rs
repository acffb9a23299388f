//! The data segment: what L1 must see of an epoch, as a list of 7-byte words and its value at the
//! batch's point [P6] (docs/segments/data.md).
//!
//! *Statement.* It receives a list of records; d is how many there are of each section, then the
//! words of each record in order; the summary's length, y = Σ dᵢ zⁱ and z^length are d's. *Why it
//! is sound.* Every word of d is a function of what is committed before the batch's C, hence before
//! z: the tuples, and what is behind the digests in them. Digests and cash are written as the only
//! two halves of their canonical residue; everything else is below 2^56 by the bounds of the state.
//! *Which segment takes which record* is the prover's choice and changes only the order of records.

use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::ext_target::ExtensionTarget;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use plonky2::util::reducing::ReducingFactorTarget;
use tally_protocol::account::Money;
use tally_protocol::bounds::SLOTS;
use tally_protocol::data::{
    CARRY_OFFSET, INVENTORY_OFFSET, PLAIN_ITEM_WORDS, PREMIUM_OFFSET, SECTIONS, SMALL_SLOTS,
};
use tally_protocol::hash::{EMPTY, Tag, unsigned};
use tally_protocol::queue::ITEM_WORDS;

pub use tally_protocol::data::{AccountRecord, DataList, DataShape};

use crate::bus::BusTag;
use crate::gadgets::halves::halves;
use crate::gadgets::logic;
use crate::gadgets::sponge::hash_after;
use crate::hash::hash;
use crate::row::state::RowTarget;
use crate::segment::{Segment, SegmentBuilder, SegmentKind};
use crate::summary::DataPolynomialTarget;
use crate::{Builder, D, F};

/// The segment's targets.
#[derive(Clone, Debug)]
pub struct DataSegment {
    pub shape: DataShape,
    pub segment: Segment,
    counts: [Target; SECTIONS],
    queue: Vec<QueueTarget>,
    withdrawals: Vec<[Target; 5]>,
    small: Vec<AccountTarget>,
    large: Vec<AccountTarget>,
    rows: Vec<RowRecordTarget>,
}

#[derive(Clone, Copy, Debug)]
struct QueueTarget {
    index: Target,
    /// As `Request::words`.
    item: [Target; ITEM_WORDS],
    outcome: Target,
}

#[derive(Clone, Debug)]
struct AccountTarget {
    id: Target,
    /// As `Money::words`, without the slots that are empty by the section.
    money: Vec<Target>,
    rest: HashOutTarget,
    owner: [Target; 3],
}

#[derive(Clone, Copy, Debug)]
struct RowRecordTarget {
    number: Target,
    row: RowTarget,
}

/// A record's words, if it is live.
type Record = (BoolTarget, Vec<Target>);

impl DataSegment {
    pub fn build(shape: DataShape) -> (Builder, Self) {
        Self::build_over(Builder::new(), shape)
    }

    /// On a given builder, for mutation tests.
    pub fn build_over(builder: Builder, shape: DataShape) -> (Builder, Self) {
        let mut s = SegmentBuilder::over(builder, SegmentKind::Data);
        let counts: [Target; SECTIONS] = s.add_virtual_target_arr();
        let mut live = Vec::new();
        for (count, room) in counts.into_iter().zip(shape.room()) {
            live.push(logic::live_bits(&mut s, count, room).into_iter());
        }
        let [queue, withdrawals, small, large, rows]: [_; SECTIONS] =
            live.try_into().unwrap_or_else(|_| unreachable!());
        let mut records: Vec<Record> = Vec::new();
        let mut of = |made: Record| records.push(made);
        let queue = each(queue, |bit| queue_record(&mut s, bit, &mut of));
        let withdrawals = each(withdrawals, |bit| withdrawal(&mut s, bit, &mut of));
        let small = each(small, |bit| account(&mut s, SMALL_SLOTS, bit, &mut of));
        let large = each(large, |bit| account(&mut s, SLOTS, bit, &mut of));
        let rows = each(rows, |bit| row(&mut s, bit, &mut of));
        evaluate(&mut s, &counts, &records);
        let (builder, segment) = s.finish(&counts);
        let data = Self {
            shape,
            segment,
            counts,
            queue,
            withdrawals,
            small,
            large,
            rows,
        };
        (builder, data)
    }

    pub fn set(&self, witness: &mut PartialWitness<F>, list: &DataList) -> anyhow::Result<()> {
        for ((target, count), room) in self.counts.iter().zip(list.counts()).zip(self.shape.room())
        {
            anyhow::ensure!(count <= room, "[P1] {count} records, room for {room}");
            witness.set_target(*target, F::from_canonical_usize(count))?;
        }
        for (i, words) in self.queue.iter().enumerate() {
            let record = list.queue.get(i);
            let index = record.map_or(0, |record| record.index);
            let outcome = record.map_or(0, |record| record.outcome);
            let item = record.map_or([F::ZERO; ITEM_WORDS], |record| record.words);
            witness.set_target(words.index, unsigned(index))?;
            witness.set_target_arr(&words.item, &item)?;
            witness.set_target(words.outcome, unsigned(outcome.into()))?;
        }
        for (i, words) in self.withdrawals.iter().enumerate() {
            let paid = list.withdrawals.get(i).copied().unwrap_or_default();
            let [o0, o1, o2] = paid.owner.words();
            let (asset, amount) = (unsigned(paid.asset.into()), unsigned(paid.amount));
            witness.set_target_arr(words, &[o0, o1, o2, asset, amount])?;
        }
        for (targets, accounts) in [(&self.small, &list.small), (&self.large, &list.large)] {
            for (i, target) in targets.iter().enumerate() {
                target.set(witness, accounts.get(i))?;
            }
        }
        for (i, target) in self.rows.iter().enumerate() {
            let (number, row) = list.rows.get(i).copied().unwrap_or_default();
            witness.set_target(target.number, unsigned(number.into()))?;
            target.row.set(witness, &row)?;
        }
        Ok(())
    }
}

fn each<T>(bits: impl Iterator<Item = BoolTarget>, make: impl FnMut(BoolTarget) -> T) -> Vec<T> {
    bits.map(make).collect()
}

/// Opens the item's digest: L1 cannot hash with Poseidon, so it compares the item's words
/// (docs/decisions.md, D22). Cost: 12.7 rows with its tuple.
fn queue_record(
    s: &mut SegmentBuilder,
    live: BoolTarget,
    of: &mut impl FnMut(Record),
) -> QueueTarget {
    let target = QueueTarget {
        index: s.add_virtual_target(),
        item: s.add_virtual_target_arr(),
        outcome: s.add_virtual_target(),
    };
    let digest = hash(s, Tag::QueueItem, &target.item).elements;
    let tuple = [&[target.index], &digest[..], &[target.outcome]].concat();
    s.receive(BusTag::DataQueue, &tuple, live);
    let (plain, long) = target.item.split_at(PLAIN_ITEM_WORDS);
    let mut words = [&[target.index], plain].concat();
    for element in long {
        words.extend(halves(s, *element));
    }
    words.push(target.outcome);
    of((live, words));
    target
}

/// Cost: 2 rows with its tuple.
fn withdrawal(
    s: &mut SegmentBuilder,
    live: BoolTarget,
    of: &mut impl FnMut(Record),
) -> [Target; 5] {
    let tuple: [Target; 5] = s.add_virtual_target_arr();
    s.receive(BusTag::DataWithdrawal, &tuple, live);
    of((live, tuple.to_vec()));
    tuple
}

/// Reopens the account's money. Upper slots that a record leaves out are the constants that the
/// digest has there (docs/decisions.md, D5), so a small record says that they are empty. Cost with
/// its tuple: 10.1 rows of four slots, 15.7 of sixteen.
fn account(
    s: &mut SegmentBuilder,
    slots: usize,
    live: BoolTarget,
    of: &mut impl FnMut(Record),
) -> AccountTarget {
    let target = AccountTarget {
        id: s.add_virtual_target(),
        money: s.add_virtual_targets(3 * slots + 3),
        rest: s.add_virtual_hash(),
        owner: s.add_virtual_target_arr(),
    };
    let empty = vec![F::ZERO; 3 * (SLOTS - slots)];
    let money = hash_after(s, Tag::Money, &empty, &target.money);
    let (id, rest) = ([target.id], target.rest.elements);
    let tuple = [&id[..], &money.elements, &rest, &target.owner].concat();
    s.receive(BusTag::DataAccount, &tuple, live);
    let mut words = vec![target.id];
    let (held, tail) = target.money.split_at(3 * slots);
    let [flagged_at, touched_at, cash] = [tail[0], tail[1], tail[2]];
    words.extend(halves(s, cash));
    words.extend([flagged_at, touched_at]);
    // The digest begins with the highest slot, the record with the lowest.
    for slot in held.chunks(3).rev() {
        words.extend([slot[0], slot[1], raised(s, slot[2], CARRY_OFFSET)]);
    }
    for element in rest {
        words.extend(halves(s, element));
    }
    words.extend(target.owner);
    of((live, words));
    target
}

/// Cost: 6.8 rows with its tuple.
fn row(s: &mut SegmentBuilder, live: BoolTarget, of: &mut impl FnMut(Record)) -> RowRecordTarget {
    let number = s.add_virtual_target();
    let row = RowTarget::new_unchecked(s);
    let digest = row.digest(s);
    let tuple = [&[number], &digest.elements[..]].concat();
    s.receive(BusTag::DataRow, &tuple, live);
    let raised_row = row
        .with_premium(raised(s, row.premium(), PREMIUM_OFFSET))
        .with_long_carry(raised(s, row.long_carry(), CARRY_OFFSET))
        .with_short_carry(raised(s, row.short_carry(), CARRY_OFFSET))
        .with_insurance_size(raised(s, row.insurance_size(), INVENTORY_OFFSET));
    let words = [&[number], &row.params.words[..], &raised_row.words].concat();
    of((live, words));
    RowRecordTarget { number, row }
}

fn raised(b: &mut Builder, x: Target, offset: u64) -> Target {
    let offset = b.constant(unsigned(offset));
    b.add(x, offset)
}

/// d's polynomial at the summary's point: the counts, then the words of the live records.
/// Cost: a row for up to 42 words, and 4 extension operations a record.
fn evaluate(s: &mut SegmentBuilder, counts: &[Target], records: &[Record]) {
    let point = s.add_virtual_extension_target();
    let mut length = s.constant(F::from_canonical_usize(counts.len()));
    let mut value = at(s, point, counts);
    let mut shift = s.exp_u64_extension(point, counts.len() as u64);
    let mut power = (0, shift);
    for (live, words) in records {
        let part = at(s, point, words);
        let part = s.scalar_mul_ext(live.target, part);
        value = s.mul_add_extension(shift, part, value);
        if power.0 != words.len() {
            power = (words.len(), s.exp_u64_extension(point, words.len() as u64));
        }
        let beyond = s.mul_extension(shift, power.1);
        shift = s.select_ext(*live, beyond, shift);
        let size = s.constant(F::from_canonical_usize(words.len()));
        length = s.mul_add(live.target, size, length);
    }
    s.summary.data = DataPolynomialTarget {
        length,
        point,
        value,
        shift,
    };
}

/// Σ wᵢ zⁱ.
fn at(b: &mut Builder, point: ExtensionTarget<D>, words: &[Target]) -> ExtensionTarget<D> {
    ReducingFactorTarget::new(point).reduce_base(words, b)
}

impl AccountTarget {
    fn set(
        &self,
        witness: &mut PartialWitness<F>,
        record: Option<&AccountRecord>,
    ) -> anyhow::Result<()> {
        let nothing = AccountRecord {
            id: 0,
            money: Money::default(),
            rest: EMPTY,
            owner: Default::default(),
        };
        let record = record.unwrap_or(&nothing);
        let words = record.money.words();
        let kept = words.len() - self.money.len();
        anyhow::ensure!(
            words[..kept].iter().all(|word| *word == F::ZERO),
            "[P6] an account of more slots than the section's"
        );
        witness.set_target(self.id, unsigned(record.id.into()))?;
        witness.set_target_arr(&self.money, &words[kept..])?;
        witness.set_hash_target(self.rest, record.rest)?;
        witness.set_target_arr(&self.owner, &record.owner.words())
    }
}

#[cfg(test)]
mod tests;
