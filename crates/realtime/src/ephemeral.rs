//! Typing, presence and what agents are saying, which are told to connected accounts and kept nowhere.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::postgres::{PgListener, PgPool};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::database::{self, ANSWERS_WITHIN};
use crate::frames::Presence;
use crate::hub::Hub;

/// The time for which an account that typed counts as typing.
const TYPING: Duration = Duration::from_secs(6);
/// The interval at which unchanged typing or presence is told again.
pub const TOLD_EVERY: Duration = Duration::from_secs(2);
/// The time for which a socket that reported its presence counts as present.
const PRESENT: Duration = Duration::from_secs(30);
/// The silence after which a listener checks its connection.
const QUIET_FOR: Duration = Duration::from_secs(10);
/// The notifications between gateways.
const CHANNEL: &str = "ephemeral";
/// The largest number of entries that are remembered of an account.
const MOST_REMEMBERED: usize = 100_000;

/// An ephemeral fact about an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Passing {
    topic: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<Uuid>,
    account: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Presence>,
    /// Which of the account's sockets says so. Gateways tell it each other, and nobody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    socket: Option<Uuid>,
    until: String,
}

/// A piece of what an agent says, while it says it. `circles.tell_delta` sends it.
#[derive(Debug, Serialize, Deserialize)]
struct Delta {
    topic: String,
    #[serde(rename = "type")]
    kind: String,
    account: Uuid,
    data: Value,
}

/// What gateways are told.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Notice {
    Delta(Delta),
    Passing(Passing),
}

/// The presence in a channel, as `GET /api/channels/{id}/presence` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Present {
    account: Uuid,
    state: Presence,
    until: String,
}

/// The presence that one socket reported of its account.
struct Said {
    state: Presence,
    end: Instant,
    until: String,
}

/// The sockets at which one account is present.
type Sockets = HashMap<Uuid, Said>;

/// The presence of accounts, by topic and account.
#[derive(Default)]
struct There {
    topics: HashMap<String, HashMap<Uuid, Sockets>>,
    /// The last time at which expired entries were removed.
    cleaned: Option<Instant>,
}

/// The typing and presence of all channels.
#[derive(Default)]
pub struct Ephemeral {
    typed: Mutex<HashMap<(Uuid, Uuid), Instant>>,
    there: Mutex<There>,
}

impl Ephemeral {
    /// Tells all gateways that an account types, unless that was told a moment ago.
    pub async fn typing(&self, pool: &PgPool, channel: Uuid, account: Uuid) {
        {
            let mut typed = self.typed.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if typed.len() > MOST_REMEMBERED {
                typed.retain(|_, at| now.duration_since(*at) < TOLD_EVERY);
            }
            let last = typed.insert((channel, account), now);
            if last.is_some_and(|at| now.duration_since(at) < TOLD_EVERY) {
                return;
            }
        }
        let passing = Passing {
            topic: format!("channel:{channel}"),
            kind: "typing".to_owned(),
            channel: Some(channel),
            account,
            state: None,
            socket: None,
            until: until(TYPING),
        };
        notify(pool, &[passing]).await;
    }

    /// Tells all gateways the presence of an account at one of its sockets.
    pub async fn presence(
        &self,
        pool: &PgPool,
        topics: impl Iterator<Item = &Arc<str>>,
        account: Uuid,
        socket: Uuid,
        state: Presence,
    ) {
        let passing = topics.map(|topic| Passing {
            topic: topic.to_string(),
            kind: "presence".to_owned(),
            channel: None,
            account,
            state: Some(state),
            socket: Some(socket),
            until: until(PRESENT),
        });
        notify(pool, &passing.collect::<Vec<_>>()).await;
    }

    /// The accounts that are present in a channel, except those that the reader does not want to see.
    pub fn present(&self, topic: &str, shunned: &HashSet<Uuid>) -> Vec<Present> {
        let there = self.there.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let accounts = there.topics.get(topic).into_iter().flatten();
        let seen = accounts.filter(|(account, _)| !shunned.contains(*account));
        seen.filter_map(|(account, sockets)| {
            let said = most_present(sockets, now)?;
            Some(Present {
                account: *account,
                state: said.state,
                until: said.until.clone(),
            })
        })
        .collect()
    }

