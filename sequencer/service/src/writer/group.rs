//! A group of commands on their way to the disk.

use std::collections::HashMap;
use std::sync::Arc;

use tally_api::Receipt;
use tally_protocol::types::AccountId;
use tally_sequencer::command::{Command, Record, Verified};
use tally_sequencer::engine::Engine;
use tally_sequencer::event::{Applied, Event};
use tally_sequencer::reject::Reject;
use tokio::sync::oneshot;

use super::admit::{Refusals, client_of, clients_of, is_same, may_sign, unlimited};
use super::{Job, NotTaken, Refusal, Reply, Taken, Told, WriterError};
use crate::metrics::Metrics;
use crate::store::{Batch, EpochRow, Head, Outcome, Store, StoreError};

#[derive(Debug)]
pub struct Group {
    head: Head,
    batch: Batch,
    answers: Answers,
    /// Client ids of this group, which the store does not have yet: record and place of the answer.
    clients: HashMap<(u32, u128), (Vec<u8>, usize)>,
}

/// What goes out when the group is durable.
#[derive(Debug, Default)]
pub struct Answers {
    replies: Vec<(oneshot::Sender<Reply>, Reply, std::time::Instant)>,
    told: Vec<Told>,
}

/// A trade as the history keeps it.
#[derive(serde::Serialize)]
struct TradeRow<'a> {
    position: u64,
    time_ms: u64,
    #[serde(flatten)]
    event: &'a Event,
}

impl Group {
    pub fn new(head: Head) -> Self {
        Self {
            head,
            batch: Batch::default(),
            answers: Answers::default(),
            clients: HashMap::new(),
        }
    }

    /// Applies a command; what its author may not sign, or has sent before, does not get a place.
    pub fn add(
        &mut self,
        engine: &mut Engine,
        (store, refusals): (&Store, &mut Refusals),
        job: Job,
    ) -> Result<(), WriterError> {
        let Job {
            verified,
            reply,
            arrived,
        } = job;
        let record = verified.record().to_bytes();
        if let Some(answer) = self.without_place(engine, (store, refusals), &verified, &record)? {
            self.answers.replies.push((reply, answer, arrived));
            return Ok(());
        }
        let is_batch = matches!(verified.record().command, Command::Batch(_));
        let names = clients_of(&verified.record().command);
        let (time_ms, unlimited) = (verified.record().at, unlimited(&verified));
        let authors: Vec<AccountId> = verified.signers().iter().map(|it| it.account).collect();
        let (head, command) = self.head.next(&record);
        let applied = engine.apply(verified);
        if applied.position != head.position {
            let (engine, log) = (applied.position, head.position);
            return Err(WriterError::Position { engine, log });
        }
        self.head = head;
        self.batch.record(store, &head, &record)?;
        self.note(store, &applied, time_ms)?;
        for (account, client_id) in names {
            // An order of a batch may have a name that is taken: it is refused, the name stays.
            if is_batch && self.is_named(store, (account, client_id))? {
                continue;
            }
            self.batch
                .client(store, account, client_id, head.position)?;
            let first = (record.clone(), self.answers.replies.len());
            self.clients.insert((account, client_id), first);
        }
        let receipt = Receipt {
            position: head.position,
            time_ms,
            command,
            link: head.link,
        };
        let events: Arc<[Event]> = applied.events.into();
        let taken = Taken {
            receipt,
            result: applied.result.map_err(|reject| Refusal::from(&reject)),
            events: events.clone(),
            repeated: false,
        };
        match (unlimited, &taken.result) {
            (Some(account), Err(_)) => refusals.remember(account, &record, time_ms, &taken),
            (_, Ok(())) => authors.iter().for_each(|it| refusals.forget(*it)),
            (None, Err(_)) => {}
        }
        self.answers.replies.push((reply, Ok(taken), arrived));
        self.answers.told.push(Told {
            position: head.position,
            time_ms,
            events,
        });
        Ok(())
    }

    /// The answer of what was there before, or what its author may not sign.
    fn without_place(
        &self,
        engine: &Engine,
        (store, refusals): (&Store, &mut Refusals),
        verified: &Verified,
        record: &[u8],
    ) -> Result<Option<Reply>, StoreError> {
        let Record { command, at } = verified.record();
        let is_batch = matches!(command, Command::Batch(_));
        if let Some(name) = client_of(command)
            && let Some(answer) = self.repeated(store, name, record)?
            // A batch's orders stand each for itself: only the whole one again is a repetition.
            && (answer.is_ok() || !is_batch)
        {
            return Ok(Some(answer));
        }
        if let Err(reject) = may_sign(engine, verified) {
            return Ok(Some(Err(reject.into())));
        }
        let known = unlimited(verified).and_then(|_| refusals.answer(record, *at));
        Ok(known.map(Ok))
    }

