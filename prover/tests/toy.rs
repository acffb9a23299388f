//! A batch of two epochs of toy segments, proven, stopped, resumed, tampered with and verified.
//!
//! One test, because its ten proofs are made once: about a minute on two cores.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOut;
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_circuits::batch::{BatchFile, Verifier};
use tally_circuits::bus::BusTag;
use tally_circuits::gadgets::logic;
use tally_circuits::segment::{PassingChains, Segment, SegmentBuilder, SegmentKind};
use tally_circuits::summary::{Chain, ChainTarget, DataPolynomialTarget};
use tally_circuits::uniform::Uniform;
use tally_circuits::{Builder, D, F};
use tally_protocol::data::{BatchStatement, STATEMENT_WORDS, words_of};
use tally_protocol::hash::{Digest, EMPTY, unsigned};
use tally_protocol::header::{Context, state_root};
use tally_prover::{
    Circuits, EpochInput, Limits, Progress, ProveError, Prover, SegmentInput, SegmentType, Store,
};

/// [owner 3, asset, amount]
type Row = [u64; 5];

/// Moves chains and sends one row; as the header it touches all of them and counts.
struct Mover {
    segment: Segment,
    row: [Target; 5],
    header: bool,
}

#[derive(Clone, Copy)]
struct Move {
    accounts: Chain,
    tables: [Chain; 2],
    row: Row,
}

impl Mover {
    fn build(kind: SegmentKind) -> (Builder, Self) {
        let header = kind == SegmentKind::Header;
        let mut s = SegmentBuilder::new(kind);
        s.summary.accounts = chain(&mut s);
        if header {
            s.summary.tick_table = chain(&mut s);
            s.summary.close_table = chain(&mut s);
            let one = s.one();
            s.summary.counts[0] = one;
            s.summary.counts[1] = one;
        }
        let row: [Target; 5] = s.add_virtual_target_arr();
        let live = s._true();
        s.send(BusTag::DataWithdrawal, &row, live);
        let (builder, segment) = s.finish(&[]);
        (
            builder,
            Self {
                segment,
                row,
                header,
            },
        )
    }

    fn assign(&self, inputs: &mut PartialWitness<F>, witness: &Move) -> anyhow::Result<()> {
        let summary = &self.segment.summary;
        set_chain(inputs, summary.accounts, witness.accounts)?;
        if self.header {
            set_chain(inputs, summary.tick_table, witness.tables[0])?;
            set_chain(inputs, summary.close_table, witness.tables[1])?;
        }
        inputs.set_target_arr(&self.row, &witness.row.map(unsigned))
    }
}

fn chain(builder: &mut Builder) -> ChainTarget {
    ChainTarget {
        before: builder.add_virtual_hash(),
        after: builder.add_virtual_hash(),
    }
}

fn set_chain(
    inputs: &mut PartialWitness<F>,
    target: ChainTarget,
    value: Chain,
) -> anyhow::Result<()> {
    inputs.set_hash_target(target.before, value.before)?;
    inputs.set_hash_target(target.after, value.after)
}

/// Receives up to two rows and lists their amounts.
struct Records {
    segment: Segment,
    n: Target,
    rows: [[Target; 5]; 2],
}

impl Records {
    fn build() -> (Builder, Self) {
        let mut s = SegmentBuilder::new(SegmentKind::Data);
        let n = s.add_virtual_target();
        let live = logic::live_bits(&mut s, n, 2);
        let point = s.add_virtual_extension_target();
        let mut data = DataPolynomialTarget::empty(&mut s, point);
        let rows = [0, 1].map(|i| {
            let row: [Target; 5] = s.add_virtual_target_arr();
            s.receive(BusTag::DataWithdrawal, &row, live[i]);
            let amount = s.mul(live[i].target, row[4]);
            let amount = s.convert_to_ext(amount);
            data.value = s.mul_add_extension(data.shift, amount, data.value);
            let shifted = s.mul_extension(data.shift, point);
            data.shift = s.select_ext(live[i], shifted, data.shift);
            row
        });
        data.length = n;
        s.summary.data = data;
        s.summary.counts[3] = n;
        let (builder, segment) = s.finish(&[n]);
        (builder, Self { segment, n, rows })
    }

    fn assign(&self, inputs: &mut PartialWitness<F>, witness: &[Row]) -> anyhow::Result<()> {
        inputs.set_target(self.n, F::from_canonical_usize(witness.len()))?;
        for (i, row) in self.rows.iter().enumerate() {
            let values = witness.get(i).copied().unwrap_or_default().map(unsigned);
            inputs.set_target_arr(row, &values)?;
        }
        Ok(())
    }
}

