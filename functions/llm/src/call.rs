//! A call under way: its attempts, in the order of its targets, and its end in the ledger.

use std::time::{Duration, Instant};

use axum::body::Body;
use futures::channel::oneshot;
use guest::SECRET_VERSION;
use guest::task::{Ticker, Waited, sleep};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::egress::{self, Sent};
use crate::fault::{Fault, Repeat};
use crate::ledger::{Ledger, Plan, Target};
use crate::outlet::Outlet;
use crate::request::Request;
use crate::tokens::Usage;

/// The way out is more patient than this function, which tells silence from a connection that broke.
const MARGIN: Duration = Duration::from_secs(15);
/// The pauses after attempts to settle a call.
const SETTLED_AFTER: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::ZERO,
];
/// How often the clocks are looked at.
pub const TICK: Duration = Duration::from_secs(1);
/// The most attempts of a call.
const MAX_ATTEMPTS: usize = 3;
/// The longest wait before a target is asked again.
const PATIENCE: Duration = Duration::from_secs(8);
/// The wait before a target is asked again that does not say when; it doubles.
const PAUSE: Duration = Duration::from_millis(400);
/// How often the ledger is told that the call is under way.
const NOTE_EVERY: Duration = Duration::from_secs(10);
/// The longest answer that is kept for a repeated request, or captured.
const MAX_KEPT_BYTES: usize = 1 << 20;

/// The answer to the client, or its beginning.
pub enum Head {
    Whole { headers: HeaderMap, body: Vec<u8> },
    Stream { headers: HeaderMap, body: Body },
    Failed { headers: HeaderMap, fault: Fault },
}

/// The reason why an attempt ends without an answer.
pub enum Stop {
    /// The client left.
    Gone,
    /// Somebody else has settled the call.
    Settled,
    Fault(Fault),
    /// The answer is complete, and its provider does not end it.
    Late,
    /// A budget has nothing left.
    Cut,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// How far the attempt under way has come.
pub struct Progress {
    pub began: Instant,
    /// The last time that the provider said something.
    pub last_said: Instant,
    /// The tokens of output so far.
    pub said: u64,
    noted_said: u64,
    noted: Instant,
    /// The time at which the answer was complete.
    pub finished: Option<Instant>,
}

/// A call under way.
pub struct Call {
    pub ledger: Ledger,
    pub plan: Box<Plan>,
    pub request: Request,
    pub account: Uuid,
    /// Whether the client wants the answer kept.
    pub is_repeatable: bool,
    began: Instant,
    pub progress: Progress,
    attempts: Vec<Value>,
    /// The index of the target that is asked.
    at: usize,
    /// The time of waiting for the provider.
    waited: Duration,
    pub first_token: Option<Duration>,
    /// The output for which money is reserved.
    pub reserved: u64,
    digest: Sha256,
    kept: Option<Vec<u8>>,
    secret_version: Option<u32>,
}

impl Call {
    pub fn new(
        ledger: Ledger,
        plan: Box<Plan>,
        request: Request,
        account: Uuid,
        is_repeatable: bool,
        began: Instant,
    ) -> Self {
        let keeps = is_repeatable || plan.capture;
        Self {
            ledger,
            reserved: plan.granted,
            plan,
            request,
            account,
            is_repeatable,
            began,
            progress: Progress::begin(),
            attempts: Vec::new(),
            at: 0,
            waited: Duration::ZERO,
            first_token: None,
            digest: Sha256::new(),
            kept: keeps.then(Vec::new),
            secret_version: None,
        }
    }

    /// Runs the call to its end, whatever becomes of the client.
    pub async fn run(self, head: oneshot::Sender<Head>) {
        if self.request.stream {
            crate::stream::run(self, head).await;
        } else {
            crate::whole::run(self, head).await;
        }
    }

    /// The target that is asked.
    pub fn target(&self) -> &Target {
        &self.plan.targets[self.at]
    }

    /// The number of the attempt, from 1.
    fn attempt(&self) -> usize {
        self.attempts.len() + 1
    }

