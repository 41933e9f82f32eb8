//! What a socket and an event stream have in common: a signed-in reader, its topics, and how both end.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use position::{Position, Snapshot};
use sqlx::postgres::PgPool;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::database::{self, insist};
use crate::ephemeral::TOLD_EVERY;
use crate::frames::{Close, FromServer, Presence};
use crate::hub::{Frame, Listener, Seen, Told, position_within, wants};
use crate::outbox::{Read, now};
use crate::session::{Ended, Session, Visitor};
use crate::{Gateway, stopping};

/// The largest number of events on a page of history.
const PAGE: i32 = 200;
/// The interval at which credentials without an expiry are checked.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// The sink of a feed's frames.
pub trait Out {
    /// Sends a frame. Fails if the reader is gone, or reads too slowly.
    async fn send(&mut self, frame: Frame) -> Result<(), Close>;
}

/// The types of events that are wanted of a topic; `None` is all.
pub type Types = Option<Arc<[String]>>;

/// Where a reader's history begins.
enum Start {
    /// It has none: the reader asks only for what comes.
    Here,
    /// After a position.
    After(Position),
    /// The position is not kept any more; this is the oldest one that is.
    Gone(String),
}

/// A signed-in reader.
pub struct Feed {
    pub gateway: Arc<Gateway>,
    pub visitor: Visitor,
    pub session: Session,
    pub listener: Arc<Listener>,
    pub queue: mpsc::Receiver<Told>,
    pub ended: broadcast::Receiver<Arc<Ended>>,
    topics: HashSet<Arc<str>>,
    /// The accounts that the account has blocked; `None` before its first topic.
    shunned: Option<HashSet<Uuid>>,
    /// The last change of the account that was checked.
    change: Option<i64>,
    /// The reader's id among the sockets of its account.
    id: Uuid,
    /// The presence that was last told, the time, and the channels.
    presence: Option<(Presence, Instant, HashSet<Arc<str>>)>,
}

impl Feed {
    /// Makes a reader without topics.
    pub fn new(gateway: Arc<Gateway>, visitor: Visitor, session: Session) -> Self {
        let (listener, queue) = gateway.hub.join(session.account);
        Self {
            ended: gateway.ended.subscribe(),
            gateway,
            visitor,
            session,
            listener,
            queue,
            topics: HashSet::new(),
            shunned: None,
            change: None,
            id: Uuid::now_v7(),
            presence: None,
        }
    }

    /// The time until the credential expires.
    pub fn lasts(&self) -> Duration {
        let Some(end) = self.visitor.credential.expires_at() else {
            return FAR;
        };
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Duration::from_secs(end).saturating_sub(now)
    }

    /// Waits until a replay has to end before its time, since a slow reader may draw it out for hours: the credential or
    /// a right to the topics has ended, or the gateway stops.
    async fn ends(&self, topics: &[Arc<str>]) -> Close {
        let mut ended = self.gateway.ended.subscribe();
        let mut stop = self.gateway.stop.subscribe();
        let mut change = self.change;
        loop {
            let news = tokio::select! {
                news = ended.recv() => news,
                () = sleep(self.lasts()) => return Close::NotSignedIn,
                () = stopping(&mut stop) => return Close::GoingAway,
            };
            let changed = match &news {
                Ok(news) if news.ends(&self.session) => return Close::NotSignedIn,
                Ok(news) => news.change_of(&self.session),
                Err(_) => None,
            };
            if news.is_ok() && (changed.is_none() || changed == change) {
                continue;
            }
            match self.gateway.functions.session(&self.visitor).await {
                Ok(Some(session)) if session.account == self.session.account => change = changed,
                Ok(_) => return Close::NotSignedIn,
                Err(_) => return Close::Unavailable,
            }
            match self.readable(topics).await {
                Ok(readable) if topics.iter().all(|topic| readable.contains(&**topic)) => {}
                // It comes back, and is told what it may still read.
                Ok(_) => return Close::GoingAway,
                Err(_) => return Close::Unavailable,
            }
        }
    }