fn mover(circuit: &'static str, witness: Move) -> SegmentInput {
    SegmentInput::new(circuit, 0, move |targets: &Mover, inputs| {
        targets.assign(inputs, &witness)
    })
}

fn records(rows: Vec<Row>) -> SegmentInput {
    SegmentInput::new("data", 0, move |targets: &Records, inputs| {
        targets.assign(inputs, &rows)
    })
}

fn types() -> Vec<SegmentType> {
    vec![
        SegmentType::new(
            "header",
            || Mover::build(SegmentKind::Header),
            |s| &s.segment,
        ),
        SegmentType::new(
            "ledger",
            || Mover::build(SegmentKind::Ledger4),
            |s| &s.segment,
        ),
        SegmentType::new("data", Records::build, |s: &Records| &s.segment),
    ]
}

fn digest(seed: u64) -> Digest {
    HashOut {
        elements: [0, 1, 2, 3].map(|i| F::from_canonical_u64(100 * seed + i)),
    }
}

fn step(from: u64, to: u64) -> Chain {
    Chain {
        before: digest(from),
        after: digest(to),
    }
}

/// Two epochs: the first with two main segments, hence a join.
fn epochs() -> Vec<EpochInput> {
    let context = |epoch: u32, table: u64| Context {
        epoch,
        round: 10 + epoch,
        time: 1_700_000_000 + u64::from(epoch),
        header_before: digest(u64::from(epoch)),
        header_after: digest(u64::from(epoch) + 1),
        table: digest(table),
        ..Context::default()
    };
    let start = |accounts, table| PassingChains {
        accounts: digest(accounts),
        handoff: EMPTY,
        tick_table: digest(table),
        // The close starts where the tick ends.
        close_table: digest(table + 1),
    };
    let rows: [Row; 3] = [[1, 2, 3, 0, 50], [4, 5, 6, 1, 70], [7, 8, 9, 0, 90]];
    let header = |accounts, table, row| {
        let tables = [step(table, table + 1), step(table + 1, table + 2)];
        mover(
            "header",
            Move {
                accounts,
                tables,
                row,
            },
        )
    };
    let ledger = |accounts, row| {
        let tables = [Chain::unchanged(EMPTY); 2];
        mover(
            "ledger",
            Move {
                accounts,
                tables,
                row,
            },
        )
    };
    vec![
        EpochInput {
            context: context(1, 41),
            start: start(20, 40),
            main: vec![
                header(step(20, 21), 40, rows[0]),
                ledger(step(21, 22), rows[1]),
            ],
            data: vec![records(rows[..2].to_vec())],
            words: vec![50, 70],
        },
        EpochInput {
            context: context(2, 43),
            start: start(22, 42),
            main: vec![header(step(22, 23), 42, rows[2])],
            data: vec![records(rows[2..].to_vec())],
            words: vec![90],
        },
    ]
}

/// Counts, and sets the flag after so many finished jobs.
struct Watch<'a> {
    stop: &'a AtomicBool,
    stop_after: usize,
    planned: AtomicUsize,
    fresh: Mutex<Vec<String>>,
    reused: AtomicUsize,
}

impl<'a> Watch<'a> {
    fn new(stop: &'a AtomicBool, stop_after: usize) -> Self {
        Self {
            stop,
            stop_after,
            planned: AtomicUsize::new(0),
            fresh: Mutex::new(Vec::new()),
            reused: AtomicUsize::new(0),
        }
    }
}

impl Progress for Watch<'_> {
    fn planned(&self, jobs: usize) {
        self.planned.store(jobs, Ordering::SeqCst);
    }

    fn finished(&self, label: &str, reused: bool) {
        if reused {
            self.reused.fetch_add(1, Ordering::SeqCst);
            return;
        }
        let mut fresh = self.fresh.lock().unwrap();
        fresh.push(label.to_owned());
        if fresh.len() >= self.stop_after {
            self.stop.store(true, Ordering::SeqCst);
        }
    }
}

struct Bench {
    circuits: Circuits,
    store: Store,
}

impl Bench {
    /// The file, the labels of what was proven, and how many proofs were reused.
    fn run(
        &self,
        epochs: &[EpochInput],
        stop_after: usize,
    ) -> (Result<BatchFile, ProveError>, Vec<String>, usize) {
        let stop = AtomicBool::new(false);
        let watch = Watch::new(&stop, stop_after);
        let prover = Prover {
            circuits: &self.circuits,
            store: &self.store,
            limits: Limits::default(),
            progress: &watch,
            stop: &stop,
        };
        let file = prover.prove(epochs);
        (
            file,
            watch.fresh.into_inner().unwrap(),
            watch.reused.into_inner(),
        )
    }
}

