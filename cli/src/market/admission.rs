//! What the settlement contract would take into its queue \[J4\], so that every item of a replay
//! can be asked for on a chain: accounts that are numbered, their owners where it must be they, and
//! few items that wait of one account. Twin of `PriorityQueue.sol`; `tally settle` compares them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tally_protocol::account::Owner;
use tally_protocol::bounds::FIRST_USER_ACCOUNT;
use tally_protocol::instrument::InstrumentKind;
use tally_protocol::journal::FIRST_SUB_ACCOUNT;
use tally_protocol::listing::row_of;
use tally_protocol::queue::{Deposit, Request, Take};
use tally_protocol::terms::CASH;
use tally_protocol::types::{AccountId, InstrumentId};

/// Items of an account that wait: of its owner, and of others.
const MOST_PENDING: usize = 4;
/// An item is taken to wait this long, in epochs: batches of as many epochs, executed one after the
/// other, serve it in time. (A day, the contract's deadline, has 96.)
const WAIT: u32 = 32;

/// An account's items of its owner, or of everybody else.
type Key = (AccountId, Option<Owner>);

#[derive(Debug, Default)]
pub struct Admission {
    owners: BTreeMap<AccountId, Owner>,
    /// Assets that a listing named an instrument of.
    assets: BTreeSet<u32>,
    /// Epochs of the last items.
    pending: BTreeMap<Key, VecDeque<u32>>,
}

impl Admission {
    pub fn admits(&self, request: &Request, epoch: u32) -> bool {
        let has_room = |key: Key| {
            let waiting = self.pending.get(&key).into_iter().flatten();
            waiting.filter(|at| **at + WAIT > epoch).count() < MOST_PENDING
        };
        self.is_known(request)
            && self.is_authorised(request)
            && self.keys(request).into_iter().flatten().all(has_room)
    }

    /// Takes an item that is admitted.
    pub fn admit(&mut self, request: &Request, epoch: u32) {
        match request {
            Request::Deposit(Deposit {
                create: Some(_),
                account,
                sender,
                ..
            }) => {
                self.owners.insert(*account, *sender);
            }
            Request::Change(change) if change.params.kind == InstrumentKind::Spot => {
                self.assets.insert(change.params.asset);
            }
            _ => {}
        }
        for key in self.keys(request).into_iter().flatten() {
            let pending = self.pending.entry(key).or_default();
            pending.push_back(epoch);
            if pending.len() > MOST_PENDING {
                pending.pop_front();
            }
        }
    }

    fn is_main(account: AccountId) -> bool {
        account.0 < FIRST_SUB_ACCOUNT
    }

    /// L1 has numbered the account, or it is a sub-account, and the asset is listed.
    fn is_known(&self, request: &Request) -> bool {
        let exists =
            |account: AccountId| !Self::is_main(account) || self.owners.contains_key(&account);
        let is_listed = |instrument: InstrumentId| {
            instrument == CASH || self.assets.contains(&row_of(instrument.0))
        };
        match request {
            // The next number is the newcomer's.
            Request::Deposit(Deposit {
                create: Some(_),
                account,
                instrument,
                ..
            }) => {
                let next = FIRST_USER_ACCOUNT as usize + self.owners.len();
                account.0 as usize == next && is_listed(*instrument)
            }
            Request::Deposit(Deposit {
                account,
                instrument,
                ..
            })
            | Request::Withdraw {
                account,
                instrument,
                ..
            } => exists(*account) && is_listed(*instrument),
            Request::Take(take) => {
                exists(take.account) && exists(take.taker) && take.account != take.taker
            }
            _ => request.account().is_none_or(exists),
        }
    }

