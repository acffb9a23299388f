//! Epochs that wait for their batch, and how many of them make the next one.

use tally_jobs::{EpochRef, EpochWitness, Millis, Wire};
use tally_protocol::data::{BatchData, DataShape, ELEMENT_BYTES, STATEMENT_WORDS};

/// In front of a batch's records.
const STATEMENT_BYTES: usize = STATEMENT_WORDS * ELEMENT_BYTES;

/// An epoch that is in no batch yet.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    pub epoch: EpochRef,
    /// When it was first seen.
    pub since: Millis,
    /// Its records, as L1 gets them \[P6\].
    pub data_bytes: usize,
}

impl Waiting {
    /// A witness that does not decode counts nothing: the plan of its batch refuses it.
    pub fn new(epoch: EpochRef, since: Millis, witness: &[u8]) -> Self {
        let witness = EpochWitness::decode(witness);
        let data = witness.map(|it| BatchData::of_epoch(&it.trace, &DataShape::PRODUCTION));
        let words = data.map_or(STATEMENT_WORDS, |data| data.words().len());
        Self {
            epoch,
            since,
            data_bytes: words * ELEMENT_BYTES - STATEMENT_BYTES,
        }
    }
}

/// How many of the epochs that wait the next batch takes, one at least, and whether that fills it:
/// with so many epochs, or because the next one's data would be too many bytes for one transaction.
pub fn next_batch(waiting: &[Waiting], most_epochs: usize, most_bytes: usize) -> (usize, bool) {
    let mut bytes = STATEMENT_BYTES;
    let fits = waiting.iter().take(most_epochs).take_while(|it| {
        bytes = bytes.saturating_add(it.data_bytes);
        bytes <= most_bytes
    });
    let count = fits.count().max(1).min(waiting.len());
    (count, count == most_epochs || count < waiting.len())
}

#[cfg(test)]
mod tests {
    use tally_jobs::Address;

    use super::*;

    fn waiting(sizes: &[usize]) -> Vec<Waiting> {
        let one = |(epoch, data_bytes): (u32, &usize)| Waiting {
            epoch: EpochRef {
                epoch,
                witness: Address([0; 32]),
            },
            since: 0,
            data_bytes: *data_bytes,
        };
        (1..).zip(sizes).map(one).collect()
    }

    #[test]
    fn p6_a_batch_ends_before_its_data_are_too_many() {
        let most = STATEMENT_BYTES + 100;
        let cases: [(&[usize], (usize, bool)); 8] = [
            (&[], (0, false)),
            (&[60], (1, false)),
            (&[60, 40], (2, false)),
            (&[60, 41], (1, true)),
            (&[60, 40, 1], (2, true)),
            (&[0, 0, 0], (3, true)),
            (&[0, 0, 0, 0], (3, true)),
            // Alone beyond the bound: a batch of its own, which L1's client refuses by name.
            (&[101, 1], (1, true)),
        ];
        for (sizes, expected) in cases {
            assert_eq!(next_batch(&waiting(sizes), 3, most), expected, "{sizes:?}");
        }
    }
}
