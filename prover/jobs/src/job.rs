//! What is to be done for a batch, as values that any worker of the release can act on.
//!
//! A batch's epochs share one point, which is known when all of them are planned; so a batch starts
//! as one job that plans it, and what it finds are the segments' and joins' jobs.

use serde::{Deserialize, Serialize};
use tally_protocol::hash::{Digest, F};

use crate::id::{Address, JobId};
use crate::wire::{Wire, WireError};

/// Epochs of a batch.
pub const MAX_EPOCHS: usize = 4_096;
/// Elements that a proof states: a summary has 64.
pub const MAX_EXPECTED: usize = 256;
/// Proofs that one joins.
pub const MAX_CHILDREN: usize = 16;
/// Bytes of a circuit's name or of a label.
pub const MAX_NAME: usize = 64;

/// A closed epoch and the encoding of its witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EpochRef {
    pub epoch: u32,
    pub witness: Address,
}

/// What a proof is to show: by which circuit of which release, and its public inputs as far as they
/// are known before it is made (zeros in their place where they are not).
///
/// It alone names the job: whoever shows the same thing by the same circuit has done it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Digest of the release's batch circuit, which depends on all others.
    #[serde(with = "tally_protocol::wire")]
    pub release: Digest,
    /// The circuit's name among the release's pins.
    pub circuit: String,
    #[serde(with = "tally_protocol::wire")]
    pub expected: Vec<F>,
}

/// Plans a batch: opens all segments, draws the challenges and the point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchJob {
    #[serde(with = "tally_protocol::wire")]
    pub release: Digest,
    /// Consecutive epochs.
    pub epochs: Vec<EpochRef>,
}

/// Which of an epoch's two lists a segment is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum List {
    Main,
    Data,
}

/// Proves a segment of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentJob {
    /// The planned summary, with the challenge and, for data, the point.
    pub statement: Statement,
    /// For people: "epoch 7 ledger 0".
    pub label: String,
    pub epoch: EpochRef,
    pub list: List,
    /// Place in the list.
    pub place: u32,
    /// Roots where the segment stands: accounts, handoff, tick table, close table.
    #[serde(with = "tally_protocol::wire")]
    pub passing: [Digest; 4],
    /// Whether it has data, hence the batch's point.
    pub has_data: bool,
}

/// A proof that another one verifies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    pub job: JobId,
    pub statement: Statement,
}

/// Verifies the children's proofs in one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinJob {
    pub statement: Statement,
    pub label: String,
    /// In their order.
    pub children: Vec<Child>,
    /// The epoch that is closed, where one is.
    pub epoch: Option<EpochRef>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Job {
    Batch(BatchJob),
    Segment(SegmentJob),
    Join(JoinJob),
}

impl Statement {
    pub fn id(&self) -> JobId {
        JobId::of("proof", &content(self))
    }

    fn check(&self) -> Result<(), WireError> {
        bound("circuit name", self.circuit.len(), MAX_NAME)?;
        bound("expected elements", self.expected.len(), MAX_EXPECTED)
    }
}

impl BatchJob {
    pub fn id(&self) -> JobId {
        JobId::of("batch", &content(self))
    }
}

impl Job {
    pub fn id(&self) -> JobId {
        match self {
            Self::Batch(job) => job.id(),
            Self::Segment(job) => job.statement.id(),
            Self::Join(job) => job.statement.id(),
        }
    }

    /// The jobs whose results it needs, each once.
    pub fn after(&self) -> Vec<JobId> {
        let Self::Join(job) = self else {
            return Vec::new();
        };
        let mut after = Vec::new();
        for child in &job.children {
            if !after.contains(&child.job) {
                after.push(child.job);
            }
        }
        after
    }

    pub fn label(&self) -> String {
        match self {
            Self::Batch(job) => {
                let ends = (job.epochs.first(), job.epochs.last());
                let ends = (ends.0.map(|it| it.epoch), ends.1.map(|it| it.epoch));
                let (first, last) = (ends.0.unwrap_or_default(), ends.1.unwrap_or_default());
                format!("plan of epochs {first} to {last}")
            }
            Self::Segment(job) => job.label.clone(),
            Self::Join(job) => job.label.clone(),
        }
    }

    /// What it is to show; a plan shows nothing.
    pub fn statement(&self) -> Option<&Statement> {
        match self {
            Self::Batch(_) => None,
            Self::Segment(job) => Some(&job.statement),
            Self::Join(job) => Some(&job.statement),
        }
    }

    pub fn release(&self) -> Digest {
        match self {
            Self::Batch(job) => job.release,
            Self::Segment(job) => job.statement.release,
            Self::Join(job) => job.statement.release,
        }
    }
}

impl Wire for Job {
    const KIND: u16 = 2;
    const VERSION: u16 = 1;

    fn check(&self) -> Result<(), WireError> {
        match self {
            Self::Batch(job) => {
                bound("epochs", job.epochs.len(), MAX_EPOCHS)?;
                let follows = |pair: &[EpochRef]| {
                    let [first, second] = pair else { return true };
                    first.epoch.checked_add(1) == Some(second.epoch)
                };
                match !job.epochs.is_empty() && job.epochs.windows(2).all(follows) {
                    true => Ok(()),
                    false => Err(refused("wire.epochs", "a batch's epochs follow each other")),
                }
            }
            Self::Segment(job) => {
                bound("label", job.label.len(), MAX_NAME)?;
                job.statement.check()
            }
            Self::Join(job) => {
                bound("label", job.label.len(), MAX_NAME)?;
                bound("children", job.children.len(), MAX_CHILDREN)?;
                if job.children.is_empty() {
                    return Err(refused("wire.children", "a join without children"));
                }
                for child in &job.children {
                    child.statement.check()?;
                    if child.job != child.statement.id() {
                        return Err(refused(
                            "wire.child",
                            "a child's name is not its statement's",
                        ));
                    }
                }
                job.statement.check()
            }
        }
    }
}

fn content(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("memory takes it, and every list knows its length")
}

pub(crate) fn bound(what: &str, length: usize, most: usize) -> Result<(), WireError> {
    match length <= most {
        true => Ok(()),
        false => Err(WireError::Refused {
            code: "wire.bound",
            reason: format!("{what}: {length}, at most {most}"),
        }),
    }
}

fn refused(code: &'static str, reason: &str) -> WireError {
    WireError::Refused {
        code,
        reason: reason.into(),
    }
}
