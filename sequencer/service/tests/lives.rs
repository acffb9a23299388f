//! The sequencer's process from outside, killed and started again, mostly from a checkpoint.

mod served;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use tally_api::{Link, SignedReceipt, development};
use tally_client::development::Venue;
use tally_client::{Client, ClientError, Trader};
use tally_protocol::order::{Order, Place};
use tally_protocol::queue::{Deposit, Item, Request};
use tally_protocol::terms::CASH;
use tally_protocol::types::{AccountId, InstrumentId, Side};
use tally_sequencer::command::{Command, OrderTerms, Record};
use tally_service::deployment::Deployment;
use tally_service::store::Store;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;

use served::Served;

/// Lives of the process; TALLY_KILLS sets another number.
const KILLS: usize = 200;
const WORKERS: u32 = 4;
const FIRST: u32 = 1_024;
/// Does nothing but deposit: an item of L1 has its account for an epoch.
const SAVER: u32 = FIRST + WORKERS;
const MARK: u64 = 10_000_000;
/// Bytes of a record before its command: version and time.
const HEAD: usize = 9;

/// A life of the process.
fn live(dir: &Path, arguments: &[&str]) -> Served {
    let often = ["--checkpoint-commands", "40", "--checkpoints", "2"];
    Served::start(dir, &[&often, arguments].concat())
}

fn deployment() -> Deployment {
    let mut deployment = Deployment::development(1_700_000_000);
    deployment.engine.epochs_per_batch = 2;
    deployment.engine.fresh_rounds = 1;
    deployment.engine.max_round_age = 86_400_000;
    deployment.engine.max_round_lead = 86_400_000;
    deployment
}

/// What a client remembers of its commands.
#[derive(Default)]
struct Memory {
    acknowledged: Vec<(SignedReceipt, Command)>,
    /// No answer came: they may be in the log, once.
    open: Vec<Command>,
}

/// One account's commands, ever new ones.
#[derive(Clone)]
struct Worker {
    trader: Trader,
    count: u32,
    nonce: u32,
}

impl Worker {
    fn new(client: &Client, id: u32) -> Self {
        Self {
            trader: Trader::new(client.domain(), AccountId(id), development::account(id)),
            count: 0,
            nonce: 0,
        }
    }

    /// Orders that rest, replace and cross; cancels; withdrawals.
    fn next(&mut self) -> Command {
        self.count += 1;
        let slot = (self.count % 8) as u8;
        match self.count % 10 {
            7 => Command::Cancel(self.trader.cancel(slot, self.count)),
            9 => {
                let nonce = self.nonce;
                self.nonce += 1;
                self.trader.withdraw(nonce, CASH, 1)
            }
            turn => {
                let side = if turn % 2 == 0 {
                    Side::Long
                } else {
                    Side::Short
                };
                let order = Order {
                    account: self.trader.account,
                    generation: 0,
                    place: Place::Slot {
                        slot,
                        sequence: self.count,
                    },
                    instrument: InstrumentId(1),
                    side,
                    size: 2,
                    limit: MARK,
                    max_fee_per_lot: MARK / 100,
                    expiry: (1 << 40) - 1,
                    reduce_only: false,
                    amend: false,
                };
                let terms = OrderTerms {
                    client_id: self.count.into(),
                    ..OrderTerms::default()
                };
                Command::Submit(self.trader.order(order, terms))
            }
        }
    }
}

/// Sends until the service is gone.
async fn work(
    client: Client,
    mut worker: Worker,
    memory: Arc<Mutex<Memory>>,
    acks: Arc<AtomicUsize>,
    progress: Arc<Notify>,
) -> Worker {
    loop {
        let command = worker.next();
        match client.send(&command).await {
            Ok(acked) => {
                let kept = (acked.receipt, command);
                memory.lock().await.acknowledged.push(kept);
                acks.fetch_add(1, Ordering::Relaxed);
                progress.notify_one();
            }
            Err(ClientError::Refused { body, .. }) => {
                // The nonce of a withdrawal that was lost with the last life, or no order there.
                assert!(
                    ["S4.nonce", "S4.no_order"].contains(&body.code.as_str()),
                    "{body:?}"
                );
            }
            Err(error) => {
                assert!(error.is_open(), "{error}");
                memory.lock().await.open.push(command);
                return worker;
            }
        }
    }
}

/// The log as far as it was read, and what it holds.
#[derive(Default)]
struct Audit {
    position: u64,
    link: Link,
    /// Orders, cancels and items of L1 by their bytes: none has two places.
    places: HashMap<Vec<u8>, u64>,
    roots: BTreeMap<u64, Value>,
}

impl Audit {
    /// Reads on from where it was: links follow one another and no order has two places.
    async fn read_on(&mut self, client: &Client) {
        let last = client.status().await.unwrap().position;
        assert!(last >= self.position, "the log became shorter");
        for position in self.position + 1..=last {
            let (receipt, record) = client.receipt(position).await.unwrap();
            receipt.follows(&self.link).unwrap();
            self.link = receipt.receipt.link;
            // A withdrawal that was refused may be signed again, with the same nonce.
            if matches!(
                Record::from_bytes(&record).unwrap().command,
                Command::Submit(_) | Command::Cancel(_) | Command::Item(_)
            ) {
                let earlier = self.places.insert(record[HEAD..].to_vec(), position);
                assert_eq!(earlier, None, "a command stands twice");
            }
        }
        self.position = last;
    }

