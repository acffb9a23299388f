//! What one author may ask for in a second: token buckets, bounded in number.
//!
//! A bucket belongs to an account *and* the peer that speaks for it, since anybody can repeat an
//! account's old messages from elsewhere: his tokens are not its. Cancels, withdrawals and key
//! changes ask for none (docs/api.md).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Buckets kept; beyond it the full ones are forgotten, which changes nothing.
const MOST_BUCKETS: usize = 100_000;
/// A token in thousandths, so that low rates are exact.
const TOKEN: u64 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens a second.
    pub per_second: u32,
    /// Tokens that may be saved up.
    pub burst: u32,
}

#[derive(Debug)]
pub struct Limits {
    rate: Rate,
    buckets: Mutex<HashMap<(IpAddr, u32), Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: u64,
    at_ms: u64,
}

impl Limits {
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            buckets: Mutex::new(HashMap::new()),
        }
    }

    /// Takes so many tokens, or says after how many milliseconds they will be there. A request for
    /// more than the burst is served from a full bucket, which then owes.
    pub fn take(&self, author: (IpAddr, u32), cost: u32, now_ms: u64) -> Result<(), u64> {
        let full = u64::from(self.rate.burst) * TOKEN;
        let per_ms = u64::from(self.rate.per_second.max(1));
        let cost = (u64::from(cost) * TOKEN).min(full);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let level = |bucket: &Bucket| {
            let gained = now_ms.saturating_sub(bucket.at_ms).saturating_mul(per_ms);
            bucket.tokens.saturating_add(gained).min(full)
        };
        if buckets.len() >= MOST_BUCKETS && !buckets.contains_key(&author) {
            buckets.retain(|_, bucket| level(bucket) < full);
            if buckets.len() >= MOST_BUCKETS {
                return Err(1_000);
            }
        }
        let tokens = buckets.get(&author).map_or(full, level);
        if tokens < cost {
            return Err((cost - tokens).div_ceil(per_ms));
        }
        let tokens = tokens - cost;
        let at_ms = now_ms;
        buckets.insert(author, Bucket { tokens, at_ms });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn a_bucket_fills_by_its_rate_up_to_its_burst() {
        let limits = Limits::new(Rate {
            per_second: 10,
            burst: 2,
        });
        let author = (HERE, 1024);
        limits.take(author, 1, 0).unwrap();
        limits.take(author, 1, 0).unwrap();
        assert_eq!(limits.take(author, 1, 0), Err(100));
        assert_eq!(limits.take(author, 1, 99), Err(1));
        limits.take(author, 1, 100).unwrap();
        limits.take(author, 2, 10_000).unwrap();
        assert_eq!(limits.take(author, 1, 10_000), Err(100));
    }

    #[test]
    fn authors_do_not_share_a_bucket() {
        let limits = Limits::new(Rate {
            per_second: 1,
            burst: 1,
        });
        let elsewhere = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
        for author in [(HERE, 1024), (HERE, 1025), (elsewhere, 1024)] {
            limits.take(author, 1, 0).unwrap();
            assert!(limits.take(author, 1, 0).is_err());
        }
    }

    #[test]
    fn more_than_the_burst_is_served_from_a_full_bucket() {
        let limits = Limits::new(Rate {
            per_second: 1,
            burst: 4,
        });
        limits.take((HERE, 1), 64, 0).unwrap();
        assert_eq!(limits.take((HERE, 1), 64, 1_000), Err(3_000));
    }
}
