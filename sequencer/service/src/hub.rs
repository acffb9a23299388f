//! Channels: what became durable, told to whoever listens, in numbered messages.
//!
//! A message is made once and shared; each listener has a bounded queue, and one whose queue is
//! full is dropped: nobody waits for a client. Each channel keeps its last messages, so that a
//! client that missed some asks for them instead of starting over.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::value::RawValue;
use tokio::sync::mpsc;

/// Messages that a channel keeps.
pub const KEPT: usize = 1_024;
/// Messages that wait for one listener.
pub const QUEUE: usize = 1_024;
/// Channels that one listener may hear.
pub const MOST_CHANNELS: usize = 128;

/// A channel's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    Epochs,
    Book(u32),
    Trades(u32),
    Ticker(u32),
    Account(u32),
}

impl std::fmt::Display for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Epochs => f.write_str("epochs"),
            Self::Book(id) => write!(f, "book:{id}"),
            Self::Trades(id) => write!(f, "trades:{id}"),
            Self::Ticker(id) => write!(f, "ticker:{id}"),
            Self::Account(id) => write!(f, "account:{id}"),
        }
    }
}

impl std::str::FromStr for Channel {
    type Err = ();

    /// The one text that each channel has.
    fn from_str(text: &str) -> Result<Self, ()> {
        let found = match text.split_once(':') {
            None if text == "epochs" => Self::Epochs,
            Some((kind, id)) => {
                let id = id.parse().map_err(|_| ())?;
                match kind {
                    "book" => Self::Book(id),
                    "trades" => Self::Trades(id),
                    "ticker" => Self::Ticker(id),
                    "account" => Self::Account(id),
                    _ => return Err(()),
                }
            }
            None => return Err(()),
        };
        (found.to_string() == text).then_some(found).ok_or(())
    }
}

/// A message as it goes out: the text of a `ChannelMessage`.
pub type Message = Arc<RawValue>;

#[derive(Debug)]
pub struct Hub {
    state: Mutex<State>,
    /// Of this run: numbers of another one do not compare.
    pub session: u64,
    most_listeners: usize,
}

#[derive(Debug, Default)]
struct State {
    channels: HashMap<Channel, Feed>,
    listeners: BTreeMap<u64, mpsc::Sender<Message>>,
    next_listener: u64,
    /// Listeners that were too slow.
    dropped: u64,
    closed: bool,
}

#[derive(Debug, Default)]
struct Feed {
    sequence: u64,
    kept: VecDeque<(u64, Message)>,
    listeners: Vec<u64>,
}

/// One end of a connection; the queue ends when the hub drops the listener.
#[derive(Debug)]
pub struct Listener {
    id: u64,
    queue: mpsc::Receiver<Message>,
    channels: Vec<Channel>,
    hub: Arc<Hub>,
}

/// Where a channel stands.
#[derive(Debug)]
pub enum Missed {
    Messages(Vec<Message>),
    /// Too old: a snapshot is needed. The oldest message kept.
    Gone(u64),
}

impl Hub {
    pub fn new(session: u64, most_listeners: usize) -> Self {
        Self {
            state: Mutex::default(),
            session,
            most_listeners,
        }
    }

    /// A panic elsewhere leaves whole messages only.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new listener; none where there are too many already.
    pub fn listen(self: &Arc<Self>) -> Option<Listener> {
        let mut state = self.lock();
        if state.closed || state.listeners.len() >= self.most_listeners {
            return None;
        }
        let (sender, queue) = mpsc::channel(QUEUE);
        let id = state.next_listener;
        state.next_listener += 1;
        state.listeners.insert(id, sender);
        drop(state);
        Some(Listener {
            id,
            queue,
            channels: Vec::new(),
            hub: self.clone(),
        })
    }

    /// Tells a channel. An account's channel has no numbers before somebody listens to it: nobody
    /// can have missed any.
    pub fn tell(&self, channel: Channel, position: u64, data: &impl serde::Serialize) {
        let mut state = self.lock();
        let State {
            channels,
            listeners,
            dropped,
            ..
        } = &mut *state;
        if matches!(channel, Channel::Account(_)) && !channels.contains_key(&channel) {
            return;
        }
        let feed = channels.entry(channel).or_default();
        let Some(message) = told(channel, feed.sequence + 1, position, data) else {
            tracing::error!(%channel, "a message could not be written");
            return;
        };
        feed.sequence += 1;
        feed.kept.push_back((feed.sequence, message.clone()));
        if feed.kept.len() > KEPT {
            feed.kept.pop_front();
        }
        feed.listeners.retain(|id| {
            let Some(listener) = listeners.get(id) else {
                return false;
            };
            let sent = listener.try_send(message.clone()).is_ok();
            if !sent {
                listeners.remove(id);
                *dropped += 1;
            }
            sent
        });
    }

    /// The number of a channel's last message.
    pub fn sequence(&self, channel: Channel) -> u64 {
        let state = self.lock();
        state.channels.get(&channel).map_or(0, |feed| feed.sequence)
    }

    /// What came on a channel from a number on.
    pub fn missed(&self, channel: Channel, from: u64) -> Missed {
        let state = self.lock();
        let Some(feed) = state.channels.get(&channel) else {
            return Missed::Messages(Vec::new());
        };
        match feed.kept.front() {
            Some((oldest, _)) if from < *oldest => Missed::Gone(*oldest),
            _ => {
                let later = feed.kept.iter().filter(|(sequence, _)| *sequence >= from);
                Missed::Messages(later.map(|(_, message)| message.clone()).collect())
            }
        }
    }

