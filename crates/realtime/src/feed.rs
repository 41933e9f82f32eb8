//! What a socket and an event stream have in common: a signed-in reader, its topics, and how both end.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use position::Position;
use sqlx::postgres::PgPool;
use tokio::sync::{broadcast, mpsc};
use uuid::Uuid;

use crate::Gateway;
use crate::database::{self, insist};
use crate::frames::{Close, FromServer};
use crate::hub::{Frame, Listener, Seen, Told, position_within, wants};
use crate::outbox::{Read, now};
use crate::session::{Credential, Ended, Session};

/// Events of one page of history.
const PAGE: i32 = 200;
/// Credentials without an end of their own are looked at so often.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// Where a feed's frames go.
pub trait Out {
    /// Sends one frame. Fails where the reader is gone, or reads too slowly.
    async fn send(&mut self, frame: Frame) -> Result<(), Close>;
}

/// A topic's event types that are asked for; all where `None`.
pub type Types = Option<Arc<[String]>>;

/// Topics that are begun together. A stream's reader keeps one position for all of them, so while it is shown the
/// history of one after the other it is given none, and in the end the one where the first of them was.
struct Beginning<'a> {
    types: Types,
    since: Option<&'a str>,
    left: usize,
    several: bool,
    first: Option<Seen>,
}

/// A signed-in reader.
pub struct Feed {
    pub gateway: Arc<Gateway>,
    pub credential: Credential,
    pub session: Session,
    pub listener: Arc<Listener>,
    pub queue: mpsc::Receiver<Told>,
    pub ended: broadcast::Receiver<Arc<Ended>>,
    topics: HashMap<Arc<str>, Types>,
    /// Whom the account has blocked; not known before its first topic.
    shunned: Option<HashSet<Uuid>>,
    /// The last change of the account that was looked at.
    change: Option<i64>,
}

impl Feed {
    /// A reader without topics.
    pub fn new(gateway: Arc<Gateway>, credential: Credential, session: Session) -> Self {
        let (listener, queue) = gateway.hub.join(session.account);
        Self {
            ended: gateway.ended.subscribe(),
            gateway,
            credential,
            session,
            listener,
            queue,
            topics: HashMap::new(),
            shunned: None,
            change: None,
        }
    }

    /// How long the credential lasts.
    pub fn lasts(&self) -> Duration {
        let Some(end) = self.credential.expires_at() else {
            return FAR;
        };
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Duration::from_secs(end).saturating_sub(now)
    }

    /// Begins to read topics, each after its history since a position.
    pub async fn subscribe(
        &mut self,
        topics: Vec<String>,
        types: Types,
        since: Option<&str>,
        out: &mut impl Out,
    ) -> Result<(), Close> {
        let own = format!("account:{}", self.session.account);
        let named: Vec<String> = topics
            .into_iter()
            .map(|topic| {
                if topic == "account:me" {
                    own.clone()
                } else {
                    topic
                }
            })
            .collect();
        let room = self.gateway.limits.topics.saturating_sub(self.topics.len());
        if named.len() > room {
            return refuse(out, "too-many-topics").await;
        }
        if self.shunned.is_none() {
            self.read_blocks().await?;
        }
        let Ok(readable) = self.readable(&named).await else {
            return refuse(out, "database-unavailable").await;
        };
        let (allowed, denied): (Vec<_>, Vec<_>) = named
            .into_iter()
            .partition(|topic| readable.contains(topic));
        for topic in denied {
            tell(out, &FromServer::Denied { topic: &topic }).await?;
        }
        let mut beginning = Beginning {
            types,
            since,
            left: allowed.len(),
            several: allowed.len() > 1,
            first: None,
        };
        for topic in allowed {
            beginning.left -= 1;
            self.begin(topic.into(), &mut beginning, out).await?;
        }
        Ok(())
    }

