//! The directory of a devnet, and what it fixed at its first start.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tally_api::encoding::hex_of;
use tally_l1::Anvil;
use tally_l1::dev::first_address;
use tally_protocol::signature::SecretKey;
use tally_sequencer::config::Config as EngineConfig;
use tally_service::clock::now_ms;
use tally_service::deployment::Deployment;

use super::config::{DevnetConfig, L1};
use crate::output::{make_dir, write_whole};

const FACTS: &str = "devnet.json";
/// Of which one may lie.
pub const REPORTERS: u32 = 4;

/// What a second start must not change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Seconds since 1970 of genesis.
    pub genesis: u64,
    pub seed: u64,
    pub bots: u32,
    pub instruments: u32,
    pub epochs_per_batch: u32,
    /// The chain is inside the process.
    pub embedded: bool,
    pub mock_verifier: bool,
    pub mock_prover: bool,
}

#[derive(Clone, Debug)]
pub struct Home {
    pub dir: PathBuf,
    pub facts: Facts,
}

impl Home {
    /// The directory's own facts win over the command line's, where they may; who asks for another
    /// kind of proof is refused.
    pub fn open(config: &DevnetConfig) -> anyhow::Result<Self> {
        let dir = config.data.clone();
        make_dir(&dir)?;
        let path = dir.join(FACTS);
        let asked = Facts::of(config)?;
        if !path.exists() {
            let text = serde_json::to_vec_pretty(&asked)?;
            write_whole(&path, |out| out.write_all(&text))?;
        }
        let facts = Facts::read(&dir)?;
        let mocks = |facts: &Facts| (facts.mock_verifier, facts.mock_prover);
        if mocks(&facts) != mocks(&asked) {
            bail!(
                "[devnet.mocks] {} was begun with (mock verifier, mock prover) = {:?}, not {:?}",
                dir.display(),
                mocks(&facts),
                mocks(&asked)
            );
        }
        for part in [Part::L1, Part::Batches, Part::Inbox] {
            make_dir(&dir.join(part.name()))?;
        }
        Ok(Self { dir, facts })
    }

    pub fn path(&self, part: Part) -> PathBuf {
        self.dir.join(part.name())
    }

    pub fn deployment(&self) -> Deployment {
        let facts = &self.facts;
        let keys = (0..REPORTERS).map(|it| hex_of(&reporter_key(it).public()));
        Deployment {
            contract: hex::encode(first_address()),
            auction_epochs: 4,
            reporters: keys.collect(),
            faults: 1,
            engine: EngineConfig {
                epochs_per_batch: facts.epochs_per_batch,
                fresh_rounds: 2,
                // Rounds come late where the prover is behind.
                max_epoch_age: 24 * 3_600 * 1_000,
                max_unproven: 4_096,
                max_unsettled: 4_096,
                ..EngineConfig::default()
            },
            ..Deployment::development(facts.genesis)
        }
    }
}

impl Facts {
    /// Of a directory that is a devnet's.
    pub fn read(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(FACTS);
        let name = || format!("[devnet.facts] {}", path.display());
        let text = fs::read(&path).with_context(name)?;
        serde_json::from_slice(&text).with_context(name)
    }

    pub fn l1(&self) -> &'static str {
        match self.embedded {
            true => "embedded",
            false => "anvil",
        }
    }

    fn of(config: &DevnetConfig) -> anyhow::Result<Self> {
        let embedded = match config.l1 {
            L1::Embedded => true,
            L1::Anvil => false,
            L1::Auto => !Anvil::is_installed(),
        };
        Ok(Self {
            genesis: now_ms() / 1_000 - 60,
            seed: config.seed,
            bots: config.bots,
            instruments: config.instruments,
            epochs_per_batch: config.epochs_per_batch,
            embedded,
            mock_verifier: config.is_mock_verifier(),
            mock_prover: config.mock_prover,
        })
    }
}

/// What lies in the directory.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// The sequencer's log and everything beside it.
    Store,
    /// Journals of transactions, the follower's cursor, the chain itself.
    L1,
    /// Closed epochs on their way to the prover.
    Inbox,
    /// The prover's queue, its parts, its status and the batches' proof files; or their data.
    Batches,
}

impl Part {
    pub fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::L1 => "l1",
            Self::Inbox => "inbox",
            Self::Batches => "batches",
        }
    }
}

/// Development keys: whoever has this code has them.
pub fn reporter_key(number: u32) -> SecretKey {
    SecretKey::derive("tally devnet reporter", &number.to_le_bytes())
}

pub fn receipt_key() -> SecretKey {
    SecretKey::derive("tally devnet sequencer", b"receipts")
}

/// A bot's: from the devnet's seed and its number.
pub fn bot_key(seed: u64, number: u32) -> SecretKey {
    SecretKey::derive("tally devnet bot", format!("{seed}/{number}").as_bytes())
}

/// Batches as files, `batch-FIRST-LAST.KIND`, by their first epoch.
pub fn batch_files(dir: &Path, kind: &str) -> std::io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let ends = name
            .and_then(|name| {
                name.strip_prefix("batch-")?
                    .strip_suffix(kind)?
                    .strip_suffix('.')
            })
            .and_then(|ends| ends.split_once('-'));
        if let Some(first) = ends.and_then(|(first, _)| first.parse().ok()) {
            found.push((first, path));
        }
    }
    found.sort();
    Ok(found)
}
