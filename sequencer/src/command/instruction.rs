//! Messages to the sequencer alone. They are signed like the protocol's, under frame kinds that the
//! protocol does not have, so no entry can be authorised by one.

use serde::{Deserialize, Serialize};
use tally_protocol::hash::{Digest, F, Tag, hash, unsigned};
use tally_protocol::message::{
    BODY_WORDS, Domain, FRAME_WORDS, MESSAGE_WORDS, MessageKind, author,
};
use tally_protocol::types::AccountId;

/// Place of the kind in a frame, and the first kind that is no message of the protocol.
const KIND_WORD: usize = 5;
const DEAD_MAN: u64 = 256;
/// Bits of a counter.
pub const COUNTER_BITS: u32 = 56;

/// Cancels all of an account's resting orders unless it is renewed in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadMan {
    pub account: AccountId,
    pub generation: u32,
    /// Rises with each message of the account; a time in milliseconds will do. 56 bits.
    pub counter: u64,
    /// Milliseconds from the command's time on; 0 disarms.
    pub timeout: u32,
}

impl DeadMan {
    pub fn digest(&self, domain: &Domain) -> Digest {
        let mut body = [F::default(); BODY_WORDS];
        let words = [
            author(self.account, self.generation),
            unsigned(self.counter),
            unsigned(self.timeout.into()),
        ];
        for (to, word) in body.iter_mut().zip(words) {
            *to = word;
        }
        instruction(domain, DEAD_MAN, &body)
    }
}

/// The protocol's layout with a kind of our own.
fn instruction(domain: &Domain, kind: u64, body: &[F; BODY_WORDS]) -> Digest {
    let mut words = [F::default(); MESSAGE_WORDS];
    let (frame, rest) = words.split_at_mut(FRAME_WORDS);
    frame.copy_from_slice(&domain.frame(MessageKind::Cancel));
    if let Some(word) = frame.get_mut(KIND_WORD) {
        *word = unsigned(kind);
    }
    rest.copy_from_slice(body);
    hash(Tag::Message, &words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s5_an_instruction_is_no_message_of_the_protocol() {
        let domain = Domain::default();
        for kind in MessageKind::ALL {
            let own = unsigned(kind as u64);
            assert_eq!(domain.frame(kind)[KIND_WORD], own);
            assert!((kind as u64) < DEAD_MAN);
        }
        let message = DeadMan {
            account: AccountId(1024),
            generation: 1,
            counter: 2,
            timeout: 3,
        };
        let mut body = [F::default(); BODY_WORDS];
        body[0] = author(message.account, 1);
        body[1] = unsigned(2);
        body[2] = unsigned(3);
        for kind in MessageKind::ALL {
            assert_ne!(message.digest(&domain), domain.digest(kind, &body));
        }
    }
}
