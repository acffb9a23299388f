//! A key from an Ethereum wallet: a hash of its EIP-712 signature of a fixed text.
//!
//! The same wallet gives the same key again only if it signs deterministically (RFC 6979, as the
//! common ones do), so two signatures should be compared before money depends on it. The signature
//! must be the named wallet's, of the text for this deployment and index: a signature of anything
//! else would make a key that nobody finds again. Of the two signatures (r, s) and (r, n − s) that
//! a signing gives, the one with low s makes the key, with v as 27 or 28: a signature has one key.

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use alloy::primitives::{Address, B256, Signature};
use alloy::sol;
use alloy::sol_types::{SolStruct, eip712_domain};
use serde_json::{Value, json};
use tally_protocol::account::Owner;
use tally_protocol::signature::SecretKey;
use thiserror::Error;
use zeroize::Zeroizing;

const DOMAIN: &str = "eip712 wallet signature";
const SIGNATURE_BYTES: usize = 65;
/// What the wallet shows its user.
const PURPOSE: &str = "Makes the secret key of your Tally account. Whoever has this signature can \
    trade and withdraw for you: sign it in Tally's own client only.";
/// The domain's name and version.
const NAME: &str = "Tally";
const VERSION: &str = "1";

sol! {
    struct TallyKey {
        string purpose;
        uint32 index;
    }
}

#[derive(Debug, Error)]
pub enum WalletError {
    #[error("{}: [wallet.not_read] {source}", path.display())]
    NotRead { path: PathBuf, source: io::Error },
    #[error("[wallet.not_hex] a signature is {SIGNATURE_BYTES} bytes in hexadecimal")]
    NotHex,
    #[error("[wallet.signature] it is no signature: {0}")]
    NoSignature(String),
    #[error("[wallet.other] it is a signature of {0}, or of another text")]
    Other(Address),
}

/// r, s, v.
pub type WalletSignature = Zeroizing<[u8; SIGNATURE_BYTES]>;

/// Which of a wallet's keys, for which deployment.
#[derive(Clone, Copy, Debug)]
pub struct KeyName {
    pub chain_id: u64,
    pub contract: Owner,
    pub index: u32,
}

impl KeyName {
    /// What the wallet signs (eth_signTypedData_v4).
    pub fn typed_data(&self) -> Value {
        let field = |name: &str, kind: &str| json!({ "name": name, "type": kind });
        json!({
            "types": {
                "EIP712Domain": [
                    field("name", "string"),
                    field("version", "string"),
                    field("chainId", "uint256"),
                    field("verifyingContract", "address"),
                ],
                "TallyKey": [field("purpose", "string"), field("index", "uint32")],
            },
            "primaryType": "TallyKey",
            "domain": {
                "name": NAME,
                "version": VERSION,
                "chainId": self.chain_id,
                "verifyingContract": format!("0x{}", hex::encode(self.contract.0)),
            },
            "message": { "purpose": PURPOSE, "index": self.index },
        })
    }

    /// Its hash, which is what the signature is of.
    fn digest(&self) -> B256 {
        let domain = eip712_domain! {
            name: NAME,
            version: VERSION,
            chain_id: self.chain_id,
            verifying_contract: Address::from(self.contract.0),
        };
        let message = TallyKey {
            purpose: PURPOSE.into(),
            index: self.index,
        };
        message.eip712_signing_hash(&domain)
    }

    /// The key that a wallet's signature of the typed data makes.
    pub fn key_of(
        &self,
        signature: &WalletSignature,
        wallet: Owner,
    ) -> Result<SecretKey, WalletError> {
        let no_signature =
            |error: alloy::primitives::SignatureError| WalletError::NoSignature(error.to_string());
        let signature = Signature::from_raw_array(signature).map_err(no_signature)?;
        let signature = signature.normalized_s();
        let signer = signature.recover_address_from_prehash(&self.digest());
        match signer.map_err(no_signature)? {
            signer if signer == Address::from(wallet.0) => {
                let canonical = Zeroizing::new(signature.as_bytes());
                Ok(SecretKey::derive(DOMAIN, canonical.as_slice()))
            }
            signer => Err(WalletError::Other(signer)),
        }
    }
}

