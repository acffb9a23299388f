//! A key from an Ethereum wallet: a hash of its EIP-712 signature of a fixed text.
//!
//! The same wallet gives the same key again only if it signs deterministically (RFC 6979, as the
//! common ones do), so two signatures should be compared before money depends on it. Of the two
//! signatures (r, s) and (r, n − s) that a signing gives, the one with low s is taken, and v as 27
//! or 28: a signature has one key.

use std::io::{self, BufRead};

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
/// Order of secp256k1, highest byte first.
const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
/// Half of it, rounded down: the highest low s.
const HALF_ORDER: &str = "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0";

#[derive(Debug, Error)]
pub enum WalletError {
    #[error("[wallet.not_read] standard input: {0}")]
    NotRead(io::Error),
    #[error("[wallet.not_hex] a signature is {SIGNATURE_BYTES} bytes in hexadecimal")]
    NotHex,
    #[error("[wallet.range] r or s is 0 or not below the curve's order")]
    Range,
    #[error("[wallet.high_s] s is in the upper half: of the two signatures take the other one")]
    HighS,
    #[error("[wallet.recovery] v is {0}, not 0, 1, 27 or 28")]
    Recovery(u8),
}

/// r, s, v.
pub type WalletSignature = Zeroizing<[u8; SIGNATURE_BYTES]>;

/// What the wallet signs (eth_signTypedData_v4).
pub fn typed_data(chain_id: u64, contract: &Owner, index: u32) -> Value {
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
            "name": "Tally",
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": format!("0x{}", hex::encode(contract.0)),
        },
        "message": { "purpose": PURPOSE, "index": index },
    })
}

/// From an argument, or from standard input where that is `-`.
pub fn read_signature(argument: &str) -> Result<WalletSignature, WalletError> {
    let mut line = Zeroizing::new(String::new());
    let text = match argument {
        "-" => {
            let read = io::stdin().lock().read_line(&mut line);
            read.map_err(WalletError::NotRead)?;
            line.trim()
        }
        argument => argument.trim(),
    };
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut bytes = Zeroizing::new([0; SIGNATURE_BYTES]);
    hex::decode_to_slice(digits, bytes.as_mut_slice()).map_err(|_| WalletError::NotHex)?;
    Ok(bytes)
}

pub fn key_of(signature: &WalletSignature) -> Result<SecretKey, WalletError> {
    let mut canonical = signature.clone();
    let (numbers, v) = canonical.split_at_mut(64);
    let (r, s) = numbers.split_at(32);
    for number in [r, s] {
        if number.iter().all(|byte| *byte == 0) || hex::encode(number).as_str() >= ORDER {
            return Err(WalletError::Range);
        }
    }
    if hex::encode(s).as_str() > HALF_ORDER {
        return Err(WalletError::HighS);
    }
    for v in v {
        *v = match *v {
            0 | 27 => 27,
            1 | 28 => 28,
            other => return Err(WalletError::Recovery(other)),
        };
    }
    Ok(SecretKey::derive(DOMAIN, canonical.as_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::hex_of;

    fn signature(r: &str, s: &str, v: &str) -> Result<String, WalletError> {
        let signature = read_signature(&format!("0x{r}{s}{v}"))?;
        Ok(hex_of(&key_of(&signature)?.public()))
    }

    #[test]
    fn a_signature_gives_one_key_and_others_give_others() {
        let (r, s) = ("11".repeat(32), "22".repeat(32));
        let key = signature(&r, &s, "1b").unwrap();
        assert_eq!(signature(&r, &s, "00").unwrap(), key);
        let others = [
            signature(&r, &s, "1c"),
            signature(&s, &r, "1b"),
            signature(&r, HALF_ORDER, "1b"),
        ];
        for other in others {
            assert_ne!(other.unwrap(), key);
        }
    }

    #[test]
    fn what_is_no_canonical_signature_is_refused() {
        let (good, zero) = ("11".repeat(32), "00".repeat(32));
        let above = HALF_ORDER.replace("20a0", "20a1");
        for (r, s, v, code) in [
            (zero.as_str(), good.as_str(), "1b", "wallet.range"),
            (&good, &zero, "1b", "wallet.range"),
            (ORDER, &good, "1b", "wallet.range"),
            (&good, ORDER, "1b", "wallet.range"),
            (&good, &above, "1b", "wallet.high_s"),
            (&good, &good, "1d", "wallet.recovery"),
            (&good, &good, "", "wallet.not_hex"),
            (&good, &good, "1b1b", "wallet.not_hex"),
            (&good, &good, "zz", "wallet.not_hex"),
        ] {
            let error = signature(r, s, v).unwrap_err().to_string();
            assert!(error.contains(code), "{error}");
        }
    }

    #[test]
    fn the_typed_data_names_deployment_and_index() {
        let data = |chain, byte, index| typed_data(chain, &Owner([byte; 20]), index);
        let base = data(1, 2, 3);
        assert_eq!(base["domain"]["chainId"], 1);
        assert_eq!(
            base["domain"]["verifyingContract"],
            format!("0x{}", "02".repeat(20))
        );
        assert_eq!(base["message"]["index"], 3);
        for other in [data(2, 2, 3), data(1, 3, 3), data(1, 2, 4)] {
            assert_ne!(other, base);
        }
    }
}