    /// Every acknowledged command is where its receipt says.
    async fn check(&self, client: &Client, memory: &Memory) {
        for (receipt, command) in &memory.acknowledged {
            let position = receipt.receipt.position;
            let (again, record) = client.receipt(position).await.unwrap();
            assert_eq!(&again, receipt);
            let sent = Record {
                at: receipt.receipt.time_ms,
                command: command.clone(),
            };
            assert_eq!(record, sent.to_bytes());
        }
    }

    /// A root that was told once stays.
    async fn roots(&mut self, client: &Client) {
        let epochs: Vec<Value> = client.get("/v1/epochs?limit=20").await.unwrap();
        for row in epochs {
            let root = row.get("root").cloned();
            let epoch = row["epoch"].as_u64().unwrap();
            if let Some(root) = root {
                let earlier = self.roots.insert(epoch, root.clone());
                assert!(earlier.is_none_or(|it| it == root), "epoch {epoch}");
            }
        }
    }
}

#[test]
fn kill_9_loses_nothing_acknowledged_and_repeats_nothing() {
    let kills = std::env::var("TALLY_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("deployment.json"), deployment().text()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(lives(dir.path(), kills));
}

async fn lives(dir: &Path, kills: usize) {
    let mut rng = StdRng::seed_from_u64(9);
    let mut served = live(dir, &[]);
    let client = Client::connect(&served.url).await.unwrap();
    let mut venue = Venue::new(client.clone());
    let ids = FIRST..FIRST + WORKERS;
    let accounts = FIRST..=SAVER;
    venue.open(1, MARK, accounts, 1 << 40).await.unwrap();
    let mut workers: Vec<Worker> = ids.map(|id| Worker::new(&client, id)).collect();
    let mut audit = Audit::default();
    let mut acknowledged = 0;
    for _ in 0..kills {
        let client = Client::connect(&served.url).await.unwrap();
        let memory = Arc::new(Mutex::new(Memory::default()));
        let (acks, progress) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let mut tasks = JoinSet::new();
        for worker in workers.drain(..) {
            let shared = (memory.clone(), acks.clone(), progress.clone());
            tasks.spawn(work(client.clone(), worker, shared.0, shared.1, shared.2));
        }
        memory.lock().await.acknowledged.push(item(&client).await);
        let enough = rng.gen_range(1..40);
        while acks.load(Ordering::Relaxed) < enough {
            progress.notified().await;
        }
        drop(served);
        while let Some(worker) = tasks.join_next().await {
            workers.push(worker.unwrap());
        }
        let memory = Arc::into_inner(memory).unwrap().into_inner();
        acknowledged += memory.acknowledged.len();

        served = live(dir, &[]);
        let client = Client::connect(&served.url).await.unwrap();
        audit.read_on(&client).await;
        audit.check(&client, &memory).await;
        audit.roots(&client).await;
        venue.client = client.clone();
        venue.round().await.unwrap();
        // Asked again, what was open gets its one place; the audit would see a second.
        for command in memory.open {
            if let Command::Submit(_) = command {
                match client.send(&command).await {
                    Ok(_) => {}
                    Err(error) => assert_eq!(error.code(), "S4.old", "{error}"),
                }
            }
        }
        for worker in &mut workers {
            let account = client.account(worker.trader.account.0).await.unwrap();
            worker.nonce = account["nonce"].as_u64().unwrap() as u32;
        }
    }
    assert!(acknowledged >= kills, "{acknowledged} of {kills} lives");
    drop(served);
    checkpoints_are_the_logs(dir, &mut audit).await;
}

/// A deposit as the next item of L1.
async fn item(client: &Client) -> (SignedReceipt, Command) {
    let deposit = Deposit {
        sender: development::owner(SAVER),
        account: AccountId(SAVER),
        instrument: CASH,
        amount: 1,
        create: None,
    };
    let item = Command::Item(Box::new(Item {
        index: client.status().await.unwrap().next_item,
        request: Request::Deposit(deposit),
    }));
    (client.send(&item).await.unwrap().receipt, item)
}

/// What a start reads is what a replay from genesis comes to.
async fn checkpoints_are_the_logs(dir: &Path, audit: &mut Audit) {
    let store = Store::open(&dir.join("data/store"), &deployment().text()).unwrap();
    let kept = store.checkpoints().unwrap();
    let last = store.head().unwrap().position;
    drop(store);
    // The one that is too many goes with the next one's write.
    assert!((2..=3).contains(&kept.len()), "{kept:?}");
    assert!(kept[0] > last / 2, "{kept:?} of {last}");
    let served = live(dir, &["--verify-log"]);
    let client = Client::connect(&served.url).await.unwrap();
    audit.read_on(&client).await;
    audit.roots(&client).await;
}
