//! One value of each type, the same in every run.

use tally_jobs::id::{Address, JobId};
use tally_jobs::job::{BatchJob, Child, EpochRef, Job, JoinJob, List, SegmentJob, Statement};
use tally_jobs::part::{BatchPlan, PlannedJob, ProofPart};
use tally_jobs::witness::EpochWitness;
use tally_protocol::entry::Entry;
use tally_protocol::hash::{Digest, unsigned};
use tally_protocol::testing::{World, perpetual};

/// Two epochs: accounts are funded, then they trade.
pub fn witnesses() -> Vec<EpochWitness> {
    let mut world = World::new(&[perpetual(1, 10_000_000)]);
    let mut witnesses = Vec::new();
    let before = world.state.table.clone();
    let trace = world.fund(&[(2_000, 1_000_000_000), (2_001, 1_000_000_000)]);
    witnesses.push(EpochWitness { trace, before });
    let fill: Entry = world.fill(2_000, 2_001, 1, 2, 10_000_000);
    let before = world.state.table.clone();
    let (_, trace) = world.epoch(|builder| builder.push(fill).map(drop)).unwrap();
    witnesses.push(EpochWitness { trace, before });
    witnesses
}

pub fn digest(first: u64) -> Digest {
    let mut digest = Digest::default();
    for (element, value) in digest.elements.iter_mut().zip(first..) {
        *element = unsigned(value);
    }
    digest
}

pub fn epoch(epoch: u32) -> EpochRef {
    EpochRef {
        epoch,
        witness: Address([epoch as u8; 32]),
    }
}

pub fn statement(circuit: &str, first: u64) -> Statement {
    Statement {
        release: digest(1),
        circuit: circuit.into(),
        expected: [first, 0x1234, (1 << 63) + 5].map(unsigned).to_vec(),
    }
}

pub fn batch() -> BatchJob {
    BatchJob {
        release: digest(1),
        epochs: vec![epoch(7), epoch(8)],
    }
}

pub fn segment(place: u32) -> SegmentJob {
    SegmentJob {
        statement: statement("ledger", 100 + u64::from(place)),
        label: format!("epoch 7 ledger {place}"),
        epoch: epoch(7),
        list: List::Main,
        place,
        passing: [2, 3, 4, 5].map(digest),
        has_data: place > 0,
    }
}

pub fn join() -> JoinJob {
    let child = |place| {
        let statement = segment(place).statement;
        Child {
            job: statement.id(),
            statement,
        }
    };
    JoinJob {
        statement: statement("join", 200),
        label: "epoch 7 join".into(),
        children: vec![child(0), child(1)],
        epoch: None,
    }
}

pub fn jobs() -> Vec<Job> {
    vec![
        Job::Batch(batch()),
        Job::Segment(segment(1)),
        Job::Join(join()),
    ]
}

pub fn part() -> ProofPart {
    ProofPart {
        job: JobId([9; 32]),
        proof: (0..=255).collect(),
    }
}

pub fn plan() -> BatchPlan {
    let jobs = [
        Job::Segment(segment(0)),
        Job::Segment(segment(1)),
        Job::Join(join()),
    ];
    let jobs = jobs.map(|job| PlannedJob {
        job,
        memory_mb: 458,
    });
    BatchPlan {
        job: batch().id(),
        data: vec![1, 2, 3],
        jobs: jobs.to_vec(),
    }
}
