//! The server's HTTP API for an agent whose token is renewed as needed.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::{
    agent::{self, Access, Client, Common, RequestError},
    secrets,
};

/// The number of attempts at a request that may yet succeed, which last about a minute.
const ATTEMPTS: u32 = 8;
/// The longest wait between two attempts, or that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// An agent at a server, which is cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    client: Client,
    common: Common,
    /// The user's command, for advice.
    command: &'static str,
    access: Mutex<Access>,
}

impl Api {
    /// Signs in.
    pub fn sign_in(mut common: Common, command: &'static str) -> Result<Self> {
        let (client, access) = agent::access(&common, command)?;
        // The name that it calls itself: nobody asks for it again.
        client.server().clone_into(&mut common.server);
        Ok(Self(Arc::new(Inner {
            client,
            common,
            command,
            access: Mutex::new(access),
        })))
    }

    /// The server's address.
    pub fn server(&self) -> &str {
        self.0.client.server()
    }

    /// The credentials that were sent last.
    pub fn access(&self) -> Access {
        self.0
            .access
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Returns a valid access token, which is renewed if the last one has expired.
    pub async fn renewed(&self) -> Result<Access> {
        let api = self.clone();
        spawn_blocking(move || api.renew()).await?
    }

    fn renew(&self) -> Result<Access> {
        let (_, access) = agent::access(&self.0.common, self.0.command)?;
        *self.0.access.lock().unwrap_or_else(PoisonError::into_inner) = access.clone();
        Ok(access)
    }

    /// Sends a GET.
    pub async fn get(&self, path: String) -> Result<Value> {
        self.until_answered(move |client, token| client.get(&path, token))
            .await
    }

    /// Sends a POST that is safe to repeat.
    pub async fn post(&self, path: String, body: Value) -> Result<Value> {
        self.until_answered(move |client, token| client.send(&path, &body, token))
            .await
    }

    /// Repeats a request whose answer was lost, or that the server asks to repeat later.
    async fn until_answered(
        &self,
        ask: impl Fn(&Client, &str) -> Result<Value, RequestError> + Clone + Send + 'static,
    ) -> Result<Value> {
        let mut attempt = 0;
        loop {
            let (api, ask) = (self.clone(), ask.clone());
            let error = match spawn_blocking(move || api.ask(ask)).await? {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            attempt += 1;
            let wanted = error.downcast_ref::<RequestError>();
            let wanted = wanted.and_then(RequestError::retry_after);
            let wait = wanted.unwrap_or_else(|| delay(attempt));
            if attempt == ATTEMPTS || !may_pass(&error) || wait > LONGEST_WAIT {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Sends a request with the present token, and once more with a new one if it has expired.
    fn ask(&self, ask: impl Fn(&Client, &str) -> Result<Value, RequestError>) -> Result<Value> {
        match ask(&self.0.client, &self.access().token) {
            Err(error) if error.status() == Some(401) => {
                let access = self.renew().context("the session has ended")?;
                Ok(ask(&self.0.client, &access.token)?)
            }
            answered => Ok(answered?),
        }
    }
}

/// Whether a failed request may succeed later.
pub fn may_pass(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<RequestError>();
    cause.is_some_and(|cause| match cause.status() {
        Some(status) => status >= 500 || status == 429 || status == 408,
        None => true,
    })
}

/// The time to wait before another attempt, which doubles each time and varies by chance between clients.
pub fn delay(attempt: u32) -> Duration {
    let whole = Duration::from_millis(500 << attempt.min(6)).min(LONGEST_WAIT / 2);
    let chance = f64::from(u16::from_be_bytes(secrets::random::<2>())) / f64::from(u16::MAX);
    whole.mul_f64(0.5 + chance)
}
