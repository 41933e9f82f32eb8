//! Typing and presence, which are told to connected accounts, kept nowhere, and end by themselves.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
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
/// The interval at which an account's typing in a channel is told.
const TYPING_EVERY: Duration = Duration::from_secs(2);
/// The time for which an account that reported its presence counts as present.
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
    until: String,
}

/// The presence in a channel, as `GET /api/channels/{id}/presence` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Present {
    account: Uuid,
    state: Presence,
    until: String,
}

/// The accounts that are present in a channel, with the time until which they are.
type Members = HashMap<Uuid, (Instant, Present)>;

/// The typing and presence of all channels.
#[derive(Default)]
pub struct Ephemeral {
    typed: Mutex<HashMap<(Uuid, Uuid), Instant>>,
    present: Mutex<HashMap<String, Members>>,
}

impl Ephemeral {
    /// Tells all gateways that an account types, unless that was told a moment ago.
    pub async fn typing(&self, pool: &PgPool, channel: Uuid, account: Uuid) {
        {
            let mut typed = self.typed.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if typed.len() > MOST_REMEMBERED {
                typed.retain(|_, at| now.duration_since(*at) < TYPING_EVERY);
            }
            let last = typed.insert((channel, account), now);
            if last.is_some_and(|at| now.duration_since(at) < TYPING_EVERY) {
                return;
            }
        }
        let passing = Passing {
            topic: format!("channel:{channel}"),
            kind: "typing".to_owned(),
            channel: Some(channel),
            account,
            state: None,
            until: until(TYPING),
        };
        notify(pool, &passing).await;
    }

    /// Tells all gateways the presence of an account.
    pub async fn presence(
        &self,
        pool: &PgPool,
        topics: &[Arc<str>],
        account: Uuid,
        state: Presence,
    ) {
        for topic in topics {
            let passing = Passing {
                topic: topic.to_string(),
                kind: "presence".to_owned(),
                channel: None,
                account,
                state: Some(state),
                until: until(PRESENT),
            };
            notify(pool, &passing).await;
        }
    }

    /// The accounts that are present in a channel, except those that the reader does not want to see.
    pub fn present(&self, topic: &str, shunned: &HashSet<Uuid>) -> Vec<Present> {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(there) = present.get_mut(topic) else {
            return Vec::new();
        };
        let now = Instant::now();
        there.retain(|_, (end, _)| *end > now);
        let shown = there.values().map(|(_, present)| present);
        shown
            .filter(|present| !shunned.contains(&present.account))
            .cloned()
            .collect()
    }

    fn remember(&self, passing: &Passing) {
        let Some(state) = passing.state else {
            return;
        };
        let mut all = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() > MOST_REMEMBERED {
            let now = Instant::now();
            all.retain(|_, there| there.values().any(|(end, _)| *end > now));
        }
        let there = all.entry(passing.topic.clone()).or_default();
        if state == Presence::Offline {
            there.remove(&passing.account);
            return;
        }
        let present = Present {
            account: passing.account,
            state,
            until: passing.until.clone(),
        };
        there.insert(passing.account, (Instant::now() + PRESENT, present));
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
            let Ok(passing) = serde_json::from_str::<Passing>(told.payload()) else {
                continue;
            };
            self.remember(&passing);
            let frame = serde_json::to_string(&passing)?;
            hub.hand_out_ephemeral(&passing.topic, &passing.kind, passing.account, &frame);
        }
    }
}

async fn notify(pool: &PgPool, passing: &Passing) {
    let Ok(text) = serde_json::to_string(passing) else {
        return;
    };
    let query = sqlx::query_scalar::<_, i32>("select 1 from pg_notify($1, $2)");
    let told = database::all(pool, query.bind(CHANNEL).bind(text)).await;
    if let Err(error) = told {
        tracing::debug!("typing or presence is lost: {error:#}");
    }
}

fn until(lasts: Duration) -> String {
    (OffsetDateTime::now_utc() + lasts)
        .format(&Rfc3339)
        .unwrap_or_default()
}
