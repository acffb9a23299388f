//! A start from a snapshot is a start from genesis.

use tally_protocol::hash::Digest;
use tally_sequencer::command::{Record, Verified};
use tally_sequencer::config::Config;
use tally_sequencer::engine::{Engine, Pace};
use tally_sequencer::event::{Applied, Event};
use tally_sequencer::snapshot::{Snapshot, encode};
use tally_sequencer::testing::Rig;
use tally_sequencer::testing::traffic::Traffic;
use tally_sequencer::{Closer, snapshot};

/// Every end of a batch.
const ALWAYS: Pace = Pace {
    commands: 0,
    epochs: 0,
};

/// An engine with its closer, on a log.
struct Run {
    engine: Engine,
    closer: Closer,
    applied: Vec<Applied>,
    roots: Vec<(u32, Digest)>,
}

impl Run {
    fn new(engine: Engine, closer: Closer) -> Self {
        Self {
            engine,
            closer,
            applied: Vec::new(),
            roots: Vec::new(),
        }
    }

    fn restored(snapshot: Snapshot, config: Config) -> Self {
        let Snapshot { state, held } = snapshot;
        let closer = Closer::new(state.clone());
        Self::new(Engine::restore(config, state, held).unwrap(), closer)
    }

    /// Replays records, and ends the epoch that is open then.
    fn replay(mut self, rig: &Rig, log: &[Vec<u8>]) -> Self {
        let close = Record {
            at: rig.now,
            command: tally_sequencer::command::Command::CloseEpoch,
        };
        for bytes in log.iter().chain([&close.to_bytes()]) {
            let record = Record::from_bytes(bytes).unwrap();
            let verified = Verified::from_log(&rig.domain, record).unwrap();
            self.applied.push(self.engine.apply(verified));
            for closing in self.engine.take_closings() {
                let closed = self.closer.close(closing).unwrap();
                self.roots.push((closed.epoch, closed.root));
            }
        }
        self
    }
}

fn traffic(seed: u64, steps: usize) -> Traffic {
    let mut traffic = Traffic::with(seed, |config| config.epochs_per_batch = 2);
    traffic.rig.engine.save_at(ALWAYS);
    for _ in 0..steps {
        traffic.step();
    }
    traffic
}

#[test]
fn a_snapshot_and_the_log_after_it_are_the_log_from_genesis() {
    for seed in 0..3 {
        let rig = traffic(seed, 250).rig;
        let whole = Run::new(rig.genesis_engine(), rig.genesis_closer()).replay(&rig, &rig.log);
        let (held, state) = whole.engine.held_now().unwrap();
        assert!(rig.snapshots.len() > 3, "{}", rig.snapshots.len());
        for bytes in rig.snapshots.iter().step_by(2) {
            let snapshot = Snapshot::from_bytes(bytes).unwrap();
            let (position, epoch) = (snapshot.held.position, snapshot.held.epoch);
            let at = usize::try_from(position).unwrap();
            let part = Run::restored(snapshot, *rig.engine.config());
            let part = part.replay(&rig, &rig.log[at..]);
            let (first, later) = part.applied.split_first().unwrap();
            let (wanted, rest) = whole.applied[at..].split_first().unwrap();
            // The command in which the epoch ended does what it had not done by then.
            assert_eq!(
                (first.position, &first.result),
                (wanted.position, &wanted.result)
            );
            let all = without_levels(&wanted.events);
            assert!(all.ends_with(&without_levels(&first.events)));
            assert_eq!(later, rest, "seed {seed}, from {position}");
            let roots = whole.roots.iter().filter(|(of, _)| *of > epoch);
            assert!(part.roots.iter().eq(roots));
            let (again, left) = part.engine.held_now().unwrap();
            assert_eq!(again, held);
            assert_eq!(left.root(), state.root());
            assert_eq!(part.closer.state().unwrap().root(), state.root());
        }
    }
}

fn without_levels(events: &[Event]) -> Vec<Event> {
    let kept = events
        .iter()
        .filter(|it| !matches!(it, Event::Level { .. }));
    kept.cloned().collect()
}

