//! Admission of calls: a bound on all calls at the same time, and one on those of each account. Waiting accounts are
//! served in turn, so that no account with many calls keeps the others waiting.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::oneshot;
use uuid::Uuid;

/// The bounds on calls.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The number of calls at the same time.
    pub calls: usize,
    /// The number of calls of one account at the same time.
    pub calls_of_one: usize,
    /// The number of waiting calls.
    pub waiting: usize,
    /// The number of waiting calls of one account.
    pub waiting_of_one: usize,
    /// The longest wait of a call.
    pub wait: Duration,
}

/// The error of a call for which no permit became free in time.
#[derive(Debug, PartialEq, Eq)]
pub struct Busy;

/// Gives out permits for calls.
pub struct Admission {
    bounds: Bounds,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    running: usize,
    of: HashMap<Uuid, usize>,
    /// The waiting accounts in the order of their turns, each with its callers in order.
    turns: VecDeque<Uuid>,
    waiting: HashMap<Uuid, VecDeque<oneshot::Sender<Place>>>,
    waiters: usize,
}

/// A permit for a call, which is given back when this is dropped.
pub struct Place {
    /// The account of the call; `None` if the permit was never taken.
    admission: Option<Arc<Admission>>,
    account: Uuid,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(admission) = self.admission.take() {
            let mut inner = admission.lock();
            inner.leave(self.account);
            admission.admit(&mut inner);
        }
    }
}

/// A waiting call. A caller that goes away makes room for another one.
struct Waiter {
    admission: Arc<Admission>,
    account: Uuid,
    receiver: oneshot::Receiver<Place>,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.receiver.close();
        // A place that came at the last moment is free again; not under the lock that this takes.
        drop(self.receiver.try_recv());
        self.admission.lock().forget(self.account);
    }
}

impl Inner {
    /// Removes the waiting calls of an account whose callers have gone away.
    fn forget(&mut self, account: Uuid) {
        let Some(queue) = self.waiting.get_mut(&account) else {
            return;
        };
        let before = queue.len();
        queue.retain(|sender| !sender.is_closed());
        self.waiters -= before - queue.len();
        if queue.is_empty() {
            self.waiting.remove(&account);
            self.turns.retain(|turn| *turn != account);
        }
    }

    fn leave(&mut self, account: Uuid) {
        self.running -= 1;
        if let Some(count) = self.of.get_mut(&account) {
            *count -= 1;
            if *count == 0 {
                self.of.remove(&account);
            }
        }
    }

    fn enter(&mut self, account: Uuid) {
        self.running += 1;
        *self.of.entry(account).or_default() += 1;
    }
}

