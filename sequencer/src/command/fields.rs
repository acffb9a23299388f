//! The encoding of what commands are made of: fields in the order of their declarations.

use std::collections::BTreeMap;

use tally_protocol::account::{AccountKind, Keys, Owner};
use tally_protocol::bounds::TABLE_DEPTH;
use tally_protocol::instrument::{InstrumentKind, RowParams};
use tally_protocol::journal::transfer::{Receiver, TransferEntry};
use tally_protocol::listing::Change;
use tally_protocol::message::{Accept, Cancel, CancelAll, KeyChange, Transfer, Withdraw};
use tally_protocol::oracle::{FeedPrices, Prices, Report, SignedReport, Stamp};
use tally_protocol::order::{Order, Place};
use tally_protocol::queue::{Deposit, Item, NewAccount, Request, Take};
use tally_protocol::signature::{SIGNATURE_BYTES, Signature};
use tally_protocol::types::{AccountId, InstrumentId, Side};

use super::instruction::COUNTER_BITS;
use super::wire::{Reader, Wire, WireError, number, put_length};
use super::{
    Auth, DeadMan, Direction, OrderTerms, SelfTrade, Signed, Submit, TimeInForce, TransferCommand,
    Trigger,
};

/// Fields one after another, in both directions.
macro_rules! fields {
    ($type:ident { $($field:ident),* $(,)? }) => {
        impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)*
            }

            fn take(from: &mut Reader<'_>) -> Result<Self, WireError> {
                $(let $field = Wire::take(from)?;)*
                Ok(Self { $($field),* })
            }
        }
    };
}

/// One byte, one of the listed numbers.
macro_rules! numbered {
    ($type:ident, $what:literal, $($variant:ident = $number:literal),*) => {
        impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                out.push(match self { $(Self::$variant => $number),* });
            }

            fn take(from: &mut Reader<'_>) -> Result<Self, WireError> {
                match u8::take(from)? {
                    $($number => Ok(Self::$variant),)*
                    value => Err(number($what, value.into())),
                }
            }
        }
    };
}

numbered!(Side, "side", Long = 0, Short = 1);
numbered!(
    TimeInForce,
    "time in force",
    GoodTillTime = 0,
    ImmediateOrCancel = 1,
    FillOrKill = 2
);
numbered!(
    SelfTrade,
    "self-trade rule",
    CancelNewest = 0,
    CancelOldest = 1,
    CancelBoth = 2
);
numbered!(Direction, "direction", Above = 0, Below = 1);
numbered!(
    AccountKind,
    "account kind",
    Cross = 0,
    Isolated = 1,
    System = 2
);
numbered!(
    InstrumentKind,
    "instrument kind",
    Quote = 0,
    Perpetual = 1,
    Spot = 2
);

fields!(Auth { key, signature });
fields!(Order {
    account,
    generation,
    place,
    instrument,
    side,
    size,
    limit,
    max_fee_per_lot,
    expiry,
    reduce_only,
    amend,
});
fields!(OrderTerms {
    client_id,
    time_in_force,
    post_only,
    self_trade,
    trigger
});
fields!(Trigger { price, direction });
fields!(Submit { order, auth, terms });
fields!(Cancel {
    account,
    generation,
    slot,
    sequence
});
fields!(CancelAll {
    account,
    generation,
    nonce
});
fields!(KeyChange {
    account,
    generation,
    nonce,
    keys
});
fields!(Withdraw {
    account,
    generation,
    nonce,
    instrument,
    amount,
    least
});
fields!(Accept {
    account,
    generation,
    nonce,
    transfer
});
fields!(Keys { key, trading_key });
fields!(NewAccount { keys, isolated });
fields!(Deposit {
    sender,
    account,
    instrument,
    amount,
    create
});
fields!(Take {
    sender,
    account,
    taker,
    instrument,
    side,
    size,
    limit
});
fields!(Change { params, price });
fields!(RowParams {
    id,
    kind,
    asset,
    max_price,
    max_size,
    max_open_interest,
    initial_long,
    initial_short,
    maintenance_long,
    maintenance_short,
    penalty,
    fill_band,
    price_band,
    funding_cap,
});
fields!(Item { index, request });
fields!(Stamp {
    feed_set,
    round,
    time,
    previous
});
fields!(FeedPrices {
    index,
    mark,
    premium
});
fields!(TransferCommand {
    entry,
    auth,
    accept
});

impl Wire for AccountId {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self(Wire::take(from)?))
    }
}

impl Wire for InstrumentId {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self(Wire::take(from)?))
    }
}

impl Wire for Owner {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self(from.array()?))
    }
}

impl Wire for Signature {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_bytes());
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self::from_bytes(from.bytes(SIGNATURE_BYTES)?)?)
    }
}

impl<T: Wire> Wire for Signed<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.message.put(out);
        self.auth.put(out);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let message = T::take(from)?;
        let auth = Wire::take(from)?;
        Ok(Self { message, auth })
    }
}

impl Wire for DeadMan {
    fn put(&self, out: &mut Vec<u8>) {
        self.account.put(out);
        self.generation.put(out);
        self.counter.put(out);
        self.timeout.put(out);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let (account, generation) = (Wire::take(from)?, Wire::take(from)?);
        let (counter, timeout) = (u64::take(from)?, Wire::take(from)?);
        match counter >> COUNTER_BITS {
            0 => Ok(Self {
                account,
                generation,
                counter,
                timeout,
            }),
            _ => Err(number("counter", counter)),
        }
    }
}

