//! The request that carries events to an edge.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use outgoing::Outgoing;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use service_token::{EDGE_PUSH, OnBehalf, make};
use tokio::time::timeout;

const MAX_ANSWER_BYTES: usize = 256 << 10;

/// The events of a topic, and whose sockets have to sign in again.
#[derive(Debug, Serialize)]
pub struct Push<'a> {
    pub topic: &'a str,
    /// The position that the edge is to have; `None` if the history from there is lost.
    pub after: Option<&'a str>,
    /// The position that it has with this.
    pub position: &'a str,
    pub events: Vec<Box<RawValue>>,
    /// Accounts and sessions.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub revoke: &'a [String],
}

/// The answer of an edge.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has everything.
    Taken,
    /// It stands elsewhere, or does not know the topic.
    Gap(Option<String>),
}

#[derive(Debug, Deserialize)]
struct Have {
    have: Option<String>,
}

/// The client of edges. Their addresses are others' to name, so only public ones are connected to.
pub struct Callback {
    outgoing: Outgoing,
    key: String,
}

impl Callback {
    /// Makes the client.
    pub fn new(outgoing: Outgoing, key: String) -> Self {
        Self { outgoing, key }
    }

    /// Posts events or revocations to an edge, which has to answer within a time.
    ///
    /// # Errors
    /// The edge can't be reached, or answers something else than the two that it may.
    pub async fn post(&self, address: &str, push: &Push<'_>, within: Duration) -> Result<Answer> {
        let token = make(&self.key, "edge", EDGE_PUSH, &OnBehalf::default())
            .map_err(|error| anyhow::anyhow!("a service token: {error}"))?;
        let request = Request::post(address)
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(Full::new(Bytes::from(serde_json::to_vec(push)?)))?;
        let answered = async {
            let sent = self.outgoing.send(request, within, ()).await;
            let (response, _connection) = sent.map_err(|error| anyhow::anyhow!("{error}"))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES);
            let body = body.collect().await;
            let body = body.map_err(|_| anyhow::anyhow!("its answer broke off"))?;
            anyhow::Ok((status, body.to_bytes()))
        };
        let (status, body) = timeout(within, answered)
            .await
            .context("it does not answer")??;
        match status {
            StatusCode::OK => Ok(Answer::Taken),
            StatusCode::CONFLICT => {
                let Have { have } = serde_json::from_slice(&body).context("its position")?;
                Ok(Answer::Gap(have))
            }
            other => bail!("it answers {other}"),
        }
    }
}
