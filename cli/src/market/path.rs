//! Bars as prices in time: each bar is four epochs, a quarter of an hour apart.
//!
//! open → low → high → close where the bar rose or stood (close ≥ open), else open → high → low →
//! close: a falling bar saw its high first.

use thiserror::Error;

use crate::decimal::Decimal;
use crate::klines::{BAR_MS, Bar, Series};

pub const EPOCHS_PER_BAR: u64 = 4;
const EPOCH_SECONDS: u64 = BAR_MS / 1000 / EPOCHS_PER_BAR;

#[derive(Debug, Error, PartialEq, Eq)]
pub enum PathError {
    #[error("[start.outside] --start {start} is outside the bars, {first} to {last} (seconds)")]
    StartOutside { start: u64, first: u64, last: u64 },
    #[error("[epochs.too_many] --epochs {asked}, but only {available} follow --start")]
    TooManyEpochs { asked: u64, available: u64 },
}

/// What the market does from its first epoch on.
#[derive(Debug)]
pub struct PricePath {
    series: Vec<Series>,
    first_bar: usize,
    pub epochs: u64,
}

impl PricePath {
    /// From the bar that `start` (seconds) falls into, by default the first; as many epochs as
    /// asked for, by default all. All series have the same range, and at least one bar.
    pub fn new(
        series: Vec<Series>,
        start: Option<u64>,
        epochs: Option<u64>,
    ) -> Result<Self, PathError> {
        let bars = series
            .first()
            .map(|s| s.bars.as_slice())
            .unwrap_or_default();
        let seconds = |bar: Option<&Bar>| bar.map_or(0, |bar| bar.open_time_ms / 1000);
        let (first, last) = (seconds(bars.first()), seconds(bars.last()));
        let start = start.unwrap_or(first);
        if start < first || start >= last + BAR_MS / 1000 {
            return Err(PathError::StartOutside { start, first, last });
        }
        let first_bar = ((start - first) * 1000 / BAR_MS) as usize;
        let available = (bars.len() - first_bar) as u64 * EPOCHS_PER_BAR;
        let asked = epochs.unwrap_or(available);
        if asked > available {
            return Err(PathError::TooManyEpochs { asked, available });
        }
        Ok(Self {
            series,
            first_bar,
            epochs: asked,
        })
    }

    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        self.series.iter().map(|series| series.symbol.as_str())
    }

    /// Seconds since 1970 of the epoch with this offset, from 0.
    pub fn time(&self, epoch: u64) -> u64 {
        let bar = self
            .series
            .first()
            .and_then(|series| series.bars.get(self.first_bar));
        bar.map_or(0, |bar| bar.open_time_ms / 1000) + epoch * EPOCH_SECONDS
    }

    /// Price of a unit of the instrument, none past the end.
    pub fn price(&self, instrument: usize, epoch: u64) -> Option<Decimal> {
        let bar_number = self.first_bar + usize::try_from(epoch / EPOCHS_PER_BAR).ok()?;
        let bar = self.series.get(instrument)?.bars.get(bar_number)?;
        let rose = bar.close >= bar.open;
        Some(match epoch % EPOCHS_PER_BAR {
            0 => bar.open,
            1 if rose => bar.low,
            1 => bar.high,
            2 if rose => bar.high,
            2 => bar.low,
            _ => bar.close,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(start: Option<u64>, epochs: Option<u64>) -> Result<PricePath, PathError> {
        let of = |n| Decimal::new(n, 0);
        let bar = |hour: u64, prices: [u64; 4]| Bar {
            open_time_ms: hour * BAR_MS,
            open: of(prices[0]),
            high: of(prices[1]),
            low: of(prices[2]),
            close: of(prices[3]),
        };
        let bars = vec![bar(10, [5, 9, 4, 6]), bar(11, [6, 8, 2, 3])];
        PricePath::new(
            vec![Series {
                symbol: "AUSDT".into(),
                bars,
            }],
            start,
            epochs,
        )
    }

    #[test]
    fn rising_bars_see_their_low_first_and_falling_ones_their_high() {
        let path = path(None, None).unwrap();
        let walked: Vec<_> = (0..9).map(|epoch| path.price(0, epoch)).collect();
        let expected = [5, 4, 9, 6, 6, 8, 2, 3].map(|n| Some(Decimal::new(n, 0)));
        assert_eq!(walked[..8], expected);
        assert_eq!((walked[8], path.price(1, 0), path.epochs), (None, None, 8));
        assert_eq!((path.time(0), path.time(5)), (36_000, 40_500));
    }

    #[test]
    fn start_and_epochs_stay_within_the_bars() {
        assert_eq!(path(Some(39_700), None).unwrap().time(0), 39_600);
        let outside = PathError::StartOutside {
            start: 43_200,
            first: 36_000,
            last: 39_600,
        };
        assert_eq!(path(Some(43_200), None).unwrap_err(), outside);
        assert!(path(Some(35_999), None).is_err());
        let too_many = PathError::TooManyEpochs {
            asked: 5,
            available: 4,
        };
        assert_eq!(path(Some(39_600), Some(5)).unwrap_err(), too_many);
    }
}
