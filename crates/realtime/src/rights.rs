//! Checks of rights that may have ended, made once for all accounts that a batch of events concerns.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::Result;
use sqlx::postgres::PgPool;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::database;
use crate::session::Session;

/// A question for which many sockets wait: which of these accounts may still read which topics.
pub struct Recheck {
    pairs: Vec<(Uuid, Arc<str>)>,
    rights: OnceCell<HashMap<(Uuid, Arc<str>), Right>>,
}

/// The right by which an account may read a topic.
#[derive(Clone, Copy, PartialEq)]
enum Right {
    Own,
    /// Only administrators have it, with credentials that administer.
    Admin,
}

impl Recheck {
    /// Makes the question about pairs of an account and a topic.
    pub fn of(pairs: HashSet<(Uuid, Arc<str>)>) -> Arc<Self> {
        Arc::new(Self {
            pairs: pairs.into_iter().collect(),
            rights: OnceCell::new(),
        })
    }

    /// Whether a session may still read a topic. The first socket asks the database for all of them.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn allows(&self, pool: &PgPool, session: &Session, topic: &Arc<str>) -> Result<bool> {
        let ask = || self.rights.get_or_try_init(|| self.ask(pool));
        let rights = database::insist(ask).await?;
        let right = rights.get(&(session.account, topic.clone()));
        Ok(right.is_some_and(|right| *right == Right::Own || session.administers()))
    }

    async fn ask(&self, pool: &PgPool) -> Result<HashMap<(Uuid, Arc<str>), Right>> {
        let (accounts, topics): (Vec<_>, Vec<_>) = self
            .pairs
            .iter()
            .map(|(account, topic)| (*account, topic.to_string()))
            .unzip();
        let query = sqlx::query_scalar(
            "select events.right_to(p.account, p.topic)
             from unnest($1::uuid[], $2::text[]) with ordinality p(account, topic, n) order by p.n",
        );
        let answers: Vec<Option<String>> =
            database::all(pool, query.bind(accounts).bind(topics)).await?;
        let answered = self.pairs.iter().cloned().zip(answers);
        Ok(answered
            .filter_map(|(pair, right)| {
                let own = right? == "own";
                Some((pair, if own { Right::Own } else { Right::Admin }))
            })
            .collect())
    }
}
