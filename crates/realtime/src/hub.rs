//! The hub, which puts each event into the queues of the listeners that subscribed to its topic.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use position::{Batch, Position, Snapshot};
use tokio::sync::{Notify, RwLock, broadcast, mpsc};
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use uuid::Uuid;

use crate::metrics::Metrics;
use crate::outbox::{Concerned, Event};
use crate::rights::Recheck;

/// The topic of all events, for administrators.
pub const ALL: &str = "all:all";
/// The largest number of frames in a client's queue, above which the client is too slow.
const QUEUED_FRAMES: usize = 1024;
/// The largest size of a client's queue in bytes.
const QUEUED_BYTES: usize = 1 << 20;
/// The number of happenings that may wait for those who follow them.
const QUEUED_HAPPENINGS: usize = 4096;

/// A frame, ready to be sent.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The text of the frame.
    pub text: Utf8Bytes,
    /// The position of a reader that has seen the frame on all its topics; empty if the position is unchanged.
    pub position: Utf8Bytes,
    /// The account whose words or actions the frame shows.
    pub of: Option<Uuid>,
}

/// The time within which the outbox is read for the first time, unless the database is gone.
const FIRST_LOOK_TRIES: u32 = 200;
const FIRST_LOOK_PAUSE: Duration = Duration::from_millis(50);

/// The items of a listener's queue.
#[derive(Clone)]
pub enum Told {
    /// An event happened on this topic.
    Frame(Arc<str>, Frame),
    /// Rights to this topic may have ended, and have to be checked again.
    Recheck(Arc<str>, Arc<Recheck>),
    /// The accounts that the listener has blocked may have changed, and have to be loaded again.
    Blocks,
}

/// An event that was handed out, for who follows topics without reading them here.
#[derive(Debug, Clone)]
pub struct Happening {
    /// The topic of the event.
    pub topic: Arc<str>,
    /// Whether rights or blocks have changed.
    pub changes_access: bool,
}

/// The happenings, which are told only while somebody listens.
pub struct Happenings(pub broadcast::Sender<Happening>);

impl Default for Happenings {
    fn default() -> Self {
        Self(broadcast::channel(QUEUED_HAPPENINGS).0)
    }
}

impl Happenings {
    fn tell(&self, batch: &[(Event, String)]) {
        if self.0.receiver_count() == 0 {
            return;
        }
        for (event, _) in batch {
            let happening = Happening {
                topic: event.topic.as_str().into(),
                changes_access: event.access_changed().is_some(),
            };
            // The last listener may have left.
            _ = self.0.send(happening);
        }
    }
}

/// The subscriptions of all sockets and streams.
#[derive(Default)]
pub struct Hub {
    /// The events that were handed out, for those who follow without reading here.
    pub happenings: Happenings,
    inner: Mutex<Inner>,
    /// Held by the reader of the outbox from the first to the last event of what it read. A subscription that began in
    /// between would miss the events before it.
    pub handing_out: RwLock<()>,
}

#[derive(Default)]
struct Inner {
    /// The snapshot up to which events were handed out; `None` until the outbox was read for the first time.
    seen: Option<Seen>,
    topics: HashMap<Arc<str>, HashMap<u64, Subscription>>,
    accounts: HashMap<Uuid, HashMap<u64, Arc<Listener>>>,
    /// The number of subscriptions.
    subscriptions: usize,
    next: u64,
}

/// The position up to which events were handed out.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The database.
    pub epoch: i64,
    /// The time of the snapshot, by the database's clock.
    pub at_ms: i64,
    /// The snapshot whose visible events were all handed out.
    pub snapshot: Snapshot,
}

impl Seen {
    /// The same position at another snapshot.
    pub fn at(&self, snapshot: &Snapshot) -> Self {
        Self {
            snapshot: snapshot.clone(),
            ..self.clone()
        }
    }

    /// The sealed position that clients keep.
    pub fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            at_ms: self.at_ms,
            after: self.snapshot.clone(),
            within: None,
        }
    }
}

struct Subscription {
    listener: Arc<Listener>,
    types: Option<Arc<[String]>>,
}

