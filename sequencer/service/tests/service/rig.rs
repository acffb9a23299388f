//! A service in this process, a client of it, and a venue with two traders.

use std::path::Path;
use std::time::Duration;

use tally_api::development;
use tally_client::development::Venue;
use tally_client::{Client, Trader};
use tally_protocol::order::{Order, Place};
use tally_protocol::types::{AccountId, InstrumentId, Side};
use tally_sequencer::command::{Command, OrderTerms};
use tally_service::api::router;
use tally_service::api::serve::{ServeOptions, serve};
use tally_service::clock::now_ms;
use tally_service::deployment::Deployment;
use tally_service::limits::Rate;
use tally_service::service::{Options, Service};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const MARK: u64 = 10_000_000;
pub const CASH: u64 = 1 << 40;
pub const ANN: u32 = 1_024;
pub const BOB: u32 = 1_025;
/// Milliseconds that a request may take.
pub const TIMEOUT: Duration = Duration::from_millis(1_500);

pub struct Rig {
    pub url: String,
    pub client: Client,
    pub venue: Venue,
    pub ann: Trader,
    pub bob: Trader,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    service: Service,
}

pub fn options(data: &Path) -> Options {
    let mut deployment = Deployment::development(now_ms() / 1_000 - 10_000);
    // Rounds come as fast as tests make them, a second apart.
    deployment.engine.max_round_lead = 3_600_000;
    deployment.time = 1_700_000_000;
    Options {
        data: data.to_owned(),
        deployment,
        receipt_key: development::receipt_key(),
        lane: 1_024,
        rate: Rate {
            per_second: 100_000,
            burst: 100_000,
        },
        most_listeners: 3_000,
        checkers: 1,
        tick: Duration::from_secs(3_600),
        takes_items: true,
        checkpoints: None,
        verify_log: false,
    }
}

impl Rig {
    /// A new service, its market open.
    pub async fn open(data: &Path) -> Self {
        Self::open_with(options(data)).await
    }

    pub async fn open_with(options: Options) -> Self {
        let mut rig = Self::start(options).await;
        let accounts = [ANN, BOB].into_iter();
        rig.venue.open(2, MARK, accounts, CASH).await.unwrap();
        rig
    }

    /// A service over whatever is there.
    pub async fn start(options: Options) -> Self {
        let service = Service::start(options, None).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let router = router(service.shared.clone(), TIMEOUT);
        let options = ServeOptions {
            head: TIMEOUT,
            ..ServeOptions::default()
        };
        let serving = tokio::spawn(serve(listener, router, options, async {
            drop(stopped.await);
        }));
        let client = Client::connect(&url).await.unwrap();
        let trader = |id| Trader::new(client.domain(), AccountId(id), development::account(id));
        let mut venue = Venue::new(client.clone());
        venue.marks = [(1, MARK), (2, MARK)].into();
        Self {
            ann: trader(ANN),
            bob: trader(BOB),
            url,
            client,
            venue,
            stop,
            serving,
            service,
        }
    }

    pub fn shared(&self) -> &tally_service::service::Shared {
        &self.service.shared
    }

    /// Stops as an operator would; the last position comes back.
    pub async fn stop(self) -> u64 {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap();
        let stopping = tokio::task::spawn_blocking(move || self.service.stop());
        stopping.await.unwrap().unwrap().position
    }
}

/// Taken in: done, or refused by the one rule that asks for an order to cancel.
pub async fn cancels(rig: &Rig, trader: &Trader, slot: u8, sequence: u32) {
    let cancel = Command::Cancel(trader.cancel(slot, sequence));
    if let Err(error) = rig.client.send(&cancel).await {
        assert_eq!(error.code(), "S4.no_order");
    }
}

/// Positive lots buy.
pub fn order(instrument: u32, slot: u8, sequence: u32, lots: i64, limit: u64) -> Order {
    Order {
        account: AccountId(0),
        generation: 0,
        place: Place::Slot { slot, sequence },
        instrument: InstrumentId(instrument),
        side: if lots < 0 { Side::Short } else { Side::Long },
        size: lots.unsigned_abs(),
        limit,
        max_fee_per_lot: MARK / 100,
        expiry: (1 << 40) - 1,
        reduce_only: false,
        amend: false,
    }
}

pub fn submit(trader: &Trader, order: Order) -> Command {
    Command::Submit(trader.order(order, OrderTerms::default()))
}

pub fn named(trader: &Trader, order: Order, client_id: u128) -> Command {
    let terms = OrderTerms {
        client_id,
        ..OrderTerms::default()
    };
    Command::Submit(trader.order(order, terms))
}
