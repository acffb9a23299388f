//! A small generated market with a crash, for replays without `--klines`.
//!
//! Integers from a seeded generator only. Quiet hours move by at most 1 %; in the hours around the
//! crash prices slide by 3 to 7 %, in the crash hour they fall by 25 to 60 % and recover about half
//! of it by the close.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::decimal::Decimal;
use crate::klines::{BAR_MS, Bar, Series};

const SYMBOLS: [(&str, u64); 4] = [
    ("ASHUSDT", 6_512_040),
    ("ELMUSDT", 241_730),
    ("OAKUSDT", 19_904),
    ("YEWUSDT", 3_377),
];
const SCALE: u32 = 4;
/// 2025-01-01 00:00 UTC.
const START_MS: u64 = 1_735_689_600_000;
pub const BARS: usize = 24;
pub const CRASH_BAR: usize = 12;
/// The crash and the slides before and after it.
const FALLING_BARS: core::ops::RangeInclusive<usize> = CRASH_BAR - 2..=CRASH_BAR + 2;

pub fn series(seed: u64) -> Vec<Series> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x6b6c_696e_6573);
    let of = |(symbol, start): (&str, u64)| Series {
        symbol: symbol.to_string(),
        bars: bars(start, &mut rng),
    };
    SYMBOLS.map(of).into()
}

fn bars(start: u64, rng: &mut ChaCha8Rng) -> Vec<Bar> {
    let mut open = start;
    (0..BARS)
        .map(|number| {
            let (low, high, close) = match number {
                CRASH_BAR => {
                    let low = open - open * rng.gen_range(250..600) / 1000;
                    (
                        low,
                        open + open / 500,
                        low + (open - low) * rng.gen_range(400..600) / 1000,
                    )
                }
                number if FALLING_BARS.contains(&number) => {
                    let close = open - open * rng.gen_range(30..70) / 1000;
                    (close - close / 100, open + open / 300, close)
                }
                _ => {
                    let close = open * rng.gen_range(9_920..=10_080) / 10_000;
                    let (least, most) = (open.min(close), open.max(close));
                    (least - least / 300, most + most / 300, close)
                }
            };
            let bar = Bar {
                open_time_ms: START_MS + number as u64 * BAR_MS,
                open: Decimal::new(open, SCALE),
                high: Decimal::new(high, SCALE),
                low: Decimal::new(low, SCALE),
                close: Decimal::new(close, SCALE),
            };
            open = close;
            bar
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_market_and_it_crashes() {
        assert_eq!(series(7), series(7));
        assert_ne!(series(7), series(8));
        for series in series(7) {
            let crash = series.bars[CRASH_BAR];
            let (low, open) = (
                crash.low.scaled_down(4).unwrap(),
                crash.open.scaled_down(4).unwrap(),
            );
            assert!(low * 4 <= open * 3 + 4);
            for bar in &series.bars {
                assert!(bar.low <= bar.open.min(bar.close) && bar.high >= bar.open.max(bar.close));
            }
        }
    }
}