/// A file's first line; `-` is standard input.
pub fn read_signature(path: &Path) -> Result<WalletSignature, WalletError> {
    let not_read = |source| WalletError::NotRead {
        path: path.to_owned(),
        source,
    };
    let mut line = Zeroizing::new(String::new());
    match path.to_str() {
        Some("-") => io::stdin().lock().read_line(&mut line),
        _ => {
            std::fs::File::open(path).and_then(|file| io::BufReader::new(file).read_line(&mut line))
        }
    }
    .map_err(not_read)?;
    let text = line.trim();
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut bytes = Zeroizing::new([0; SIGNATURE_BYTES]);
    hex::decode_to_slice(digits, bytes.as_mut_slice()).map_err(|_| WalletError::NotHex)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::hex_of;

    const NAMED: KeyName = KeyName {
        chain_id: 5,
        contract: Owner([0xab; 20]),
        index: 3,
    };
    // By eth-account 0.13 of the key 0x4646…46, from the typed data as JSON.
    const WALLET: &str = "9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f";
    const R: &str = "9b13c326d8f4ea13044cc3c878afad6254e2b2870b8ce000b18041197feab69f";
    const S: &str = "31e6c0f518fb5925f663fd42245f506ff0dc7f9ef21ddc1484013dd71409bc65";
    /// The order of secp256k1 less S.
    const HIGH_S: &str = "ce193f0ae704a6da099c02bddba0af8ec9d25d47bd2ac4273bd120b5bc2c84dc";
    const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

    fn wallet() -> Owner {
        let mut bytes = [0; 20];
        hex::decode_to_slice(WALLET, &mut bytes).unwrap();
        Owner(bytes)
    }

    fn key(name: KeyName, [r, s, v]: [&str; 3], wallet: Owner) -> Result<String, WalletError> {
        let bytes = hex::decode(format!("{r}{s}{v}")).unwrap();
        let signature = Zeroizing::new(bytes.try_into().unwrap());
        Ok(hex_of(&name.key_of(&signature, wallet)?.public()))
    }

    #[test]
    fn a_signature_gives_one_key_in_all_its_forms() {
        let first = key(NAMED, [R, S, "1c"], wallet()).unwrap();
        for form in [[R, S, "01"], [R, HIGH_S, "1b"], [R, HIGH_S, "00"]] {
            assert_eq!(key(NAMED, form, wallet()).unwrap(), first);
        }
    }

    #[test]
    fn what_is_not_the_wallets_signature_of_this_text_makes_no_key() {
        let zero = "00".repeat(32);
        let good = [R, S, "1c"];
        let refused = [
            (NAMED, [R, S, "1b"], wallet(), "wallet.other"),
            (NAMED, [S, R, "1c"], wallet(), "wallet."),
            (NAMED, good, Owner([1; 20]), "wallet.other"),
            (
                KeyName {
                    chain_id: 6,
                    ..NAMED
                },
                good,
                wallet(),
                "wallet.other",
            ),
            (
                KeyName { index: 4, ..NAMED },
                good,
                wallet(),
                "wallet.other",
            ),
            (NAMED, [R, S, "1d"], wallet(), "wallet.signature"),
            (NAMED, [&zero, S, "1c"], wallet(), "wallet.signature"),
            (NAMED, [R, &zero, "1c"], wallet(), "wallet.signature"),
            (NAMED, [ORDER, S, "1c"], wallet(), "wallet.signature"),
            (NAMED, [R, ORDER, "1c"], wallet(), "wallet.signature"),
        ];
        for (name, form, wallet, code) in refused {
            let error = key(name, form, wallet).unwrap_err().to_string();
            assert!(error.contains(code), "{error}");
        }
    }

    #[test]
    fn the_typed_data_names_deployment_and_index() {
        let data = NAMED.typed_data();
        assert_eq!(data["domain"]["chainId"], 5);
        let contract = format!("0x{}", "ab".repeat(20));
        assert_eq!(data["domain"]["verifyingContract"], contract);
        assert_eq!(data["message"]["index"], 3);
    }
}
