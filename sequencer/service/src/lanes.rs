//! Bounded queues with a lane of its own for what must be served under a flood: cancels,
//! withdrawals, key changes, rounds, L1 items.
//!
//! The taker drains the priority lane first but for a share of each take, so that neither lane
//! starves the other. A full lane refuses at once: nothing waits to get in, and the writer's delay
//! is bounded by what the lanes hold.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Which queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Cancels, withdrawals, transfers, key changes, rounds, L1 items.
    Priority,
    /// Orders and batches.
    Orders,
    /// Questions about the state.
    Queries,
}

const LANES: usize = 3;

/// Why something could not be queued; it comes back.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused<T> {
    Full(T),
    Closed(T),
}

#[derive(Debug)]
pub struct Lanes<T> {
    queues: Mutex<Queues<T>>,
    /// Something is there, or the lanes are closed.
    arrived: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct Queues<T> {
    lanes: [VecDeque<T>; LANES],
    closed: bool,
}

impl<T> Queues<T> {
    fn is_empty(&self) -> bool {
        self.lanes.iter().all(VecDeque::is_empty)
    }
}

impl<T> Lanes<T> {
    /// Each lane holds so many.
    pub fn new(capacity: usize) -> Self {
        Self {
            queues: Mutex::new(Queues {
                lanes: Default::default(),
                closed: false,
            }),
            arrived: Condvar::new(),
            capacity,
        }
    }

    /// A panic elsewhere leaves the queues as they are: they hold no half-made state.
    fn lock(&self) -> MutexGuard<'_, Queues<T>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn push(&self, lane: Lane, item: T) -> Result<(), Refused<T>> {
        let mut queues = self.lock();
        if queues.closed {
            return Err(Refused::Closed(item));
        }
        let [priority, orders, queries] = &mut queues.lanes;
        let queue = match lane {
            Lane::Priority => priority,
            Lane::Orders => orders,
            Lane::Queries => queries,
        };
        if queue.len() >= self.capacity {
            return Err(Refused::Full(item));
        }
        queue.push_back(item);
        drop(queues);
        self.arrived.notify_one();
        Ok(())
    }

    /// Up to `most` items once there is one, priority first, with a quarter kept for each later
    /// lane; none after `wait` without any, `None` when the lanes are closed and empty.
    pub fn take(&self, most: usize, wait: Duration) -> Option<Vec<T>> {
        let deadline = Instant::now() + wait;
        let mut queues = self.lock();
        while queues.is_empty() {
            if queues.closed {
                return None;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(Vec::new());
            }
            let waited = self.arrived.wait_timeout(queues, left);
            queues = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let Queues { lanes, .. } = &mut *queues;
        let mut taken = Vec::with_capacity(most);
        for at in 0..LANES {
            let (lane, later) = match lanes.get_mut(at..) {
                Some([lane, later @ ..]) => (lane, later),
                _ => break,
            };
            let kept: usize = later.iter().map(|lane| lane.len().min(most / 4)).sum();
            let room = most.saturating_sub(taken.len()).saturating_sub(kept);
            taken.extend(lane.drain(..lane.len().min(room)));
        }
        let more = !queues.is_empty();
        drop(queues);
        if more {
            self.arrived.notify_one();
        }
        Some(taken)
    }

    /// Nothing more gets in; what is there is still taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Items waiting, by lane.
    pub fn depth(&self) -> [usize; LANES] {
        self.lock().lanes.each_ref().map(VecDeque::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_WAIT: Duration = Duration::ZERO;

    #[test]
    fn a_full_lane_refuses_and_the_other_does_not() {
        let lanes = Lanes::new(2);
        lanes.push(Lane::Orders, 1).unwrap();
        lanes.push(Lane::Orders, 2).unwrap();
        assert_eq!(lanes.push(Lane::Orders, 3), Err(Refused::Full(3)));
        lanes.push(Lane::Priority, 4).unwrap();
        assert_eq!(lanes.depth(), [1, 2, 0]);
        assert_eq!(lanes.take(2, NO_WAIT), Some(vec![4, 1]));
        assert_eq!(lanes.take(2, NO_WAIT), Some(vec![2]));
    }

    #[test]
    fn neither_lane_starves_the_other() {
        let lanes = Lanes::new(100);
        for item in 0..100 {
            lanes.push(Lane::Orders, item).unwrap();
            lanes.push(Lane::Priority, 1000 + item).unwrap();
        }
        let taken = lanes.take(8, NO_WAIT).unwrap();
        assert_eq!(taken, [1000, 1001, 1002, 1003, 1004, 1005, 0, 1]);
        lanes.push(Lane::Queries, 7).unwrap();
        let taken = lanes.take(8, NO_WAIT).unwrap();
        assert_eq!(taken, [1006, 1007, 1008, 1009, 1010, 2, 3, 7]);
    }

    #[test]
    fn closed_lanes_give_what_they_hold_and_end() {
        let lanes = Lanes::new(2);
        assert_eq!(lanes.take(1, NO_WAIT), Some(vec![]));
        lanes.push(Lane::Orders, 1).unwrap();
        lanes.close();
        assert_eq!(lanes.push(Lane::Priority, 2), Err(Refused::Closed(2)));
        assert_eq!(lanes.take(5, NO_WAIT), Some(vec![1]));
        assert_eq!(lanes.take(5, Duration::from_secs(60)), None);
    }

    #[test]
    fn a_waiting_taker_is_woken() {
        let lanes = std::sync::Arc::new(Lanes::new(2));
        let theirs = lanes.clone();
        let taker = std::thread::spawn(move || theirs.take(1, Duration::from_secs(60)));
        lanes.push(Lane::Orders, 5).unwrap();
        assert_eq!(taker.join().unwrap(), Some(vec![5]));
    }
}