    /// Begins to read topics, after their history since a position.
    pub async fn subscribe(
        &mut self,
        topics: Vec<String>,
        types: Types,
        since: Option<&str>,
        out: &mut impl Out,
    ) -> Result<(), Close> {
        let room = self.gateway.limits.topics.saturating_sub(self.topics.len());
        if topics.len() > room {
            return refuse(out, "too-many-topics").await;
        }
        let mut topics: Vec<_> = topics.iter().map(|topic| self.named(topic)).collect();
        // PostgreSQL can't be asked for what has a zero character.
        for topic in topics.extract_if(.., |topic| topic.contains('\0')) {
            self.deny(&topic, out).await?;
        }
        if self.shunned.is_none() {
            self.read_blocks().await?;
        }
        // A right that ends is told by the queue, so it is asked for when the queue has begun.
        let Some(seen) = self.join(&topics, types.as_ref()).await else {
            return refuse(out, "database-unavailable").await;
        };
        let (readable, start) = match tokio::try_join!(self.readable(&topics), self.start_of(since))
        {
            Ok(answers) => answers,
            Err(_) => return self.give_up(&topics, out).await,
        };
        for topic in topics.extract_if(.., |topic| !readable.contains(&**topic)) {
            self.deny(&topic, out).await?;
        }
        match start {
            Start::Here => {}
            Start::After(position) => {
                let types = types.as_deref();
                let replayed = tokio::select! {
                    replayed = self.replay(&topics, types, position, &seen, out) => replayed?,
                    why = self.ends(&topics) => return Err(why),
                };
                if !replayed {
                    return self.give_up(&topics, out).await;
                }
            }
            Start::Gone(oldest) => {
                for topic in &topics {
                    let oldest = oldest.clone();
                    tell(out, &FromServer::Gone { topic, oldest }).await?;
                }
            }
        }
        self.tell_subscribed(&topics, &seen, out).await
    }

    /// Has the queue begin for topics, all at one point.
    async fn join(&mut self, topics: &[Arc<str>], types: Option<&Arc<[String]>>) -> Option<Seen> {
        let hub = &self.gateway.hub;
        let seen = hub.subscribe(&self.listener, topics, types).await?;
        self.topics.extend(topics.iter().cloned());
        self.count();
        Some(seen)
    }

    async fn tell_subscribed(
        &self,
        topics: &[Arc<str>],
        seen: &Seen,
        out: &mut impl Out,
    ) -> Result<(), Close> {
        let position = seen.position().seal(&self.gateway.position_key);
        for topic in topics {
            let subscribed = FromServer::Subscribed {
                topic,
                position: position.clone(),
            };
            let frame = Frame {
                text: subscribed.text().into(),
                position: position.as_str().into(),
                of: None,
            };
            out.send(frame).await?;
        }
        Ok(())
    }

    /// Where history begins.
    async fn start_of(&self, since: Option<&str>) -> Result<Start> {
        let Some(since) = since else {
            return Ok(Start::Here);
        };
        let key = &self.gateway.position_key;
        let (now, _) = now(&self.gateway.pool).await?;
        let position = Position::open(key, since)
            .filter(|position| position.epoch == now.epoch && position.at_ms >= now.kept_since);
        let oldest = || Position {
            epoch: now.epoch,
            at_ms: now.kept_since,
            after: Snapshot::before_all(),
            within: None,
        };
        Ok(match position {
            Some(position) => Start::After(position),
            None => Start::Gone(oldest().seal(key)),
        })
    }

    /// Sends what happened between a position and the point where the queue begins. `false` if the database did not
    /// tell all of it.
    async fn replay(
        &self,
        topics: &[Arc<str>],
        types: Option<&[String]>,
        start: Position,
        seen: &Seen,
        out: &mut impl Out,
    ) -> Result<bool, Close> {
        // First the rest of the batch that the reader had begun, then from its end to where the queue begins.
        let mut steps = Vec::new();
        let mut from = start.after;
        if let Some(batch) = start.within {
            steps.push((from, batch.until.clone(), batch.number));
            from = batch.until;
        }
        steps.push((from, seen.snapshot.clone(), -1));
        let key = &self.gateway.position_key;
        for (after, until, mut number) in steps {
            loop {
                let Ok(page) = self.page(topics, &after, &until, number).await else {
                    return Ok(false);
                };
                number = page.events.last().map_or(number, |last| last.number);
                for event in page.events {
                    if event.access_changed().is_none() && wants(types, &event.kind) {
                        let position = position_within(&seen.at(&after), &until, event.number);
                        out.send(event.frame(&position.seal(key))).await?;
                    }
                }
                if !page.more {
                    break;
                }
            }
        }
        Ok(true)
    }