#[test]
fn p5_p6_a_batch_is_proven_resumed_and_verified() {
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench {
        circuits: Circuits::new(Uniform::production().clone(), types()),
        store: Store::open(directory.path()).unwrap(),
    };
    refuses_before_proving(&bench);

    let (stopped, first, _) = bench.run(&epochs(), 3);
    assert_eq!(stopped.unwrap_err().code(), "prove.stopped");
    assert!((3..5).contains(&first.len()), "{first:?}");
    let (file, rest, reused) = bench.run(&epochs(), usize::MAX);
    let file = file.unwrap();
    assert_eq!(reused, first.len());
    assert_eq!(first.len() + rest.len(), 10, "{first:?} {rest:?}");
    assert_eq!(rest.last().map(String::as_str), Some("batch"));

    damaged_proofs_are_made_again(&bench, directory.path(), &file);
    verifies(&bench, &file);
}

fn refuses_before_proving(bench: &Bench) {
    type Lie = (&'static str, fn(&mut Vec<EpochInput>));
    let lies: [Lie; 7] = [
        ("prove.empty", |e| e.clear()),
        ("prove.empty", |e| e[0].data.clear()),
        ("P5.unchained", |e| e[0].main.swap(0, 1)),
        ("P6.data", |e| e[0].words.push(1)),
        ("T8.table", |e| e[1].context.table = digest(1)),
        ("P5.epoch", |e| e[1].context.epoch += 1),
        ("P5.state", |e| e[1].context.header_before = digest(9)),
    ];
    for (code, lie) in lies {
        let mut epochs = epochs();
        lie(&mut epochs);
        let (result, proven, _) = bench.run(&epochs, usize::MAX);
        assert_eq!(result.unwrap_err().code(), code);
        assert!(proven.is_empty(), "{code}: {proven:?}");
    }
}

/// A proof cut short and one of another statement under its name: only these two are made again.
fn damaged_proofs_are_made_again(bench: &Bench, directory: &std::path::Path, file: &BatchFile) {
    let (mut large, mut small): (Vec<_>, Vec<_>) = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .partition(|path| fs::metadata(path).unwrap().len() > 140_000);
    large.sort();
    assert_eq!(
        (large.len(), small.len()),
        (9, 1),
        "the batch proof is the small one"
    );
    let batch = small.pop().unwrap();
    let bytes = fs::read(&batch).unwrap();
    fs::write(&batch, &bytes[..bytes.len() - 1]).unwrap();
    fs::copy(&large[0], &large[1]).unwrap();
    let (again, proven, reused) = bench.run(&epochs(), usize::MAX);
    assert_eq!((proven.len(), reused), (2, 8), "{proven:?}");
    assert_eq!(again.unwrap().data, file.data);
}

fn verifies(bench: &Bench, file: &BatchFile) {
    let file = BatchFile::parse(&file.to_bytes()).unwrap();
    let expected = bench.circuits.batch_digest().unwrap();
    let verifier = Verifier::new(bench.circuits.uniform(), expected);
    let statement = verifier.verify(&file).unwrap();
    let root =
        |accounts, table, header| state_root(digest(accounts), digest(table), digest(header));
    assert_eq!((statement.first_epoch, statement.last_epoch), (1, 2));
    assert_eq!(statement.state_before, root(20, 40, 1));
    assert_eq!(statement.state_after, root(23, 44, 3));
    assert_eq!(statement.sections, [0, 3, 0, 0]);
    let list = words_of(&file.data).unwrap();
    assert_eq!(list[STATEMENT_WORDS..], [50, 70, 90]);
    assert_eq!(BatchStatement::read(&list).unwrap(), statement);

    let code = |file: &BatchFile| verifier.verify(file).unwrap_err().code();
    let mut lie = file.clone();
    *lie.data.last_mut().unwrap() ^= 1;
    assert_eq!(code(&lie), "P6.point");
    let inputs = file.proof.len() - 8 * 8;
    for at in (0..file.proof.len())
        .step_by(9_973)
        .chain((inputs..file.proof.len()).step_by(9))
    {
        let mut lie = file.clone();
        lie.proof[at] ^= 1;
        assert!(
            ["P6.proof", "P6.malformed"].contains(&code(&lie)),
            "byte {at}"
        );
    }
    let mut lie = file.clone();
    lie.key.constants_sigmas_cap.0[3].elements[1] += F::ONE;
    assert_eq!(code(&lie), "P5.key");
    assert_eq!(D, 2);
}
