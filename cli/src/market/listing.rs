//! What is listed: the lot of each instrument and the parameters of its row \[N1\].

use tally_protocol::bounds::{
    LISTING_HEADROOM, MAX_LISTING_PRICE, MIN_LISTING_PRICE, NOTIONAL_BITS,
    OPEN_INTEREST_NOTIONAL_BITS, PRICE_BITS, SIZE_BITS,
};
use tally_protocol::instrument::{InstrumentKind, RowParams};
use tally_protocol::types::InstrumentId;
use thiserror::Error;

use crate::decimal::Decimal;

/// Powers of ten of a unit that a lot may be.
const LOT_EXPONENTS: core::ops::RangeInclusive<i32> = -12..=12;

#[derive(Debug, Error, PartialEq, Eq)]
pub enum ListingError {
    #[error("[N1] {symbol}: no power of ten of a unit is worth 10 to 100 quote units")]
    NoLot { symbol: String },
}

/// An instrument with its row; id and row number agree, since no row is reused in a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    pub symbol: String,
    /// A lot is 10^lot_exponent units.
    pub lot_exponent: i32,
    pub row: u32,
    /// Place of the price series that moves it.
    pub series: usize,
    pub params: RowParams,
}

impl Listing {
    pub fn perpetual(
        symbol: &str,
        row: u32,
        series: usize,
        unit: Decimal,
    ) -> Result<Self, ListingError> {
        let (lot_exponent, price) = lot(symbol, unit)?;
        let params = RowParams {
            kind: InstrumentKind::Perpetual,
            initial_long: 50_000,
            initial_short: 50_000,
            maintenance_long: 25_000,
            maintenance_short: 25_000,
            penalty: 10_000,
            fill_band: 20_000,
            price_band: PRICE_BAND,
            funding_cap: FUNDING_CAP,
            ..bounds(row, price)
        };
        Ok(Self {
            symbol: symbol.into(),
            lot_exponent,
            row,
            series,
            params,
        })
    }

    /// The same units owned: collateral with a haircut of a fifth.
    pub fn spot(&self, row: u32, asset: u32) -> Self {
        let params = RowParams {
            id: InstrumentId(row),
            kind: InstrumentKind::Spot,
            asset,
            initial_long: 200_000,
            initial_short: 200_000,
            maintenance_long: 150_000,
            maintenance_short: 150_000,
            penalty: 20_000,
            fill_band: 20_000,
            funding_cap: 0,
            ..self.params
        };
        let symbol = format!("{}-SPOT", self.symbol);
        Self {
            symbol,
            lot_exponent: self.lot_exponent,
            row,
            series: self.series,
            params,
        }
    }

    /// Micro-quote per lot; a price below one is one.
    pub fn price(&self, unit: Decimal) -> u64 {
        let most = self.params.max_price;
        unit.scaled_down(6 + self.lot_exponent)
            .unwrap_or(most)
            .clamp(1, most)
    }
}

/// 2 % in 15 s; the crash showed that 1 % is too tight \[T6\].
const PRICE_BAND: u32 = 1_333;
/// 0.72 % an hour.
const FUNDING_CAP: u32 = 2;

/// The lot that is worth 10 to 100 quote units, and its price in micro-quote.
fn lot(symbol: &str, unit: Decimal) -> Result<(i32, u64), ListingError> {
    let range = 10 * MIN_LISTING_PRICE..MAX_LISTING_PRICE;
    LOT_EXPONENTS
        .filter_map(|exponent| Some((exponent, unit.scaled_down(6 + exponent)?)))
        .find(|(_, price)| range.contains(price))
        .ok_or_else(|| ListingError::NoLot {
            symbol: symbol.into(),
        })
}

/// M is 64 times the price; sizes are the largest that [N1] allows.
fn bounds(row: u32, price: u64) -> RowParams {
    let max_price = price * LISTING_HEADROOM;
    let most = |bits: u32| (((1u64 << bits) - 1) / max_price).min((1 << SIZE_BITS) - 1);
    RowParams {
        id: InstrumentId(row),
        max_price,
        max_size: most(NOTIONAL_BITS),
        max_open_interest: most(OPEN_INTEREST_NOTIONAL_BITS),
        ..RowParams::default()
    }
}

const _: () = assert!(MAX_LISTING_PRICE * LISTING_HEADROOM < 1 << PRICE_BITS);

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(price: &str) -> Listing {
        Listing::perpetual("AUSDT", 1, 0, Decimal::parse(price).unwrap()).unwrap()
    }

    #[test]
    fn n1_lots_are_worth_ten_to_a_hundred_units_exactly() {
        let cases = [
            ("121332.96", -4, 12_133_296),
            ("0.0094648", 4, 94_648_000),
            ("10", 0, 10_000_000),
            ("99.99", 0, 99_990_000),
            ("100", -1, 10_000_000),
        ];
        for (price, exponent, micro) in cases {
            let listing = listed(price);
            let unit = Decimal::parse(price).unwrap();
            assert_eq!(
                (listing.lot_exponent, listing.price(unit)),
                (exponent, micro),
                "{price}"
            );
        }
    }

    #[test]
    fn n1_bounds_hold_and_are_tight() {
        for price in ["10", "57.3", "99.999999"] {
            let p = listed(price).params;
            assert!(p.max_price >= 64 * listed(price).price(Decimal::parse(price).unwrap()));
            assert!(p.max_price * p.max_size < 1 << NOTIONAL_BITS);
            assert!(p.max_price * (p.max_size + 1) >= 1 << NOTIONAL_BITS);
            assert!(p.max_price * p.max_open_interest < 1 << OPEN_INTEREST_NOTIONAL_BITS);
            assert!(p.penalty < p.maintenance_long && p.maintenance_long < p.initial_long);
            assert!(p.fill_band < p.initial_long - p.maintenance_long);
        }
    }

    #[test]
    fn n1_a_price_without_a_lot_is_refused() {
        let price = Decimal::parse("0.000000000000000001").unwrap();
        assert!(Listing::perpetual("AUSDT", 1, 0, price).is_err());
    }
}
