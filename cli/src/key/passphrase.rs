//! Where a passphrase comes from: a file, the environment, or the terminal; never an argument,
//! which other users can see.

use std::io;
use std::path::PathBuf;

use clap::Args;
use thiserror::Error;
use zeroize::Zeroizing;

const VARIABLE: &str = "TALLY_PASSPHRASE";
/// Shorter ones are refused for new files.
const LEAST_CHARACTERS: usize = 8;

#[derive(Debug, Args)]
pub struct PassphraseConfig {
    /// File whose first line is the passphrase; else it is taken from the variable
    /// TALLY_PASSPHRASE, else asked for.
    #[arg(long, env = "TALLY_PASSPHRASE_FILE", value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Error)]
pub enum PassphraseError {
    #[error("{}: [passphrase.not_read] {source}", path.display())]
    NotRead { path: PathBuf, source: io::Error },
    #[error("[passphrase.no_terminal] {VARIABLE} and --passphrase-file are not set: {0}")]
    NoTerminal(io::Error),
    #[error("[passphrase.not_text] {VARIABLE} is not UTF-8")]
    NotText,
    #[error("[passphrase.short] a passphrase has at least {LEAST_CHARACTERS} characters")]
    Short,
    #[error("[passphrase.differs] the two are not the same")]
    Differs,
}

impl PassphraseConfig {
    /// Of a file that there is.
    pub fn existing(&self) -> Result<Zeroizing<String>, PassphraseError> {
        match self.given()? {
            Some(given) => Ok(given),
            None => ask("Passphrase: "),
        }
    }

    /// For a new file: long enough and, at a terminal, typed twice.
    pub fn chosen(&self) -> Result<Zeroizing<String>, PassphraseError> {
        let chosen = match self.given()? {
            Some(given) => given,
            None => {
                let (first, again) = (ask("New passphrase: ")?, ask("Again: ")?);
                if first != again {
                    return Err(PassphraseError::Differs);
                }
                first
            }
        };
        match chosen.chars().count() < LEAST_CHARACTERS {
            true => Err(PassphraseError::Short),
            false => Ok(chosen),
        }
    }

    fn given(&self) -> Result<Option<Zeroizing<String>>, PassphraseError> {
        if let Some(path) = &self.passphrase_file {
            let text = std::fs::read_to_string(path).map_err(|source| {
                let path = path.clone();
                PassphraseError::NotRead { path, source }
            });
            let text = Zeroizing::new(text?);
            let line = text.lines().next().unwrap_or_default();
            return Ok(Some(Zeroizing::new(line.to_owned())));
        }
        match std::env::var(VARIABLE) {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(PassphraseError::NotText),
        }
    }
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, PassphraseError> {
    let typed = rpassword::prompt_password(prompt).map_err(PassphraseError::NoTerminal);
    Ok(Zeroizing::new(typed?))
}