    /// The events of topics between two snapshots after a number, one page of them.
    async fn page(
        &self,
        topics: &[Arc<str>],
        after: &Snapshot,
        until: &Snapshot,
        number: i64,
    ) -> Result<Read> {
        let query = sqlx::query_scalar::<_, String>(
            "select events.history($1, $2, $3::text::pg_snapshot, $4::text::pg_snapshot, $5, $6)::text",
        )
        .bind(names(topics))
        .bind(self.session.account)
        .bind(after.to_string())
        .bind(until.to_string())
        .bind(number)
        .bind(PAGE);
        let json = database::one(&self.gateway.pool, query).await?;
        Read::parse(&json)
    }

    /// Ends subscriptions that could not be begun.
    async fn give_up(&mut self, topics: &[Arc<str>], out: &mut impl Out) -> Result<(), Close> {
        topics.iter().for_each(|topic| self.unsubscribe(topic));
        refuse(out, "database-unavailable").await
    }

    /// The full name of a topic: a client may say `account:me`.
    pub fn named(&self, topic: &str) -> Arc<str> {
        match topic {
            "account:me" => format!("account:{}", self.session.account).into(),
            topic => topic.into(),
        }
    }

    /// Stops reading a topic.
    pub fn unsubscribe(&mut self, topic: &str) {
        self.gateway.hub.unsubscribe(&self.listener, topic);
        self.topics.remove(topic);
        self.count();
    }

    fn count(&self) {
        let subscriptions = self.gateway.hub.subscriptions() as i64;
        self.gateway.metrics.subscriptions.set(subscriptions);
    }

    /// Whether the reader reads a topic, and therefore may.
    pub fn reads(&self, topic: &str) -> bool {
        self.topics.contains(topic)
    }

    /// Tells the reader's presence in the channels that it reads, unless the same was told there a moment ago.
    pub async fn say_presence(&mut self, state: Presence) {
        let channels = self
            .topics
            .iter()
            .filter(|topic| topic.starts_with("channel:"));
        let channels: HashSet<_> = channels.cloned().collect();
        let now = Instant::now();
        if let Some((told, at, of)) = &self.presence
            && *told == state
            && now.duration_since(*at) < TOLD_EVERY
            && *of == channels
        {
            return;
        }
        let (pool, account) = (&self.gateway.pool, self.session.account);
        let ephemeral = &self.gateway.ephemeral;
        ephemeral
            .presence(pool, channels.iter(), account, self.id, state)
            .await;
        self.presence = Some((state, now, channels));
    }

    /// Sends the items of the queue.
    pub async fn pass_on(&mut self, told: Told, out: &mut impl Out) -> Result<(), Close> {
        self.listener.taken(&told);
        match told {
            // It waited in the queue while the right to its topic ended.
            Told::Frame(topic, _) if !self.reads(&topic) && !self.reads("all:all") => Ok(()),
            Told::Frame(_, frame) if frame.of.is_some_and(|of| self.shuns(of)) => Ok(()),
            Told::Frame(_, frame) => out.send(frame).await,
            Told::Recheck(topic, recheck) => {
                let pool = &self.gateway.pool;
                match recheck.allows(pool, &self.session, &topic).await {
                    Ok(false) if self.reads(&topic) => self.deny(&topic, out).await,
                    Ok(_) => Ok(()),
                    Err(_) => Err(Close::Unavailable),
                }
            }
            Told::Blocks => self.read_blocks().await,
        }
    }