    /// Of a main account only its owner asks for withdrawals, keys, cancels, takes and lots; whose
    /// a sub-account is the ledger decides.
    fn is_authorised(&self, request: &Request) -> bool {
        let owns = |account: &AccountId, sender: &Owner| {
            !Self::is_main(*account) || self.owners.get(account) == Some(sender)
        };
        match request {
            Request::Deposit(deposit) if deposit.create.is_none() && deposit.instrument != CASH => {
                owns(&deposit.account, &deposit.sender)
            }
            Request::Withdraw {
                account, sender, ..
            }
            | Request::KeyChange {
                account, sender, ..
            }
            | Request::CancelAll { account, sender } => owns(account, sender),
            Request::Take(take) => owns(&take.taker, &take.sender),
            _ => true,
        }
    }

    /// Whose items the request counts among.
    fn keys(&self, request: &Request) -> [Option<Key>; 2] {
        match request {
            Request::Deposit(deposit) => {
                let (account, sender) = (deposit.account, deposit.sender);
                let is_own = deposit.create.is_some() || self.owners.get(&account) == Some(&sender);
                [Some((account, is_own.then_some(sender))), None]
            }
            Request::Withdraw {
                account, sender, ..
            }
            | Request::KeyChange {
                account, sender, ..
            }
            | Request::CancelAll { account, sender } => [Some((*account, Some(*sender))), None],
            Request::Flag { account } | Request::Absorb { account } => {
                [Some((*account, None)), None]
            }
            Request::Take(Take {
                account,
                taker,
                sender,
                ..
            }) => [Some((*account, None)), Some((*taker, Some(*sender)))],
            Request::Change(_) => [None, None],
        }
    }
}

#[cfg(test)]
mod tests {
    use tally_protocol::queue::NewAccount;

    use super::*;

    const OWNER: Owner = Owner([1; 20]);
    const STRANGER: Owner = Owner([2; 20]);
    const MAIN: AccountId = AccountId(FIRST_USER_ACCOUNT);
    const SUB: AccountId = AccountId(FIRST_SUB_ACCOUNT);

    fn deposit(sender: Owner, account: AccountId, instrument: u32, creates: bool) -> Request {
        Request::Deposit(Deposit {
            sender,
            account,
            instrument: InstrumentId(instrument),
            amount: 1,
            create: creates.then(NewAccount::default),
        })
    }

    fn opened() -> Admission {
        let mut admission = Admission::default();
        let open = deposit(OWNER, MAIN, 0, true);
        assert!(admission.admits(&open, 0));
        admission.admit(&open, 0);
        admission
    }

    #[test]
    fn j4_accounts_are_numbered_in_turn_and_asked_for_by_their_owners() {
        let admission = opened();
        let next = AccountId(FIRST_USER_ACCOUNT + 1);
        let cancel = |account, sender| Request::CancelAll { account, sender };
        for (request, is_admitted) in [
            (deposit(STRANGER, next, 0, true), true),
            (deposit(STRANGER, AccountId(next.0 + 1), 0, true), false),
            (deposit(STRANGER, next, 0, false), false),
            (deposit(STRANGER, MAIN, 0, false), true),
            (deposit(OWNER, MAIN, 9, false), false),
            (cancel(MAIN, OWNER), true),
            (cancel(MAIN, STRANGER), false),
            (cancel(SUB, STRANGER), true),
            (Request::Flag { account: next }, false),
        ] {
            assert_eq!(admission.admits(&request, 0), is_admitted, "{request:?}");
        }
    }

    #[test]
    fn j4_four_items_of_an_account_wait_at_most() {
        let mut admission = opened();
        let flag = Request::Flag { account: MAIN };
        for _ in 0..MOST_PENDING {
            assert!(admission.admits(&flag, 5));
            admission.admit(&flag, 5);
        }
        // Others' items, so those of strangers count and the owner's do not.
        assert!(!admission.admits(&flag, 5));
        assert!(!admission.admits(&deposit(STRANGER, MAIN, 0, false), 5));
        assert!(admission.admits(&deposit(OWNER, MAIN, 0, false), 5));
        assert!(!admission.admits(&flag, 5 + WAIT - 1));
        assert!(admission.admits(&flag, 5 + WAIT));
    }
}