impl Admission {
    /// Makes the admission with these bounds.
    #[must_use]
    pub fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            inner: Mutex::default(),
        })
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// Too many calls wait already, or the wait takes too long.
    pub async fn enter(self: &Arc<Self>, account: Uuid) -> Result<Place, Busy> {
        let receiver = {
            let mut inner = self.lock();
            if inner.turns.is_empty() && self.has_room(&inner, account) {
                inner.enter(account);
                return Ok(self.place(account));
            }
            let own = inner.waiting.get(&account).map_or(0, VecDeque::len);
            if inner.waiters >= self.bounds.waiting || own >= self.bounds.waiting_of_one {
                return Err(Busy);
            }
            let (sender, receiver) = oneshot::channel();
            inner.waiters += 1;
            if own == 0 {
                inner.turns.push_back(account);
            }
            inner.waiting.entry(account).or_default().push_back(sender);
            // Others may wait for their own bound only.
            self.admit(&mut inner);
            receiver
        };
        let mut waiter = Waiter {
            admission: self.clone(),
            account,
            receiver,
        };
        match tokio::time::timeout(self.bounds.wait, &mut waiter.receiver).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Busy),
        }
    }

    fn place(self: &Arc<Self>, account: Uuid) -> Place {
        Place {
            admission: Some(self.clone()),
            account,
        }
    }

    fn has_room(&self, inner: &Inner, account: Uuid) -> bool {
        inner.running < self.bounds.calls
            && inner
                .of
                .get(&account)
                .is_none_or(|count| *count < self.bounds.calls_of_one)
    }

    /// Gives free permits to waiting calls, one to each account in turn.
    fn admit(self: &Arc<Self>, inner: &mut Inner) {
        let mut skipped = 0;
        while inner.running < self.bounds.calls && skipped < inner.turns.len() {
            let Some(account) = inner.turns.pop_front() else {
                return;
            };
            if !self.has_room(inner, account) {
                inner.turns.push_back(account);
                skipped += 1;
                continue;
            }
            let queue = inner.waiting.get_mut(&account);
            let sender = queue.and_then(VecDeque::pop_front);
            if inner.waiting.get(&account).is_none_or(VecDeque::is_empty) {
                inner.waiting.remove(&account);
            } else {
                inner.turns.push_back(account);
            }
            let Some(sender) = sender else { continue };
            inner.waiters -= 1;
            // One who has gone away leaves the place to the next.
            if sender.is_closed() {
                continue;
            }
            skipped = 0;
            inner.enter(account);
            if let Err(mut place) = sender.send(self.place(account)) {
                // Gone at this very moment. Dropped as it is, the place would lock again.
                place.admission = None;
                inner.leave(account);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;

    fn admission(calls: usize, calls_of_one: usize, waiting: usize) -> Arc<Admission> {
        Admission::new(Bounds {
            calls,
            calls_of_one,
            waiting,
            waiting_of_one: waiting,
            wait: Duration::from_secs(5),
        })
    }

    #[tokio::test]
    async fn who_goes_away_makes_room_for_another_who_waits() {
        let admission = admission(1, 1, 2);
        let held = admission.enter(account(1)).await.expect("there is room");
        for _ in 0..10 {
            let waiting = [2, 3].map(|one| admission.enter(account(one)));
            let all = join_all(waiting);
            assert!(
                tokio::time::timeout(Duration::from_millis(1), all)
                    .await
                    .is_err()
            );
        }
        let last = tokio::spawn({
            let admission = admission.clone();
            async move { admission.enter(account(4)).await.is_ok() }
        });
        tokio::task::yield_now().await;
        drop(held);
        assert!(
            last.await.expect("no panic"),
            "nobody who is gone keeps a place"
        );
    }

    fn account(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[tokio::test]
    async fn one_account_leaves_room_for_others() {
        let admission = admission(4, 2, 10);
        let _one = admission.enter(account(1)).await.unwrap();
        let _two = admission.enter(account(1)).await.unwrap();
        let third = admission.enter(account(1));
        tokio::pin!(third);
        assert!(
            futures::poll!(&mut third).is_pending(),
            "the account has its share"
        );
        let _other = admission.enter(account(2)).await.unwrap();
        drop(_one);
        assert!(third.await.is_ok());
    }

    #[tokio::test]
    async fn who_waits_is_served_in_turns_by_account() {
        let admission = admission(1, 1, 100);
        let first = admission.enter(account(0)).await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut calls = Vec::new();
        for number in [1, 1, 1, 2, 3] {
            let (admission, order) = (admission.clone(), order.clone());
            calls.push(tokio::spawn(async move {
                let _place = admission.enter(account(number)).await.unwrap();
                order.lock().unwrap().push(number);
                tokio::task::yield_now().await;
            }));
            tokio::task::yield_now().await;
        }
        drop(first);
        join_all(calls).await;
        assert_eq!(*order.lock().unwrap(), [1, 2, 3, 1, 1]);
    }

    #[tokio::test]
    async fn too_many_are_refused_and_nothing_is_lost() {
        let admission = admission(1, 1, 2);
        let place = admission.enter(account(1)).await.unwrap();
        let (a, b) = (admission.clone(), admission.clone());
        let waiting = [
            tokio::spawn(async move { a.enter(account(2)).await.is_ok() }),
            tokio::spawn(async move { b.enter(account(3)).await.is_ok() }),
        ];
        tokio::task::yield_now().await;
        assert_eq!(admission.enter(account(4)).await.err(), Some(Busy));
        drop(place);
        for done in join_all(waiting).await {
            assert!(done.unwrap());
        }
        let inner = admission.lock();
        assert_eq!(
            (
                inner.running,
                inner.waiters,
                inner.of.len(),
                inner.turns.len()
            ),
            (0, 0, 0, 0)
        );
    }

    #[tokio::test]
    async fn who_waits_too_long_goes_and_leaves_nothing() {
        let admission = Admission::new(Bounds {
            calls: 1,
            calls_of_one: 1,
            waiting: 5,
            waiting_of_one: 5,
            wait: Duration::from_millis(20),
        });
        let place = admission.enter(account(1)).await.unwrap();
        assert_eq!(admission.enter(account(2)).await.err(), Some(Busy));
        drop(place);
        drop(admission.enter(account(3)).await.unwrap());
        let inner = admission.lock();
        assert_eq!((inner.running, inner.waiters), (0, 0));
    }
}
