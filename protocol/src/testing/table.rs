//! Scenarios as ledger tables: one step a line, `=> CODE` where it must be refused.
//!
//!     list perpetual 1 10_000_000        a row and its mark, before anything else
//!     list spot 2 10_000_000
//!     open ann 1_000_000_000             accounts with cash, each by a deposit item
//!     mark 1 9_000_000                   from the next round on; `missing 1`, `present 1`
//!     epoch                              begins one, absorbing whom it can; `epoch keep` nobody
//!     fill ann bob 1 100 10_000_000      long, short, row, lots, price
//!     reduce ann bob 1 100 10_000_000    as fill, both orders reduce-only
//!     deposit ann 2 50                   lots of a spot row, by an item
//!     transfer ann bob 5_000             cash
//!     withdraw ann 5_000                 cash
//!     flag ann
//!     liquidate ann 1 10 bob             account, row, lots, taker
//!     overcharge ann 1 10 bob            as liquidate, but at the whole penalty
//!     unwind 1 10 bob                    of the row's inventory
//!     absorb ann
//!     close                              ends it; the trial balance must hold
//!     cash ann 5_000                     what must be so between epochs, as are
//!     size ann 1 -10
//!     flagged ann 3
//!     deficit 0
//!     inventory 1 10
//!
//! Text from # on is a comment. Numbers are micro-quote and lots.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::entry::Entry;
use crate::epoch::{EpochBuilder, EpochError, EpochTrace, Plan};
use crate::journal::fill::Fill;
use crate::journal::flag::Flag;
use crate::journal::liquidation::Liquidation;
use crate::journal::transfer::{Receiver, TransferEntry};
use crate::journal::unwind::Unwind;
use crate::journal::withdraw::WithdrawEntry;
use crate::message::{Transfer, Withdraw};
use crate::state::State;
use crate::terms::CASH;
use crate::testing::keys;
use crate::testing::world::{Listed, World, owner_of, perpetual, spot};
use crate::trial_balance;
use crate::types::{AccountId, InstrumentId};

/// A line that does not say or do what it should.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, `{text}`: {problem}")]
pub struct ScenarioError {
    pub line: usize,
    pub text: String,
    pub problem: String,
}

/// Runs a scenario natively; the trace of each epoch comes back, for circuits to prove.
pub fn run_table(table: &str) -> Result<Vec<EpochTrace>, ScenarioError> {
    let lines: Vec<Line<'_>> = table.lines().enumerate().filter_map(Line::read).collect();
    let mut scenario = Scenario::default();
    let mut rest = lines.as_slice();
    while let Some((line, after)) = rest.split_first() {
        rest = if line.verb() == "epoch" {
            scenario.epoch(line, after)?
        } else {
            line.settle(scenario.between(line))?;
            after
        };
    }
    Ok(scenario.traces)
}

#[derive(Clone, Debug)]
struct Line<'a> {
    number: usize,
    text: &'a str,
    words: Vec<&'a str>,
    /// The code of the rule that must refuse it.
    refused: Option<&'a str>,
}

type Outcome<T> = Result<T, Failure>;

/// A step's refusal by a rule, or a table that cannot be read.
#[derive(Debug)]
enum Failure {
    Refused(EpochError),
    Table(String),
}

impl From<EpochError> for Failure {
    fn from(error: EpochError) -> Self {
        Self::Refused(error)
    }
}

impl<'a> Line<'a> {
    fn read((index, text): (usize, &'a str)) -> Option<Self> {
        let step = text.split('#').next().unwrap_or_default().trim();
        let (step, refused) = match step.split_once("=>") {
            Some((step, code)) => (step, Some(code.trim())),
            None => (step, None),
        };
        let words: Vec<&str> = step.split_whitespace().collect();
        (!words.is_empty()).then(|| Self {
            number: index + 1,
            text: step.trim(),
            words,
            refused,
        })
    }

    fn verb(&self) -> &'a str {
        self.words.first().copied().unwrap_or_default()
    }

    fn word(&self, at: usize) -> Outcome<&'a str> {
        let missing = || Failure::Table(format!("column {at} is missing"));
        self.words.get(at).copied().ok_or_else(missing)
    }

    fn number<T: core::str::FromStr>(&self, at: usize) -> Outcome<T> {
        let word = self.word(at)?;
        let digits = word.replace('_', "");
        digits
            .parse()
            .map_err(|_| Failure::Table(format!("`{word}` is no such number")))
    }

    fn error(&self, problem: String) -> ScenarioError {
        ScenarioError {
            line: self.number,
            text: self.text.to_owned(),
            problem,
        }
    }

    /// The step's outcome against what the line expects.
    fn settle(&self, outcome: Outcome<()>) -> Result<(), ScenarioError> {
        match (outcome, self.refused) {
            (Ok(()), None) => Ok(()),
            (Ok(()), Some(code)) => Err(self.error(format!("{code} should have refused it"))),
            (Err(Failure::Refused(error)), Some(code)) if error.code() == code => Ok(()),
            (Err(Failure::Refused(error)), _) => {
                Err(self.error(format!("{} refuses: {error}", error.code())))
            }
            (Err(Failure::Table(problem)), _) => Err(self.error(problem)),
        }
    }
}

