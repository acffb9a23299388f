//! The process: options, the service, its listener, signals; the oracle's reporter; the load that
//! measures it. `tally sequencer`, `oracle` and `bench sequencer` are this, and so is the binary
//! `tally-sequencer`, which links nothing else.

mod config;
pub mod load;
pub mod oracle;

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::api;
use crate::api::serve::{ServeOptions, serve};
use crate::clock::now_ms;
use crate::deployment::Deployment;
use crate::limits::Rate;
use crate::service::{Options, Service};
use anyhow::{Context, bail};
use tally_api::development;
use tally_protocol::signature::SecretKey;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

pub use config::{OracleConfig, SequencerConfig};

/// Where a development deployment is kept, beside the store: it is the same one at the next start.
pub(crate) const DEPLOYMENT: &str = "deployment.json";
const STORE: &str = "store";

/// Until it is told to stop, or cannot go on.
pub fn run(config: &SequencerConfig) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.threads)
        .enable_all()
        .build()
        .context("[sequencer.runtime] starting threads")?;
    fs::create_dir_all(&config.data)
        .with_context(|| format!("[sequencer.data] {}", config.data.display()))?;
    let options = options(config)?;
    let service = match Service::start(options, None) {
        Ok(service) => service,
        Err(error) => bail!("[{}] {error}", error.code()),
    };
    runtime.block_on(async {
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("[sequencer.listen] {}", config.listen))?;
        let address = listener.local_addr()?;
        let router = api::router(service.shared.clone(), config.timeout());
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let ended = service.ended();
        println!("listening on http://{address}");
        std::io::stdout().flush()?;
        serve(listener, router, serve_options(config), async {
            tokio::select! {
                _ = interrupt.recv() => tracing::info!("stopping"),
                _ = terminate.recv() => tracing::info!("stopping"),
                () = ended => tracing::error!("the service has ended by itself"),
            }
        })
        .await;
        anyhow::Ok(())
    })?;
    let head = service.stop().context("[sequencer.failed]")?;
    println!("stopped at position {}", head.position);
    Ok(())
}

fn serve_options(config: &SequencerConfig) -> ServeOptions {
    ServeOptions {
        most_connections: config.connections,
        most_of_peer: config.connections_of_peer,
        ..ServeOptions::default()
    }
}

fn options(config: &SequencerConfig) -> anyhow::Result<Options> {
    let receipt_key = match &config.receipt_key {
        Some(path) => secret(path)?,
        None if config.dev => development::receipt_key(),
        None => bail!("[sequencer.key] --receipt-key, or --dev, says who signs receipts"),
    };
    Ok(Options {
        data: config.data.join(STORE),
        deployment: deployment(config)?,
        receipt_key,
        lane: config.lane,
        rate: Rate {
            per_second: config.rate,
            burst: config.burst,
        },
        most_listeners: config.clients,
        checkers: config.checkers,
        tick: config.tick(),
        takes_items: config.dev,
        checkpoints: config.checkpoints(),
        verify_log: config.verify_log,
    })
}

/// 32 to 64 bytes of secret material, as `openssl rand` writes them.
fn secret(path: &Path) -> anyhow::Result<SecretKey> {
    let material = fs::read(path).with_context(|| format!("[sequencer.key] {}", path.display()))?;
    match material.len() {
        32.. => Ok(SecretKey::derive("tally sequencer receipts", &material)),
        bytes => bail!(
            "[sequencer.key] {} has {bytes} bytes, 32 are the least",
            path.display()
        ),
    }
}

fn deployment(config: &SequencerConfig) -> anyhow::Result<Deployment> {
    let kept = config.data.join(DEPLOYMENT);
    let path = match &config.deployment {
        Some(path) => path,
        None if !config.dev => bail!("[sequencer.deployment] --deployment, or --dev, is missing"),
        None if kept.exists() => &kept,
        None => {
            let made = Deployment::development(now_ms() / 1_000);
            let text = serde_json::to_string_pretty(&made)?;
            fs::write(&kept, text).with_context(|| kept.display().to_string())?;
            &kept
        }
    };
    let text = fs::read_to_string(path)
        .with_context(|| format!("[sequencer.deployment] {}", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("[sequencer.deployment] {}", path.display()))
}
