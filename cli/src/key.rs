//! `tally key`: makes, derives and shows the keys that sign messages.

mod keystore;
mod passphrase;
mod wallet;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use rand::RngCore;
use rand::rngs::OsRng;
use serde::Serialize;
use tally_protocol::account::PublicKey;
use tally_protocol::hash::halves;
use tally_protocol::signature::SecretKey;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::config::{Address, DeploymentConfig};
use keystore::{Cost, KeyFile, KeystoreError};
use passphrase::{PassphraseConfig, PassphraseError};
use wallet::{KeyName, WalletError};

/// What the keys of `key new` are derived in.
const RANDOM_DOMAIN: &str = "random";

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Makes a key from the system's randomness and keeps it in an encrypted file.
    New(NewConfig),
    /// Shows a key file's public key.
    Show(ShowConfig),
    /// Prints the EIP-712 typed data that an Ethereum wallet signs for `key derive`.
    TypedData(TypedDataConfig),
    /// Derives a key from a wallet's signature of the typed data, and keeps it likewise.
    Derive(DeriveConfig),
}

#[derive(Debug, Args)]
pub struct NewConfig {
    #[command(flatten)]
    pub file: FileConfig,
    #[command(flatten)]
    pub passphrase: PassphraseConfig,
    /// The result as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ShowConfig {
    #[command(flatten)]
    pub file: FileConfig,
    /// Opens the file with its passphrase, and so shows that it holds this public key's secret.
    #[arg(long)]
    pub check: bool,
    #[command(flatten)]
    pub passphrase: PassphraseConfig,
    /// The result as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct TypedDataConfig {
    #[command(flatten)]
    pub key: WalletKeyConfig,
}

#[derive(Debug, Args)]
pub struct DeriveConfig {
    #[command(flatten)]
    pub key: WalletKeyConfig,
    /// The wallet's address: the signature must be its own, of `key typed-data`'s text.
    #[arg(long, env = "TALLY_WALLET", value_name = "ADDRESS")]
    pub wallet: Address,
    /// File whose first line is the wallet's signature, 65 bytes in hexadecimal; `-` is standard
    /// input. Whoever has it has the key, so it is never an argument.
    #[arg(long, default_value = "-", value_name = "FILE")]
    pub signature_file: PathBuf,
    #[command(flatten)]
    pub file: FileConfig,
    #[command(flatten)]
    pub passphrase: PassphraseConfig,
    /// The result as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct FileConfig {
    /// The key file; never overwritten.
    #[arg(
        long,
        env = "TALLY_KEY_FILE",
        default_value = "tally-key.json",
        value_name = "FILE"
    )]
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub struct WalletKeyConfig {
    #[command(flatten)]
    pub deployment: DeploymentConfig,
    /// Which of the wallet's keys: 0 for the account's own, others for trading keys and further
    /// accounts.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub index: u32,
}

impl WalletKeyConfig {
    fn name(&self) -> KeyName {
        KeyName {
            chain_id: self.deployment.chain_id,
            contract: self.deployment.contract.0,
            index: self.index,
        }
    }
}

#[derive(Debug, Error)]
pub enum KeyError {
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    #[error(transparent)]
    Wallet(#[from] WalletError),
    #[error("[key.randomness] the system gives no randomness: {0}")]
    Randomness(#[from] rand::Error),
}

/// What a command tells of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyView {
    pub file: PathBuf,
    /// 40 bytes, lowest first, as in messages and vectors.
    pub public: String,
    /// Whether the file was opened; its public key is only a claim otherwise.
    pub checked: bool,
}

pub fn new(config: &NewConfig) -> Result<KeyView, KeyError> {
    let mut seed = Zeroizing::new([0; 64]);
    OsRng.try_fill_bytes(seed.as_mut_slice())?;
    let key = SecretKey::derive(RANDOM_DOMAIN, seed.as_slice());
    keep(&key, &config.file, &config.passphrase)
}

pub fn derive(config: &DeriveConfig) -> Result<KeyView, KeyError> {
    let signature = wallet::read_signature(&config.signature_file)?;
    let key = config.key.name().key_of(&signature, config.wallet.0)?;
    keep(&key, &config.file, &config.passphrase)
}

pub fn show(config: &ShowConfig) -> Result<KeyView, KeyError> {
    let sealed = KeyFile::load(&config.file.file)?;
    if config.check {
        sealed.open(&config.passphrase.existing()?)?;
    }
    Ok(KeyView {
        file: config.file.file.clone(),
        public: sealed.public().to_owned(),
        checked: config.check,
    })
}

/// What `key typed-data` prints.
pub fn to_sign(config: &TypedDataConfig) -> serde_json::Value {
    config.key.name().typed_data()
}

fn keep(
    key: &SecretKey,
    file: &FileConfig,
    passphrase: &PassphraseConfig,
) -> Result<KeyView, KeyError> {
    keystore::check_absent(&file.file)?;
    let sealed = KeyFile::seal(key, &passphrase.chosen()?, Cost::PRODUCTION)?;
    sealed.save(&file.file)?;
    Ok(KeyView {
        file: file.file.clone(),
        public: sealed.public().to_owned(),
        checked: true,
    })
}

/// A public key in hexadecimal.
pub fn hex_of(key: &PublicKey) -> String {
    let words = key.iter().flat_map(|element| halves(*element));
    let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
    hex::encode(bytes)
}