    /// Drops every listener, and takes no more: the service ends.
    pub fn close(&self) {
        let mut state = self.lock();
        state.listeners.clear();
        state.closed = true;
    }

    /// (listeners, listeners dropped for being slow).
    pub fn counts(&self) -> (usize, u64) {
        let state = self.lock();
        (state.listeners.len(), state.dropped)
    }
}

/// `None` where the data cannot be JSON, which no event of ours is.
fn told(
    channel: Channel,
    sequence: u64,
    position: u64,
    data: &impl serde::Serialize,
) -> Option<Message> {
    let data = serde_json::to_string(data).ok()?;
    let text = format!(
        r#"{{"channel":"{channel}","sequence":{sequence},"position":{position},"data":{data}}}"#
    );
    Some(Arc::from(RawValue::from_string(text).ok()?))
}

impl Listener {
    /// The next message; `None` when the hub has dropped this listener.
    pub async fn next(&mut self) -> Option<Message> {
        self.queue.recv().await
    }

    /// The channel's last number, and its messages from now on; `None` with too many channels.
    pub fn subscribe(&mut self, channel: Channel) -> Option<u64> {
        if self.channels.len() >= MOST_CHANNELS && !self.channels.contains(&channel) {
            return None;
        }
        let mut state = self.hub.lock();
        let feed = state.channels.entry(channel).or_default();
        let sequence = feed.sequence;
        if !self.channels.contains(&channel) {
            feed.listeners.push(self.id);
            self.channels.push(channel);
        }
        Some(sequence)
    }

    pub fn unsubscribe(&mut self, channel: Channel) {
        self.channels.retain(|held| *held != channel);
        let mut state = self.hub.lock();
        if let Some(feed) = state.channels.get_mut(&channel) {
            feed.listeners.retain(|id| *id != self.id);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        state.listeners.remove(&self.id);
        for channel in &self.channels {
            if let Some(feed) = state.channels.get_mut(channel) {
                feed.listeners.retain(|id| *id != self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> Arc<Hub> {
        Arc::new(Hub::new(1, 10))
    }

    #[tokio::test]
    async fn messages_are_numbered_by_channel() {
        let hub = hub();
        let mut listener = hub.listen().unwrap();
        hub.tell(Channel::Epochs, 1, &"before");
        assert_eq!(listener.subscribe(Channel::Epochs), Some(1));
        assert_eq!(listener.subscribe(Channel::Book(5)), Some(0));
        hub.tell(Channel::Book(5), 2, &"level");
        hub.tell(Channel::Book(6), 2, &"of another");
        hub.tell(Channel::Epochs, 3, &"closed");
        let told = [listener.next().await, listener.next().await];
        let told = told.map(|message| message.unwrap().get().to_owned());
        assert_eq!(
            told,
            [
                r#"{"channel":"book:5","sequence":1,"position":2,"data":"level"}"#,
                r#"{"channel":"epochs","sequence":2,"position":3,"data":"closed"}"#,
            ]
        );
    }

    #[tokio::test]
    async fn a_slow_listener_is_dropped_and_the_others_go_on() {
        let hub = hub();
        let mut slow = hub.listen().unwrap();
        slow.subscribe(Channel::Epochs);
        for number in 0..QUEUE {
            hub.tell(Channel::Epochs, number as u64, &number);
        }
        let mut other = hub.listen().unwrap();
        other.subscribe(Channel::Epochs);
        hub.tell(Channel::Epochs, 0, &"one too many");
        assert_eq!(hub.counts(), (1, 1));
        assert!(other.next().await.is_some());
        for _ in 0..QUEUE {
            assert!(slow.next().await.is_some());
        }
        assert!(slow.next().await.is_none());
    }

    #[test]
    fn what_was_missed_is_there_until_it_is_too_old() {
        let hub = hub();
        for number in 0..KEPT as u64 + 2 {
            hub.tell(Channel::Trades(5), number, &number);
        }
        let Missed::Messages(messages) = hub.missed(Channel::Trades(5), KEPT as u64) else {
            panic!("they are kept");
        };
        assert_eq!(messages.len(), 3);
        assert!(matches!(hub.missed(Channel::Trades(5), 2), Missed::Gone(3)));
        assert!(matches!(
            hub.missed(Channel::Account(7), 0),
            Missed::Messages(none) if none.is_empty()
        ));
    }

    #[test]
    fn listeners_and_their_channels_are_bounded() {
        let hub = hub();
        let mut listeners: Vec<_> = (0..10).map(|_| hub.listen().unwrap()).collect();
        assert!(hub.listen().is_none());
        listeners.pop();
        let mut listener = hub.listen().unwrap();
        for id in 0..MOST_CHANNELS as u32 {
            assert!(listener.subscribe(Channel::Account(id)).is_some());
        }
        assert_eq!(listener.subscribe(Channel::Epochs), None);
        listener.unsubscribe(Channel::Account(3));
        assert_eq!(listener.subscribe(Channel::Epochs), Some(0));
    }

    #[test]
    fn a_channel_has_one_name() {
        for channel in [Channel::Epochs, Channel::Book(5), Channel::Account(1024)] {
            assert_eq!(channel.to_string().parse(), Ok(channel));
        }
        for text in [
            "", "epochs:1", "book", "book:05", "book:-1", "books:5", "book:5 ",
        ] {
            assert_eq!(text.parse::<Channel>(), Err(()), "{text}");
        }
    }
}
