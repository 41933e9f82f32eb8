//! The ledger: a call's begin, what is noted of it, and its end. Each is one statement.

use std::time::Duration;

use guest::{Db, Problem, Result, args};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fault::Fault;
use crate::protocol::Protocol;

/// A model of a provider that may answer the call.
#[derive(Debug, Clone, Deserialize)]
pub struct Target {
    pub provider_id: Uuid,
    pub provider: String,
    pub model: String,
    pub protocol: Protocol,
    pub url: String,
    pub secret_id: Option<Uuid>,
    /// Whether its provider comes from the environment.
    pub environment: bool,
    /// The prices, as the ledger wants them back.
    #[serde(default)]
    pub price: Value,
    /// The longest answer that the model gives, or that its alias allows.
    pub max_output: Option<u64>,
    /// Whether its alias bounds the length.
    #[serde(default)]
    pub is_bounded: bool,
    /// The longest time in which it may say nothing, if its alias sets one.
    pub silence_ms: Option<u64>,
    /// The longest time of an attempt at it, if its alias sets one.
    pub total_ms: Option<u64>,
}

/// The longest silence of a target, unless its alias sets another one.
const SILENCE: Duration = Duration::from_secs(300);
/// The longest time of an attempt, unless its alias sets another one.
const TOTAL: Duration = Duration::from_secs(600);

impl Target {
    /// The name that clients are told.
    pub fn name(&self) -> String {
        format!("{}/{}", self.provider, self.model)
    }

    /// The target as the ledger is told of it.
    fn told(&self) -> Value {
        json!({"provider_id": self.provider_id, "provider": self.provider, "model": self.model, "price": self.price})
    }

    /// The longest time in which the target may say nothing.
    pub fn silence(&self) -> Duration {
        self.silence_ms.map_or(SILENCE, Duration::from_millis)
    }

    /// The longest time of an attempt at the target.
    pub fn total(&self) -> Duration {
        self.total_ms.map_or(TOTAL, Duration::from_millis)
    }
}

/// What the ledger answers to a call that may begin.
#[derive(Debug, Clone, Deserialize)]
pub struct Plan {
    pub call: Uuid,
    pub targets: Vec<Target>,
    /// The output for which money is reserved.
    pub granted: u64,
    /// Whether that is less than the client wanted.
    pub clamped: bool,
    /// Whether a budget bounds the call.
    pub metered: bool,
    /// Attempts after the first one.
    pub retries: usize,
    pub retry_uncertain: bool,
    pub drop_unsupported: bool,
    pub capture: bool,
}

/// An answer that was kept.
#[derive(Debug, Deserialize)]
pub struct Kept {
    pub headers: Value,
    pub body: String,
}

/// The ledger's answer.
#[derive(Debug)]
pub enum Begun {
    Plan(Box<Plan>),
    Kept(Kept),
}

#[derive(Deserialize)]
struct Row {
    answer: Value,
}

#[derive(Deserialize)]
struct Granted {
    granted: Option<u64>,
}

#[derive(Deserialize)]
struct Cooling {
    milliseconds: Option<u64>,
}

#[derive(Deserialize)]
struct Done {
    done: bool,
}

/// The calls in the database. Each statement has a connection of its own, since a stream would hold one for minutes.
#[derive(Clone)]
pub struct Ledger(pub Db);

impl Ledger {
    /// Begins a call; `asked` is explained in `sql/llm/begin.sql`.
    ///
    /// # Errors
    /// The problem if there is no target, or a limit refuses the call.
    pub async fn begin(&self, asked: Value) -> Result<Begun> {
        let db = self.0.apart();
        let Row { answer } = db
            .one("select llm.begin($1) as answer", args![asked])
            .await?;
        if let Some(code) = answer["refused"].as_str() {
            return Err(refusal(code, answer["retry_after"].as_u64()));
        }
        if let Some(kept) = answer.get("kept") {
            let kept = Kept::deserialize(kept).map_err(Problem::internal)?;
            return Ok(Begun::Kept(kept));
        }
        let plan = Plan::deserialize(&answer).map_err(Problem::internal)?;
        Ok(Begun::Plan(Box::new(plan)))
    }

    /// Says that a call is under way still, and reserves for `wanted` tokens of output if it may. Answers the output that
    /// is reserved; `None` if the call has ended.
    ///
    /// # Errors
    /// The database fails.
    pub async fn note(
        &self,
        call: Uuid,
        attempt: usize,
        target: &Target,
        output: u64,
        wanted: u64,
    ) -> Result<Option<u64>> {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let attempt = i32::try_from(attempt).unwrap_or(i32::MAX);
        let db = self.0.apart();
        let Granted { granted } = db
            .one(
                "select llm.note($1, $2, $3, $4, $5) as granted",
                args![call, attempt, target.told(), number(output), number(wanted)],
            )
            .await?;
        Ok(granted)
    }