    /// The headers by which an answer names its call.
    pub fn headers(&self, attempts: usize) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut add = |name, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        };
        add("gather-call", self.plan.call.to_string());
        add("gather-model", self.target().name());
        add("gather-attempts", attempts.max(1).to_string());
        add("gather-cache", "none".to_owned());
        if self.plan.clamped {
            add("gather-clamped", self.plan.granted.to_string());
        }
        headers
    }

    /// The headers while an attempt is under way.
    pub fn present_headers(&self) -> HeaderMap {
        self.headers(self.attempt())
    }

    /// Begins an attempt: makes its request.
    ///
    /// # Errors
    /// The target can't do what is asked.
    pub fn begin_attempt(&mut self) -> Result<Sent, Stop> {
        self.progress = Progress::begin();
        let target = self.target().clone();
        let path = self.request.route.path_at(target.protocol);
        let path = path.ok_or_else(|| Fault::unsupported(self.request.route.name()))?;
        let body = self.request.body_for(&target, &self.plan)?;
        let mut headers = self.request.headers.clone();
        if target.protocol == crate::protocol::Protocol::Anthropic
            && !headers.iter().any(|(name, _)| *name == "anthropic-version")
        {
            headers.push(("anthropic-version", "2023-06-01".to_owned()));
        }
        Ok(Sent {
            method: Method::POST,
            address: egress::address_of(&target, path),
            secret: target.secret_id,
            environment: target.environment,
            key_header: target.protocol.key_header(),
            account: self.account,
            attempt: Some(format!("{}.{}", self.plan.call, self.attempt())),
            headers,
            body: body.into(),
            total: target.total().min(target.silence()),
            idle: target.silence() + MARGIN,
            whole: target.total() + MARGIN,
        })
    }

    /// Takes from the head of an answer which version of the secret was used.
    pub fn answered(&mut self, headers: &HeaderMap) {
        let version = headers
            .get(SECRET_VERSION)
            .and_then(|version| version.to_str().ok());
        self.secret_version = version.and_then(|version| version.parse().ok());
    }

    /// Waits for something of the provider, and looks at the clocks meanwhile.
    pub async fn wait<T>(
        &mut self,
        ticker: &mut Ticker,
        outlet: &mut Outlet,
        waiting: impl Future<Output = T>,
    ) -> Result<T, Stop> {
        let mut waiting = std::pin::pin!(waiting);
        let began = Instant::now();
        let waited = loop {
            match ticker.beside(waiting.as_mut()).await {
                Waited::Ready(ready) => break Ok(ready),
                Waited::Tick => match self.tick(outlet).await {
                    Ok(()) => {}
                    Err(stop) => break Err(stop),
                },
            }
        };
        self.waited += began.elapsed();
        waited
    }

    async fn tick(&mut self, outlet: &mut Outlet) -> Result<(), Stop> {
        self.look_at(outlet).await?;
        let progress = &self.progress;
        if progress
            .finished
            .is_some_and(|at| at.elapsed() > Duration::from_secs(5))
        {
            return Err(Stop::Late);
        }
        if progress.began.elapsed() > self.target().total()
            || progress.last_said.elapsed() > self.target().silence()
        {
            return Err(Fault::silent().into());
        }
        let pauses =
            progress.said > progress.noted_said && progress.last_said.elapsed() >= TICK / 2;
        if pauses || progress.noted.elapsed() > NOTE_EVERY {
            self.note(self.progress.said, 0).await?;
        }
        Ok(())
    }

    /// Looks whether the client is there still, and lets it hear something from time to time.
    async fn look_at(&self, outlet: &mut Outlet) -> Result<(), Stop> {
        if outlet.is_gone() {
            return Err(Stop::Gone);
        }
        if self.request.stream && outlet.is_silent() && !outlet.ping(self.present_headers()).await {
            return Err(Stop::Gone);
        }
        Ok(())
    }

    /// Tells the ledger how far the call is, and reserves for more output if it may. Answers the output that is reserved;
    /// `None` if the ledger can't be told at the moment.
    pub async fn note(&mut self, said: u64, wanted: u64) -> Result<Option<u64>, Stop> {
        let target = self.target().clone();
        let noted = self
            .ledger
            .note(self.plan.call, self.attempt(), &target, said, wanted)
            .await;
        self.progress.noted = Instant::now();
        self.progress.noted_said = said;
        match noted {
            Ok(Some(granted)) => Ok(Some(granted)),
            Ok(None) => Err(Stop::Settled),
            // The lease lasts for a few notes.
            Err(_) => Ok(None),
        }
    }

    /// Records a failed attempt. Answers how long to wait before the next one; `None` if there is none.
    pub async fn after(&mut self, fault: &Fault) -> Option<Duration> {
        let target = self.target().clone();
        self.record(Some(fault));
        self.ledger.blame(&target, fault).await;
        let most = MAX_ATTEMPTS.min(self.plan.retries + 1);
        let may_repeat = match fault.repeat {
            Repeat::Never => return None,
            Repeat::Uncertain if !self.plan.retry_uncertain => return None,
            Repeat::Uncertain | Repeat::Anywhere => true,
            Repeat::Elsewhere => false,
        };
        if self.attempts.len() >= most {
            return None;
        }
        if self.at + 1 < self.plan.targets.len() {
            self.at += 1;
            return Some(Duration::ZERO);
        }
        let doubled = PAUSE * 2_u32.pow(u32::try_from(self.attempts.len() - 1).unwrap_or_default());
        let pause = fault.retry_after_ms.map_or(doubled, Duration::from_millis);
        (may_repeat && pause <= PATIENCE).then_some(pause)
    }

    /// Records an attempt in the ledger's words.
    pub fn record(&mut self, fault: Option<&Fault>) {
        let target = self.target();
        let attempt = json!({
            "provider": target.provider, "model": target.model,
            "status": fault.map_or("succeeded", |fault| fault.code),
            "error": fault.map(|fault| fault.detail.chars().take(300).collect::<String>()),
            "duration_ms": milliseconds(self.progress.began.elapsed()),
        });
        self.attempts.push(attempt);
    }

    /// Adds to the answer's digest, and to what is kept of it.
    pub fn passed_on(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        if let Some(kept) = &mut self.kept {
            if kept.len() + bytes.len() <= MAX_KEPT_BYTES {
                kept.extend_from_slice(bytes);
            } else {
                self.kept = None;
            }
        }
    }

    /// Ends the call in the ledger. A failure is logged; whoever meets the lapsed lease ends it then.
    pub async fn settle(
        &mut self,
        status: &str,
        usage: &Usage,
        estimated: bool,
        fault: Option<&Fault>,
    ) {
        let target = self.target();
        let duration = self.began.elapsed();
        let mut told = json!({
            "status": status, "provider_id": target.provider_id, "provider": target.provider, "model": target.model,
            "price": target.price, "attempts": self.attempts, "input": usage.input, "cached": usage.cached,
            "written": usage.written, "output": usage.output, "reasoning": usage.reasoning, "estimated": estimated,
            "error": fault.map(|fault| format!("{}: {}", fault.code, fault.detail).chars().take(300).collect::<String>()),
            "first_token_ms": self.first_token.map(milliseconds), "duration_ms": milliseconds(duration),
            "overhead_ms": milliseconds(duration.saturating_sub(self.waited)),
            "secret_version": self.secret_version,
            "answer_digest": format!("sha256:{}", hex::encode(self.digest.clone().finalize())),
        });
        let kept = self.kept.as_ref();
        let kept = kept.and_then(|kept| std::str::from_utf8(kept).ok());
        // PostgreSQL does not store texts with a zero character.
        let kept = kept.filter(|kept| !kept.contains('\0'));
        if let Some(body) = kept {
            // What is told again has to be what the first target said, in full.
            if self.is_repeatable
                && status == "succeeded"
                && self.attempts.len() == 1
                && !self.plan.clamped
            {
                let kind = if self.request.stream {
                    "text/event-stream"
                } else {
                    "application/json"
                };
                told["keep"] = json!({"headers": {"content-type": kind, "gather-call": self.plan.call,
                    "gather-model": self.target().name(), "gather-attempts": "1"}, "body": body});
            }
        }
        if self.plan.capture {
            let request = String::from_utf8_lossy(&self.request.raw);
            told["capture"] = json!({"request": request, "answer": kept});
        }
        // What is settled already changes no more, so it can be tried again where the database was too busy.
        for pause in SETTLED_AFTER {
            let Err(error) = self.ledger.settle(self.plan.call, told.clone()).await else {
                return;
            };
            guest::error!(
                "a call was not settled",
                cause = format!("{error:?}"),
                call = self.plan.call.to_string()
            );
            guest::task::sleep(pause).await;
        }
    }

    /// Says that no attempt is under way, so that whoever leaves now pays nothing. Answers how long the next target gets no
    /// calls, whoever's fault that is: it is passed over if there is another one.
    pub async fn rest(&mut self) -> Result<Duration, Stop> {
        loop {
            let attempts = self.attempts.len();
            let target = self.target();
            let rested = self.ledger.rest(self.plan.call, attempts, target).await;
            let cooling = match rested {
                Ok(Some(cooling)) => cooling,
                Ok(None) => return Err(Stop::Settled),
                // The lease lasts until the ledger is told again.
                Err(_) => Duration::ZERO,
            };
            if cooling.is_zero() || self.at + 1 == self.plan.targets.len() {
                return Ok(cooling);
            }
            self.at += 1;
        }
    }

    /// Waits before the next attempt, as [`Call::rest`] says. Whether the target may be asked then.
    pub async fn pause(
        &mut self,
        ticker: &mut Ticker,
        outlet: &mut Outlet,
        pause: Duration,
    ) -> Result<bool, Stop> {
        let begin = Instant::now();
        let mut pause = pause;
        while !pause.is_zero() {
            if begin.elapsed() + pause > PATIENCE {
                return Ok(false);
            }
            let mut waiting = std::pin::pin!(sleep(pause));
            while ticker.beside(waiting.as_mut()).await == Waited::Tick {
                self.look_at(outlet).await?;
            }
            // Another call may have been told to wait for longer.
            pause = self.rest().await?;
        }
        self.waited += begin.elapsed();
        Ok(true)
    }

    /// The time since the client asked.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn attempts(&self) -> usize {
        self.attempts.len()
    }
}

impl Progress {
    fn begin() -> Self {
        let now = Instant::now();
        Self {
            began: now,
            last_said: now,
            said: 0,
            noted_said: 0,
            noted: now,
            finished: None,
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
