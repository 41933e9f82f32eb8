//! The outcomes of the schema's functions: a value, or the reason why they did nothing.

use axum::http::StatusCode;
use guest::{Problem, Result};
use serde::Deserialize;
use serde_json::{Value, json};

/// The single column of a statement that calls such a function.
#[derive(Debug, Deserialize)]
pub struct Outcome<T> {
    outcome: Answer<T>,
}

#[derive(Debug, Deserialize)]
struct Answer<T> {
    ok: Option<T>,
    refused: Option<Refusal>,
    wait_ms: Option<u64>,
    claw_status: Option<String>,
    #[serde(default)]
    allowed: Vec<String>,
}

/// The reason why such a function did nothing; the channels' functions refuse messages for reasons of their own.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Refusal {
    AccountNotFound,
    Blocked,
    ClawNotFound,
    ClawState,
    ClawSuspended,
    NewAccount,
    SlowMode,
    TooManyTurns,
}

impl<T> Outcome<T> {
    /// The value, or the problem that the refusal means for the client.
    ///
    /// # Errors
    /// The function refused, or answered nothing.
    pub fn value(self) -> Result<T> {
        let Answer {
            ok,
            refused,
            wait_ms,
            claw_status,
            allowed,
        } = self.outcome;
        let Some(refused) = refused else {
            return ok.ok_or_else(|| {
                Problem::internal("a function answered neither a value nor a refusal")
            });
        };
        let seconds = wait_ms.unwrap_or(1_000).div_ceil(1_000).max(1);
        let seconds = u32::try_from(seconds).unwrap_or(3_600);
        Err(match refused {
            Refusal::AccountNotFound | Refusal::ClawNotFound => Problem::not_found("claw"),
            Refusal::Blocked => Problem::forbidden("You can't write to this claw."),
            Refusal::ClawState => {
                Problem::conflict("claw-state", "The claw's status does not allow this.")
                    .with("claw_status", json!(claw_status))
                    .with("allowed", Value::from(allowed))
            }
            Refusal::ClawSuspended => {
                Problem::forbidden("The claw's account, or its owner's, is suspended.")
            }
            Refusal::NewAccount => limited(
                "new-account",
                "An account younger than a day may post 60 messages an hour.",
                seconds,
            ),
            Refusal::SlowMode => limited("slow-mode", "Wait before you post again.", seconds),
            Refusal::TooManyTurns => limited(
                "too-many-turns",
                "The owner's agents have too much to do. Wait until some of it is done.",
                seconds,
            ),
        })
    }
}

fn limited(code: &'static str, detail: &'static str, seconds: u32) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, code, detail).retry_after(seconds)
}