#[derive(Default)]
struct Scenario {
    listed: Vec<Listed>,
    world: Option<World>,
    names: BTreeMap<String, u32>,
    traces: Vec<EpochTrace>,
}

impl Scenario {
    fn world(&mut self) -> &mut World {
        let listed = &self.listed;
        self.world.get_or_insert_with(|| World::new(listed))
    }

    fn id(&self, line: &Line<'_>, at: usize) -> Outcome<u32> {
        let name = line.word(at)?;
        let unknown = || Failure::Table(format!("nobody is called {name}"));
        self.names.get(name).copied().ok_or_else(unknown)
    }

    /// Steps between epochs.
    fn between(&mut self, line: &Line<'_>) -> Outcome<()> {
        match line.verb() {
            "list" => {
                let (id, mark) = (line.number(2)?, line.number(3)?);
                self.listed.push(match line.word(1)? {
                    "spot" => spot(id, mark),
                    _ => perpetual(id, mark),
                });
                Ok(())
            }
            "open" => {
                let id = 2_000 + u32::try_from(self.names.len()).unwrap_or(u32::MAX);
                self.names.insert(line.word(1)?.to_owned(), id);
                let cash = line.number(2)?;
                let trace = self.world().fund(&[(id, cash)]);
                self.traces.push(trace);
                Ok(())
            }
            "mark" => {
                let (row, mark) = (line.number(1)?, line.number(2)?);
                self.world().marks.insert(row, mark);
                Ok(())
            }
            "missing" | "present" => {
                let row = line.number(1)?;
                let missing = &mut self.world().missing;
                let _ = match line.verb() {
                    "missing" => missing.insert(row),
                    _ => missing.remove(&row),
                };
                Ok(())
            }
            _ => self.expect(line),
        }
    }

    /// What must be so between epochs.
    fn expect(&mut self, line: &Line<'_>) -> Outcome<()> {
        let state = self.world().state.clone();
        let money = |id: u32| {
            let account = state.accounts.account(AccountId(id));
            account
                .map(|account| account.money.clone())
                .unwrap_or_default()
        };
        let (found, expected): (i64, i64) = match line.verb() {
            "cash" => (money(self.id(line, 1)?).cash, line.number(2)?),
            "flagged" => {
                let flagged_at = money(self.id(line, 1)?).flagged_at;
                (flagged_at.into(), line.number(2)?)
            }
            "size" => {
                let instrument = InstrumentId(line.number(2)?);
                let slots = money(self.id(line, 1)?).slots;
                let slot = slots.iter().find(|slot| slot.instrument == instrument);
                (slot.map_or(0, |slot| slot.signed_size()), line.number(3)?)
            }
            "deficit" => (state.header.deficit.cast_signed(), line.number(1)?),
            "inventory" => {
                let row = state.table.get(line.number(1)?);
                (row.map_or(0, |row| row.insurance_size), line.number(2)?)
            }
            verb => return Err(Failure::Table(format!("no step is called {verb}"))),
        };
        if found == expected {
            return Ok(());
        }
        Err(Failure::Table(format!("it is {found}")))
    }