    /// Notes what a socket says, and answers what is so of its account then: one that says that nobody is there does
    /// not hide another one.
    fn remember(&self, mut passing: Passing) -> Passing {
        let (Some(state), Some(socket)) = (passing.state, passing.socket.take()) else {
            return passing;
        };
        let mut there = self.there.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        there.clean(now);
        let topic = there.topics.entry(passing.topic.clone()).or_default();
        let sockets = topic.entry(passing.account).or_default();
        if state == Presence::Offline {
            sockets.remove(&socket);
        } else {
            let said = Said {
                state,
                end: now + PRESENT,
                until: passing.until.clone(),
            };
            sockets.insert(socket, said);
        }
        if let Some(said) = most_present(sockets, now) {
            passing.state = Some(said.state);
            passing.until.clone_from(&said.until);
        }
        passing
    }

    /// Hands out the notifications of all gateways, forever.
    pub async fn follow(self: Arc<Self>, pool: PgPool, hub: Arc<Hub>) {
        loop {
            if let Err(error) = self.follow_until_failure(&pool, &hub).await {
                tracing::warn!("typing and presence can't be followed: {error:#}");
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    async fn follow_until_failure(&self, pool: &PgPool, hub: &Hub) -> Result<()> {
        let listen = async {
            let mut listener = PgListener::connect_with(pool).await?;
            listener.listen(CHANNEL).await?;
            anyhow::Ok(listener)
        };
        let mut listener = timeout(ANSWERS_WITHIN, listen).await??;
        loop {
            let Ok(told) = timeout(QUIET_FOR, listener.recv()).await else {
                // Nobody types, or the line is cut.
                let alive = sqlx::query("select").execute(&mut listener);
                timeout(ANSWERS_WITHIN, alive).await??;
                continue;
            };
            let told = told?;
            let passing = match serde_json::from_str(told.payload()) {
                Ok(Notice::Passing(passing)) => self.remember(passing),
                Ok(Notice::Delta(delta)) => {
                    let frame = serde_json::to_string(&delta)?;
                    hub.hand_out_ephemeral(&delta.topic, &delta.kind, delta.account, &frame);
                    continue;
                }
                Err(_) => continue,
            };
            let frame = serde_json::to_string(&passing)?;
            hub.hand_out_ephemeral(&passing.topic, &passing.kind, passing.account, &frame);
        }
    }
}

impl There {
    /// Forgets what is over, now and then.
    fn clean(&mut self, now: Instant) {
        if self
            .cleaned
            .is_some_and(|at| now.duration_since(at) < PRESENT)
        {
            return;
        }
        self.cleaned = Some(now);
        self.topics.retain(|_, accounts| {
            accounts.retain(|_, sockets| {
                sockets.retain(|_, said| said.end > now);
                !sockets.is_empty()
            });
            !accounts.is_empty()
        });
    }
}

fn most_present(sockets: &Sockets, now: Instant) -> Option<&Said> {
    let lasting = sockets.values().filter(|said| said.end > now);
    lasting.max_by_key(|said| (said.state, said.end))
}

async fn notify(pool: &PgPool, passing: &[Passing]) {
    let texts: Vec<_> = passing
        .iter()
        .filter_map(|passing| serde_json::to_string(passing).ok())
        .collect();
    let query = "select 1 from unnest($2::text[]) t cross join lateral pg_notify($1, t)";
    let query = sqlx::query_scalar::<_, i32>(query)
        .bind(CHANNEL)
        .bind(texts);
    if let Err(error) = database::all(pool, query).await {
        tracing::debug!("typing or presence is lost: {error:#}");
    }
}

fn until(lasts: Duration) -> String {
    (OffsetDateTime::now_utc() + lasts)
        .format(&Rfc3339)
        .unwrap_or_default()
}