/// A socket or stream, as the hub sees it.
pub struct Listener {
    id: u64,
    /// The listener's account, since some events are for a few accounts only.
    pub account: Uuid,
    queue: mpsc::Sender<Told>,
    bytes: AtomicUsize,
    too_slow: AtomicBool,
    /// Wakes the listener when it was found to be too slow.
    pub woken: Notify,
}

impl Listener {
    fn push(&self, told: Told) {
        let size = match &told {
            Told::Frame(_, frame) => frame.text.len(),
            Told::Recheck(..) | Told::Blocks => 0,
        };
        let waiting = self.bytes.fetch_add(size, Ordering::Relaxed);
        if waiting + size > QUEUED_BYTES || self.queue.try_send(told).is_err() {
            self.too_slow.store(true, Ordering::Relaxed);
            self.woken.notify_one();
        }
    }

    /// Counts an item that was taken from the queue.
    pub fn taken(&self, told: &Told) {
        if let Told::Frame(_, frame) = told {
            self.bytes.fetch_sub(frame.text.len(), Ordering::Relaxed);
        }
    }

    /// Whether the listener lost an event because it left too much unread.
    pub fn is_too_slow(&self) -> bool {
        self.too_slow.load(Ordering::Relaxed)
    }
}

impl Hub {
    /// Makes a listener without subscriptions, and its queue.
    pub fn join(&self, account: Uuid) -> (Arc<Listener>, mpsc::Receiver<Told>) {
        let (queue, receiver) = mpsc::channel(QUEUED_FRAMES);
        let mut inner = self.lock();
        inner.next += 1;
        let listener = Arc::new(Listener {
            id: inner.next,
            account,
            queue,
            bytes: AtomicUsize::new(0),
            too_slow: AtomicBool::new(false),
            woken: Notify::new(),
        });
        let of_account = inner.accounts.entry(account).or_default();
        of_account.insert(listener.id, listener.clone());
        (listener, receiver)
    }

    /// Removes a listener, whose subscriptions have ended before.
    pub fn leave(&self, listener: &Listener) {
        let mut inner = self.lock();
        if let Some(of_account) = inner.accounts.get_mut(&listener.account) {
            of_account.remove(&listener.id);
            if of_account.is_empty() {
                inner.accounts.remove(&listener.account);
            }
        }
    }

    /// Begins subscriptions: everything after the answered point comes by the queue, nothing before it.
    /// `None` while the outbox has not been read yet.
    pub async fn subscribe(
        &self,
        listener: &Arc<Listener>,
        topics: &[Arc<str>],
        types: Option<&Arc<[String]>>,
    ) -> Option<Seen> {
        for _ in 0..FIRST_LOOK_TRIES {
            if self.lock().seen.is_some() {
                break;
            }
            sleep(FIRST_LOOK_PAUSE).await;
        }
        let _between = self.handing_out.read().await;
        let inner = &mut *self.lock();
        let seen = inner.seen.clone()?;
        for topic in topics {
            let subscription = Subscription {
                listener: listener.clone(),
                types: types.cloned(),
            };
            let of_topic = inner.topics.entry(topic.clone()).or_default();
            if of_topic.insert(listener.id, subscription).is_none() {
                inner.subscriptions += 1;
            }
        }
        Some(seen)
    }

    /// Ends a subscription.
    pub fn unsubscribe(&self, listener: &Listener, topic: &str) {
        let inner = &mut *self.lock();
        if let Some(of_topic) = inner.topics.get_mut(topic) {
            if of_topic.remove(&listener.id).is_some() {
                inner.subscriptions -= 1;
            }
            if of_topic.is_empty() {
                inner.topics.remove(topic);
            }
        }
    }

    /// The number of subscriptions.
    pub fn subscriptions(&self) -> usize {
        self.lock().subscriptions
    }

    /// Notes the position of the outbox's reader, before which everything was handed out.
    pub fn stand_at(&self, seen: Seen) {
        self.lock().seen = Some(seen);
    }