    fn is_named(&self, store: &Store, name: (u32, u128)) -> Result<bool, StoreError> {
        let here = self.clients.contains_key(&name);
        Ok(here || store.client(name.0, name.1)?.is_some())
    }

    /// The answer to a client id that came before, with the same command or another.
    fn repeated(
        &self,
        store: &Store,
        name: (u32, u128),
        record: &[u8],
    ) -> Result<Option<Reply>, StoreError> {
        if let Some((first, at)) = self.clients.get(&name) {
            let answer = self.answers.replies.get(*at);
            let answer = answer.and_then(|(_, answer, _)| answer.as_ref().ok());
            return Ok(answer.map(|taken| match is_same(first, record) {
                true => Ok(Taken {
                    repeated: true,
                    ..taken.clone()
                }),
                false => Err(NotTaken::ClientId(taken.receipt.position)),
            }));
        }
        let Some(position) = store.client(name.0, name.1)? else {
            return Ok(None);
        };
        let Some(entry) = store.entry(position)? else {
            let found = self.head.position;
            return Err(StoreError::Gap {
                wanted: position,
                found,
            });
        };
        if !is_same(&entry.record, record) {
            return Ok(Some(Err(NotTaken::ClientId(position))));
        }
        let outcome = store.outcome(position)?;
        let refused = outcome.and_then(|outcome| outcome.refused);
        Ok(Some(Ok(Taken {
            receipt: entry.receipt(),
            result: refused.map_or(Ok(()), |refused| {
                Err(Refusal {
                    code: refused.code,
                    message: refused.message,
                    is_passing: false,
                })
            }),
            events: Arc::from([]),
            repeated: true,
        })))
    }

    /// What the store keeps beside the record.
    fn note(&mut self, store: &Store, applied: &Applied, time_ms: u64) -> Result<(), StoreError> {
        let position = applied.position;
        if let Err(reject) = &applied.result {
            let outcome = Outcome {
                refused: Some(crate::store::Refusal {
                    code: reject.code().to_owned(),
                    message: reject.to_string(),
                }),
            };
            self.batch.outcome(store, position, &outcome)?;
        }
        for event in &applied.events {
            match event {
                Event::EpochClosed {
                    epoch,
                    entries,
                    fills,
                    batch,
                    ends_batch,
                } => {
                    let row = EpochRow {
                        epoch: *epoch,
                        closed_at: position,
                        time_ms,
                        entries: *entries,
                        fills: *fills,
                        batch: *batch,
                        ends_batch: *ends_batch,
                        root: None,
                    };
                    self.batch.epoch(store, &row)?;
                }
                event => {
                    if let Some((instrument, trade)) = trade_of(event) {
                        let told = TradeRow {
                            position,
                            time_ms,
                            event,
                        };
                        self.batch.trade(store, instrument, trade, &told)?;
                    }
                }
            }
        }
        Ok(())
    }

    pub fn into_parts(self) -> (Head, Batch, Answers) {
        (self.head, self.batch, self.answers)
    }
}

impl Answers {
    /// Sends every answer; a client that has gone away does not hear its own.
    pub fn answer(self, metrics: &Metrics) -> Vec<Told> {
        for (reply, answer, arrived) in self.replies {
            match &answer {
                Ok(Taken { result: Ok(()), .. }) => metrics.count("ok"),
                Ok(_) => metrics.count("refused"),
                Err(error) => metrics.count(error.code()),
            }
            let seconds = arrived.elapsed().as_secs_f64();
            metrics.ack_seconds.observe(seconds);
            drop(reply.send(answer));
        }
        for told in &self.told {
            for event in told.events.iter() {
                match event {
                    Event::Fill { .. } => drop(metrics.fills.inc()),
                    Event::EpochClosed { epoch, .. } => {
                        metrics.epoch.set((*epoch).into());
                    }
                    _ => {}
                }
            }
        }
        self.told
    }
}

impl From<&Reject> for Refusal {
    fn from(reject: &Reject) -> Self {
        Self {
            code: reject.code().to_owned(),
            message: reject.to_string(),
            is_passing: reject.is_passing(),
        }
    }
}

/// Instrument and number of what the trade history keeps.
pub fn trade_of(event: &Event) -> Option<(u32, u64)> {
    match event {
        Event::Fill {
            trade, instrument, ..
        }
        | Event::Liquidated {
            trade, instrument, ..
        }
        | Event::Unwound {
            trade, instrument, ..
        } => Some((instrument.0, *trade)),
        _ => None,
    }
}
