//! What holds of every valid entry: [J1], [N3], and digests that no field change leaves alone.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::bounds::{FEE_ACCOUNT, POSTING_CASH_BITS};
use crate::entry::{Effects, Entry, Terms};
use crate::instrument::InstrumentKind;
use crate::journal::layout::lay_out;
use crate::journal::testing::{Case, account, case, fill, keys, market_row, owner};
use crate::message::{Accept, CancelAll, Domain, KeyChange, MessageKind, Transfer, Withdraw};
use crate::posting::{Needs, Posting};
use crate::queue::{Deposit, Request, chain};
use crate::terms::{CASH, LeafTerms, LiquidationTerms};
use crate::types::{AccountId, InstrumentId};

use super::World;

fn effects(case: &Case) -> Effects {
    let terms = Terms {
        epoch: &case.epoch,
        market: &case.market,
    };
    case.entry
        .effects(&terms)
        .unwrap_or_else(|error| panic!("{error}: {:?}", case.entry))
}

fn blank() -> Posting {
    Posting::blank(crate::posting::PostingKind::Fill, AccountId(1024))
}

proptest! {
    #![proptest_config(super::config(400))]

    #[test]
    fn j1_postings_of_an_entry_sum_to_zero(case in case()) {
        prop_assert_eq!(effects(&case).imbalance(), BTreeMap::new());
    }

    #[test]
    fn n3_postings_stay_in_their_bounds(case in case()) {
        for opened in effects(&case).postings {
            let posting = opened.posting;
            prop_assert!(posting.delta_cash.unsigned_abs() >> POSTING_CASH_BITS == 0);
            let most = case.market.row(posting.instrument).map_or(0, |row| row.max_size);
            prop_assert!(posting.delta_size.unsigned_abs() <= most);
            prop_assert!(posting.needs.0 >> Needs::COUNT == 0);
        }
    }

    /// [S6] Only the kinds that may touch a system account name one, and they say so.
    #[test]
    fn s6_a_posting_says_whether_its_account_is_the_systems(case in case()) {
        for opened in effects(&case).postings {
            let posting = opened.posting;
            prop_assert_eq!(posting.account.is_system(), posting.needs.has(Needs::SYSTEM));
        }
    }

    /// A journal of any length balances, its indices are its places, and each segment of fills
    /// ends with its fee posting.
    #[test]
    fn n3_a_segments_fees_are_one_posting_at_its_end(
        (row, fills) in market_row(InstrumentId(1), InstrumentKind::Perpetual).prop_flat_map(
            |row| (Just(row), prop::collection::vec(fill(row), 1..12))),
        cuts in prop::collection::vec(any::<bool>(), 12),
        most in 1usize..5,
    ) {
        let mut world = World::new();
        world.market = crate::entry::Market::new([row]);
        let mut entries = Vec::new();
        for (fill, cut) in fills.iter().zip(&cuts) {
            if *cut {
                let flag = crate::journal::flag::Flag { account: AccountId(5000) };
                entries.push(Entry::Flag(flag));
            }
            entries.push(Entry::Fill(Box::new(fill.clone())));
        }
        let journal = lay_out(&entries, &world.terms(), most).unwrap();
        let cash: i128 = journal.postings.iter().map(|o| i128::from(o.posting.delta_cash)).sum();
        prop_assert_eq!(cash, 0);
        for (index, opened) in journal.postings.iter().enumerate() {
            prop_assert_eq!(opened.posting.index as usize, index);
            prop_assert_eq!(opened.posting.epoch, world.epoch.epoch);
        }
        let laid: usize = journal.segments.iter().map(|segment| segment.entries.len()).sum();
        prop_assert_eq!(laid, fills.len());
        for segment in &journal.segments {
            prop_assert!(segment.entries.len() <= most);
            prop_assert_eq!(segment.postings.len(), 2 * segment.entries.len() + 1);
            let last = &journal.postings[*segment.postings.last().unwrap()].posting;
            prop_assert_eq!(last.account.0, FEE_ACCOUNT);
            prop_assert_eq!(u64::try_from(last.delta_cash).unwrap(), segment.fee);
        }
    }

    /// [J1] Two postings with the same words are the same posting.
    #[test]
    fn j1_every_field_of_a_posting_is_in_its_words(
        n in 1u32.., lots in 1i64..1 << 48, cash in 1i64..1 << 56, d in 1u64..1 << 32,
    ) {
        let digest = crate::hash::hash(crate::hash::Tag::Aux, &[crate::hash::unsigned(d)]);
        type Bend = fn(&mut Posting, u32, i64, i64, crate::hash::Digest);
        let changes: [Bend; 15] = [
            |p, _, _, _, _| p.kind = crate::posting::PostingKind::Fee,
            |p, n, _, _, _| p.epoch = n,
            |p, n, _, _, _| p.account = AccountId(n ^ 1024),
            |p, n, _, _, _| p.index = n,
            |p, n, _, _, _| p.instrument = InstrumentId(n),
            |p, _, lots, _, _| p.delta_size = lots,
            |p, _, lots, _, _| p.delta_size = -lots,
            |p, _, _, cash, _| p.delta_cash = cash,
            |p, _, _, cash, _| p.delta_cash = -cash,
            |p, _, _, _, d| p.digest = d,
            |p, n, _, _, _| p.place = n,
            |p, n, _, _, _| p.sequence = n,
            |p, n, _, _, _| p.generation = n,
            |p, _, lots, _, _| p.order_size = lots as u64,
            |p, _, _, _, d| p.aux = d,
        ];
        let mut seen = vec![blank().words(), blank().needing(Needs::SOLE).words()];
        for change in changes {
            let mut posting = blank();
            change(&mut posting, n, lots, cash, digest);
            prop_assert!(!seen.contains(&posting.words()), "{:?}", posting);
            seen.push(posting.words());
        }
    }

    /// [S5] A message's digest names its kind, its deployment and every field.
    #[test]
    fn s5_every_field_of_a_message_moves_its_digest(
        account in account(), n in 1u32.., keys in keys(), terms in 1u64..1 << 32,
    ) {
        let domain = Domain::default();
        let terms = crate::hash::hash(crate::hash::Tag::Aux, &[crate::hash::unsigned(terms)]);
        let generation = 0;
        let transfer = Transfer {
            account, generation, nonce: 0, to: AccountId(1), instrument: CASH, short: false,
            amount: 0, terms: crate::hash::EMPTY,
        };
        let withdraw =
            Withdraw { account, generation, nonce: 0, instrument: CASH, amount: 0, least: 0 };
        let change = KeyChange { account, generation, nonce: 0, keys: Default::default() };
        let accept =
            Accept { account, generation, nonce: 0, transfer: crate::hash::EMPTY };
        let cancel = CancelAll { account, generation, nonce: 0 };
        let digests = [
            transfer.digest(&domain),
            Transfer { account: AccountId(account.0 ^ 1), ..transfer }.digest(&domain),
            Transfer { generation: n, ..transfer }.digest(&domain),
            Transfer { nonce: n, ..transfer }.digest(&domain),
            Transfer { to: AccountId(2), ..transfer }.digest(&domain),
            Transfer { instrument: InstrumentId(n), ..transfer }.digest(&domain),
            Transfer { short: true, ..transfer }.digest(&domain),
            Transfer { amount: n.into(), ..transfer }.digest(&domain),
            Transfer { terms, ..transfer }.digest(&domain),
            withdraw.digest(&domain),
            Withdraw { nonce: n, ..withdraw }.digest(&domain),
            Withdraw { instrument: InstrumentId(n), ..withdraw }.digest(&domain),
            Withdraw { amount: n.into(), ..withdraw }.digest(&domain),
            Withdraw { least: n.into(), ..withdraw }.digest(&domain),
            change.digest(&domain),
            KeyChange { nonce: n, ..change }.digest(&domain),
            KeyChange { keys, ..change }.digest(&domain),
            accept.digest(&domain),
            Accept { transfer: terms, ..accept }.digest(&domain),
            cancel.digest(&domain),
            CancelAll { nonce: n, ..cancel }.digest(&domain),
            CancelAll { generation: n, ..cancel }.digest(&domain),
            cancel.digest(&Domain { chain_id: 1, ..domain }),
            cancel.digest(&Domain { contract: crate::account::Owner([1; 20]), ..domain }),
        ];
        for (at, digest) in digests.iter().enumerate() {
            prop_assert!(!digests[at + 1..].contains(digest), "{}", at);
        }
        let bodies = MessageKind::ALL.map(|kind| domain.digest(kind, &Default::default()));
        for (at, digest) in bodies.iter().enumerate() {
            prop_assert!(!bodies[at + 1..].contains(digest), "{}", at);
        }
    }

    #[test]
    fn j1_every_field_of_aux_moves_its_digest(
        owner in owner(), keys in keys(), charge in 1u64..1 << 42, flagged_at in 1u32..,
    ) {
        use crate::terms::Aux;
        let leaf = LeafTerms::default();
        let liquidation = LiquidationTerms::default();
        let digests = [
            Aux::None,
            Aux::Leaf(leaf),
            Aux::Leaf(LeafTerms { owner, ..leaf }),
            Aux::Leaf(LeafTerms { keys: keys.digest(), ..leaf }),
            Aux::Leaf(LeafTerms { kind: crate::account::AccountKind::Isolated, ..leaf }),
            Aux::Liquidation(LiquidationTerms { charge, ..liquidation }),
            Aux::Liquidation(LiquidationTerms { penalty: charge, ..liquidation }),
            Aux::Liquidation(LiquidationTerms { flagged_at, ..liquidation }),
            Aux::Absorbed(Default::default()),
        ]
        .map(|aux| aux.digest());
        for (at, digest) in digests.iter().enumerate() {
            prop_assert!(!digests[at + 1..].contains(digest), "{}", at);
        }
    }

    /// [C1] An item's digest and the queue's head name every field.
    #[test]
    fn c1_every_field_of_an_item_moves_its_digest(
        sender in owner(), account in account(), keys in keys(), amount in 1u64..1 << 56,
    ) {
        let deposit = Deposit {
            sender, account, instrument: CASH, amount: 0, create: None,
        };
        let new = crate::queue::NewAccount { keys: Default::default(), isolated: false };
        let other = AccountId(account.0 ^ 1);
        let requests = [
            Request::Deposit(deposit),
            Request::Deposit(Deposit { account: other, ..deposit }),
            Request::Deposit(Deposit { instrument: InstrumentId(1), ..deposit }),
            Request::Deposit(Deposit { amount, ..deposit }),
            Request::Deposit(Deposit { create: Some(new), ..deposit }),
            Request::Deposit(Deposit {
                create: Some(crate::queue::NewAccount { isolated: true, ..new }),
                ..deposit
            }),
            Request::Deposit(Deposit {
                create: Some(crate::queue::NewAccount { keys, ..new }),
                ..deposit
            }),
            Request::KeyChange { sender, account, keys },
            Request::CancelAll { sender, account },
            Request::Flag { account },
            Request::Absorb { account },
        ];
        let digests: Vec<_> = requests.iter().map(Request::digest).collect();
        for (at, digest) in digests.iter().enumerate() {
            prop_assert!(!digests[at + 1..].contains(digest), "{}", at);
        }
        let (first, second) = (&requests[0], &requests[3]);
        let head = crate::hash::EMPTY;
        let one_way = chain(chain(head, first), second);
        prop_assert_ne!(one_way, chain(chain(head, second), first));
    }
}
