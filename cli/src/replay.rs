//! `tally replay`: a market's bars, settled epoch by epoch.

use std::io::Write;
use std::path::Path;

use serde::Serialize;
use tally_jobs::{DirectoryInbox, EpochWitness, Inbox, InboxError};
use thiserror::Error;

use crate::config::ReplayConfig;
use crate::data::{DataFileError, DataWriter};
use crate::generated;
use crate::klines::{self, KlineError};
use crate::market::path::{PathError, PricePath};
use crate::market::sim::{EpochReport, SimError, Simulation};
use crate::output::{OutputError, drop_batches, make_dir, write_whole};
use crate::progress::Progress;
use crate::prove::{BatchError, Batcher};
use crate::state_file::{SavedState, Symbol, show};

/// What every epoch did, one line each.
const EPOCHS_FILE: &str = "epochs.csv";
const SUMMARY_FILE: &str = "summary.json";

#[derive(Debug, Error)]
pub enum ReplayError {
    #[error(transparent)]
    Klines(#[from] KlineError),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    Sim(#[from] SimError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error(transparent)]
    Data(#[from] DataFileError),
    #[error("[prove.from] --prove-from {from}: the last epoch of this replay is {last}")]
    NothingToProve { from: u32, last: u64 },
    #[error("[prove.unused] --prove-from and --prove-epochs need --prove, --data or --witnesses")]
    NothingProves,
    #[error(transparent)]
    Inbox(#[from] InboxError),
}

/// The last line of `--json`. Amounts in micro-quote.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Of the market; those of the setup come before them.
    pub epochs: u64,
    pub setup_epochs: u64,
    pub entries: u64,
    pub fills: u64,
    pub flags: u64,
    pub liquidations: u64,
    pub absorptions: u64,
    pub unwinds: u64,
    /// Collected from winners of the epochs in which insurance fell short \[Q6\].
    pub socialised: u64,
    pub deficit: u64,
    pub deposits: u64,
    pub withdrawals: u64,
    pub refusals: u64,
    pub transfers: u64,
    pub cancels: u64,
    /// With those that L1 asked for, as the key changes.
    pub cancel_alls: u64,
    pub key_changes: u64,
    /// Of the queue: done or refused. Its takes are liquidations, its flags flags, its absorptions
    /// absorptions.
    pub l1_items: u64,
    pub l1_flags: u64,
    pub l1_takes: u64,
    pub l1_absorptions: u64,
    pub accounts: usize,
    pub instruments: usize,
    /// Settled cash over all accounts, zero at every epoch or the replay fails \[S8\].
    pub trial_balance: i64,
    pub state_root: String,
    /// Of epoch 0, seconds since 1970; the settlement contract is made with it.
    pub genesis_time: u64,
    pub batches: u64,
    pub proofs: u64,
    /// Proofs of parts that an earlier run had finished.
    pub parts_reused: u64,
    /// Known where batches are proven.
    pub rows_per_fill: Option<f64>,
    pub cpu_seconds_per_fill: Option<f64>,
}

pub fn run(config: &ReplayConfig) -> Result<Summary, ReplayError> {
    let series = match &config.klines {
        Some(dir) => klines::load(dir, &config.symbols)?,
        None => generated::series(config.seed),
    };
    let path = PricePath::new(series, config.start.map(|start| start.0), config.epochs)?;
    let mut sim = Simulation::new(config, path)?;
    let genesis_time = sim.state.header.time;
    check_window(config, sim.epochs())?;
    make_dir(&config.out)?;
    if config.prove || config.data {
        drop_batches(&config.out, 0, "wrapped")?;
    }
    let mut progress = Progress::new("epochs", sim.epochs());
    let mut reports = Vec::new();
    let mut batcher = match config.prove {
        true => Some(Batcher::new(config)?),
        false => None,
    };
    let mut writer = config.data.then(|| DataWriter::new(config));
    let inbox = config.witnesses.as_ref().map(DirectoryInbox::open);
    let inbox = inbox.transpose()?;
    for _ in 0..sim.epochs() {
        let table = sim.state.table.clone();
        let (report, trace) = sim.step()?;
        if let Some(writer) = &mut writer {
            writer.push(&trace)?;
        }
        if let Some(batcher) = &mut batcher {
            batcher.push(&trace, &table)?;
        }
        if let Some(inbox) = &inbox
            && config.window().contains(&trace.context.epoch.into())
        {
            let before = table;
            inbox.put(&EpochWitness { trace, before })?;
        }
        progress.step(|| {
            format!(
                "fills {} liquidations {}",
                report.fills, report.liquidations
            )
        });
        reports.push(report);
    }
    progress.finish();
    if let Some(writer) = &mut writer {
        writer.flush()?;
        drop_batches(&config.out, writer.written, "data")?;
    }
    let mut summary = summarise(config, &sim, &reports);
    summary.genesis_time = genesis_time;
    if let Some(batcher) = &mut batcher {
        batcher.flush()?;
        drop_batches(&config.out, batcher.proofs, "proof")?;
        summary.proofs = batcher.proofs;
        summary.parts_reused = batcher.reused;
        summary.rows_per_fill = batcher.rows_per_fill();
        summary.cpu_seconds_per_fill = batcher.cpu_seconds_per_fill();
    }
    save(&config.out, &sim, &reports, &summary)?;
    Ok(summary)
}

/// What is asked to be proven or written is there, and somebody does it.
fn check_window(config: &ReplayConfig, last: u64) -> Result<(), ReplayError> {
    let is_narrowed = config.prove_from > 1 || config.prove_epochs.is_some();
    let is_used = config.prove || config.data || config.witnesses.is_some();
    if is_narrowed && !is_used {
        return Err(ReplayError::NothingProves);
    }
    let from = config.prove_from;
    match u64::from(from) > last {
        true => Err(ReplayError::NothingToProve { from, last }),
        false => Ok(()),
    }
}

fn summarise(config: &ReplayConfig, sim: &Simulation, reports: &[EpochReport]) -> Summary {
    let sum = |of: fn(&EpochReport) -> u64| reports.iter().map(of).sum();
    let counts = sim.counts();
    Summary {
        epochs: sim.path.epochs,
        setup_epochs: sim.setup_epochs(),
        entries: sum(|report| report.entries),
        fills: sum(|report| report.fills),
        flags: sum(|report| report.flags),
        liquidations: sum(|report| report.liquidations),
        absorptions: sum(|report| report.absorptions),
        unwinds: sum(|report| report.unwinds),
        socialised: sum(|report| report.socialised),
        deficit: sim.state.header.deficit,
        deposits: counts.deposits,
        withdrawals: counts.withdrawals,
        refusals: counts.refusals,
        transfers: counts.transfers,
        cancels: sum(|report| report.sent.cancels),
        cancel_alls: sum(|report| report.sent.cancel_alls) + counts.l1_cancel_alls,
        key_changes: sum(|report| report.sent.key_changes) + counts.l1_key_changes,
        l1_items: counts.l1_items,
        l1_flags: counts.l1_flags,
        l1_takes: counts.l1_takes,
        l1_absorptions: counts.l1_absorptions,
        accounts: sim.accounts(),
        instruments: sim.listings.len(),
        trial_balance: 0,
        state_root: show(sim.state.root()),
        batches: sim.epochs().div_ceil(config.epochs_per_batch),
        ..Summary::default()
    }
}

fn save(
    dir: &Path,
    sim: &Simulation,
    reports: &[EpochReport],
    summary: &Summary,
) -> Result<(), OutputError> {
    let state = &sim.state;
    let symbol = |listing: &crate::market::listing::Listing| {
        let (symbol, lot_exponent) = (listing.symbol.clone(), listing.lot_exponent);
        (
            listing.row,
            Symbol {
                symbol,
                lot_exponent,
            },
        )
    };
    let members = state.accounts.iter();
    let saved = SavedState {
        header: state.header,
        rows: state
            .table
            .rows()
            .map(|(number, row)| (number, *row))
            .collect(),
        accounts: members
            .map(|(id, member)| (id.0, member.account.clone()))
            .collect(),
        symbols: sim.listings.iter().map(symbol).collect(),
    };
    saved.save(dir, state.root())?;
    write_whole(&dir.join(EPOCHS_FILE), |out| write_reports(out, reports))?;
    write_whole(&dir.join(SUMMARY_FILE), |out| {
        Ok(serde_json::to_writer_pretty(out, summary)?)
    })
}

fn write_reports(out: &mut dyn Write, reports: &[EpochReport]) -> std::io::Result<()> {
    let columns = "epoch,time,entries,fills,flags,liquidations,absorptions,unwinds,socialised,\
        deficit,accounts_touched";
    writeln!(out, "{columns}")?;
    for r in reports {
        writeln!(
            out,
            "{},{},{},{},{},{},{},{},{},{},{}",
            r.epoch,
            r.time,
            r.entries,
            r.fills,
            r.flags,
            r.liquidations,
            r.absorptions,
            r.unwinds,
            r.socialised,
            r.deficit,
            r.accounts_touched,
        )?;
    }
    Ok(())
}
