//! A record's bytes: version, time, the command's number, its fields (docs/sequencer.md).

use tally_protocol::bounds::MAX_REPORTERS;

use super::wire::{RECORD_VERSION, Reader, Wire, WireError, number, put_length};
use super::{Command, MAX_BATCH, Operation, Record};

/// Bits of a record's time.
const TIME_BITS: u32 = 48;

impl Record {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        RECORD_VERSION.put(&mut out);
        self.at.put(&mut out);
        self.command.put(&mut out);
        out
    }

    /// All of the bytes, in the one encoding that the record has.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader(bytes);
        let version = u8::take(&mut reader)?;
        if version != RECORD_VERSION {
            return Err(WireError::Version(version));
        }
        let at = u64::take(&mut reader)?;
        if at >> TIME_BITS != 0 {
            return Err(number("time", at));
        }
        let command = Command::take(&mut reader)?;
        reader.end()?;
        Ok(Self { at, command })
    }
}

impl Command {
    /// The number in a record; it never changes.
    pub fn number(&self) -> u8 {
        match self {
            Self::Submit(_) => 1,
            Self::Batch(_) => 2,
            Self::Cancel(_) => 3,
            Self::CancelAll(_) => 4,
            Self::DeadMan(_) => 5,
            Self::Transfer(_) => 6,
            Self::Withdraw(_) => 7,
            Self::KeyChange(_) => 8,
            Self::Item(_) => 9,
            Self::Round(_) => 10,
            Self::Time => 11,
            Self::CloseEpoch => 12,
            Self::Restarted => 13,
            Self::Proven { .. } => 14,
            Self::Settled { .. } => 15,
            Self::FeeWithdraw { .. } => 16,
        }
    }
}

impl Wire for Command {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(self.number());
        match self {
            Self::Submit(submit) => submit.put(out),
            Self::Batch(operations) => put_list(operations, out),
            Self::Cancel(signed) => signed.put(out),
            Self::CancelAll(signed) => signed.put(out),
            Self::DeadMan(signed) => signed.put(out),
            Self::Transfer(transfer) => transfer.put(out),
            Self::Withdraw(signed) => signed.put(out),
            Self::KeyChange(signed) => signed.put(out),
            Self::Item(item) => item.put(out),
            Self::Round(reports) => put_list(reports, out),
            Self::Time | Self::CloseEpoch | Self::Restarted => {}
            Self::Proven { epoch } | Self::Settled { epoch } => epoch.put(out),
            Self::FeeWithdraw { amount } => amount.put(out),
        }
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(match u8::take(from)? {
            1 => Self::Submit(Wire::take(from)?),
            2 => Self::Batch(take_list(from, MAX_BATCH)?),
            3 => Self::Cancel(Wire::take(from)?),
            4 => Self::CancelAll(Wire::take(from)?),
            5 => Self::DeadMan(Wire::take(from)?),
            6 => Self::Transfer(Box::new(Wire::take(from)?)),
            7 => Self::Withdraw(Wire::take(from)?),
            8 => Self::KeyChange(Wire::take(from)?),
            9 => Self::Item(Box::new(Wire::take(from)?)),
            10 => Self::Round(take_list(from, MAX_REPORTERS)?),
            11 => Self::Time,
            12 => Self::CloseEpoch,
            13 => Self::Restarted,
            14 => Self::Proven {
                epoch: Wire::take(from)?,
            },
            15 => Self::Settled {
                epoch: Wire::take(from)?,
            },
            16 => Self::FeeWithdraw {
                amount: Wire::take(from)?,
            },
            value => return Err(number("command", value.into())),
        })
    }
}

impl Wire for Operation {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Submit(submit) => {
                out.push(1);
                submit.put(out);
            }
            Self::Cancel(signed) => {
                out.push(3);
                signed.put(out);
            }
        }
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, WireError> {
        match u8::take(from)? {
            1 => Ok(Self::Submit(Wire::take(from)?)),
            3 => Ok(Self::Cancel(Wire::take(from)?)),
            value => Err(number("operation", value.into())),
        }
    }
}

fn put_list<T: Wire>(list: &[T], out: &mut Vec<u8>) {
    put_length(list.len(), out);
    list.iter().for_each(|item| item.put(out));
}

fn take_list<T: Wire>(from: &mut Reader<'_>, most: usize) -> Result<Vec<T>, WireError> {
    let length = from.length(most)?;
    (0..length).map(|_| T::take(from)).collect()
}
