//! Webhooks of the tests, their receivers, and what is sent to them.

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::{
    Server,
    agents::Agent,
    receiver::{Receiver, Taken},
};
use hmac::{Hmac, Mac};
use host::jobs::{JobTimes, JobWorker};
use serde_json::{Value, json};
use sha2::Sha256;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

pub const LIMIT: Duration = Duration::from_secs(60);

/// The platform, with receivers that its operator vouches for.
pub struct World {
    pub server: Server,
    pub ada: Agent,
    pub hosts: BTreeMap<String, SocketAddr>,
}

impl World {
    pub async fn new(receivers: &[(&str, &Receiver)]) -> Result<Self> {
        let names: Vec<_> = receivers.iter().map(|(name, _)| *name).collect();
        let server = Server::told(&[("webhook_hosts", &names.join(","))]).await?;
        let hosts = receivers
            .iter()
            .map(|(name, receiver)| ((*name).to_owned(), receiver.address));
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        Ok(Self {
            server,
            ada,
            hosts: hosts.collect(),
        })
    }

    pub async fn worker(&self, times: JobTimes) -> Result<JobWorker> {
        self.server.worker_reaching(times, self.hosts.clone()).await
    }

    pub async fn call(&self, method: &str, path: &str, body: Value) -> Result<(u16, Value)> {
        self.ada.send(&self.server, method, path, &body).await
    }

    /// A webhook of the test's own events; its path and its secret.
    pub async fn webhook(&self, url: &str) -> Result<(String, String)> {
        self.webhook_of(&self.ada, url).await
    }

    /// The same, of another account.
    pub async fn webhook_of(&self, owner: &Agent, url: &str) -> Result<(String, String)> {
        let new = json!({ "url": url, "topics": ["account:me"], "types": ["test.*"] });
        let (status, made) = owner
            .send(&self.server, "POST", "/api/webhooks", &new)
            .await?;
        assert_eq!(status, 201, "{made}");
        let id = made["id"].as_str().context("id")?;
        let secret = made["secret"].as_str().context("secret")?;
        Ok((format!("/api/webhooks/{id}"), secret.to_owned()))
    }

    pub async fn emit(&self, number: u64, subject: Option<&str>) -> Result<()> {
        sqlx::query("select events.emit(array[$1], 'test.number', $2, subject => $3)")
            .bind(format!("account:{}", self.ada.id))
            .bind(json!({ "n": number }))
            .bind(subject)
            .execute(&mut self.server.database.connect().await?)
            .await?;
        Ok(())
    }

    /// Waits until one of a webhook's deliveries is so.
    pub async fn until_any(&self, webhook: &str, fits: impl Fn(&Value) -> bool) -> Result<()> {
        let begin = Instant::now();
        loop {
            let deliveries = self.deliveries(webhook).await?;
            if deliveries.iter().any(&fits) {
                return Ok(());
            }
            if begin.elapsed() > LIMIT {
                anyhow::bail!("none is so: {deliveries:#?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn deliveries(&self, webhook: &str) -> Result<Vec<Value>> {
        let (_, page) = self
            .call("GET", &format!("{webhook}/deliveries"), json!({}))
            .await?;
        let items = page["items"].as_array();
        Ok(items.with_context(|| page.to_string())?.clone())
    }

    /// Waits until the newest delivery of a webhook is so.
    pub async fn until(&self, webhook: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        let begin = Instant::now();
        loop {
            let deliveries = self.deliveries(webhook).await?;
            if let Some(newest) = deliveries.first().filter(|newest| fits(newest)) {
                return Ok(newest.clone());
            }
            if begin.elapsed() > LIMIT {
                anyhow::bail!("never so: {deliveries:#?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn notes(&self) -> Result<Vec<Value>> {
        let (_, page) = self
            .call("GET", "/api/inbox?kind=webhook", json!({}))
            .await?;
        let items = page["items"].as_array();
        Ok(items.with_context(|| page.to_string())?.clone())
    }
}

/// Whether one of a request's signatures is that of a secret, as the specification says.
pub fn verifies(taken: &Taken, secret: &str) -> Result<bool> {
    let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_").context("a secret")?)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length");
    let (id, at) = (
        &taken.headers["webhook-id"],
        &taken.headers["webhook-timestamp"],
    );
    mac.update(format!("{id}.{at}.").as_bytes());
    mac.update(&taken.body);
    let tag = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
    let mut signatures = taken.headers["webhook-signature"].split(' ');
    Ok(signatures.any(|signature| signature == tag))
}
