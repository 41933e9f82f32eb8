//! Checks of rights that may have ended, made once for all accounts that a batch of events concerns.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::Result;
use sqlx::postgres::PgPool;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::database;

/// A question for which many sockets wait: which of these accounts may still read which topics.
pub struct Recheck {
    pairs: Vec<(Uuid, Arc<str>)>,
    allowed: OnceCell<HashSet<(Uuid, Arc<str>)>>,
}

impl Recheck {
    /// Makes the question about pairs of an account and a topic.
    pub fn of(pairs: HashSet<(Uuid, Arc<str>)>) -> Arc<Self> {
        Arc::new(Self {
            pairs: pairs.into_iter().collect(),
            allowed: OnceCell::new(),
        })
    }

    /// Whether an account may still read a topic. The first socket asks the database for all of them.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn allows(&self, pool: &PgPool, account: Uuid, topic: &Arc<str>) -> Result<bool> {
        let ask = || self.allowed.get_or_try_init(|| self.ask(pool));
        let allowed = database::insist(ask).await?;
        Ok(allowed.contains(&(account, topic.clone())))
    }

    async fn ask(&self, pool: &PgPool) -> Result<HashSet<(Uuid, Arc<str>)>> {
        let (accounts, topics): (Vec<_>, Vec<_>) = self
            .pairs
            .iter()
            .map(|(account, topic)| (*account, topic.to_string()))
            .unzip();
        let query = sqlx::query_scalar(
            "select events.may_read(p.account, p.topic)
             from unnest($1::uuid[], $2::text[]) with ordinality p(account, topic, n) order by p.n",
        );
        let answers: Vec<bool> = database::all(pool, query.bind(accounts).bind(topics)).await?;
        let allowed = self.pairs.iter().zip(answers);
        Ok(allowed
            .filter(|(_, allowed)| *allowed)
            .map(|(pair, _)| pair.clone())
            .collect())
    }
}
