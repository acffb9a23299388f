//! Absorption \[Q5\]: a bankrupt account's slots go to their rows' insurance accounts, its negative
//! cash to insurance 0. Nothing is paid for them: the ledger shows that the whole is worth less
//! than 0.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounds::SLOTS;
use crate::entry::{Effects, Opened, Terms};
use crate::instrument::MarketRow;
use crate::journal::{
    TermsError, check_amount, check_size, check_user, insurance_cash, insurance_place, open_row,
};
use crate::posting::{Needs, Posting, PostingKind};
use crate::terms::{Aux, Holding};
use crate::types::AccountId;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absorption {
    pub account: AccountId,
    /// The account's slots after carry is settled and settled rows are converted, in their places;
    /// the ledger's to check.
    pub holdings: [Holding; SLOTS],
    /// What insurance takes over of the account's negative cash, micro-quote, > 0: all of it, or as
    /// much as one posting holds, in which case the account stays bankrupt for the next epoch.
    pub debt: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AbsorptionError {
    #[error(transparent)]
    Terms(#[from] TermsError),
    #[error("[S2] slot {place} is empty but names instrument {instrument}")]
    EmptySlot { place: usize, instrument: u32 },
}

impl AbsorptionError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Terms(error) => error.code(),
            Self::EmptySlot { .. } => "S2.empty_slot",
        }
    }
}

impl Absorption {
    /// The rows of the slots that are held.
    pub fn check<'a>(
        &self,
        terms: &Terms<'a>,
    ) -> Result<Vec<(&'a MarketRow, i64)>, AbsorptionError> {
        check_user(self.account)?;
        check_amount(self.debt)?;
        let mut held = Vec::new();
        for (place, holding) in self.holdings.iter().enumerate() {
            let instrument = holding.instrument;
            if holding.size == 0 {
                if instrument.0 != 0 {
                    return Err(AbsorptionError::EmptySlot {
                        place,
                        instrument: instrument.0,
                    });
                }
                continue;
            }
            let row = open_row(terms, instrument)?;
            check_size(holding.size.unsigned_abs(), row)?;
            held.push((row, holding.size));
        }
        Ok(held)
    }

    pub fn effects(&self, terms: &Terms) -> Result<Effects, AbsorptionError> {
        let held = self.check(terms)?;
        // Below 2^56 by `check_amount`.
        let debt = i64::try_from(self.debt).unwrap_or(i64::MAX);
        let absorbed = Posting {
            delta_cash: debt,
            needs: Needs::ABSORB | Needs::SOLE | Needs::WHILE_FLAGGED,
            ..Posting::blank(PostingKind::Absorbed, self.account)
        };
        let mut postings = vec![Opened::new(absorbed, Aux::Absorbed(self.holdings))];
        postings.extend(held.into_iter().map(|(row, size)| {
            let (account, place) = insurance_place(row);
            Opened::from(Posting {
                instrument: row.id,
                delta_size: size,
                place,
                needs: Needs::SYSTEM | Needs::FIXED_SLOT | Needs::MAY_GROW,
                ..Posting::blank(PostingKind::Absorption, account)
            })
        }));
        postings.push(insurance_cash(
            PostingKind::Absorption,
            debt.saturating_neg(),
        ));
        Ok(Effects::of(postings))
    }
}