#[test]
fn a_snapshot_has_one_encoding_and_any_other_bytes_are_none() {
    let rig = traffic(7, 200).rig;
    let bytes = rig.snapshots.last().unwrap();
    let found = Snapshot::from_bytes(bytes).unwrap();
    assert_eq!(&encode(&found.state, &found.held).unwrap(), bytes);
    let code = |bytes: &[u8]| Snapshot::from_bytes(bytes).unwrap_err().code();
    let head = b"tally engine".len();
    let mut other = bytes.clone();
    other[head] += 1;
    assert_eq!(code(&other), "snapshot.version");
    assert_eq!(code(b"tally engin"), "snapshot.version");
    assert_eq!(code(&bytes[..bytes.len() / 2]), "snapshot.malformed");
    assert_eq!(code(&[bytes, &[0][..]].concat()), "snapshot.trailing");
    // The header's epoch as a varint with a needless byte.
    let mut other = bytes.clone();
    assert!(other[head + 1] < 0x80);
    other[head + 1] |= 0x80;
    other.insert(head + 2, 0);
    assert_eq!(code(&other), "snapshot.canonical");
}

#[test]
fn a_snapshot_that_lies_is_refused_or_has_another_root() {
    let rig = traffic(7, 200).rig;
    let bytes = rig.snapshots.last().unwrap();
    let Snapshot { state, held } = Snapshot::from_bytes(bytes).unwrap();
    let root = state.root();

    let mut richer = state.clone();
    let (id, member) = richer.accounts.iter().last().unwrap();
    let (mut member, id) = (member.clone(), id);
    member.account.money.cash += 1;
    richer.accounts.set([(id, member)]).unwrap();
    let read = Snapshot::from_bytes(&encode(&richer, &held).unwrap()).unwrap();
    assert_ne!(read.state.root(), root);

    let with_orders = state
        .accounts
        .iter()
        .find(|(_, it)| it.orders.slots().count() > 0);
    let (id, mut member) = with_orders.map(|(id, it)| (id, it.clone())).unwrap();
    let (place, mut slot) = member.orders.slots().next().unwrap();
    slot.filled += 1;
    member.orders.set(place, slot).unwrap();
    let mut refilled = state.clone();
    refilled.accounts.set([(id, member)]).unwrap();
    let refused = Snapshot::from_bytes(&encode(&refilled, &held).unwrap()).unwrap_err();
    assert_eq!(refused, snapshot::SnapshotError::Orders { account: id.0 });

    let genesis = rig.genesis_closer().state().unwrap().clone();
    let refused = Engine::restore(*rig.engine.config(), genesis, held).unwrap_err();
    assert_eq!(refused.code(), "snapshot.epoch");
}

/// Bytes of a snapshot with so many accounts, before and after each has eight orders.
fn sizes(accounts: u32) -> (usize, usize) {
    let accounts: Vec<_> = (1024..1024 + accounts).map(|id| (id, 1 << 40)).collect();
    let config = Config {
        epochs_per_batch: 1,
        ..Config::default()
    };
    let mut rig = crate::venue_with(&accounts, config);
    rig.engine.save_at(ALWAYS);
    rig.round().result.unwrap();
    let before = rig.snapshots.last().unwrap().len();
    for (id, _) in &accounts {
        for slot in 0..8 {
            let limit = crate::MARK / 2;
            rig.limit(*id, slot, 1, 3, limit).result.unwrap();
        }
    }
    rig.round().result.unwrap();
    (before, rig.snapshots.last().unwrap().len())
}

/// What a checkpoint takes, the system's accounts apart.
#[test]
fn a_snapshot_takes_less_than_300_bytes_an_order_and_an_account() {
    let ((few, few_full), (many, many_full)) = (sizes(10), sizes(40));
    let an_account = (many - few) / 30;
    let an_order = (many_full - many - (few_full - few)) / 30 / 8;
    assert!((100..300).contains(&an_account), "{an_account}");
    assert!((150..300).contains(&an_order), "{an_order}");
}