    async fn begin(
        &mut self,
        topic: Arc<str>,
        beginning: &mut Beginning<'_>,
        out: &mut impl Out,
    ) -> Result<(), Close> {
        let begun = self
            .gateway
            .hub
            .subscribe(&self.listener, &topic, beginning.types.clone())
            .await;
        let Some(seen) = begun else {
            return refuse(out, "database-unavailable").await;
        };
        self.gateway
            .metrics
            .subscriptions
            .set(self.gateway.hub.subscriptions() as i64);
        self.topics.insert(topic.clone(), beginning.types.clone());
        // From here on the queue tells of rights that end; before, nothing did.
        match self.readable(&[topic.to_string()]).await {
            Ok(readable) if readable.is_empty() => return self.deny(&topic, out).await,
            Ok(_) => {}
            Err(_) => return self.give_up(&topic, out).await,
        }
        beginning.first.get_or_insert_with(|| seen.clone());
        let key = self.gateway.position_key;
        if let Some(since) = beginning.since {
            match self.start_of(since).await {
                Ok(Ok(start)) => self.replay(&topic, beginning, start, &seen, out).await?,
                Ok(Err(oldest)) => {
                    tell(
                        out,
                        &FromServer::Gone {
                            topic: &topic,
                            oldest,
                        },
                    )
                    .await?;
                }
                Err(_) => return self.give_up(&topic, out).await,
            }
        }
        let subscribed = FromServer::Subscribed {
            topic: &topic,
            position: seen.position().seal(&key),
        };
        let first = beginning.first.as_ref().filter(|_| beginning.left == 0);
        let frame = Frame {
            text: subscribed.text().into(),
            position: first
                .map_or_else(Default::default, |first| first.position().seal(&key).into()),
            of: None,
        };
        out.send(frame).await
    }

    /// Where history begins; otherwise the oldest position that is left.
    async fn start_of(&self, since: &str) -> Result<Result<Position, String>> {
        let key = &self.gateway.position_key;
        let (now, _) = now(&self.gateway.pool).await?;
        let position = Position::open(key, since)
            .filter(|position| position.epoch == now.epoch && position.at_ms >= now.kept_since);
        let oldest = || Position {
            epoch: now.epoch,
            at_ms: now.kept_since,
            after: position::Snapshot::before_all(),
            within: None,
        };
        Ok(position.ok_or_else(|| oldest().seal(key)))
    }

