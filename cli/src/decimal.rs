//! Exact decimal numbers as they stand in market data. No float ever holds money.

use core::cmp::Ordering;

/// Significant digits that fit `digits` with room to rescale in 128 bits.
const MAX_DIGITS: usize = 18;

/// digits · 10^-scale, not negative.
#[derive(Clone, Copy, Debug, Default)]
pub struct Decimal {
    digits: u64,
    scale: u32,
}

impl Decimal {
    pub fn new(digits: u64, scale: u32) -> Self {
        Self { digits, scale }
    }

    /// Plain notation: digits, at most one point with digits on both sides.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(whole) || !all_digits(part) {
            return None;
        }
        let part = part.trim_end_matches('0');
        let joined = format!("{whole}{part}");
        let joined = joined.trim_start_matches('0');
        if joined.len() > MAX_DIGITS || part.len() > MAX_DIGITS {
            return None;
        }
        let digits = if joined.is_empty() {
            0
        } else {
            joined.parse().ok()?
        };
        Some(Self {
            digits,
            scale: part.len() as u32,
        })
    }

    pub fn is_zero(self) -> bool {
        self.digits == 0
    }

    /// ⌊self · 10^exponent⌋, or none beyond 64 bits. Market data has digits to spare below a
    /// micro-quote per lot only in theory; where it has, the reporters sign the rounded price.
    pub fn scaled_down(self, exponent: i32) -> Option<u64> {
        let shift = exponent.checked_sub(self.scale as i32)?;
        let power = 10u128.checked_pow(shift.unsigned_abs())?;
        let value = match shift >= 0 {
            true => u128::from(self.digits).checked_mul(power)?,
            false => u128::from(self.digits) / power,
        };
        u64::try_from(value).ok()
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let scale = self.scale.max(other.scale);
        // At most 18 digits times 10^18.
        let at = |x: &Self| u128::from(x.digits) * 10u128.pow(scale - x.scale);
        at(self).cmp(&at(other))
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_exactly_and_refuses_the_rest() {
        let exact = Decimal::parse("121332.96").and_then(|d| d.scaled_down(2));
        assert_eq!(exact, Some(12_133_296));
        assert_eq!(
            Decimal::parse("0.0094648").and_then(|d| d.scaled_down(9)),
            Some(9_464_800)
        );
        assert_eq!(Decimal::parse("2144091956.0"), Decimal::parse("2144091956"));
        assert!(Decimal::parse("0.000").is_some_and(Decimal::is_zero));
        for text in [
            "", ".", "1.", ".5", "-1", "+1", "1e3", "NaN", "1,5", "1.2.3", " 1",
        ] {
            assert!(Decimal::parse(text).is_none(), "{text:?}");
        }
        assert!(Decimal::parse("1234567890123456789").is_none());
    }

    #[test]
    fn compares_across_scales() {
        let of = |text| Decimal::parse(text);
        assert!(of("0.1") < of("0.11") && of("2") > of("1.999999"));
        assert_eq!(of("1.50"), of("1.5"));
    }

    #[test]
    fn too_large_is_none_not_wrapped() {
        assert_eq!(
            Decimal::parse("999999999999999999").and_then(|d| d.scaled_down(6)),
            None
        );
        assert_eq!(Decimal::new(19, 1).scaled_down(0), Some(1));
    }
}
