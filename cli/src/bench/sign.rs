//! `tally bench sign`: what signatures cost natively, on one core.

use anyhow::Context;
use serde::Serialize;
use tally_protocol::hash::{Digest, unsigned};
use tally_protocol::message::SignatureRequest;
use tally_protocol::signature::{SecretKey, SignedRequest, verify_batch};
use tally_prover::measure::cpu_seconds;

/// Signatures of one batch, each by a key of its own: keys that sign more often cost less.
const BATCH: usize = 1_024;
/// CPU seconds that each figure is measured over, at least.
const SECONDS: f64 = 1.0;

/// `tally bench sign`; CPU time of one thread.
#[derive(Clone, Debug, Serialize)]
pub struct Speed {
    pub sign_per_second: f64,
    pub verify_per_second: f64,
    pub batch_verify_per_second: f64,
    /// The last by the one before.
    pub batch_ratio: f64,
    pub batch: usize,
}

pub fn run() -> anyhow::Result<Speed> {
    let keys: Vec<SecretKey> = (0..BATCH)
        .map(|n| SecretKey::derive("bench", &n.to_le_bytes()))
        .collect();
    let signed: Vec<SignedRequest> = keys.iter().zip(0..).map(|(key, n)| of(key, n)).collect();
    // The tables of the generator are made before the clock runs.
    verify_batch(&signed)?;
    let mut number = 0;
    let sign_per_second = per_second(BATCH, || {
        for key in &keys {
            number += 1;
            std::hint::black_box(of(key, number));
        }
        Ok(())
    })?;
    let verify_per_second = per_second(BATCH, || {
        signed.iter().try_for_each(|signed| Ok(signed.verify()?))
    })?;
    let batch_verify_per_second = per_second(BATCH, || Ok(verify_batch(&signed)?))?;
    Ok(Speed {
        sign_per_second,
        verify_per_second,
        batch_verify_per_second,
        batch_ratio: batch_verify_per_second / verify_per_second,
        batch: BATCH,
    })
}

fn of(key: &SecretKey, number: u64) -> SignedRequest {
    let elements = [number, 1, 2, 3].map(unsigned);
    let request = SignatureRequest {
        key: key.public(),
        digest: Digest { elements },
    };
    let signature = key.sign(request.digest);
    SignedRequest { request, signature }
}

/// How often `count` things are done in a CPU second.
fn per_second(count: usize, mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let now = || cpu_seconds().context("[bench.clock] /proc tells no CPU time");
    let start = now()?;
    let mut done = 0;
    loop {
        work()?;
        done += count;
        let spent = now()? - start;
        if spent >= SECONDS {
            return Ok((done as f64 / spent).round());
        }
    }
}