    /// Says that an attempt of a call has ended, and which target is asked next. Answers how long that gets no calls; `None`
    /// if the call has ended.
    ///
    /// # Errors
    /// The database fails.
    pub async fn rest(
        &self,
        call: Uuid,
        attempt: usize,
        target: &Target,
    ) -> Result<Option<Duration>> {
        let attempt = i32::try_from(attempt).unwrap_or(i32::MAX);
        let db = self.0.apart();
        let Cooling { milliseconds } = db
            .one(
                "select llm.rest($1, $2, $3) as milliseconds",
                args![call, attempt, target.told()],
            )
            .await?;
        Ok(milliseconds.map(Duration::from_millis))
    }

    /// Ends a call; `told` is explained in `sql/llm/settle.sql`. Whether it was under way.
    ///
    /// # Errors
    /// The database fails.
    pub async fn settle(&self, call: Uuid, told: Value) -> Result<bool> {
        let db = self.0.apart();
        let Done { done } = db
            .one("select llm.settle($1, $2) as done", args![call, told])
            .await?;
        Ok(done)
    }

    /// Counts a fault against its target. A failure is only logged, since the call goes on.
    pub async fn blame(&self, target: &Target, fault: &Fault) {
        let Some(kind) = fault.blame else {
            return;
        };
        let wait = fault
            .retry_after_ms
            .map(|wait| i64::try_from(wait).unwrap_or(i64::MAX));
        let db = self.0.apart();
        let counted = db
            .execute(
                "select llm.fault($1, $2, $3, $4)",
                args![target.provider_id, &target.model, kind, wait],
            )
            .await;
        if let Err(error) = counted {
            guest::warn!(
                "a target's fault was not counted",
                cause = format!("{error:?}")
            );
        }
    }
}

/// The problem for a refusal of the ledger.
fn refusal(code: &str, retry_after: Option<u64>) -> Problem {
    let after = u32::try_from(retry_after.unwrap_or(1)).unwrap_or(u32::MAX);
    let problem = |status: u16, code, detail| {
        Problem::new(
            StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY),
            code,
            detail,
        )
    };
    match code {
        "no-provider-configured" => problem(
            503,
            "no-provider-configured",
            "No provider of language models is configured. Add one with POST /api/llm/providers, or set OPENAI_API_KEY or \
             ANTHROPIC_API_KEY where the server runs.",
        ),
        "model-unknown" => problem(
            404,
            "model-unknown",
            "There is no such model, or you may not use it. GET /v1/models lists those that you may use.",
        ),
        "payer-refused" => Problem::forbidden(
            "`Gather-Pays` names a subject that you can't let pay: only your teams, if your role there may call models, your \
             agents, and circles in which one of them has a turn at the moment.",
        ),
        "price-unknown" => problem(
            400,
            "price-unknown",
            "Money is limited, and this model has no price. Set one with PUT /api/llm/prices.",
        ),
        "budget-exhausted" => problem(
            402,
            "budget-exhausted",
            "A budget of those who pay for this call has too little left. GET /api/llm/limits/{subject} shows each.",
        ),
        "rate-limited" => problem(
            429,
            "rate-limited",
            "Those who pay for this call have as many calls or tokens as they may in a minute, or at once.",
        )
        .retry_after(after),
        "provider-rate-limited" => {
            problem(429, "provider-rate-limited", "The provider wants to be left alone for a while.").retry_after(after)
        }
        "provider-overloaded" => {
            problem(529, "provider-overloaded", "Every target of this model failed just now.").retry_after(after)
        }
        "call-running" => {
            problem(409, "call-running", "The first request with this `Idempotency-Key` is under way.").retry_after(after)
        }
        "idempotency-mismatch" => problem(
            409,
            "idempotency-mismatch",
            "The `Idempotency-Key` was used with another request within the last 24 hours.",
        ),
        other => Problem::internal(format_args!("the ledger refuses with {other}")),
    }
}

#[cfg(test)]
impl Target {
    pub fn for_tests(protocol: Protocol) -> Self {
        Self {
            provider_id: Uuid::nil(),
            provider: "p".to_owned(),
            model: "m".to_owned(),
            protocol,
            url: "https://p.example".to_owned(),
            secret_id: None,
            environment: false,
            price: Value::Null,
            max_output: None,
            is_bounded: false,
            silence_ms: None,
            total_ms: None,
        }
    }
}

#[cfg(test)]
impl Plan {
    pub fn for_tests(targets: Vec<Target>) -> Self {
        Self {
            call: Uuid::nil(),
            targets,
            granted: 1024,
            clamped: false,
            metered: false,
            retries: 2,
            retry_uncertain: false,
            drop_unsupported: false,
            capture: false,
        }
    }
}