impl Wire for Place {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Slot { slot, sequence } => {
                out.push(0);
                slot.put(out);
                sequence.put(out);
            }
            Self::Nonce(nonce) => {
                out.push(1);
                nonce.put(out);
            }
        }
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, WireError> {
        match u8::take(from)? {
            0 => {
                let slot = Wire::take(from)?;
                let sequence = Wire::take(from)?;
                Ok(Self::Slot { slot, sequence })
            }
            1 => Ok(Self::Nonce(Wire::take(from)?)),
            value => Err(number("place", value.into())),
        }
    }
}

impl Wire for Receiver {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Anyone => out.push(0),
            Self::SameOwner(owner) => {
                out.push(1);
                owner.put(out);
            }
            Self::Accepts(accept) => {
                out.push(2);
                accept.put(out);
            }
            Self::New { owner, keys, kind } => {
                out.push(3);
                owner.put(out);
                keys.put(out);
                kind.put(out);
            }
        }
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(match u8::take(from)? {
            0 => Self::Anyone,
            1 => Self::SameOwner(Wire::take(from)?),
            2 => Self::Accepts(Wire::take(from)?),
            3 => {
                let (owner, keys, kind) = (Wire::take(from)?, Wire::take(from)?, Wire::take(from)?);
                Self::New { owner, keys, kind }
            }
            value => return Err(number("receiver", value.into())),
        })
    }
}

/// `terms`, what the sender signs of the receiver, follows from the receiver and is not written.
impl Wire for TransferEntry {
    fn put(&self, out: &mut Vec<u8>) {
        let message = &self.message;
        message.account.put(out);
        message.generation.put(out);
        message.nonce.put(out);
        message.to.put(out);
        message.instrument.put(out);
        message.short.put(out);
        message.amount.put(out);
        self.receiver.put(out);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let (account, generation, nonce) =
            (Wire::take(from)?, Wire::take(from)?, Wire::take(from)?);
        let (to, instrument) = (Wire::take(from)?, Wire::take(from)?);
        let (short, amount) = (Wire::take(from)?, Wire::take(from)?);
        let receiver: Receiver = Wire::take(from)?;
        let terms = receiver.aux().digest();
        let message = Transfer {
            account,
            generation,
            nonce,
            to,
            instrument,
            short,
            amount,
            terms,
        };
        Ok(Self { message, receiver })
    }
}

impl Wire for Request {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::try_from(self.number()).unwrap_or(0));
        match self {
            Self::Deposit(deposit) => deposit.put(out),
            Self::Withdraw {
                sender,
                account,
                instrument,
                amount,
            } => {
                sender.put(out);
                account.put(out);
                instrument.put(out);
                amount.put(out);
            }
            Self::KeyChange {
                sender,
                account,
                keys,
            } => {
                sender.put(out);
                account.put(out);
                keys.put(out);
            }
            Self::CancelAll { sender, account } => {
                sender.put(out);
                account.put(out);
            }
            Self::Flag { account } | Self::Absorb { account } => account.put(out),
            Self::Take(take) => take.put(out),
            Self::Change(change) => change.put(out),
        }
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(match u8::take(from)? {
            1 => Self::Deposit(Wire::take(from)?),
            2 => {
                let (sender, account) = (Wire::take(from)?, Wire::take(from)?);
                let (instrument, amount) = (Wire::take(from)?, Wire::take(from)?);
                Self::Withdraw {
                    sender,
                    account,
                    instrument,
                    amount,
                }
            }
            3 => {
                let (sender, account, keys) =
                    (Wire::take(from)?, Wire::take(from)?, Wire::take(from)?);
                Self::KeyChange {
                    sender,
                    account,
                    keys,
                }
            }
            4 => {
                let (sender, account) = (Wire::take(from)?, Wire::take(from)?);
                Self::CancelAll { sender, account }
            }
            5 => Self::Flag {
                account: Wire::take(from)?,
            },
            6 => Self::Take(Wire::take(from)?),
            7 => Self::Absorb {
                account: Wire::take(from)?,
            },
            8 => Self::Change(Box::new(Wire::take(from)?)),
            value => return Err(number("request", value.into())),
        })
    }
}

/// The prices' root follows from the prices, so that no report can lie about it.
impl Wire for SignedReport {
    fn put(&self, out: &mut Vec<u8>) {
        self.report.reporter.put(out);
        self.report.stamp.put(out);
        self.signature.put(out);
        put_length(self.prices.feeds().count(), out);
        for (feed, prices) in self.prices.feeds() {
            feed.put(out);
            prices.put(out);
        }
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let (reporter, stamp, signature) =
            (Wire::take(from)?, Wire::take(from)?, Wire::take(from)?);
        let length = from.length(1 << TABLE_DEPTH)?;
        let mut feeds = BTreeMap::new();
        for _ in 0..length {
            let (feed, prices) = (u32::take(from)?, Wire::take(from)?);
            if feeds
                .last_key_value()
                .is_some_and(|(last, _)| *last >= feed)
            {
                return Err(number("rising feed", feed.into()));
            }
            feeds.insert(feed, prices);
        }
        let prices = Prices::new(feeds)?;
        let prices_root = prices.root();
        let report = Report {
            reporter,
            stamp,
            prices_root,
        };
        Ok(Self {
            report,
            prices,
            signature,
        })
    }
}