    /// Checks revocations: ends the feed, or the subscriptions to which the account has no right any more.
    pub async fn look_at(
        &mut self,
        ended: Result<Arc<Ended>, RecvError>,
        out: &mut impl Out,
    ) -> Result<(), Close> {
        // Of news that were missed only the functions know what they were.
        let change = match &ended {
            Ok(ended) if ended.ends(&self.session) => return Err(Close::NotSignedIn),
            Ok(ended) => match ended.change_of(&self.session) {
                Some(change) if Some(change) != self.change => Some(change),
                _ => return Ok(()),
            },
            Err(_) => self.change,
        };
        match self.gateway.functions.session(&self.visitor).await {
            Ok(Some(session)) if session.account == self.session.account => {
                self.change = change;
                self.go_on_as(session, out).await
            }
            Ok(_) => Err(Close::NotSignedIn),
            Err(_) if ended.is_err() => Err(Close::Unavailable),
            // It is looked at again with the next news.
            Err(_) => Ok(()),
        }
    }

    /// Goes on as a session of the same account, which may have fewer rights than the one before.
    pub async fn go_on_as(&mut self, session: Session, out: &mut impl Out) -> Result<(), Close> {
        self.session = session;
        let all: Vec<_> = self.topics.iter().cloned().collect();
        self.recheck(&all, out).await
    }

    /// Ends the subscriptions that the account has no right to. Until the database says which those are, nothing more
    /// is told; and nobody is told to have lost a right because the database was gone.
    async fn recheck(&mut self, topics: &[Arc<str>], out: &mut impl Out) -> Result<(), Close> {
        let readable = insist(|| self.readable(topics)).await;
        let readable = readable.map_err(|_| Close::Unavailable)?;
        for topic in topics {
            if self.reads(topic) && !readable.contains(&**topic) {
                self.deny(topic, out).await?;
            }
        }
        Ok(())
    }

    async fn deny(&mut self, topic: &str, out: &mut impl Out) -> Result<(), Close> {
        self.unsubscribe(topic);
        tell(out, &FromServer::Denied { topic }).await
    }

    async fn readable(&self, topics: &[Arc<str>]) -> Result<HashSet<String>> {
        let query = sqlx::query_scalar("select t from events.readable($1, $2, $3) t");
        let query = query
            .bind(self.session.account)
            .bind(names(topics))
            .bind(self.session.administers());
        let readable = database::all(&self.gateway.pool, query).await?;
        Ok(readable.into_iter().collect())
    }

    /// Loads the accounts whose words and actions the reader does not want to see.
    async fn read_blocks(&mut self) -> Result<(), Close> {
        let shunned = insist(|| shunned(&self.gateway.pool, self.session.account)).await;
        self.shunned = Some(shunned.map_err(|_| Close::Unavailable)?);
        Ok(())
    }

    fn shuns(&self, account: Uuid) -> bool {
        let shunned = self.shunned.as_ref();
        shunned.is_some_and(|shunned| shunned.contains(&account))
    }
}

/// The names of topics, as the database takes them.
fn names(topics: &[Arc<str>]) -> Vec<&str> {
    topics.iter().map(|topic| &**topic).collect()
}

/// The accounts that an account has blocked or muted.
pub async fn shunned(pool: &PgPool, account: Uuid) -> Result<HashSet<Uuid>> {
    let query = sqlx::query_scalar("select events.shunned($1)").bind(account);
    let shunned: Vec<Uuid> = database::one(pool, query).await?;
    Ok(shunned.into_iter().collect())
}

impl Drop for Feed {
    fn drop(&mut self) {
        for topic in self.topics.iter() {
            self.gateway.hub.unsubscribe(&self.listener, topic);
        }
        self.gateway.hub.leave(&self.listener);
        self.count();
        self.gateway.leave(self.session.account);
    }
}

/// Sends a frame of the gateway.
pub async fn tell(out: &mut impl Out, frame: &FromServer<'_>) -> Result<(), Close> {
    let frame = Frame {
        text: frame.text().into(),
        position: Default::default(),
        of: None,
    };
    out.send(frame).await
}

/// Refuses the request of a frame.
pub async fn refuse(out: &mut impl Out, code: &str) -> Result<(), Close> {
    let frame = FromServer::Error {
        code,
        detail: None,
        reference: None,
    };
    tell(out, &frame).await
}