    /// Hands out events.
    pub fn hand_out(&self, batch: &[(Event, String)], metrics: &Metrics) {
        self.happenings.tell(batch);
        let inner = self.lock();
        let recheck = inner.recheck(batch);
        for (event, position) in batch {
            if let Some(concerned) = event.access_changed() {
                inner.ask_again(event, concerned, &recheck);
                continue;
            }
            let mut frame = None;
            for subscription in inner.subscriptions(event) {
                if event.is_for(subscription.listener.account)
                    && wants(subscription.types.as_deref(), &event.kind)
                {
                    let (topic, frame) = frame.get_or_insert_with(|| {
                        (Arc::from(event.topic.as_str()), event.frame(position))
                    });
                    let told = Told::Frame(Arc::clone(topic), frame.clone());
                    subscription.listener.push(told);
                    metrics.delivered.inc();
                }
            }
        }
    }

    /// Hands out what is not kept of an account: its typing and presence, and what it is saying.
    pub fn hand_out_ephemeral(&self, topic: &str, kind: &str, of: Uuid, frame: &str) {
        let inner = self.lock();
        let Some(of_topic) = inner.topics.get(topic) else {
            return;
        };
        let topic: Arc<str> = topic.into();
        let frame = Frame {
            text: frame.into(),
            position: Utf8Bytes::default(),
            of: Some(of),
        };
        for subscription in of_topic.values() {
            if wants(subscription.types.as_deref(), kind) {
                let told = Told::Frame(topic.clone(), frame.clone());
                subscription.listener.push(told);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The listeners of an event's topic, and those of all topics.
    fn subscriptions(&self, event: &Event) -> impl Iterator<Item = &Subscription> {
        let topics = [event.topic.as_str(), ALL].into_iter();
        let found = topics.filter_map(|topic| self.topics.get(topic));
        found.flat_map(HashMap::values)
    }

    /// The single question about all rights that a batch may have ended.
    fn recheck(&self, batch: &[(Event, String)]) -> Arc<Recheck> {
        let mut pairs = HashSet::new();
        for (event, _) in batch {
            let Some(concerned) = event.access_changed() else {
                continue;
            };
            for topic in [event.topic.as_str(), ALL] {
                let Some((topic, of_topic)) = self.topics.get_key_value(topic) else {
                    continue;
                };
                let accounts = of_topic.values().map(|one| one.listener.account);
                let accounts = accounts.filter(|account| concerned.includes(*account));
                pairs.extend(accounts.map(|account| (account, topic.clone())));
            }
        }
        Recheck::of(pairs)
    }

    /// Makes the listeners that an `access.changed` concerns check their rights again.
    fn ask_again(&self, event: &Event, concerned: Concerned, recheck: &Arc<Recheck>) {
        for topic in [event.topic.as_str(), ALL] {
            let Some((topic, of_topic)) = self.topics.get_key_value(topic) else {
                continue;
            };
            for subscription in of_topic.values() {
                if concerned.includes(subscription.listener.account) {
                    let told = Told::Recheck(topic.clone(), recheck.clone());
                    subscription.listener.push(told);
                }
            }
        }
        // On its own topic it also says that blocks have changed, whether or not the account reads that.
        let own = event.topic.strip_prefix("account:");
        let own = own.and_then(|id| Uuid::try_parse(id).ok());
        let listeners = own.and_then(|account| self.accounts.get(&account));
        for listener in listeners.into_iter().flat_map(HashMap::values) {
            listener.push(Told::Blocks);
        }
    }
}

/// The position of a reader that has seen an event of the batch between two snapshots.
pub fn position_within(before: &Seen, until: &Snapshot, number: i64) -> Position {
    Position {
        within: Some(Batch {
            until: until.clone(),
            number,
        }),
        ..before.position()
    }
}

/// Whether a subscription wants events of a type.
pub fn wants(types: Option<&[String]>, kind: &str) -> bool {
    let fits = |wanted: &String| match wanted.strip_suffix('*') {
        Some(prefix) => kind.starts_with(prefix),
        None => wanted == kind,
    };
    types.is_none_or(|types| types.iter().any(fits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_whole_or_end_in_a_star() {
        let types = ["message.*".to_owned(), "job.dead".to_owned()];
        for (kind, wanted) in [
            ("message.created", true),
            ("job.dead", true),
            ("job.deadline", false),
            ("messages", false),
        ] {
            assert_eq!(wants(Some(&types), kind), wanted, "{kind}");
        }
        assert!(wants(None, "anything"));
    }
}