    /// Sends what happened between a position and the point where the queue begins.
    async fn replay(
        &mut self,
        topic: &Arc<str>,
        beginning: &Beginning<'_>,
        start: Position,
        seen: &Seen,
        out: &mut impl Out,
    ) -> Result<(), Close> {
        // First the rest of the batch that the reader had begun, then from its end to where the queue begins.
        let mut steps = Vec::new();
        let mut from = start.after;
        if let Some(batch) = start.within {
            steps.push((from, batch.until.clone(), batch.number));
            from = batch.until;
        }
        steps.push((from, seen.snapshot.clone(), -1));
        for (after, until, mut number) in steps {
            loop {
                let query = sqlx::query_scalar::<_, String>(
                    "select events.history($1, $2, $3::text::pg_snapshot, $4::text::pg_snapshot, $5, $6)::text",
                )
                .bind(&**topic)
                .bind(self.session.account)
                .bind(after.to_string())
                .bind(until.to_string())
                .bind(number)
                .bind(PAGE);
                let page = database::one(&self.gateway.pool, query).await;
                let Ok((_, _, events)) = page.and_then(|json| Read::parse(&json)) else {
                    return self.give_up(topic, out).await;
                };
                let full = events.len() == PAGE as usize;
                number = events.last().map_or(number, |last| last.number);
                for event in events {
                    if event.kind != "access.changed"
                        && wants(beginning.types.as_deref(), &event.kind)
                    {
                        let position = position_within(&seen.at(&after), &until, event.number);
                        let mut frame = event.frame(&position.seal(&self.gateway.position_key));
                        if beginning.several {
                            frame.position = Default::default();
                        }
                        out.send(frame).await?;
                    }
                }
                if !full {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Ends a subscription that could not be begun.
    async fn give_up(&mut self, topic: &Arc<str>, out: &mut impl Out) -> Result<(), Close> {
        self.unsubscribe(topic);
        refuse(out, "database-unavailable").await
    }

    /// Reads a topic no more.
    pub fn unsubscribe(&mut self, topic: &str) {
        self.gateway.hub.unsubscribe(&self.listener, topic);
        self.topics.remove(topic);
    }

    /// Whether the reader reads a topic, and so may.
    pub fn reads(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// The topics that are read.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.topics.keys()
    }

    /// Sends what the queue gave.
    pub async fn pass_on(&mut self, told: Told, out: &mut impl Out) -> Result<(), Close> {
        self.listener.taken(&told);
        match told {
            // It waited in the queue while the right to its topic ended.
            Told::Frame(topic, _) if !self.reads(&topic) && !self.reads("all:all") => Ok(()),
            Told::Frame(_, frame) if frame.of.is_some_and(|of| self.shuns(of)) => Ok(()),
            Told::Frame(_, frame) => out.send(frame).await,
            Told::Recheck(topic, recheck) => {
                let account = self.session.account;
                match recheck.allows(&self.gateway.pool, account, &topic).await {
                    Ok(false) if self.reads(&topic) => self.deny(&topic, out).await,
                    Ok(_) => Ok(()),
                    Err(_) => Err(Close::Unavailable),
                }
            }
            Told::Blocks => self.read_blocks().await,
        }
    }

    /// Looks at what was revoked: ends the feed, or the subscriptions to which the account has no right any more.
    pub async fn look_at(&mut self, ended: &Ended, out: &mut impl Out) -> Result<(), Close> {
        if ended.ends(&self.session) {
            return Err(Close::NotSignedIn);
        }
        let change = ended.change_of(&self.session);
        if change.is_none() || change == self.change {
            return Ok(());
        }
        match self.gateway.functions.session(&self.credential).await {
            Ok(Some(session)) if session.account == self.session.account => {
                self.change = change;
                let all = self.topics.keys().map(ToString::to_string).collect();
                self.recheck(all, out).await
            }
            Ok(_) => Err(Close::NotSignedIn),
            // It is looked at again with the next news.
            Err(_) => Ok(()),
        }
    }

    /// Ends the subscriptions that the account has no right to. Until the database says which those are, nothing more
    /// is told; and nobody is told to have lost a right because the database was gone.
    async fn recheck(&mut self, topics: Vec<String>, out: &mut impl Out) -> Result<(), Close> {
        let readable = insist(|| self.readable(&topics)).await;
        let readable = readable.map_err(|_| Close::Unavailable)?;
        for topic in topics {
            if self.reads(&topic) && !readable.contains(&topic) {
                self.deny(&topic, out).await?;
            }
        }
        Ok(())
    }

    async fn deny(&mut self, topic: &str, out: &mut impl Out) -> Result<(), Close> {
        self.unsubscribe(topic);
        tell(out, &FromServer::Denied { topic }).await
    }

    async fn readable(&self, topics: &[String]) -> Result<Vec<String>> {
        let query = sqlx::query_scalar("select t from events.readable($1, $2) t");
        let query = query.bind(self.session.account).bind(topics);
        database::all(&self.gateway.pool, query).await
    }

    /// Finds out whose words and doing the reader does not want to see.
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

/// The accounts that an account has blocked or muted.
pub async fn shunned(pool: &PgPool, account: Uuid) -> Result<HashSet<Uuid>> {
    let query = sqlx::query_scalar("select events.shunned($1)").bind(account);
    let shunned: Vec<Uuid> = database::one(pool, query).await?;
    Ok(shunned.into_iter().collect())
}

impl Drop for Feed {
    fn drop(&mut self) {
        for topic in self.topics.keys() {
            self.gateway.hub.unsubscribe(&self.listener, topic);
        }
        self.gateway.hub.leave(&self.listener);
        self.gateway
            .metrics
            .subscriptions
            .set(self.gateway.hub.subscriptions() as i64);
        self.gateway.leave(self.session.account);
    }
}

/// Sends a frame of the gateway's own.
pub async fn tell(out: &mut impl Out, frame: &FromServer<'_>) -> Result<(), Close> {
    let frame = Frame {
        text: frame.text().into(),
        position: Default::default(),
        of: None,
    };
    out.send(frame).await
}

/// Refuses what a frame asked for.
pub async fn refuse(out: &mut impl Out, code: &str) -> Result<(), Close> {
    let frame = FromServer::Error {
        code,
        detail: None,
        reference: None,
    };
    tell(out, &frame).await
}
