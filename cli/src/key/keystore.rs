//! A secret key in a file: scrypt makes a key of the passphrase, XChaCha20-Poly1305 seals the
//! scalar with it. The public key and the parameters stand beside it in the clear and are sealed
//! with it: a file whose public key was exchanged does not open.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::RngCore;
use rand::rngs::OsRng;
use serde::{Deserialize, Serialize};
use tally_protocol::signature::SecretKey;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::key::hex_of;

const VERSION: u32 = 1;
/// Readable and writable by the owner alone.
const MODE: u32 = 0o600;
/// Bits of others' access to a file.
const OTHERS: u32 = 0o077;
/// From 1 MB, which only tests take, to the 4 GB that a file from elsewhere may make us use.
const LOG_N: core::ops::RangeInclusive<u8> = 10..=22;

#[derive(Debug, Error)]
pub enum KeystoreError {
    #[error("{}: [key.exists] a key file is never overwritten", .0.display())]
    Exists(PathBuf),
    #[error("{}: [key.not_written] {source}", path.display())]
    NotWritten { path: PathBuf, source: io::Error },
    #[error("{}: [key.not_read] {source}", path.display())]
    NotRead { path: PathBuf, source: io::Error },
    #[error("{}: [key.mode] others may read it (mode {mode:o}): chmod 600", path.display())]
    Mode { path: PathBuf, mode: u32 },
    #[error("{}: [key.format] {reason}", path.display())]
    Format { path: PathBuf, reason: String },
    #[error("[key.passphrase] the passphrase does not open the file, or the file was changed")]
    Passphrase,
    #[error("[key.randomness] the system gives no randomness: {0}")]
    Randomness(#[from] rand::Error),
}

/// Work of a passphrase's guess: 2^log_n blocks of 1 kB.
#[derive(Clone, Copy, Debug)]
pub struct Cost(u8);

impl Cost {
    /// 128 MB and about half a second.
    pub const PRODUCTION: Self = Self(17);
}

/// The file's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    version: u32,
    public: String,
    kdf: Kdf,
    cipher: Cipher,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kdf {
    name: KdfName,
    log_n: u8,
    r: u32,
    p: u32,
    salt: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KdfName {
    Scrypt,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cipher {
    name: CipherName,
    nonce: String,
    sealed: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum CipherName {
    #[serde(rename = "xchacha20-poly1305")]
    XChaCha20Poly1305,
}

impl KeyFile {
    pub fn seal(key: &SecretKey, passphrase: &str, cost: Cost) -> Result<Self, KeystoreError> {
        let (mut salt, mut nonce) = ([0u8; 32], [0u8; 24]);
        OsRng.try_fill_bytes(&mut salt)?;
        OsRng.try_fill_bytes(&mut nonce)?;
        let mut file = Self {
            version: VERSION,
            public: hex_of(&key.public()),
            kdf: Kdf {
                name: KdfName::Scrypt,
                log_n: cost.0,
                r: 8,
                p: 1,
                salt: hex::encode(salt),
            },
            cipher: Cipher {
                name: CipherName::XChaCha20Poly1305,
                nonce: hex::encode(nonce),
                sealed: String::new(),
            },
        };
        let (aad, scalar) = (file.associated(), key.to_bytes());
        let payload = Payload {
            msg: scalar.as_slice(),
            aad: aad.as_bytes(),
        };
        let cipher = file.cipher(passphrase)?;
        let sealed = cipher.encrypt(XNonce::from_slice(&nonce), payload);
        file.cipher.sealed = hex::encode(sealed.map_err(|_| KeystoreError::Passphrase)?);
        Ok(file)
    }

    pub fn open(&self, passphrase: &str) -> Result<SecretKey, KeystoreError> {
        let nonce: [u8; 24] = bytes(&self.cipher.nonce)?;
        let sealed = hex::decode(&self.cipher.sealed).map_err(|_| KeystoreError::Passphrase)?;
        let aad = self.associated();
        let payload = Payload {
            msg: &sealed,
            aad: aad.as_bytes(),
        };
        let cipher = self.cipher(passphrase)?;
        let opened = cipher.decrypt(XNonce::from_slice(&nonce), payload);
        let opened = Zeroizing::new(opened.map_err(|_| KeystoreError::Passphrase)?);
        let scalar: &[u8; 40] = opened
            .as_slice()
            .try_into()
            .map_err(|_| KeystoreError::Passphrase)?;
        let key = SecretKey::from_bytes(scalar).ok_or(KeystoreError::Passphrase)?;
        match hex_of(&key.public()) == self.public {
            true => Ok(key),
            false => Err(KeystoreError::Passphrase),
        }
    }

    pub fn public(&self) -> &str {
        &self.public
    }

    /// Appears whole, for its owner alone, and only where there was nothing.
    pub fn save(&self, path: &Path) -> Result<(), KeystoreError> {
        check_absent(path)?;
        let failed = |source| KeystoreError::NotWritten {
            path: path.to_path_buf(),
            source,
        };
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.tmp", std::process::id()));
        let beside = path.with_file_name(name);
        // A link fails where the name is taken, which a rename would not.
        let written = self
            .write(&beside)
            .and_then(|()| fs::hard_link(&beside, path));
        // Its own failure adds nothing to the first one's report.
        let _ = fs::remove_file(&beside);
        match written {
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {
                Err(KeystoreError::Exists(path.to_path_buf()))
            }
            written => written.map_err(failed),
        }
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = create_private(path)?;
        let text = serde_json::to_string_pretty(self)?;
        writeln!(file, "{text}")?;
        file.sync_all()
    }

    pub fn load(path: &Path) -> Result<Self, KeystoreError> {
        let path_of = || path.to_path_buf();
        let not_read = |source| KeystoreError::NotRead {
            path: path_of(),
            source,
        };
        let mode = mode_of(&fs::metadata(path).map_err(not_read)?);
        if mode & OTHERS != 0 {
            let path = path_of();
            return Err(KeystoreError::Mode { path, mode });
        }
        let text = fs::read_to_string(path).map_err(not_read)?;
        let format = |reason| KeystoreError::Format {
            path: path_of(),
            reason,
        };
        let file: Self = serde_json::from_str(&text).map_err(|error| format(error.to_string()))?;
        if file.version != VERSION {
            return Err(format(format!("version {}, not {VERSION}", file.version)));
        }
        if !LOG_N.contains(&file.kdf.log_n) || (file.kdf.r, file.kdf.p) != (8, 1) {
            let Kdf { log_n, r, p, .. } = file.kdf;
            return Err(format(format!("scrypt with log n {log_n}, r {r}, p {p}")));
        }
        Ok(file)
    }

    /// All but what is sealed.
    fn associated(&self) -> String {
        let Kdf {
            log_n, r, p, salt, ..
        } = &self.kdf;
        format!(
            "tally key v{VERSION} {} {log_n} {r} {p} {salt}",
            self.public
        )
    }

    fn cipher(&self, passphrase: &str) -> Result<XChaCha20Poly1305, KeystoreError> {
        let Kdf { log_n, r, p, .. } = self.kdf;
        let salt: [u8; 32] = bytes(&self.kdf.salt)?;
        let mut key = Zeroizing::new([0; 32]);
        let params = scrypt::Params::new(log_n, r, p, key.len());
        let params = params.map_err(|_| KeystoreError::Passphrase)?;
        scrypt::scrypt(passphrase.as_bytes(), &salt, &params, key.as_mut_slice())
            .map_err(|_| KeystoreError::Passphrase)?;
        Ok(XChaCha20Poly1305::new(key.as_slice().into()))
    }
}

/// Before anyone is asked for a passphrase.
pub fn check_absent(path: &Path) -> Result<(), KeystoreError> {
    match path.symlink_metadata() {
        Ok(_) => Err(KeystoreError::Exists(path.to_path_buf())),
        Err(_) => Ok(()),
    }
}

fn bytes<const N: usize>(text: &str) -> Result<[u8; N], KeystoreError> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| KeystoreError::Passphrase)?;
    Ok(bytes)
}

#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(MODE).open(path)
}

#[cfg(unix)]
fn mode_of(metadata: &fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o777
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const CHEAP: Cost = Cost(10);

    fn key() -> SecretKey {
        SecretKey::derive("tests", b"one")
    }

    fn sealed() -> KeyFile {
        KeyFile::seal(&key(), "open sesame", CHEAP).unwrap()
    }

    #[test]
    fn a_key_file_opens_with_its_passphrase_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.json");
        sealed().save(&path).unwrap();
        let loaded = KeyFile::load(&path).unwrap();
        let opened = loaded.open("open sesame").unwrap();
        assert_eq!(opened.to_bytes(), key().to_bytes());
        for wrong in ["", "Open sesame", "open sesame "] {
            let error = loaded.open(wrong).unwrap_err();
            assert!(matches!(error, KeystoreError::Passphrase));
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&hex::encode(*key().to_bytes())));
        assert_eq!(sealed().public, loaded.public);
        assert_ne!(sealed().cipher, sealed().cipher);
    }

    #[test]
    fn a_changed_file_does_not_open() {
        let other = hex_of(&SecretKey::derive("tests", b"two").public());
        let changes: [fn(&mut KeyFile, String); 5] = [
            |file, other| file.public = other,
            |file, _| file.kdf.log_n += 1,
            |file, _| file.kdf.salt.replace_range(..1, "g"),
            |file, _| file.cipher.nonce = "00".repeat(24),
            |file, _| file.cipher.sealed.truncate(80),
        ];
        for change in changes {
            let mut changed = sealed();
            change(&mut changed, other.clone());
            assert!(changed.open("open sesame").is_err(), "{changed:?}");
        }
    }

    #[test]
    fn a_key_file_is_its_owners_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.json");
        sealed().save(&path).unwrap();
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let found = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, MODE);
        let before = fs::read(&path).unwrap();
        let error = sealed().save(&path).unwrap_err();
        assert!(error.to_string().contains("[key.exists]"));
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        mode(0o640);
        let error = KeyFile::load(&path).unwrap_err();
        assert!(error.to_string().contains("[key.mode]"));
        mode(0o600);
        let text = String::from_utf8(before).unwrap();
        for (from, to) in [
            ("\"version\": 1", "\"version\": 2"),
            ("\"log_n\": 10", "\"log_n\": 40"),
            ("scrypt", "none"),
            ("\"kdf\"", "\"kdg\""),
        ] {
            fs::write(&path, text.replace(from, to)).unwrap();
            let error = KeyFile::load(&path).unwrap_err();
            assert!(error.to_string().contains("[key.format]"), "{to}");
        }
    }
}