    /// An epoch's lines up to its `close`; what follows comes back.
    fn epoch<'l, 'a>(
        &mut self,
        first: &Line<'a>,
        lines: &'l [Line<'a>],
    ) -> Result<&'l [Line<'a>], ScenarioError> {
        let state = self.world().state.clone();
        let begun = self.begin(first, &state);
        if first.refused.is_some() || begun.is_err() {
            first.settle(begun.map(drop))?;
            return Ok(lines);
        }
        let Ok(mut builder) = begun else {
            return Ok(lines);
        };
        let mut rest = lines;
        while let Some((line, after)) = rest.split_first() {
            rest = after;
            if line.verb() == "close" {
                let (state, mut trace) = builder.finish().map_err(|e| line.error(e.to_string()))?;
                keys::sign(&mut trace);
                trial_balance::check(&state).map_err(|e| line.error(e.to_string()))?;
                self.world().state = state;
                self.traces.push(trace);
                return Ok(rest);
            }
            let entry = self.entry(line, &builder);
            line.settle(entry.and_then(|entry| Ok(builder.push(entry).map(drop)?)))?;
        }
        Err(first.error("the epoch is not closed".to_owned()))
    }

    fn begin<'s>(&mut self, line: &Line<'_>, state: &'s State) -> Outcome<EpochBuilder<'s>> {
        let round = self.world().round();
        let mut plan = Plan {
            fills_per_segment: 4,
            ..Plan::default()
        };
        match line.words.get(1) {
            None => plan.absorb = EpochBuilder::absorbable(state, &round)?,
            Some(&"keep") => {}
            Some(_) => plan.absorb.push(AccountId(self.id(line, 1)?)),
        }
        Ok(EpochBuilder::begin(state, round, plan)?)
    }

    fn entry(&mut self, line: &Line<'_>, builder: &EpochBuilder<'_>) -> Outcome<Entry> {
        match line.verb() {
            "fill" | "reduce" => self.fill(line),
            "deposit" => {
                let (id, lots) = (self.id(line, 1)?, line.number(3)?);
                let instrument = InstrumentId(line.number(2)?);
                Ok(self.world().deposit(id, instrument, lots, false))
            }
            "transfer" => self.transfer(line, builder),
            "withdraw" => self.withdraw(line, builder),
            "flag" => {
                let account = AccountId(self.id(line, 1)?);
                Ok(Entry::Flag(Flag { account }))
            }
            "liquidate" | "overcharge" => self.liquidate(line, builder),
            "unwind" => self.unwind(line, builder),
            "absorb" => Ok(builder.absorption(AccountId(self.id(line, 1)?))?),
            verb => Err(Failure::Table(format!("no entry is called {verb}"))),
        }
    }

    fn fill(&mut self, line: &Line<'_>) -> Outcome<Entry> {
        let (long, short) = (self.id(line, 1)?, self.id(line, 2)?);
        let (row, lots, price) = (line.number(3)?, line.number(4)?, line.number(5)?);
        let mut entry = self.world().fill(long, short, row, lots, price);
        if let (Entry::Fill(fill), "reduce") = (&mut entry, line.verb()) {
            let Fill { long, short, .. } = fill.as_mut();
            long.reduce_only = true;
            short.reduce_only = true;
        }
        Ok(entry)
    }

    /// Nonce and generation of an account as it stands.
    fn counters(builder: &EpochBuilder<'_>, id: u32) -> Outcome<(u32, u32)> {
        let rest = builder.account(AccountId(id))?.rest;
        Ok((rest.nonce, rest.generation))
    }

    fn transfer(&mut self, line: &Line<'_>, builder: &EpochBuilder<'_>) -> Outcome<Entry> {
        let (from, to) = (self.id(line, 1)?, self.id(line, 2)?);
        let (nonce, generation) = Self::counters(builder, from)?;
        Ok(Entry::Transfer(Box::new(TransferEntry {
            message: Transfer {
                account: AccountId(from),
                generation,
                nonce,
                to: AccountId(to),
                instrument: CASH,
                short: false,
                amount: line.number(3)?,
                terms: Default::default(),
            },
            receiver: Receiver::Anyone,
        })))
    }

    fn withdraw(&mut self, line: &Line<'_>, builder: &EpochBuilder<'_>) -> Outcome<Entry> {
        let id = self.id(line, 1)?;
        let (nonce, generation) = Self::counters(builder, id)?;
        Ok(Entry::Withdraw(WithdrawEntry {
            message: Withdraw {
                account: AccountId(id),
                generation,
                nonce,
                instrument: CASH,
                amount: line.number(2)?,
                least: 0,
            },
            owner: owner_of(id),
        }))
    }

    fn liquidate(&mut self, line: &Line<'_>, builder: &EpochBuilder<'_>) -> Outcome<Entry> {
        let (id, taker) = (self.id(line, 1)?, self.id(line, 4)?);
        let (row, size): (u32, u64) = (line.number(2)?, line.number(3)?);
        let account = AccountId(id);
        let running = builder.account(account)?;
        let terms = builder.liquidation_terms(account, InstrumentId(row))?;
        let (charge, flagged_at) = terms.unwrap_or_default();
        let market = builder.entry_terms().market.row(InstrumentId(row)).copied();
        let penalty = market.unwrap_or_default().penalty;
        let held = running
            .place_of(InstrumentId(row))
            .and_then(|at| running.places.get(at));
        let held = held.map_or(1, |place| place.holding.size);
        let lots = i64::try_from(size).unwrap_or(i64::MAX) * held.signum();
        Ok(Entry::Liquidation(Box::new(Liquidation {
            account,
            order: self.world().order(taker, row, lots),
            size,
            charge: if line.verb() == "overcharge" {
                penalty
            } else {
                charge
            },
            discount: 0,
            flagged_at,
        })))
    }

    fn unwind(&mut self, line: &Line<'_>, builder: &EpochBuilder<'_>) -> Outcome<Entry> {
        let (row, size): (u32, u64) = (line.number(1)?, line.number(2)?);
        let taker = self.id(line, 3)?;
        let held = builder.account(AccountId(row / 16))?;
        let place = held
            .place_of(InstrumentId(row))
            .and_then(|at| held.places.get(at));
        let inventory = place.map_or(1, |place| place.holding.size);
        let lots = i64::try_from(size).unwrap_or(i64::MAX) * inventory.signum();
        Ok(Entry::Unwind(Box::new(Unwind {
            order: self.world().order(taker, row, lots),
            size,
            discount: 0,
        })))
    }
}
